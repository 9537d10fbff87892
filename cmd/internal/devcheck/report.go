package devcheck

// A Verdict says what came of a check.
type Verdict string

// The verdicts.
const (
	Pass    Verdict = "pass"
	Breach  Verdict = "breach"
	Skipped Verdict = "skipped" // it cannot be checked with this device
)

// A Finding is one rule, tried once.
type Finding struct {
	Rule    string  `json:"rule"`    // "E4", "wipe"
	Section string  `json:"section"` // of the protocol, as docs/porting.md numbers it
	What    string  `json:"what"`
	Sent    string  `json:"sent"`
	Seen    string  `json:"seen"`
	Verdict Verdict `json:"verdict"`
}

// A Report is all of a run, in the order in which it was tried.
type Report struct {
	Endpoint string    `json:"endpoint"`
	Findings []Finding `json:"findings"`
	Passed   int       `json:"passed"`
	Breaches int       `json:"breaches"`
	Skipped  int       `json:"skipped"`
}

func (r *Report) add(f Finding) {
	r.Findings = append(r.Findings, f)
	switch f.Verdict {
	case Pass:
		r.Passed++
	case Breach:
		r.Breaches++
	case Skipped:
		r.Skipped++
	}
}
