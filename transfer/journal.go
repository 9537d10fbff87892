package transfer

import (
	"bytes"
	"errors"
	"slices"
)

// A Journal keeps the state of one device through power cuts. Each write
// replaces what was written before, so that a wiped secret is gone with the next
// write.
type Journal interface {
	// Load returns the record of the newest Save that returned without error, or
	// of the one that was under way when power was cut; nil if there is none.
	Load() ([]byte, error)
	// Save makes record durable, entirely or not at all. It must not keep record.
	Save(record []byte) error
}

// ErrPowerCut is what a MemoryJournal returns for a write that was cut.
var ErrPowerCut = errors.New("power cut")

// A MemoryJournal is a Journal for tests, whose power can be cut. The zero value
// is empty and has power for ever.
type MemoryJournal struct {
	record []byte
	writes int
	cutAt  int
	lost   bool
}

// Load returns the newest record.
func (j *MemoryJournal) Load() ([]byte, error) { return bytes.Clone(j.record), nil }

// Save keeps record unless power is cut at this write.
func (j *MemoryJournal) Save(record []byte) error {
	j.writes++
	if j.cutAt != 0 && j.writes >= j.cutAt {
		if j.writes == j.cutAt && !j.lost {
			j.record = slices.Clone(record)
		}
		return ErrPowerCut
	}
	j.record = slices.Clone(record)
	return nil
}

// Cut cuts power at the nth write from now, counted from 1: that write is lost,
// or kept although its writer never learns of it, and all later ones fail. Zero
// restores power.
func (j *MemoryJournal) Cut(n int, lost bool) { j.writes, j.cutAt, j.lost = 0, n, lost }

// Writes returns the number of writes since the last Cut.
func (j *MemoryJournal) Writes() int { return j.writes }

// Record returns what a reader of the memory chip would find.
func (j *MemoryJournal) Record() []byte { return bytes.Clone(j.record) }
