package services

import (
	"context"

	"steward/est"
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
	add := func(r coordinator.Row) error {
		if gap, ok := r.Disruption(); ok {
			seconds = append(seconds, gap.Seconds())
		}
		if r.Failed() {
			failed = append(failed, web.TransferFailures{State: string(r.State), Reason: r.Reason})
		}
		return s.reportRow(ctx, out, r)
	}
	if err := s.eachRow(ctx, out.Transfer, add); err != nil {
		return err
	}
	out.Disruption, out.Failures = web.DisruptionOf(seconds), web.FailuresOf(failed)
	return nil
}

// reportRow adds a device.
func (s *transfers) reportRow(ctx context.Context, out *web.TransferReport, r coordinator.Row) error {
	shown := showRow(r)
	receipts, err := s.Coordinator.Receipts(ctx, r.Transfer, r.Short)
	if err != nil {
		return err
	}
	issued, err := s.CA.List(ctx, est.Query{Kind: est.KindOperational, Factory: est.Hash(r.Factory)})
	if err != nil {
		return err
	}
	d := web.TransferReportDevice{
		Device: shown.Device, Endpoint: shown.Endpoint, State: shown.State, Inferred: shown.Inferred,
		Reason: shown.Reason, Next: shown.Next, Bytes: shown.Bytes, Receipts: len(receipts),
		CommittedAt: shown.CommittedAt, ActiveAt: shown.ActiveAt, Disruption: shown.Disruption,
	}
	gone := r.Ended() && r.Reached() && r.Incoming == r.Failed()
	for _, c := range issued {
		switch {
		case c.Status == est.StatusRevoked:
			d.Revoked++
		case gone:
			out.Unrevoked++
		}
	}
	if r.Inferred {
		out.Inferred++
	}
	out.Bytes += d.Bytes
	out.Receipts += d.Receipts
	out.Revocations += d.Revoked
	out.Devices = append(out.Devices, d)
	return nil
}
