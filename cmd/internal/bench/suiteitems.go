package bench

import "fmt"

// A group is a table of measurements.
type group struct {
	title   string
	columns []string
	cells   func(*Result) []string
	items   []*item
}

// An item is one measurement.
type item struct {
	name   string
	args   []string // of "bench"
	quick  []string // that overrule them in a quick suite
	gocoap bool     // measures go-coap's server
	target string
	met    func(*Result) bool // nil: there is no target
	seen   func(*Result)      // is told of the result; nil: nobody
}

// suite returns all measurements.
func suite() []*group {
	return []*group{messageItems(), memoryItems(), restartItems(), stormItems()}
}

// sized gives the devices of an item, in full and in a quick suite.
func sized(full, quick int) (args, few []string) {
	return []string{"--devices", fmt.Sprint(full)}, []string{"--devices", fmt.Sprint(quick)}
}

// newItem is an item of a work with more arguments.
func newItem(name string, w Work, full, quick int, target string, met func(*Result) bool, more ...string) *item {
	args, few := sized(full, quick)
	return &item{
		name: name, args: append(append([]string{string(w)}, args...), more...), quick: few, target: target, met: met,
	}
}

func ratioWithin(most float64) func(*Result) bool {
	return func(r *Result) bool { return r.Ratio > 0 && r.Ratio <= most && lossless(r) }
}

func lossless(r *Result) bool { return r.Loss != nil && *r.Loss == 0 }

func messageItems() *group {
	const (
		few       = "256" // go-coap takes a socket a device
		perS      = 5000
		messages  = 1.5
		updates   = 3
		handshake = 3.3
		part      = 3
	)
	other := newItem("requests at go-coap, PSK, 256 devices", Requests, 256, 256, "", nil, "--sockets", few)
	ours := newItem("requests, 256 devices", Requests, 256, 256, "≤ 1/3 of go-coap's server µs", nil, "--sockets", few)
	other.gocoap = true
	var theirs float64 // of the row before
	other.seen = func(r *Result) { theirs = r.ServerCPU }
	ours.met = func(r *Result) bool { return r.ServerCPU*part <= theirs }
	return &group{
		title:   "work",
		columns: []string{"operations/s", "server µs", "floor µs", "ratio", "p50, p99 ms", "lost"},
		cells: func(r *Result) []string {
			if r.Ops == 0 || r.Loss == nil {
				return []string{"", "", "", "", "", r.Note}
			}
			return []string{
				fmt.Sprintf("%.0f", r.OpsPerS), fmt.Sprintf("%.1f", r.ServerCPU), fmt.Sprintf("%.1f", r.FloorCPU),
				fmt.Sprintf("%.2f", r.Ratio), fmt.Sprintf("%.2f, %.1f", r.P50, r.P99), percent(*r.Loss),
			}
		},
		items: []*item{
			newItem("requests, 1000 devices, 100 in flight", Requests, 1000, 1000, "ratio ≤ 1.5", ratioWithin(messages)),
			other, ours,
			newItem("handshakes, mutual, P-256", Handshakes, 1000, 1000, "ratio ≤ 3.3", ratioWithin(handshake)),
			newItem("register, each once, 100 in flight", Register, 20_000, 4000, "≥ 5,000/s",
				func(r *Result) bool { return r.OpsPerS >= perS && lossless(r) }),
			newItem("update, each once, 100 in flight", Update, 100_000, 10_000, "ratio ≤ 3", ratioWithin(updates)),
			newItem("observe, confirmable notifications, 1000 devices", Observe, 1000, 1000, "", nil),
			newItem("push, 1 MiB to each of 100 devices, by blocks", Push, 100, 20, "", nil),
		},
	}
}

func memoryItems() *group {
	const association, registered = 300, 2000
	within := func(most float64) func(*Result) bool {
		return func(r *Result) bool { return r.RSSPerDevice <= most }
	}
	return &group{
		title:   "memory after a forced collection",
		columns: []string{"devices", "RSS before, after", "a device"},
		cells: func(r *Result) []string {
			return []string{
				fmt.Sprint(r.Devices), fmt.Sprintf("%.1f, %.1f MB", megabytes(r.RSSEmpty), megabytes(r.RSSFull)),
				fmt.Sprintf("%.0f bytes", r.RSSPerDevice),
			}
		},
		items: []*item{
			newItem("associations", Idle, 200_000, 20_000, "≤ 300 bytes at 200,000", within(association)),
			newItem("registered devices, 3 observations each", Idle, 100_000, 5000, "≤ 2,000 bytes at 100,000",
				within(registered), "--registered", "--observations", "3"),
		},
	}
}

func restartItems() *group {
	met := func(r *Result) bool {
		none := 0
		for _, n := range []*int{r.NewHandshakes, r.LostRegistrations, r.Unanswered, r.ReadsFailed, r.Reused} {
			if n == nil {
				return false
			}
			none += *n
		}
		return none == 0 && r.LoadSeconds <= 1 && r.ReplaysRefused != nil && *r.ReplaysRefused == r.Replayed
	}
	const target = "≤ 1 s, none of all that"
	return &group{
		title: "restart under 1000 devices that talk and 100 that register",
		columns: []string{
			"devices", "until it serves", "new handshakes", "registrations lost", "unanswered", "replays taken",
			"reads failed", "numbers reused",
		},
		cells: func(r *Result) []string {
			of := func(n *int, all int) string {
				if n == nil {
					return ""
				}
				return fmt.Sprintf("%d of %d", *n, all)
			}
			taken := r.Replayed
			if r.ReplaysRefused != nil {
				taken -= *r.ReplaysRefused
			}
			return []string{
				fmt.Sprint(r.Devices), fmt.Sprintf("%.2f s", r.LoadSeconds), of(r.NewHandshakes, r.Devices),
				of(r.LostRegistrations, r.Devices), of(r.Unanswered, min(talkers, r.Devices)), of(&taken, r.Replayed),
				of(r.ReadsFailed, r.Reads), of(r.Reused, r.Captured),
			}
		},
		items: []*item{
			newItem("in order", Restart, 200_000, 10_000, target, met),
			newItem("by SIGKILL", Restart, 200_000, 10_000, target, met, "--kill"),
		},
	}
}

func stormItems() *group {
	const times, rate, growth = 5, 20_000, 20e6
	flood := newItem("ClientHellos of invented senders", Storm, 1000, 1000,
		"≥ 20,000/s, RSS ≤ +20 MB at 1,000,000, none lost", func(r *Result) bool {
			return r.SpoofedPerS >= rate && lossless(r) && float64(r.RSSFull) <= float64(r.RSSEmpty)+growth
		}, "--storming", "100", "--spoofed", "1000000")
	flood.quick = append(flood.quick, "--spoofed", "100000")
	return &group{
		title: "storm beside 1000 devices that talk",
		columns: []string{
			"breaking in", "p99 at the generator before, during", "in the server", "talking devices' loss", "RSS",
		},
		cells: stormCells,
		items: []*item{
			newItem("handshakes", Storm, 1000, 1000, "p99 ≤ 5 × that before",
				func(r *Result) bool { return lossless(r) && withinTimes(r, times) }, "--storming", "5000"),
			flood,
		},
	}
}

// withinTimes compares latencies in the server, or those of the generator where the
// server has none.
func withinTimes(r *Result, times float64) bool {
	if r.ServerQuietP99 > 0 {
		return r.ServerP99 <= times*r.ServerQuietP99
	}
	return r.P99 <= times*r.QuietP99
}

func stormCells(r *Result) []string {
	broke := fmt.Sprintf("%d of %d handshakes in %.1f s", r.Stormed, r.Stormed+r.StormFailed, r.StormSeconds)
	if r.Spoofed > 0 {
		broke = fmt.Sprintf("%d at %.0f/s, and %s", r.Spoofed, r.SpoofedPerS, broke)
	}
	loss := ""
	if r.Loss != nil {
		loss = percent(*r.Loss)
	}
	return []string{
		broke, fmt.Sprintf("%.1f, %.1f ms", r.QuietP99, r.P99),
		fmt.Sprintf("%.2f, %.2f ms", r.ServerQuietP99, r.ServerP99), loss,
		fmt.Sprintf("%.1f, %.1f MB", megabytes(r.RSSEmpty), megabytes(r.RSSFull)),
	}
}
