package services

import (
	"context"

	"steward/cmd/internal/sqlite"
	"steward/transfer/coordinator"
	"steward/web"
)

// TransferReport implements web.TransferRecords.
func (s *transfers) TransferReport(ctx context.Context, id string) (web.TransferReport, error) {
	d, err := s.Transfer(ctx, id)
	if err != nil {
		return web.TransferReport{}, err
	}
	out := web.TransferReport{
		Transfer: d.ID, Direction: d.Direction, From: d.Mandate.From, To: d.Mandate.To, State: d.State,
		MadeAt: s.Now(), CreatedAt: d.CreatedAt, CreatedBy: d.CreatedBy, Earliest: d.Earliest, Latest: d.Latest,
		Mandate: d.Mandate, Approvals: d.Approvals, Total: d.Total, Done: d.Done, Failed: d.Failed,
		Open: d.Total - d.Done - d.Failed, Counts: d.Counts, Devices: []web.TransferReportDevice{},
	}
	out.Closed = d.Ended && out.Open == 0
	docs, err := s.Coordinator.Documents(ctx, id)
	if err != nil {
		return out, translate(err)
	}
	out.Documents = len(docs.Mandate) + len(docs.Info) + len(docs.Answer) + len(docs.Offer)
	return out, translate(s.reportRows(ctx, &out))
}

// reportRows adds all devices, and sums them up.
func (s *transfers) reportRows(ctx context.Context, out *web.TransferReport) error {
	var seconds []float64
	var failed []web.TransferFailures
	err := s.eachRows(ctx, out.Transfer, func(rows []coordinator.Row) error {
		proofs, err := s.view.TransferProofs(ctx, out.Transfer, rows[0].Short, rows[len(rows)-1].Short)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if gap, ok := r.Disruption(); ok {
				seconds = append(seconds, gap.Seconds())
			}
			if r.Failed() {
				failed = append(failed, web.TransferFailures{State: string(r.State), Reason: r.Reason})
			}
			reportRow(out, r, proofs[r.Short])
		}
		return nil
	})
	if err != nil {
		return err
	}
	out.Disruption, out.Failures = web.DisruptionOf(seconds), web.FailuresOf(failed)
	return nil
}

// reportRow adds a device.
func reportRow(out *web.TransferReport, r coordinator.Row, p sqlite.Proof) {
	shown := showRow(r)
	d := web.TransferReportDevice{
		Device: shown.Device, Endpoint: shown.Endpoint, State: shown.State, Inferred: shown.Inferred,
		Reason: shown.Reason, Next: shown.Next, Bytes: shown.Bytes, Receipts: p.Receipts, Revoked: p.Revoked,
		CommittedAt: shown.CommittedAt, ActiveAt: shown.ActiveAt, Disruption: shown.Disruption,
	}
	if r.Ended() && r.Reached() && r.Incoming == r.Failed() { // it is gone
		out.Unrevoked += p.Valid
	}
	if r.Inferred {
		out.Inferred++
	}
	out.Bytes += d.Bytes
	out.Receipts += d.Receipts
	out.Revocations += d.Revoked
	out.Devices = append(out.Devices, d)
}
