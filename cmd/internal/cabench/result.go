package cabench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// A Result is what a run found.
type Result struct {
	Devices    int     `json:"devices"`
	IssuedPerS float64 `json:"issued_per_s"`
	IssueCPU   float64 `json:"issue_us_per_op"`
	FloorCPU   float64 `json:"floor_us_per_op"` // request verified, certificate made, row committed
	Ratio      float64 `json:"ratio_to_floor"`

	Certificates int     `json:"certificates"`
	Pages        []Page  `json:"pages"`
	CRLMillis    float64 `json:"crl_ms"`
	CRLEntries   int     `json:"crl_entries"`
	CRLBytes     int     `json:"crl_bytes"`
}

// A Page is a part of the inventory that was read several times.
type Page struct {
	Name   string  `json:"name"`
	Millis float64 `json:"p95_ms"`
}

// WriteTable writes r for people.
func (r *Result) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0) //nolint:mnd // two blanks between columns
	row := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(t, "%s\t%s\n", name, fmt.Sprintf(format, args...)) // errors come from Flush
	}
	row("issued", "%d certificates, %.0f/s", r.Devices, r.IssuedPerS)
	row("CPU", "%.0f µs each", r.IssueCPU)
	row("floor", "%.0f µs each: request verified, certificate made, row committed among 50", r.FloorCPU)
	row("ratio", "%.2f × floor", r.Ratio)
	row("inventory", "%d certificates; pages of %d, p95:", r.Certificates, pageSize)
	for _, p := range r.Pages {
		row("  "+p.Name, "%.1f ms", p.Millis)
	}
	row("CRL", "%.0f ms, %d entries, %d bytes", r.CRLMillis, r.CRLEntries, r.CRLBytes)
	return t.Flush()
}
