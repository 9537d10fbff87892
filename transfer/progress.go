package transfer

import "slices"

// A Progress is how far a row is at one provider: its state, and the effects that
// are still to be performed, in order.
type Progress struct {
	State   RowState
	Pending []RowEffect
}

// Step moves p by an event of its table. Effects of the former state that are still
// pending are dropped with it: each is either overtaken by what moved the row, or
// demanded again by the new state. It returns machine.ErrNoRow for an event that the
// state does not accept.
func (p Progress) Step(table RowTable, incoming bool, on RowEvent) (Progress, error) {
	to, err := table.Step(p.State, on)
	if err != nil {
		return p, err
	}
	var pending []RowEffect
	if to.To == p.State || on == RowSilent {
		pending = p.Pending
	}
	for _, do := range to.Do {
		switch {
		case do == RowDoFinalise && !incoming, slices.Contains(pending, do):
		case do == RowTellClosed: // needs no device, so it must not wait for one
			pending = slices.Insert(slices.Clone(pending), 0, do)
		default:
			pending = append(slices.Clone(pending), do)
		}
	}
	return Progress{to.To, pending}, nil
}
