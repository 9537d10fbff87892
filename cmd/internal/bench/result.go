package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// A Result is what a run found. Fields that do not apply are nil or zero, and
// absent in JSON.
type Result struct {
	Work         Work    `json:"work"`
	Devices      int     `json:"devices"`
	Seconds      float64 `json:"seconds"` // of the measured part
	Ops          int     `json:"ops,omitempty"`
	OpsPerS      float64 `json:"ops_per_s,omitempty"`
	ServerCPU    float64 `json:"server_cpu_us_per_op,omitempty"`
	FloorCPU     float64 `json:"floor_us_per_op,omitempty"`
	Ratio        float64 `json:"ratio_to_floor,omitempty"`
	P50          float64 `json:"p50_ms,omitempty"`
	P99          float64 `json:"p99_ms,omitempty"`
	BytesPerS    float64 `json:"bytes_per_s,omitempty"`     // of images pushed
	BytesPerCPUS float64 `json:"bytes_per_cpu_s,omitempty"` // likewise, a second of the server's CPU
	// Loss is the part of the operations that got no answer, all repetitions included.
	Loss *float64 `json:"loss,omitempty"`
	// Repeats are retransmissions of the generator.
	Repeats int `json:"retransmissions,omitempty"`
	// Refusals are answers other than the one that the work expects.
	Refusals int `json:"refusals,omitempty"`
	// NewHandshakes are handshakes that the server led during the measured part.
	NewHandshakes *int `json:"new_handshakes,omitempty"`

	RSSPerDevice float64 `json:"rss_bytes_per_device,omitempty"`
	RSSEmpty     uint64  `json:"rss_empty_bytes,omitempty"`
	RSSFull      uint64  `json:"rss_full_bytes,omitempty"`

	RestartSeconds    float64 `json:"restart_seconds,omitempty"`    // without a server
	LoadSeconds       float64 `json:"load_seconds,omitempty"`       // from its start until it serves
	LostRegistrations *int    `json:"lost_registrations,omitempty"` // whose 2.01 was sent
	// Registering are the devices that registered while the server ended, and
	// RegisteredBefore those of them that had their 2.01 by then.
	Registering      int `json:"registering,omitempty"`
	RegisteredBefore int `json:"registered_before,omitempty"`
	// Unanswered are talking devices that got no answer, one retransmission included.
	Unanswered *int `json:"unanswered,omitempty"`
	// Replayed are records of answered requests that were sent again after the
	// restart, and ReplaysRefused those that the server's window caught.
	Replayed       int  `json:"replayed,omitempty"`
	ReplaysRefused *int `json:"replays_refused,omitempty"`
	// Reads are devices that the server read from after the restart.
	Reads       int  `json:"reads,omitempty"`
	ReadsFailed *int `json:"reads_failed,omitempty"`
	// Captured are the protected records on the wire, and Reused those of them whose
	// number or nonce another record had under the same key.
	Captured int  `json:"captured_records,omitempty"`
	Reused   *int `json:"reused_numbers,omitempty"`
	// Note says what the figures cannot.
	Note string `json:"note,omitempty"`

	QuietP50 float64 `json:"quiet_p50_ms,omitempty"` // of a storm: before it
	QuietP99 float64 `json:"quiet_p99_ms,omitempty"`
	// Latencies in the server, from the kernel's receive stamp until the kernel had
	// the answer.
	ServerQuietP50 float64 `json:"server_quiet_p50_ms,omitempty"`
	ServerQuietP99 float64 `json:"server_quiet_p99_ms,omitempty"`
	ServerP50      float64 `json:"server_p50_ms,omitempty"`
	ServerP99      float64 `json:"server_p99_ms,omitempty"`
	// Stormed and StormFailed are the handshakes that broke in.
	Stormed      int     `json:"stormed,omitempty"`
	StormFailed  int     `json:"storm_failed,omitempty"`
	StormSeconds float64 `json:"storm_seconds,omitempty"`
	Spoofed      int     `json:"spoofed,omitempty"` // ClientHellos sent by invented senders
	SpoofedPerS  float64 `json:"spoofed_per_s,omitempty"`
}

// WriteTable writes r for people.
func (r *Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(show bool, name, format string, args ...any) {
		if show {
			_, _ = fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) // errors come from Flush
		}
	}
	row(true, "work", "%s, %d devices, %.1f s", r.Work, r.Devices, r.Seconds)
	row(r.Ops > 0, "operations", "%d, %.0f/s", r.Ops, r.OpsPerS)
	row(r.BytesPerS > 0, "pushed", "%.1f MB/s, %.1f MB a second of the server's CPU", r.BytesPerS/1e6, r.BytesPerCPUS/1e6)
	row(r.ServerCPU > 0, "server CPU", "%.1f µs an operation", r.ServerCPU)
	row(r.FloorCPU > 0, "floor", "%.1f µs an operation", r.FloorCPU)
	row(r.Ratio > 0, "ratio", "%.2f × floor", r.Ratio)
	row(r.P99 > 0, "latency", "p50 %.2f ms, p99 %.2f ms", r.P50, r.P99)
	row(r.QuietP99 > 0, "before the storm", "p50 %.2f ms, p99 %.2f ms", r.QuietP50, r.QuietP99)
	row(r.ServerQuietP99 > 0, "in the server", "p99 %.2f ms, before the storm %.2f ms: %.1f ×", r.ServerP99,
		r.ServerQuietP99, r.ServerP99/r.ServerQuietP99)
	if r.Loss != nil {
		row(true, "loss", "%s, %d retransmissions", percent(*r.Loss), r.Repeats)
	}
	row(r.Refusals > 0, "refused", "%d", r.Refusals)
	if r.NewHandshakes != nil {
		row(true, "handshakes", "%d", *r.NewHandshakes)
	}
	row(r.Stormed+r.StormFailed > 0, "storm", "%d handshakes, %d more failed, %.1f s", r.Stormed, r.StormFailed,
		r.StormSeconds)
	row(r.LoadSeconds > 0, "restart", "%.2f s without a server, %.2f s of it to load", r.RestartSeconds, r.LoadSeconds)
	if r.LostRegistrations != nil {
		row(true, "registrations", "%d lost; %d of %d registered before the server ended", *r.LostRegistrations,
			r.RegisteredBefore, r.Registering)
	}
	if r.Unanswered != nil {
		row(true, "talking devices", "%d without an answer after one retransmission", *r.Unanswered)
	}
	if r.ReplaysRefused != nil {
		row(true, "replays", "%d records of before sent again, %d refused", r.Replayed, *r.ReplaysRefused)
	}
	if r.ReadsFailed != nil {
		row(true, "reads", "%d devices read from by the server, %d in vain", r.Reads, *r.ReadsFailed)
	}
	if r.Reused != nil {
		row(true, "capture", "%d protected records, %d with a number used before", r.Captured, *r.Reused)
	}
	row(r.Spoofed > 0, "spoofed hellos", "%d, %.0f/s", r.Spoofed, r.SpoofedPerS)
	row(r.RSSFull > 0 && r.RSSEmpty > 0, "RSS", "%.1f MB before, %.1f MB after", megabytes(r.RSSEmpty),
		megabytes(r.RSSFull))
	row(r.RSSFull > 0 && r.RSSEmpty == 0, "RSS", "%.1f MB", megabytes(r.RSSFull))
	row(r.RSSPerDevice != 0, "RSS a device", "%.0f bytes", r.RSSPerDevice)
	row(r.Note != "", "note", "%s", r.Note)
	return t.Flush()
}

func percent(part float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.4f", 100*part), ".0000") + " %"
}

func megabytes(bytes uint64) float64 { return float64(bytes) / 1e6 }

// An outcome is what a part of a load did.
type outcome struct {
	done, lost, repeats, refused int
	latencies                    []time.Duration
	took                         time.Duration
}

func (o *outcome) add(other outcome) {
	o.done += other.done
	o.lost += other.lost
	o.repeats += other.repeats
	o.refused += other.refused
	o.latencies = append(o.latencies, other.latencies...)
	o.took = max(o.took, other.took)
}

// percentile returns the latency in milliseconds that a part p of the operations
// did not exceed, by the nearest rank.
func (o *outcome) percentile(p float64) float64 {
	if len(o.latencies) == 0 {
		return 0
	}
	if !slices.IsSorted(o.latencies) {
		slices.Sort(o.latencies)
	}
	i := min(int(p*float64(len(o.latencies))), len(o.latencies)-1)
	return milliseconds(o.latencies[i])
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// take fills in what a load says.
func (r *Result) take(o outcome) {
	r.Ops, r.Repeats, r.Refusals = o.done, o.repeats, o.refused
	r.Seconds = o.took.Seconds()
	if r.Seconds > 0 {
		r.OpsPerS = float64(o.done) / r.Seconds
	}
	r.P50, r.P99 = o.percentile(0.5), o.percentile(0.99)
	loss := 0.0
	if all := o.done + o.lost; all > 0 {
		loss = float64(o.lost) / float64(all)
	}
	r.Loss = &loss
}

// cost fills in the CPU time of the server and of the floor an operation; zero
// is unknown.
func (r *Result) cost(server time.Duration, floor float64) {
	if r.Ops > 0 {
		r.ServerCPU = microseconds(server) / float64(r.Ops)
	}
	r.FloorCPU = floor
	if floor > 0 {
		r.Ratio = r.ServerCPU / floor
	}
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
