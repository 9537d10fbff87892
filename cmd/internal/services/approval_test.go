package services_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/web"
	"steward/web/account"
)

// signedIn makes somebody, with a session.
func (w *world) signedIn(t *testing.T, name string, role web.Role) web.Actor {
	t.Helper()
	now := w.clock.Now()
	err := w.db.Accounts().ChangePerson(t.Context(), account.Change{
		Person: account.Person{Name: name, Role: role, State: account.Active, Handle: []byte(name), CreatedAt: now},
		Audit:  audit.Row{Actor: "test", Action: "test"},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = w.db.Accounts().Put(t.Context(), account.Credential{
		Hash: sha256.Sum256([]byte(name)), Kind: account.Session, Owner: name, Name: name, Role: role,
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Hour),
	}, audit.Row{Actor: "test", Action: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return web.Actor{Name: name, Role: role}
}

func TestDecideRelease(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	approve := web.ReleaseCommand{Action: web.ReleaseApprove, Reason: "tried in the laboratory"}
	withdraw := web.ReleaseCommand{Action: web.ReleaseWithdraw, Reason: "bricks lamps"}
	bob := w.signedIn(t, "bob", web.RoleRelease)
	w.signedIn(t, "oscar", web.RoleOperator) // could not approve
	n := image("1.0")
	n.Approve = false
	r, err := w.Releases.AddRelease(ctx, bob, n)
	if err != nil || r.State != "draft" || !r.May(web.ReleaseApprove) || len(r.Decisions) != 0 {
		t.Fatalf("AddRelease = %+v, %v", r, err)
	}
	device := w.add(t, fleet.Device{Endpoint: "a"})
	campaign := web.NewCampaign{Release: r.ID, Delivery: web.Push, Devices: []string{string(device.ID)}}
	_, err = w.Campaigns.CreateCampaign(ctx, alice, campaign)
	wantError(t, "a campaign of a draft", err, web.ErrConflict)

	w.signedIn(t, "alice", web.RoleAdmin)
	_, err = w.Releases.DecideRelease(ctx, bob, r.ID, approve)
	wantError(t, "an approval of one's own release", err, web.ErrForbidden)
	n.Approve = true
	_, err = w.Releases.AddRelease(ctx, bob, n)
	wantError(t, "an approval in the same call", err, web.ErrForbidden)
	if list, err := w.Releases.ListReleases(ctx, web.Page{}); err != nil || len(list.Items) != 1 {
		t.Errorf("after a refusal there are %d releases, %v; want 1", len(list.Items), err)
	}
	for name, c := range map[string]web.ReleaseCommand{
		"no such action": {Action: "like"}, "no reason": {Action: web.ReleaseWithdraw, Reason: " "},
		"a reason that cannot be printed": {Action: web.ReleaseApprove, Reason: "\x1b[2J"},
	} {
		_, err = w.Releases.DecideRelease(ctx, alice, r.ID, c)
		wantError(t, name, err, web.ErrInvalid)
	}
	_, err = w.Releases.DecideRelease(ctx, alice, "x", approve)
	wantError(t, "no such release", err, web.ErrNotFound)

	r, err = w.Releases.DecideRelease(ctx, alice, r.ID, approve)
	if err != nil || r.State != "approved" || len(r.Decisions) != 1 || r.Decisions[0].By != "operator:alice" {
		t.Errorf("DecideRelease = %+v, %v", r, err)
	}
	if row := w.audited(t, "release.approve"); row.Before != "draft" || row.After != "approved" ||
		row.Reason != approve.Reason || row.Actor != "operator:alice" {
		t.Errorf("audit row = %+v", row.Row)
	}
	if _, err := w.Campaigns.CreateCampaign(ctx, alice, campaign); err != nil {
		t.Errorf("a campaign of an approved release: %v", err)
	}
	r, err = w.Releases.DecideRelease(ctx, bob, r.ID, withdraw)
	if err != nil || r.State != "withdrawn" || len(r.Actions) != 0 {
		t.Errorf("DecideRelease = %+v, %v", r, err)
	}
	_, err = w.Releases.DecideRelease(ctx, alice, r.ID, approve)
	wantError(t, "an approval of what was withdrawn", err, web.ErrConflict)
	_, err = w.Campaigns.CreateCampaign(ctx, alice, campaign)
	wantError(t, "a campaign of what was withdrawn", err, web.ErrConflict)
}
