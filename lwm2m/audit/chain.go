package audit

import (
	"crypto/sha256"
	"fmt"
)

// A FaultKind says what is wrong with a row.
type FaultKind string

// The kinds of faults.
const (
	Altered   FaultKind = "altered"   // its content is not what its hash says
	Missing   FaultKind = "missing"   // rows between it and the one before are not there
	Reordered FaultKind = "reordered" // it stands behind a later one, or twice
	Unlinked  FaultKind = "unlinked"  // it does not follow from the one before, whose hash was changed
)

// A Fault is what is wrong with one row.
type Fault struct {
	ID     int64     `json:"id"`
	Kind   FaultKind `json:"kind"`
	Detail string    `json:"detail"`
}

// A Report is what a Checker found.
type Report struct {
	Before int64   `json:"before"` // rows before the first, which stand elsewhere (Begin)
	Rows   int64   `json:"rows"`
	First  int64   `json:"first"` // id of the first row; 0: there is none
	Last   int64   `json:"last"`
	Head   string  `json:"head"`   // hash of the last row, hexadecimal
	Faults []Fault `json:"faults"` // the first of them
	More   int64   `json:"more"`   // faults beyond those
}

// Good reports whether nothing was found.
func (r Report) Good() bool { return len(r.Faults) == 0 }

// maxFaults is how many faults a report names.
const maxFaults = 100

// A Checker looks at rows one after the other and goes on after a fault, so that
// each is found. Its zero value is ready. Rows taken off the end leave no trace in
// the chain: keep the hash of a row elsewhere to notice that.
type Checker struct {
	report Report
	last   Record
}

// Begin says that the rows up to id, whose last has that hash, stand elsewhere: what is
// added follows from them. It is called before the first Add.
func (c *Checker) Begin(id int64, hash [sha256.Size]byte) {
	c.report.Before = id
	c.last.ID, c.last.Hash = id, hash
}

// Add looks at the next row.
func (c *Checker) Add(r Record) {
	c.report.Rows++
	if c.report.Rows == 1 {
		c.report.First = r.ID
		if r.ID > c.last.ID+1 {
			c.fault(r.ID, Missing, fmt.Sprintf("the first row has the number %d: what was archived goes before it", r.ID))
		}
	}
	linked := r.Prev == c.last.Hash
	switch {
	case r.ID <= c.last.ID:
		c.fault(r.ID, Reordered, fmt.Sprintf("it stands after row %d", c.last.ID))
	case c.report.Rows > 1 && r.ID > c.last.ID+1:
		c.fault(r.ID, Missing, fmt.Sprintf("rows %d to %d are not there", c.last.ID+1, r.ID-1))
	case !linked && r.ID == c.last.ID+1:
		c.fault(r.ID, Unlinked, fmt.Sprintf("it does not follow from row %d", c.last.ID))
	}
	if Hash(r.Prev, r.Row) != r.Hash {
		c.fault(r.ID, Altered, "its content is not what its hash says")
	}
	c.last = r
}

func (c *Checker) fault(id int64, kind FaultKind, detail string) {
	if len(c.report.Faults) == maxFaults {
		c.report.More++
		return
	}
	c.report.Faults = append(c.report.Faults, Fault{id, kind, detail})
}

// Report returns what was found so far.
func (c *Checker) Report() Report {
	r := c.report
	if r.Faults == nil {
		r.Faults = []Fault{}
	}
	r.Last, r.Head = c.last.ID, fmt.Sprintf("%x", c.last.Hash)
	return r
}
