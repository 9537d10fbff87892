package services_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"steward/cmd/internal/services"
	"steward/cmd/internal/sqlite"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/suit/rollout"
	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// A coordinatorFake shows what the database has and notes commands.
type coordinatorFake struct {
	sqlite.Transfers

	err   error // of all commands
	calls []string
	draft coordinator.Draft
}

var _ services.Coordinator = (*coordinatorFake)(nil)

func (*coordinatorFake) Record(context.Context, string) ([]byte, error) {
	return nil, coordinator.ErrState
}

func (f *coordinatorFake) List(ctx context.Context, before string, limit int) ([]coordinator.Transfer, error) {
	return f.ListTransfers(ctx, before, limit)
}

func (f *coordinatorFake) Get(ctx context.Context, id string) (coordinator.Transfer, error) {
	return f.Transfer(ctx, id)
}

func (f *coordinatorFake) Rows(ctx context.Context, id, after string, limit int) ([]coordinator.Row, error) {
	return f.ListRows(ctx, id, after, limit)
}

func (f *coordinatorFake) Partners(ctx context.Context) ([]coordinator.Partner, error) {
	return f.ListPartners(ctx)
}

func (f *coordinatorFake) Draft(ctx context.Context, d coordinator.Draft) (coordinator.Transfer, error) {
	f.draft = d
	return f.command(ctx, "01", "draft "+d.Actor)
}

func (f *coordinatorFake) command(ctx context.Context, id, what string) (coordinator.Transfer, error) {
	f.calls = append(f.calls, what)
	if f.err != nil {
		return coordinator.Transfer{}, f.err
	}
	return f.Transfer(ctx, id)
}

func (f *coordinatorFake) Submit(ctx context.Context, id, actor string) (coordinator.Transfer, error) {
	return f.command(ctx, id, "submit "+actor)
}

func (f *coordinatorFake) SetGates(ctx context.Context, id, actor string, g coordinator.Gates) (
	coordinator.Transfer, error,
) {
	what := fmt.Sprintf("gates %s %t %t", actor, g.Attest, g.UpdateFirst)
	if g.Release != "" {
		what += " " + g.Release
	}
	return f.command(ctx, id, what)
}

func (f *coordinatorFake) Approve(ctx context.Context, id, actor, reason string) (coordinator.Transfer, error) {
	return f.command(ctx, id, "approve "+actor+" "+reason)
}

func (f *coordinatorFake) Resume(ctx context.Context, id, actor, reason string) (coordinator.Transfer, error) {
	return f.command(ctx, id, "resume "+actor+" "+reason)
}

func (f *coordinatorFake) Withdraw(ctx context.Context, id, actor, reason string) (coordinator.Transfer, error) {
	return f.command(ctx, id, "withdraw "+actor+" "+reason)
}

func (f *coordinatorFake) Extend(ctx context.Context, e coordinator.Extension) (coordinator.Transfer, error) {
	return f.command(ctx, e.Transfer, fmt.Sprintf("extend %s %s %s", e.Actor, e.Reason, e.Latest.Format(time.RFC3339)))
}

func (f *coordinatorFake) Revise(ctx context.Context, id, actor, reason string) (coordinator.Transfer, error) {
	return f.command(ctx, id, "revise "+actor+" "+reason)
}

func (f *coordinatorFake) AddPartner(_ context.Context, _ []byte, label, actor string) (coordinator.Partner, error) {
	f.calls = append(f.calls, "add "+label+" "+actor)
	return coordinator.Partner{ID: "p", Name: "Beta"}, f.err
}

func (f *coordinatorFake) SetPartnerLimits(
	_ context.Context, id string, l coordinator.Limits, actor, reason string,
) (coordinator.Partner, error) {
	f.calls = append(f.calls, fmt.Sprint(id, " ", l, " ", actor, " ", reason))
	return coordinator.Partner{ID: id, Limits: l}, f.err
}

func (f *coordinatorFake) Usage(context.Context, string) (coordinator.Usage, error) {
	return coordinator.Usage{Daily: 7, Open: 2}, nil
}

func (f *coordinatorFake) Holding(_ context.Context, _ string, fn func(coordinator.Row)) error {
	fn(coordinator.Row{Transfer: "01", Device: "d", Endpoint: "ep", State: transfer.RowReady})
	return nil
}

func (f *coordinatorFake) SetPartnerVerifier(
	_ context.Context, id, name, actor, reason string,
) (coordinator.Partner, error) {
	f.calls = append(f.calls, fmt.Sprint(id, " verifier ", name, " ", actor, " ", reason))
	return coordinator.Partner{ID: id, Demands: name}, f.err
}

func (f *coordinatorFake) SetPartnerState(
	_ context.Context, id string, s coordinator.PartnerState, actor, reason string,
) (coordinator.Partner, error) {
	f.calls = append(f.calls, fmt.Sprint(id, " ", s, " ", actor, " ", reason))
	return coordinator.Partner{ID: id, State: s}, f.err
}

func (f *coordinatorFake) Identity() (json.RawMessage, error) { return json.RawMessage(`{}`), f.err }

// withTransfers is a world with a coordinator, two partners, and one transfer in
// each state and direction, the newest being the last.
func withTransfers(t *testing.T) (*world, *coordinatorFake) {
	t.Helper()
	w := newWorld(t)
	f := &coordinatorFake{Transfers: w.db.Transfers()}
	o := w.options
	o.Coordinator = f
	w.build(t, o)
	for i, name := range []string{"Beta", "Gamma", "Delta"} {
		p := coordinator.Partner{
			ID: fmt.Sprintf("partner-%d", i), Name: name, Kind: coordinator.Provider, State: coordinator.Active,
			TLS: w.ca.Certificate().Raw, Signing: w.ca.Certificate().Raw, AddedAt: w.clock.Now(), AddedBy: "operator:bob",
		}
		if i > 0 {
			p.TLS, p.Kind, p.State = nil, coordinator.ServiceUser, coordinator.Suspended
		}
		if err := w.db.Transfers().PutPartner(t.Context(), p, audit.Row{Action: "partner.add"}); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for _, incoming := range []bool{false, true} {
		for _, state := range []transfer.BatchState{
			transfer.BatchDraft, transfer.BatchInfoSent, transfer.BatchInfoAccepted, transfer.BatchOffered,
			transfer.BatchSwitching, transfer.BatchComplete, transfer.BatchPartial, transfer.BatchCancelled,
		} {
			n++
			w.transfer(t, coordinator.Transfer{
				ID: fmt.Sprintf("%02x", n), Incoming: incoming, Partner: "partner-0", PartnerName: "Beta", State: state,
			})
		}
	}
	return w, f
}

func (w *world) transfer(t *testing.T, tr coordinator.Transfer, rows ...coordinator.Row) {
	t.Helper()
	tr.CreatedAt, tr.UpdatedAt = w.clock.Now(), w.clock.Now()
	for i := range rows {
		rows[i].Transfer = tr.ID
	}
	if err := w.db.Transfers().Commit(t.Context(), coordinator.Change{Transfer: &tr, Rows: rows}); err != nil {
		t.Fatal(err)
	}
}

func TestListTransfers(t *testing.T) {
	w, _ := withTransfers(t)
	ctx := t.Context()
	for _, c := range []struct {
		f    web.TransferFilter
		want int
	}{
		{web.TransferFilter{}, 16},
		{web.TransferFilter{Direction: web.Incoming}, 8},
		{web.TransferFilter{Open: true}, 12},
		{web.TransferFilter{Open: true, Direction: web.Outgoing}, 6},
		{web.TransferFilter{Partner: "partner-0"}, 16},
		{web.TransferFilter{Partner: "partner-1"}, 0},
	} {
		for _, size := range []int{1, 3, 16, 200} {
			var ids []string
			p := web.Page{Size: size}
			for {
				list, err := w.Transfers.ListTransfers(ctx, c.f, p)
				if err != nil || len(list.Items) > size {
					t.Fatalf("ListTransfers = %d, %v", len(list.Items), err)
				}
				for _, x := range list.Items {
					ids = append(ids, x.ID)
				}
				if p.After = list.Next; p.After == "" {
					break
				}
			}
			if len(ids) != c.want || len(slices.Compact(slices.Clone(ids))) != c.want {
				t.Errorf("%+v by %d: %v, want %d", c.f, size, ids, c.want)
			}
		}
	}
	_, err := w.Transfers.ListTransfers(ctx, web.TransferFilter{Direction: "up"}, web.Page{})
	wantError(t, "direction", err, web.ErrInvalid)
	o, err := w.Overview.Overview(ctx, w.clock.Now())
	if err != nil || o.TransfersActive != 12 || o.AwaitApproval != 2 {
		t.Errorf("Overview = %+v, %v", o, err)
	}
	for _, id := range hostile {
		_, err := w.Transfers.Transfer(ctx, id)
		wantError(t, "Transfer", err, web.ErrNotFound)
		_, err = w.Transfers.Rows(ctx, id, web.Page{})
		wantError(t, "Rows", err, web.ErrNotFound)
		_, err = w.Transfers.Receipts(ctx, id, id)
		wantError(t, "Receipts", err, web.ErrNotFound)
		_, err = w.Transfers.Command(ctx, alice, id, web.TransferCommand{Action: web.TransferSubmit})
		wantError(t, "Command", err, web.ErrNotFound)
		_, err = w.Partners.Partner(ctx, id)
		wantError(t, "Partner", err, web.ErrNotFound)
		if id != "" {
			_, err = w.Partners.ListPartners(ctx, web.Page{After: id})
			wantError(t, "ListPartners", err, web.ErrInvalid)
		}
	}
}

func TestTransferCommands(t *testing.T) {
	w, f := withTransfers(t)
	ctx := t.Context()
	for _, c := range []struct {
		id     string
		action web.TransferAction
		call   string // "": refused
	}{
		{"01", web.TransferSubmit, "submit operator:alice"},
		{"01", web.TransferApprove, ""},
		{"01", web.TransferCancel, "withdraw operator:alice why"},
		{"01", web.TransferReject, ""},
		{"04", web.TransferApprove, "approve operator:alice why"},
		{"0b", web.TransferApprove, "approve operator:alice why"},
		{"0b", web.TransferReject, "withdraw operator:alice why"},
		{"0b", web.TransferCancel, ""},
		{"0c", web.TransferCancel, "withdraw operator:alice why"},
		{"05", web.TransferCancel, ""},
		{"06", web.TransferApprove, ""},
		{"03", web.TransferRevise, "revise operator:alice why"},
		{"05", web.TransferRevise, ""},
		{"0b", web.TransferRevise, ""},
		{"06", web.TransferAgain, ""},
	} {
		f.calls = nil
		_, err := w.Transfers.Command(ctx, alice, c.id, web.TransferCommand{Action: c.action, Reason: "why"})
		if c.call == "" {
			wantError(t, c.id+" "+string(c.action), err, web.ErrConflict)
		} else if err != nil || !slices.Equal(f.calls, []string{c.call}) {
			t.Errorf("%s %s: %v, %v", c.id, c.action, f.calls, err)
		}
	}
	yes, no := true, false
	for name, c := range map[string]struct {
		attest, first *bool
		calls         []string
	}{
		"as the mandate has it": {&no, nil, []string{"approve operator:alice why"}},
		"attest":                {&yes, nil, []string{"gates operator:alice true false", "approve operator:alice why"}},
		"both": {&yes, &yes, []string{
			"gates operator:alice " + "true " + "true", "approve operator:alice why",
		}},
	} {
		f.calls = nil
		_, err := w.Transfers.Command(ctx, alice, "0b", web.TransferCommand{
			Action: web.TransferApprove, Reason: "why", Attest: c.attest, UpdateFirst: c.first,
		})
		if err != nil || !slices.Equal(f.calls, c.calls) {
			t.Errorf("%s: %v, %v", name, f.calls, err)
		}
	}
	f.calls = nil
	_, err := w.Transfers.Command(ctx, alice, "04", web.TransferCommand{
		Action: web.TransferExtend, Reason: "why", Latest: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
	})
	if err != nil || !slices.Equal(f.calls, []string{"extend operator:alice why 2026-12-01T00:00:00Z"}) {
		t.Errorf("extend: %v, %v", f.calls, err)
	}
	_, err = w.Transfers.Command(ctx, alice, "04", web.TransferCommand{Action: web.TransferExtend})
	wantError(t, "extend without an end", err, web.ErrInvalid)
	_, err = w.Transfers.Command(ctx, alice, "0c", web.TransferCommand{Action: web.TransferExtend})
	wantError(t, "extend what nobody asked for", err, web.ErrConflict)
	_, err = w.Transfers.Command(ctx, alice, "01", web.TransferCommand{Action: "explode"})
	wantError(t, "explode", err, web.ErrInvalid)
	for _, c := range []struct{ err, want error }{
		{coordinator.ErrState, web.ErrConflict},
		{coordinator.ErrConflict, web.ErrConflict},
		{coordinator.ErrBusy, web.ErrConflict},
		{coordinator.ErrApprover, web.ErrForbidden},
		{coordinator.ErrForbidden, web.ErrForbidden},
		{coordinator.ErrInvalid, web.ErrInvalid},
		{coordinator.ErrPartnerAway, web.ErrUnavailable},
		{coordinator.ErrDeclined, web.ErrConflict},
		{errors.New("disk"), web.ErrUnavailable},
	} {
		f.err = fmt.Errorf("somewhere: %w", c.err)
		_, err := w.Transfers.Command(ctx, alice, "01", web.TransferCommand{Action: web.TransferSubmit})
		wantError(t, c.err.Error(), err, c.want)
	}
}

func TestDraft(t *testing.T) {
	w, f := withTransfers(t)
	ctx := t.Context()
	ours := w.add(t, fleet.Device{Endpoint: "ours"})
	expected := w.add(t, fleet.Device{Endpoint: "expected", Ownership: fleet.Expected})
	now := w.clock.Now()
	good := web.NewTransfer{
		Partner: "partner-0", Devices: []string{"ep:ours", string(ours.ID)}, Earliest: now, Latest: now.Add(time.Hour),
		Note: "n",
	}
	if _, err := w.Transfers.Draft(ctx, alice, good); err != nil {
		t.Fatal(err)
	}
	if d := f.draft; d.Actor != "operator:alice" || !slices.Equal(d.Devices, []fleet.ID{ours.ID}) || d.Note != "n" ||
		d.Window != transfer.NewWindow(good.Earliest, good.Latest) {
		t.Errorf("draft = %+v", d)
	}
	f.calls = nil
	for name, c := range map[string]struct {
		change func(*web.NewTransfer)
		want   error
	}{
		"unknown device":  {func(n *web.NewTransfer) { n.Devices = []string{"x"} }, web.ErrInvalid},
		"no device":       {func(n *web.NewTransfer) { n.Devices = nil }, web.ErrInvalid},
		"not ours yet":    {func(n *web.NewTransfer) { n.Devices = []string{string(expected.ID)} }, web.ErrConflict},
		"unknown partner": {func(n *web.NewTransfer) { n.Partner = "x" }, web.ErrInvalid},
		"backwards":       {func(n *web.NewTransfer) { n.Latest = n.Earliest.Add(-1) }, web.ErrInvalid},
		"over":            {func(n *web.NewTransfer) { n.Earliest, n.Latest = time.Time{}, now }, web.ErrInvalid},
		"note":            {func(n *web.NewTransfer) { n.Note = "\x00" }, web.ErrInvalid},
	} {
		bad := good
		c.change(&bad)
		_, err := w.Transfers.Draft(ctx, alice, bad)
		wantError(t, name, err, c.want)
	}
	if len(f.calls) != 0 {
		t.Errorf("refused drafts reached the coordinator: %v", f.calls)
	}
}

func TestTransferDetail(t *testing.T) {
	w, _ := withTransfers(t)
	ctx := t.Context()
	w.trust(t)
	device := esttest.NewDevice(t, w.factory, "urn:dev:1")
	d, err := w.Factories.ImportDevice(ctx, alice, web.NewDevice{Certificate: device.DER, NoRight: true})
	if err != nil {
		t.Fatal(err)
	}
	row := func(i byte, state transfer.RowState) coordinator.Row {
		factory := fleet.Factory{i}
		return coordinator.Row{
			Short: factory.Short(), Factory: factory, State: state, Endpoint: lwm2m.Endpoint(fmt.Sprint("d", i)),
		}
	}
	mine := row(0, transfer.RowActive)
	mine.Factory = fleet.Factory(device.Factory)
	mine.Short, mine.Device, mine.Epoch, mine.Message = mine.Factory.Short(), fleet.ID(d.ID), 3, make([]byte, 420)
	w.transfer(t, coordinator.Transfer{
		ID: "aa", Partner: "partner-1", PartnerName: "Gamma", State: transfer.BatchSwitching, Self: true, Paused: true,
		Window: transfer.NewWindow(w.clock.Now(), w.clock.Now().Add(time.Hour)), MandateUntil: w.clock.Now(),
		Grace: 10 * time.Second, Mandate: transfer.HashOf([]byte("m")), MandateIssuer: "Alpha",
		Approvals: []coordinator.Approval{{Side: "Alpha", By: "operator:bob"}},
	}, mine, row(1, transfer.RowRevokedOld), row(2, transfer.RowFinalised), row(3, transfer.RowFellBack),
		row(4, transfer.RowListed))
	got, err := w.Transfers.Transfer(ctx, "aa")
	if err != nil || got.Total != 5 || got.Done != 2 || got.Failed != 1 || got.Counts["ACTIVE"] != 1 || got.Grace != 10 ||
		got.Mandate.From != "Alpha" || got.Mandate.To != "Gamma" || len(got.Approvals) != 1 || got.Destination != nil {
		t.Errorf("Transfer = %+v, %v", got, err)
	}
	if len(got.Warnings) != 4 || got.Warnings[0].Level != web.LevelBad {
		t.Errorf("warnings = %+v", got.Warnings)
	}
	p := web.Page{Size: 2}
	var rows []web.TransferRow
	for {
		list, err := w.Transfers.Rows(ctx, "aa", p)
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, list.Items...)
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	i := slices.IndexFunc(rows, func(r web.TransferRow) bool { return r.Device == d.ID })
	if len(rows) != 5 || i < 0 || rows[i].Bytes != 420 || rows[i].Level != web.LevelGood {
		t.Errorf("rows = %+v", rows)
	}
	receipt := coordinator.Receipt{
		Transfer: "aa", Short: mine.Short, State: transfer.Ready, Hash: transfer.HashOf([]byte("r")), Raw: []byte("r"),
		At: w.clock.Now(),
	}
	if err := w.db.Transfers().Commit(ctx, coordinator.Change{Receipts: []coordinator.Receipt{receipt}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{d.ID, "ep:urn:dev:1", mine.Short} {
		receipts, err := w.Transfers.Receipts(ctx, "aa", name)
		if err != nil || len(receipts) != 1 || receipts[0].State != string(transfer.Ready) || !receipts[0].Verified {
			t.Errorf("Receipts(%s) = %+v, %v", name, receipts, err)
		}
	}
	page, err := w.Devices.Device(ctx, d.ID)
	if err != nil || !slices.Equal(page.Transfers, []string{"aa"}) || page.Epoch != 3 {
		t.Errorf("Device = %+v, %v", page, err)
	}
}

func TestPartners(t *testing.T) {
	w, f := withTransfers(t)
	ctx := t.Context()
	first, err := w.Partners.ListPartners(ctx, web.Page{Size: 2})
	if err != nil || len(first.Items) != 2 || first.Items[0].Name != "Beta" || first.Items[0].TLS == "" ||
		first.Items[1].TLS != "" {
		t.Fatalf("ListPartners = %+v, %v", first, err)
	}
	rest, err := w.Partners.ListPartners(ctx, web.Page{Size: 2, After: first.Next})
	if err != nil || len(rest.Items) != 1 || rest.Next != "" {
		t.Errorf("ListPartners = %+v, %v", rest, err)
	}
	file := json.RawMessage(`{}`)
	if _, err := w.Partners.AddPartner(ctx, alice, web.NewPartner{Identity: file, Label: "x"}); err != nil {
		t.Error(err)
	}
	change := web.PartnerChange{State: web.PartnerSuspended, Reason: "why"}
	if _, err := w.Partners.SetPartnerState(ctx, alice, "p", change); err != nil {
		t.Error(err)
	}
	if want := []string{"add x operator:alice", "p suspended operator:alice why"}; !slices.Equal(f.calls, want) {
		t.Errorf("calls = %v", f.calls)
	}
	verifier := "Gamma"
	p, err := w.Partners.SetPartnerState(ctx, alice, "p", web.PartnerChange{Verifier: &verifier, Reason: "why"})
	if err != nil || p.Demands != "Gamma" || f.calls[len(f.calls)-1] != "p verifier Gamma operator:alice why" {
		t.Errorf("SetPartnerState with a verifier = %+v, %v", p, err)
	}
	for _, n := range []web.NewPartner{{}, {Identity: make([]byte, 1<<20)}, {Identity: file, Label: "\n"}} {
		_, err := w.Partners.AddPartner(ctx, alice, n)
		wantError(t, "AddPartner", err, web.ErrInvalid)
	}
	_, err = w.Partners.SetPartnerState(ctx, alice, "p", web.PartnerChange{State: web.PartnerRotating})
	wantError(t, "rotating", err, web.ErrInvalid)
	_, err = w.Partners.SetPartnerState(ctx, alice, "p", web.PartnerChange{})
	wantError(t, "no change", err, web.ErrInvalid)
	f.err = coordinator.ErrPinned
	_, err = w.Partners.AddPartner(ctx, alice, web.NewPartner{Identity: file})
	wantError(t, "pinned", err, web.ErrConflict)
	f.err = coordinator.ErrInvalid
	_, err = w.Partners.AddPartner(ctx, alice, web.NewPartner{Identity: file})
	wantError(t, "invalid", err, web.ErrInvalid)
	f.err = coordinator.ErrUnknown
	_, err = w.Partners.SetPartnerState(ctx, alice, "p", change)
	wantError(t, "unknown", err, web.ErrNotFound)
}

// TestChosenRelease approves an incoming transfer with a release for its devices: one that
// is approved, and that they can be given.
func TestChosenRelease(t *testing.T) {
	w, f := withTransfers(t)
	good, draft := w.released(t, "1.0"), image("1.1")
	draft.Approve = false
	waits, err := w.Releases.AddRelease(t.Context(), alice, draft)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := rollout.Release{ID: "ELSEWHERE", CreatedAt: time.Now(), State: rollout.ReleaseApproved}
	if err := w.db.Rollout().AddRelease(t.Context(), elsewhere, rollout.Content{Pull: []byte{1}}); err != nil {
		t.Fatal(err)
	}
	first := true
	for name, c := range map[string]struct {
		release string
		want    error
	}{
		"approved": {good.ID, nil}, "a draft": {waits.ID, web.ErrInvalid}, "unknown": {"x", web.ErrInvalid},
		"fetched from elsewhere": {elsewhere.ID, web.ErrInvalid},
	} {
		f.calls = nil
		_, err := w.Transfers.Command(t.Context(), alice, "0b", web.TransferCommand{
			Action: web.TransferApprove, Reason: "why", UpdateFirst: &first, UpdateRelease: &c.release,
		})
		if c.want != nil {
			wantError(t, name, err, c.want)
			continue
		}
		calls := []string{"gates operator:alice false true " + c.release, "approve operator:alice why"}
		if err != nil || !slices.Equal(f.calls, calls) {
			t.Errorf("%s: %v, %v", name, f.calls, err)
		}
	}
}
