// Package processtest has an in-memory target for manifest processors whose
// power can be cut at every write, and the tests that every target must pass.
package processtest

import (
	"errors"

	"steward/suit"
	"steward/suit/process"
)

// ErrPower is what everything returns after the power was cut.
var ErrPower = errors.New("power is off")

// A Disk is the journal of a target: what survives a cut. Each write is one
// record, which is there as a whole or not at all.
type Disk struct {
	// Cut is the number of writes after which the power fails; negative never.
	Cut int

	records []record
	off     bool
}

// NewDisk returns an empty journal whose power does not fail.
func NewDisk() *Disk { return &Disk{Cut: -1} }

// Writes returns the number of records written.
func (d *Disk) Writes() int { return len(d.records) }

// PowerOn lets the disk be written again, without a further cut.
func (d *Disk) PowerOn() { d.Cut, d.off = -1, false }

// append writes one record, unless the power is off.
func (d *Disk) append(r record) error {
	if d.off || d.Cut == 0 {
		d.off = true
		return ErrPower
	}
	if d.Cut > 0 {
		d.Cut--
	}
	d.records = append(d.records, r)
	return nil
}

// The kinds of record.
const (
	kindBegin    = "begin"
	kindOpen     = "open"
	kindData     = "data"
	kindComplete = "complete"
	kindCommit   = "commit"
	kindDiscard  = "discard"
)

// A record is one entry of the journal.
type record struct {
	kind      string
	component suit.ComponentID
	manifest  string
	image     process.Image
	data      []byte
	installed process.Installed
	contents  map[suit.ComponentID][]byte // all at once: that is what makes a commit atomic
}
