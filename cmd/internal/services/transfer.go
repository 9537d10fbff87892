package services

import (
	"context"
	"errors"
	"slices"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// transfers implements web.Transfers.
type transfers struct{ *base }

// A filtered list reads so many transfers at a time, and so many times, before
// it hands out what it found so far.
const (
	scanSize  = web.MaxPageSize
	scanPages = 25
)

// scan returns up to size transfers that match, stored before the one with id
// before, and the id after which to go on, "" at the end.
func (b *base) scan(
	ctx context.Context, before string, size int, match func(coordinator.Transfer) bool,
) (out []coordinator.Transfer, next string, err error) {
	for range scanPages {
		page, err := b.Coordinator.List(ctx, before, scanSize)
		if err != nil {
			return nil, "", err
		}
		for _, t := range page {
			if !match(t) {
				continue
			}
			if len(out) == size {
				return out, out[size-1].ID, nil
			}
			out = append(out, t)
		}
		if len(page) < scanSize {
			return out, "", nil
		}
		before = page[len(page)-1].ID
	}
	return out, before, nil
}

// ListTransfers implements web.Transfers.
func (s *transfers) ListTransfers(
	ctx context.Context, f web.TransferFilter, p web.Page,
) (web.List[web.Transfer], error) {
	switch f.Direction {
	case "", web.Outgoing, web.Incoming:
	default:
		return web.List[web.Transfer]{}, web.Invalid("direction", "outgoing or incoming")
	}
	rows, next, err := s.scan(ctx, p.After, pageSize(p), func(t coordinator.Transfer) bool {
		return (f.Direction == "" || f.Direction == direction(t)) && (f.Partner == "" || f.Partner == t.Partner) &&
			(!f.Open || !t.Over())
	})
	if errors.Is(err, coordinator.ErrUnknown) {
		return web.List[web.Transfer]{}, errCursor()
	}
	if err != nil {
		return web.List[web.Transfer]{}, translate(err)
	}
	out := web.List[web.Transfer]{Items: []web.Transfer{}, Next: next}
	for _, t := range rows {
		shown, err := s.show(ctx, t)
		if err != nil {
			return web.List[web.Transfer]{}, err
		}
		out.Items = append(out.Items, shown)
	}
	return out, nil
}

// Transfer implements web.Transfers.
func (s *transfers) Transfer(ctx context.Context, id string) (web.TransferDetail, error) {
	t, err := s.get(ctx, id)
	if err != nil {
		return web.TransferDetail{}, err
	}
	shown, err := s.show(ctx, t)
	if err != nil {
		return web.TransferDetail{}, err
	}
	docs, err := s.Coordinator.Documents(ctx, id)
	if err != nil {
		return web.TransferDetail{}, translate(err)
	}
	partner, err := s.Coordinator.Partner(ctx, t.Partner)
	if err != nil {
		return web.TransferDetail{}, translate(err)
	}
	out := s.detail(t, shown, docs, partner)
	late, err := s.sleepers(ctx, t)
	out.Warnings = append(out.Warnings, late...)
	return out, err
}

func (s *transfers) get(ctx context.Context, id string) (coordinator.Transfer, error) {
	t, err := s.Coordinator.Get(ctx, id)
	if errors.Is(err, coordinator.ErrUnknown) {
		return t, notFound("transfer", id)
	}
	return t, translate(err)
}

// TransferRecord implements web.TransferRecords.
func (s *transfers) TransferRecord(ctx context.Context, id string) ([]byte, error) {
	if _, err := s.get(ctx, id); err != nil {
		return nil, err
	}
	raw, err := s.Coordinator.Record(ctx, id)
	return raw, translate(err)
}

// Rows implements web.Transfers. Its cursors are the names of devices between
// providers.
func (s *transfers) Rows(ctx context.Context, id string, p web.Page) (web.List[web.TransferRow], error) {
	if _, err := s.get(ctx, id); err != nil {
		return web.List[web.TransferRow]{}, err
	}
	rows, err := s.Coordinator.Rows(ctx, id, p.After, limit(p))
	if err != nil {
		return web.List[web.TransferRow]{}, translate(err)
	}
	return paged(p, rows, func(r coordinator.Row) string { return r.Short },
		func(r coordinator.Row) (web.TransferRow, error) { return showRow(r), nil })
}

// Receipts implements web.Transfers. A device that was never known here goes by
// its name between providers.
func (s *transfers) Receipts(ctx context.Context, id, device string) ([]web.Receipt, error) {
	if _, err := s.get(ctx, id); err != nil {
		return nil, err
	}
	short := device
	switch l, err := s.find(ctx, device); {
	case err == nil:
		short = l.Factory.Short()
	case !errors.Is(err, web.ErrNotFound):
		return nil, err
	}
	receipts, err := s.Coordinator.Receipts(ctx, id, short)
	if errors.Is(err, coordinator.ErrUnknown) {
		return nil, notFound("device in this transfer", device)
	}
	if err != nil {
		return nil, translate(err)
	}
	out := make([]web.Receipt, 0, len(receipts))
	for _, r := range receipts {
		out = append(out, showReceipt(r))
	}
	return out, nil
}

// maxMandate is the largest mandate that is looked at, in bytes.
const maxMandate = transfer.MaxBatch

// Draft implements web.Transfers.
func (s *transfers) Draft(ctx context.Context, by web.Actor, n web.NewTransfer) (web.Transfer, error) {
	if err := checkText("note", n.Note, maxReason); err != nil {
		return web.Transfer{}, err
	}
	if err := checkText("verifier", n.Verifier, maxReason); err != nil {
		return web.Transfer{}, err
	}
	if err := checkText("last_update", n.LastUpdate, maxName); err != nil {
		return web.Transfer{}, err
	}
	switch {
	case !n.Latest.IsZero() && !n.Latest.After(n.Earliest):
		return web.Transfer{}, web.Invalid("latest", "not after the earliest time")
	case !n.Latest.IsZero() && !n.Latest.After(s.Now()):
		return web.Transfer{}, web.Invalid("latest", "has passed")
	case len(n.Mandate) > maxMandate:
		return web.Transfer{}, web.Invalid("mandate", "too long")
	}
	if _, err := s.Coordinator.Partner(ctx, n.Partner); err != nil {
		if errors.Is(err, coordinator.ErrUnknown) {
			return web.Transfer{}, web.Invalid("partner", "there is no such partner")
		}
		return web.Transfer{}, translate(err)
	}
	ids, err := s.targets(ctx, n.Devices, fleet.Owned)
	if err != nil {
		return web.Transfer{}, err
	}
	t, err := s.Coordinator.Draft(ctx, coordinator.Draft{
		Partner: n.Partner, Devices: ids, Window: transfer.NewWindow(n.Earliest, n.Latest), Mandate: n.Mandate,
		Note: n.Note, Actor: by.String(), Attest: n.Attest, Verifier: n.Verifier,
		Update: n.LastUpdate, Rehearse: n.Rehearse,
	})
	if err != nil {
		return web.Transfer{}, translate(err)
	}
	return s.show(ctx, t)
}

// maxOpen bounds the open transfers that are looked at for the first page.
const maxOpen = 10000

// countTransfers returns how many transfers have not ended, and how many of them
// wait for a person here.
func (b *base) countTransfers(ctx context.Context) (active, waiting int, err error) {
	open, err := b.view.OpenTransfers(ctx, maxOpen)
	for _, t := range open {
		if slices.Contains(t.Commands(), coordinator.CommandApprove) {
			waiting++
		}
	}
	return len(open), waiting, translate(err)
}
