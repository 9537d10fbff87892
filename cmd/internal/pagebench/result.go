package pagebench

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// A Result is what a run found.
type Result struct {
	Devices      int `json:"devices"`
	Events       int `json:"events"`
	Certificates int `json:"certificates"`

	Running int    `json:"running"` // devices of which is known which release they run
	Pages   []Page `json:"pages"`
	// Unknown are patterns of pages whose parameters nobody chose.
	Unknown []string `json:"unknown,omitempty"`
}

// A Page is an address, or several of a kind, that was asked many times.
type Page struct {
	Pattern string  `json:"pattern"`
	What    string  `json:"what,omitempty"` // of its kinds; "" for the plain page
	Times   int     `json:"times"`
	P50     float64 `json:"p50_ms"`
	P95     float64 `json:"p95_ms"`
	P99     float64 `json:"p99_ms"`
	// CPU is the time that the processors worked for one answer, the client's share and
	// what the server does beside included: it is the same on a busy machine.
	CPU float64 `json:"cpu_ms"`
	KiB float64 `json:"kib"` // of the largest answer
	// File is set on what is a file with all rows, to be saved: Limit is not for it.
	File bool `json:"file,omitempty"`
}

// Slow returns the pages of which 95 in 100 answers took Limit or more.
func (r *Result) Slow() (out []Page) {
	for _, p := range r.Pages {
		if p.slow() {
			out = append(out, p)
		}
	}
	return out
}

func (p Page) slow() bool { return !p.File && p.P95 >= milliseconds(Limit) }

// page sums up what was measured.
func page(pattern, what string, took []time.Duration, cpu time.Duration, size int64) Page {
	slices.Sort(took)
	at := func(percent int) float64 { return milliseconds(took[(len(took)*percent-1)/100]) }
	const half, nearly, all = 50, 95, 99
	return Page{
		Pattern: pattern, What: what, Times: len(took), P50: at(half), P95: at(nearly), P99: at(all),
		CPU: milliseconds(cpu) / float64(len(took)),
		KiB: float64(size) / (1 << 10), //nolint:mnd // bytes
	}
}

// WriteTable writes r for people.
func (r *Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) //nolint:mnd // two blanks between columns
	row := func(format string, args ...any) {
		_, _ = fmt.Fprintf(t, format+"\n", args...) // errors come from Flush
	}
	row("%d devices, %d events, %d certificates", r.Devices, r.Events, r.Certificates)
	row("page\twhat\tp50 ms\tp95 ms\tp99 ms\tCPU ms\tKiB")
	for _, p := range r.Pages {
		mark := ""
		if p.slow() {
			mark = " *"
		}
		row("%s\t%s\t%.1f\t%.1f%s\t%.1f\t%.1f\t%.0f", p.Pattern, p.What, p.P50, p.P95, mark, p.P99, p.CPU, p.KiB)
	}
	for _, u := range r.Unknown {
		row("%s\tnot measured: nobody chose its parameters", u)
	}
	return t.Flush()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
