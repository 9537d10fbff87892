package scope

import (
	"context"

	"steward/web"
)

type transfers struct{ *bounds }

// visible reports whether all devices of a hand-over are the actor's.
func (s transfers) visible(ctx context.Context, t web.Transfer) (bool, error) {
	return s.whole(ctx, t.Total, func(p web.Page) ([]string, string, error) {
		list, err := s.Transfers.Rows(ctx, t.ID, p)
		var ids []string
		for _, row := range list.Items {
			ids = append(ids, row.Device)
		}
		return ids, list.Next, err
	})
}

// ListTransfers implements web.Transfers.
func (s transfers) ListTransfers(
	ctx context.Context, f web.TransferFilter, p web.Page,
) (web.List[web.Transfer], error) {
	return sift(ctx, p, func(p web.Page) (web.List[web.Transfer], error) {
		return s.Transfers.ListTransfers(ctx, f, p)
	}, func(t web.Transfer) (bool, error) { return s.visible(ctx, t) })
}

// Transfer implements web.Transfers.
func (s transfers) Transfer(ctx context.Context, id string) (web.TransferDetail, error) {
	t, err := s.Transfers.Transfer(ctx, id)
	if err != nil {
		return web.TransferDetail{}, err
	}
	in, err := s.visible(ctx, t.Transfer)
	if err == nil && !in {
		err = web.NotFound("transfer", id)
	}
	if err != nil {
		return web.TransferDetail{}, err
	}
	return t, nil
}

func (s transfers) check(ctx context.Context, id string) error {
	if err := signedIn(ctx); err != nil || web.ActorFrom(ctx).Scope.All() {
		return err
	}
	_, err := s.Transfer(ctx, id)
	return err
}

// Rows implements web.Transfers.
func (s transfers) Rows(ctx context.Context, id string, p web.Page) (web.List[web.TransferRow], error) {
	if err := s.check(ctx, id); err != nil {
		return web.List[web.TransferRow]{}, err
	}
	return s.Transfers.Rows(ctx, id, p)
}

// Draft implements web.Transfers.
func (s transfers) Draft(ctx context.Context, by web.Actor, t web.NewTransfer) (web.Transfer, error) {
	if err := signedIn(ctx); err != nil {
		return web.Transfer{}, err
	}
	if !web.ActorFrom(ctx).Scope.All() {
		if len(t.Devices) > maxWhole {
			return web.Transfer{}, web.Invalid("devices", "at most 1000 at once, for those who do not see all")
		}
		if err := s.devicesAll(ctx, t.Devices); err != nil {
			return web.Transfer{}, err
		}
	}
	return s.Transfers.Draft(ctx, by, t)
}

// Command implements web.Transfers.
func (s transfers) Command(
	ctx context.Context, by web.Actor, id string, c web.TransferCommand,
) (web.Transfer, error) {
	if err := s.check(ctx, id); err != nil {
		return web.Transfer{}, err
	}
	return s.Transfers.Command(ctx, by, id, c)
}

// Receipts implements web.Transfers.
func (s transfers) Receipts(ctx context.Context, id, device string) ([]web.Receipt, error) {
	if err := s.check(ctx, id); err != nil {
		return nil, err
	}
	return s.Transfers.Receipts(ctx, id, device)
}

type records struct{ *bounds }

// TransferRecord implements web.TransferRecords.
func (s records) TransferRecord(ctx context.Context, id string) ([]byte, error) {
	if err := transfers(s).check(ctx, id); err != nil {
		return nil, err
	}
	return s.Records.TransferRecord(ctx, id)
}

// TransferReport implements web.TransferRecords.
func (s records) TransferReport(ctx context.Context, id string) (web.TransferReport, error) {
	if err := transfers(s).check(ctx, id); err != nil {
		return web.TransferReport{}, err
	}
	return s.Records.TransferReport(ctx, id)
}
