package services

import (
	"context"
	"slices"

	"steward/transfer/coordinator"
	"steward/web"
)

// custody tells who has had a device, as far as our transfers say, the oldest first. rows
// are its rows, the last first; those that never left are not of it.
func (s *devices) custody(ctx context.Context, rows []coordinator.Row) ([]web.CustodyHop, error) {
	var out []web.CustodyHop
	for _, r := range slices.Backward(rows) {
		if !r.Reached() || s.Coordinator == nil {
			continue
		}
		t, err := s.Coordinator.Get(ctx, r.Transfer)
		if err != nil {
			return nil, translate(err)
		}
		hop := web.CustodyHop{
			Transfer: r.Transfer, From: s.Name, To: t.PartnerName, State: string(r.State), Level: rowLevel(r),
			Inferred: r.Inferred, At: r.ActiveAt,
		}
		if r.Incoming {
			hop.From, hop.To = t.PartnerName, s.Name
		}
		if hop.At.IsZero() {
			hop.At = r.UpdatedAt
		}
		out = append(out, hop)
	}
	return out, nil
}
