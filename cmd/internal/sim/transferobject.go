package sim

import (
	"context"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
	"steward/transfer"
)

// A transferObject is object Transfer.
type transferObject struct {
	single

	l *life
}

// Resources implements client.Lister.
func (*transferObject) Resources(uint16) []uint16 {
	return []uint16{
		objects.TransferMessage, objects.TransferCommit, objects.TransferAbort, objects.TransferState,
		objects.TransferError, objects.TransferEpoch, objects.TransferEarliest, objects.TransferLatest,
		objects.TransferMessageHash, objects.TransferReceipt, objects.TransferAttempts, objects.TransferFinalise,
		objects.TransferReturn, objects.TransferMandate, objects.TransferRetire, objects.TransferRetired,
	}
}

// Read implements client.Object.
func (o *transferObject) Read(ctx context.Context, _ client.Session, p lwm2m.Path) ([]lwm2m.Entry, error) {
	if o.l.fault.Load() != nil { // a device without power says nothing, least of all between two of its steps
		<-ctx.Done()
		return nil, ctx.Err()
	}
	o.l.mu.Lock()
	s := o.l.tr.Status()
	o.l.mu.Unlock()
	t := objects.Transfer{
		State: s.State.Number(), Error: s.Error, Epoch: s.Epoch, Earliest: s.Window.Earliest.Time(),
		Latest: s.Window.Latest.Time(), Receipt: s.Receipt, Attempts: &s.Attempts,
		Retired: s.Retired,
	}
	if !s.Message.IsZero() {
		t.MessageHash = s.Message[:]
	}
	return below(p, t.Entries(lwm2m.NewPath(o.id, 0)))
}

// Write implements client.Object: Message and Mandate.
func (o *transferObject) Write(
	_ context.Context, _ client.Session, p lwm2m.Path, entries []lwm2m.Entry, _ bool,
) error {
	if p.Len() != 3 || len(entries) != 1 {
		return client.ErrMethodNotAllowed
	}
	raw := entries[0].Value.Bytes()
	if p.ID(2) == objects.TransferMandate {
		return answer(o.l.with(func(tr *transfer.Device) error { return tr.WriteMandate(raw) }))
	}
	err := o.l.with(func(tr *transfer.Device) error { return tr.WriteMessage(raw, o.l.o.now()) })
	if err != nil {
		o.l.d.event(o.l.about(Event{Kind: Refused, Error: err.Error()}))
		o.l.cl.Changed(lwm2m.NewPath(o.id, 0, objects.TransferError))
	}
	o.l.poke()
	return answer(err)
}

// Execute implements client.Object: Commit, Abort, Finalise, Return and Retire.
func (o *transferObject) Execute(_ context.Context, _ client.Session, p lwm2m.Path, args string) error {
	order, err := transfer.ParseOrder(args)
	if err != nil {
		return answer(err)
	}
	if p.ID(2) == objects.TransferRetire {
		return answer(o.l.retire(order))
	}
	err = o.l.with(func(tr *transfer.Device) error {
		switch p.ID(2) {
		case objects.TransferCommit:
			return tr.Commit(order, o.l.o.now())
		case objects.TransferAbort:
			return tr.Abort(order)
		case objects.TransferFinalise:
			return tr.Finalise(order)
		case objects.TransferReturn:
			return tr.Return(order)
		}
		return client.ErrMethodNotAllowed
	})
	o.l.poke()
	return answer(err)
}
