package services_test

import (
	"slices"
	"testing"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// TestTransferAgain drafts another transfer of those devices that stayed.
func TestTransferAgain(t *testing.T) {
	w, f := withTransfers(t)
	ctx := t.Context()
	stayed, back, gone, other := w.add(t, fleet.Device{Endpoint: "stayed"}), w.add(t, fleet.Device{Endpoint: "back"}),
		w.add(t, fleet.Device{Endpoint: "gone", Ownership: fleet.Left}), w.add(t, fleet.Device{Endpoint: "other"})
	row := func(n byte, d fleet.Device, s transfer.RowState) coordinator.Row {
		return coordinator.Row{Short: string('a' + rune(n)), Factory: fleet.Factory{n}, Device: d.ID, State: s}
	}
	now := w.clock.Now()
	w.transfer(t, coordinator.Transfer{
		ID: "ee", Partner: "partner-0", PartnerName: "Beta", State: transfer.BatchExpired, Self: true,
		Window:   transfer.NewWindow(now.Add(-3*time.Hour), now.Add(-time.Hour)),
		Verifier: "Gamma", Last: coordinator.LastUpdate{Release: "r3", Campaign: "c1"},
	}, row(1, stayed, transfer.RowExpired), row(2, back, transfer.RowFellBack), row(3, gone, transfer.RowExpired),
		row(4, other, transfer.RowRejected))
	shown, err := w.Transfers.Transfer(ctx, "ee")
	if err != nil || !slices.Contains(shown.Actions, web.TransferAgain) {
		t.Fatalf("actions %v, %v", shown.Actions, err)
	}
	if _, err := w.Transfers.Command(ctx, alice, "ee", web.TransferCommand{Action: web.TransferAgain}); err != nil {
		t.Fatal(err)
	}
	if d := f.draft; d.Partner != "partner-0" || !slices.Equal(d.Devices, []fleet.ID{stayed.ID, back.ID}) ||
		d.Mandate != nil || d.Update != "r3" || d.Verifier != "Gamma" ||
		d.Window.Latest.Time().Before(now.Add(time.Hour-time.Second)) {
		t.Errorf("draft = %+v", d)
	}
	w.transfer(t, coordinator.Transfer{
		ID: "ef", Partner: "partner-0", PartnerName: "Beta", State: transfer.BatchExpired,
		Window: transfer.NewWindow(now.Add(-3*time.Hour), now.Add(-time.Hour)),
	})
	_, err = w.Transfers.Command(ctx, alice, "ef", web.TransferCommand{Action: web.TransferAgain})
	wantError(t, "none stayed", err, web.ErrConflict)
}
