package web

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// A TransferReport is what both operators get of a transfer, above all when it is over.
type TransferReport struct {
	Transfer  string          `json:"transfer"` // id
	Direction Direction       `json:"direction"`
	From      string          `json:"from"`
	To        string          `json:"to"`
	State     string          `json:"state"`
	Closed    bool            `json:"closed"` // nothing is open any more
	MadeAt    time.Time       `json:"made_at"`
	CreatedAt time.Time       `json:"created_at"`
	CreatedBy string          `json:"created_by"`
	Earliest  time.Time       `json:"earliest"`
	Latest    time.Time       `json:"latest"`
	Mandate   MandateView     `json:"mandate"`
	Approvals Array[Approval] `json:"approvals"`

	Total    int                     `json:"total"`
	Done     int                     `json:"done"`   // at the new provider
	Failed   int                     `json:"failed"` // ended otherwise
	Open     int                     `json:"open"`   // neither
	Counts   Counts                  `json:"counts"` // by state
	Inferred int                     `json:"inferred"`
	Failures Array[TransferFailures] `json:"failures"` // the most frequent first

	Disruption  Disruption `json:"disruption"`
	Bytes       int        `json:"message_bytes"`   // of all messages to devices
	Documents   int        `json:"document_bytes"`  // mandate, information, answer and offer
	Receipts    int        `json:"receipts"`        // that prove it
	Revocations int        `json:"revocations"`     // certificates of ours that are revoked
	Unrevoked   int        `json:"not_yet_revoked"` // of devices that have left, or went back

	Devices Array[TransferReportDevice] `json:"items"`
}

// TransferFailures counts devices that did not arrive for one reason.
type TransferFailures struct {
	State  string `json:"state"`
	Reason string `json:"reason"` // "": none was told
	Count  int    `json:"count"`
}

// A Disruption is for how long devices had no service, in seconds.
type Disruption struct {
	Known  int     `json:"known"` // devices of which it is known
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
	Most   float64 `json:"max"`
}

// A TransferReportDevice is one device of a TransferReport.
type TransferReportDevice struct {
	Device      string    `json:"device"`
	Endpoint    string    `json:"endpoint"`
	State       string    `json:"state"`
	Inferred    bool      `json:"inferred"`
	Reason      string    `json:"reason,omitempty"`
	Next        string    `json:"next"`
	Bytes       int       `json:"message_bytes"`
	Receipts    int       `json:"receipts"`
	Revoked     int       `json:"revoked"` // certificates of ours
	CommittedAt time.Time `json:"committed_at,omitzero"`
	ActiveAt    time.Time `json:"active_at,omitzero"`
	Disruption  *float64  `json:"disruption_seconds,omitempty"`
}

// DisruptionOf sums up seconds without service: percentiles by nearest rank.
func DisruptionOf(seconds []float64) Disruption {
	if len(seconds) == 0 {
		return Disruption{}
	}
	sorted := slices.Sorted(slices.Values(seconds))
	rank := func(share float64) float64 { return sorted[int(math.Ceil(share*float64(len(sorted))))-1] }
	const half, most = 0.5, 0.95
	return Disruption{Known: len(sorted), Median: rank(half), P95: rank(most), Most: sorted[len(sorted)-1]}
}

// FailuresOf counts reasons, the most frequent first.
func FailuresOf(all []TransferFailures) []TransferFailures {
	counts := map[TransferFailures]int{}
	for _, f := range all {
		f.Count = 0
		counts[f]++
	}
	out := make([]TransferFailures, 0, len(counts))
	for f, n := range counts {
		f.Count = n
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b TransferFailures) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.State, b.State), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}
