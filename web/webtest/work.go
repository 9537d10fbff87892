package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) release() web.Release {
	return web.Release{
		ID: ID, Name: f.Text, Version: f.Text, Sequence: 2, Vendor: f.Text, Class: f.Text, Components: []string{f.Text},
		Digest: "ab12", Size: 2048, Signer: "cd34", Secret: true, CreatedAt: Noon, CreatedBy: f.Text,
		State: "approved", Level: web.LevelGood, Actions: []web.ReleaseAction{web.ReleaseApprove, web.ReleaseWithdraw},
		Decisions: []web.ReleaseDecision{{Action: web.ReleaseApprove, By: f.Text, Reason: f.Text, At: Noon}},
	}
}

// ListReleases implements web.Releases.
func (f *Fake) ListReleases(_ context.Context, p web.Page) (web.List[web.Release], error) {
	return list(f, p, f.release())
}

// Release implements web.Releases.
func (f *Fake) Release(_ context.Context, id string) (web.ReleaseDetail, error) {
	d := web.ReleaseDetail{Release: f.release(), Running: 3, Exposed: 2}
	if !f.Empty {
		b := f.bill()
		d.Bill = &b
		texts := []string{f.Text}
		d.Manifests = []web.Manifest{{
			Delivery: web.Push, Sequence: 2, Digest: f.Text, Signatures: texts, Components: texts, Dependencies: texts,
			Steps: texts, Texts: texts, Diagnostic: f.Text,
		}}
	}
	return d, f.known(id)
}

// AddRelease implements web.Releases.
func (f *Fake) AddRelease(_ context.Context, by web.Actor, r web.NewRelease) (web.Release, error) {
	return f.release(), f.note("AddRelease", by, "", r)
}

// DecideRelease implements web.Releases.
func (f *Fake) DecideRelease(_ context.Context, by web.Actor, id string, c web.ReleaseCommand) (web.Release, error) {
	return f.release(), f.note("DecideRelease", by, id, c)
}

func (f *Fake) transfer() web.Transfer {
	return web.Transfer{
		ID: ID, Direction: web.Outgoing, Partner: ID, PartnerName: f.Text, State: "OFFERED", Level: web.LevelActive,
		Total: 5, Counts: map[string]int{"LISTED": 5}, Earliest: Noon, Latest: Noon.AddDate(0, 0, 7),
		Actions: []web.TransferAction{
			web.TransferApprove, web.TransferReject, web.TransferCancel, web.TransferSubmit, web.TransferExtend,
			web.TransferRevise, web.TransferAgain,
		},
		CreatedAt: Noon, CreatedBy: f.Text, Rehearsal: &web.Rehearsal{Over: true, Ready: 4},
	}
}

// ListTransfers implements web.Transfers.
func (f *Fake) ListTransfers(_ context.Context, _ web.TransferFilter, p web.Page) (web.List[web.Transfer], error) {
	return list(f, p, f.transfer())
}

// Transfer implements web.Transfers.
func (f *Fake) Transfer(_ context.Context, id string) (web.TransferDetail, error) {
	return web.TransferDetail{
		Transfer: f.transfer(), Attest: true, UpdateFirst: true, UpdateRelease: ID,
		LastUpdate: &web.LastUpdate{Release: f.Text, Name: f.Text, Campaign: f.Text, Reason: f.Text},
		Mandate:    web.MandateView{Issuer: f.Text, Self: f.Empty, From: f.Text, To: f.Text, Hash: f.Text},
		Destination: &web.Destination{
			Server: f.Text, Enrolment: f.Text, Update: f.Text, Verifier: f.Text, Reset: f.Text,
			Anchors: []web.Anchor{{Thumbprint: f.Text, Subject: f.Text, Purposes: []string{f.Text}}},
		},
		Approvals: []web.Approval{{Side: f.Text, By: f.Text, At: Noon, Reason: f.Text}}, Note: f.Text, Grace: 10,
		Warnings: []web.Notice{{Level: web.LevelBad, Text: f.Text}}, Next: f.Text,
	}, f.known(id)
}

// TransferRecord implements web.TransferRecords.
func (f *Fake) TransferRecord(context.Context, string) ([]byte, error) { return []byte{0xd2}, nil }

// Rows implements web.Transfers.
func (f *Fake) Rows(_ context.Context, _ string, p web.Page) (web.List[web.TransferRow], error) {
	second := 1.5
	return list(f, p, web.TransferRow{
		Device: ID, Endpoint: f.Text, Factory: "ab", State: f.Text, Level: web.LevelGood, Reason: f.Text,
		Next: f.Text, Verdict: f.verdict(), Epoch: 1, Bytes: 420, UpdatedAt: Noon, CommittedAt: Noon, ActiveAt: Noon,
		Disruption: &second,
	})
}

// Draft implements web.Transfers.
func (f *Fake) Draft(_ context.Context, by web.Actor, t web.NewTransfer) (web.Transfer, error) {
	return f.transfer(), f.note("Draft", by, "", t)
}

// Command implements web.Transfers.
func (f *Fake) Command(_ context.Context, by web.Actor, id string, c web.TransferCommand) (web.Transfer, error) {
	return f.transfer(), f.note("Command", by, id, c)
}

// Receipts implements web.Transfers.
func (f *Fake) Receipts(_ context.Context, id, _ string) ([]web.Receipt, error) {
	if f.Empty {
		return nil, f.known(id)
	}
	return []web.Receipt{{State: f.Text, At: Noon, Hash: f.Text, COSE: []byte{0xd2}, Verified: true}}, f.known(id)
}
