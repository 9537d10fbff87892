package services_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"steward/cmd/internal/services"
	"steward/web"
	"steward/web/account"
)

// TestRevokeManyNeedsAnother has one person ask for the revocation of many, and try to
// approve it by another session and by a token.
func TestRevokeManyNeedsAnother(t *testing.T) {
	w := newGroupWorld(t)
	people := 2
	b, err := services.NewBulk(t.Context(), services.BulkOptions{
		Services: w.Services, DB: w.db, Schema: w.options.Registry, NewID: w.newID, Now: w.clock.Now,
		Events: w.options.Events, Approvers: func(context.Context) (int, error) { return people, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	runBulk(t, b)
	ann := web.Actor{Name: "ann", Role: web.RoleSecurity, Via: web.ViaSession}
	token := ann
	token.Via, token.Token = web.ViaToken, "ci"
	bob := web.Actor{Name: "bob", Role: web.RoleAdmin, Via: web.ViaSession}
	viewer := web.Actor{Name: "carl", Role: web.RoleOperator, Via: web.ViaSession}
	ask := web.NewBulk{Action: web.BulkRevoke, Devices: []string{"01A", "01B"}, Reason: "stolen"}
	start := func() web.Bulk {
		t.Helper()
		started, err := b.StartBulk(t.Context(), ann, ask)
		if err != nil || started.State != "review" {
			t.Fatalf("StartBulk = %+v, %v; want it in review", started, err)
		}
		return started
	}
	decide := func(by web.Actor, id string, a web.BulkDecisionAction) error {
		_, err := b.DecideBulk(t.Context(), by, id, web.BulkDecision{Action: a, Reason: "x"})
		return err
	}
	first := start()
	for name, by := range map[string]web.Actor{"herself": ann, "her token": token, "an operator": viewer} {
		if err := decide(by, first.ID, web.BulkApprove); !errors.Is(err, web.ErrForbidden) {
			t.Errorf("approval by %s = %v, want ErrForbidden", name, err)
		}
	}
	if err := decide(bob, first.ID, "x"); !errors.Is(err, web.ErrInvalid) {
		t.Errorf("no decision = %v, want ErrInvalid", err)
	}
	if err := decide(bob, first.ID, web.BulkApprove); err != nil {
		t.Errorf("approval by another = %v", err)
	}
	if err := decide(bob, first.ID, web.BulkApprove); !errors.Is(err, web.ErrConflict) {
		t.Errorf("second approval = %v, want ErrConflict", err)
	}
	second := start()
	if err := decide(ann, second.ID, web.BulkReject); err != nil {
		t.Errorf("taking back what one asked = %v", err)
	}
	if got, err := b.Bulk(t.Context(), second.ID); err != nil || got.State != "rejected" || got.EndedAt.IsZero() {
		t.Errorf("after the rejection: %+v, %v", got, err)
	}
	if err := decide(bob, second.ID, web.BulkApprove); !errors.Is(err, web.ErrConflict) {
		t.Errorf("approval after a rejection = %v, want ErrConflict", err)
	}
	people = 1
	alone, err := b.StartBulk(t.Context(), ann, ask)
	if err != nil || alone.State == "review" {
		t.Errorf("StartBulk where nobody else could = %+v, %v", alone, err)
	}
	people = 2
	one := ask
	one.Devices = []string{"01A"}
	if started, err := b.StartBulk(t.Context(), ann, one); err != nil || started.State == "review" {
		t.Errorf("StartBulk of one = %+v, %v", started, err)
	}
}

// TestBulkOfSomebodyDisabled: what somebody asked for is not done once they may not do
// it any more, whoever approves it.
func TestBulkOfSomebodyDisabled(t *testing.T) {
	w := newGroupWorld(t)
	b, err := services.NewBulk(t.Context(), services.BulkOptions{
		Services: w.Services, DB: w.db, Schema: w.options.Registry, NewID: w.newID, Now: w.clock.Now,
		Events: w.options.Events, Approvers: func(context.Context) (int, error) { return 2, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	runBulk(t, b)
	ann := web.Actor{Name: "ann", Role: web.RoleSecurity, Via: web.ViaSession}
	people := account.New(account.Options{Stores: w.db.Accounts()})
	who := account.NewPerson{Name: "ann", Role: web.RoleSecurity}
	if _, err := people.AddPerson(t.Context(), web.System(), who, w.clock.Now()); err != nil {
		t.Fatal(err)
	}
	approved := func(want string) {
		t.Helper()
		ask := web.NewBulk{Action: web.BulkRevoke, Devices: []string{"01A", "01B"}, Reason: "stolen"}
		got, err := b.StartBulk(t.Context(), ann, ask)
		if err != nil || got.State != "review" {
			t.Fatalf("StartBulk = %+v, %v", got, err)
		}
		if want == "interrupted" {
			_, _, err := people.Command(t.Context(), web.System(), "ann", account.Disable, "", w.clock.Now())
			if err != nil {
				t.Fatal(err)
			}
		}
		bob := web.Actor{Name: "bob", Role: web.RoleAdmin, Via: web.ViaSession}
		d := web.BulkDecision{Action: web.BulkApprove, Reason: "x"}
		for got, err = b.DecideBulk(t.Context(), bob, got.ID, d); err == nil && got.State == "running"; {
			runtime.Gosched()
			got, err = b.Bulk(t.Context(), got.ID)
		}
		if err != nil || got.State != want || want == "interrupted" && got.Done+got.Failed > 0 {
			t.Errorf("after the approval: %+v, %v; want it %s", got, err, want)
		}
	}
	approved("done")
	approved("interrupted")
}

// TestBulkTellsNoKeys: what is written to where keys are stands in no list and no audit
// row.
func TestBulkTellsNoKeys(t *testing.T) {
	w := newGroupWorld(t)
	b := newBulk(t, w)
	for path, shown := range map[string]bool{"/1/0/1": true, "/0/0/5": false, "/21/0/3": false} {
		const value = "31323334"
		started, err := b.StartBulk(t.Context(), alice, web.NewBulk{
			Action: web.BulkWrite, Devices: []string{"01A"}, Path: path, Value: value,
		})
		if err != nil {
			t.Fatal(err)
		}
		list, err := w.Activity.ListAudit(t.Context(), web.AuditFilter{Subject: started.ID}, web.Page{Size: 5})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("audit = %+v, %v", list, err)
		}
		for name, text := range map[string]string{"the list": started.What, "the audit": list.Items[0].After} {
			if !strings.HasPrefix(text, "write "+path) || (text != "write "+path+", which holds keys") != shown {
				t.Errorf("%s says %q", name, text)
			}
		}
	}
}
