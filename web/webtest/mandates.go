package webtest

import (
	"context"

	"steward/web"
)

// MandateRequest implements web.Mandates.
func (f *Fake) MandateRequest(_ context.Context, id string) ([]byte, error) {
	return []byte("{}"), f.known(id)
}

// Mandate implements web.Mandates.
func (f *Fake) Mandate(_ context.Context, id string) (web.MandateDetail, error) {
	if f.Empty {
		return web.MandateDetail{}, web.NotFound("mandate of transfer", id)
	}
	most := uint64(7)
	return web.MandateDetail{
		MandateView: web.MandateView{Issuer: f.Text, From: f.Text, To: f.Text, Hash: f.Text, Until: Noon},
		Words:       []string{f.Text}, Devices: 5, Group: f.Text, Earliest: Noon, Latest: Noon, IssuedAt: Noon,
		Attest: true, Keep: true, MaxSequence: &most, COSE: []byte{0xd2},
	}, f.known(id)
}

// GiveMandate implements web.Mandates.
func (f *Fake) GiveMandate(_ context.Context, by web.Actor, id string, raw []byte) (web.Transfer, error) {
	return f.transfer(), f.note("GiveMandate", by, id, raw)
}

// TransferReport implements web.TransferRecords.
func (f *Fake) TransferReport(_ context.Context, id string) (web.TransferReport, error) {
	second := 1.5
	out := web.TransferReport{
		Transfer: ID, Direction: web.Outgoing, From: f.Text, To: f.Text, State: "PARTIAL", MadeAt: Noon, CreatedAt: Noon,
		CreatedBy: f.Text, Earliest: Noon, Latest: Noon, Total: 1, Failed: 1, Counts: web.Counts{"FELL_BACK": 1},
	}
	if f.Empty {
		return out, f.known(id)
	}
	out.Mandate = web.MandateView{Issuer: f.Text, From: f.Text, To: f.Text}
	out.Approvals = []web.Approval{{Side: f.Text, By: f.Text, At: Noon, Reason: f.Text}}
	out.Failures = []web.TransferFailures{{State: "FELL_BACK", Reason: f.Text, Count: 1}}
	out.Disruption = web.DisruptionOf([]float64{second})
	out.Devices = []web.TransferReportDevice{{
		Device: ID, Endpoint: f.Text, State: "FELL_BACK", Inferred: true, Reason: f.Text, Next: f.Text, Bytes: 420,
		Receipts: 3, Revoked: 1, CommittedAt: Noon, ActiveAt: Noon, Disruption: &second,
	}}
	return out, f.known(id)
}
