package services_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/web"
)

func TestRetireDevice(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	d, issued := w.enrolled(t, "meter-1")
	w.online(t, fleet.Device{ID: fleet.ID(d.ID), Endpoint: "meter-1"})
	_, err := w.Devices.RetireDevice(t.Context(), alice, d.ID, web.Retirement{Reason: ""})
	if !errors.Is(err, web.ErrInvalid) {
		t.Errorf("without a reason: %v", err)
	}
	got, err := w.Devices.RetireDevice(t.Context(), alice, d.ID, web.Retirement{Reason: "broken"})
	if err != nil || got.State != web.DeviceLeft {
		t.Fatalf("RetireDevice = %+v, %v", got, err)
	}
	live, err := w.Certificates.ListCertificates(t.Context(),
		web.CertificateFilter{Device: d.ID, State: web.CertificateLive}, web.Page{Size: 9})
	if err != nil || len(live.Items) != 0 {
		t.Errorf("live certificates = %+v, %v", live.Items, err)
	}
	if len(w.dropped) == 0 || w.dropped[0] != issued.Hash {
		t.Errorf("sessions dropped: %v", w.dropped)
	}
	detail, err := w.Devices.Device(t.Context(), d.ID)
	if err != nil || detail.Registration != nil {
		t.Errorf("it is still registered: %+v, %v", detail.Registration, err)
	}
	_, err = w.Devices.RetireDevice(t.Context(), alice, d.ID, web.Retirement{Reason: "again"})
	if !errors.Is(err, web.ErrConflict) {
		t.Errorf("twice: %v", err)
	}
	plain := w.add(t, fleet.Device{ID: "01P", Endpoint: "plain", Ownership: fleet.Owned, NoSec: true})
	got, err = w.Devices.RetireDevice(t.Context(), alice, string(plain.ID), web.Retirement{Reason: "x"})
	if err != nil || got.State != web.DeviceLeft {
		t.Errorf("without a certificate: %+v, %v", got, err)
	}
	_, err = w.Devices.RetireDevice(t.Context(), alice, "nobody", web.Retirement{Reason: "x"})
	if !errors.Is(err, web.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

// TestReplaceDevice: what was wanted of one device is wanted of another.
func TestReplaceDevice(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	old, _ := w.enrolled(t, "meter-1")
	next := w.add(t, fleet.Device{ID: "01N", Endpoint: "meter-2", Ownership: fleet.Expected, Tags: []string{"new"}})
	ctx := t.Context()
	_, err := w.Devices.ChangeTags(ctx, alice, old.ID, web.TagChange{Add: []string{"roof"}})
	check(t, err)
	_, err = w.Groups.PutGroup(ctx, alice, web.Group{Name: "east", Kind: web.GroupStatic})
	check(t, err)
	_, err = w.Groups.ChangeMembers(ctx, alice, "east", web.MemberChange{Add: []string{old.ID}})
	check(t, err)
	target, err := server.ParseTarget("/3/0/9", "pmin=10")
	check(t, err)
	check(t, w.db.Server().Want(ctx, fleet.ID(old.ID), target, true, "x"))
	for name, r := range map[string]struct {
		r    web.Retirement
		want error
	}{
		"no reason": {web.Retirement{Replacement: "ep:meter-2"}, web.ErrInvalid},
		"itself":    {web.Retirement{Reason: "x", Replacement: "ep:meter-1"}, web.ErrInvalid},
		"nobody":    {web.Retirement{Reason: "x", Replacement: "ep:nobody"}, web.ErrInvalid},
	} {
		_, err = w.Devices.RetireDevice(ctx, alice, old.ID, r.r)
		if !errors.Is(err, r.want) {
			t.Errorf("%s: %v, want %v", name, err, r.want)
		}
	}
	got, err := w.Devices.RetireDevice(ctx, alice, old.ID, web.Retirement{
		Reason: "struck by lightning", Replacement: "ep:meter-2", Erase: true,
	})
	if err != nil || got.State != web.DeviceLeft {
		t.Fatalf("RetireDevice = %+v, %v", got, err)
	}
	took, err := w.Devices.Device(ctx, string(next.ID))
	check(t, err)
	if !slices.Equal(took.Tags, []string{"new", "roof"}) || len(took.Replaces) != 1 ||
		took.Replaces[0].Endpoint != "meter-1" {
		t.Errorf("the replacement has %q, and replaces %+v", took.Tags, took.Replaces)
	}
	left, err := w.Devices.Device(ctx, old.ID)
	check(t, err)
	if left.ReplacedBy == nil || left.ReplacedBy.Endpoint != "meter-2" {
		t.Errorf("the old one is replaced by %+v", left.ReplacedBy)
	}
	for id, want := range map[string]bool{string(next.ID): true, old.ID: false} {
		if in, err := w.Groups.Contains(ctx, "east", id); err != nil || in != want {
			t.Errorf("%s in its group: %t, %v", id, in, err)
		}
	}
	wishes, err := w.db.Server().Wanted(ctx, next.ID)
	if err != nil || len(wishes) != 1 || wishes[0].String() != target.String() {
		t.Errorf("wanted of the replacement: %v, %v", wishes, err)
	}
	rows, err := w.Activity.ListAudit(ctx, web.AuditFilter{Action: "device.replace"}, web.Page{Size: 9})
	if err != nil || len(rows.Items) != 1 || !strings.Contains(rows.Items[0].Reason, "1 groups, 1 observations") ||
		!strings.Contains(rows.Items[0].Reason, "not erased") {
		t.Errorf("audit: %+v, %v", rows.Items, err)
	}
	_, err = w.Devices.RetireDevice(ctx, alice, string(next.ID), web.Retirement{Reason: "x", Replacement: "ep:meter-1"})
	if !errors.Is(err, web.ErrConflict) {
		t.Errorf("replaced by what has left: %v, want ErrConflict", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeletedDeviceHoldsNoCertificate retires and deletes devices without a factory
// certificate: whoever has the key of their certificate must not come as the next device
// of that name.
func TestDeletedDeviceHoldsNoCertificate(t *testing.T) {
	w := newWorld(t)
	given := func(name string) est.Hash {
		r := est.Record{
			Hash: est.Hash{1, name[0]}, Serial: "4a" + name, SPKI: est.Hash{2, name[0]}, Kind: est.KindOperational,
			Name: name, DER: []byte(name), NotBefore: w.clock.Now(), NotAfter: w.clock.Now().Add(time.Hour),
			IssuedAt: w.clock.Now(), Version: 1, Status: est.StatusValid, Issuer: est.Hash{3},
		}
		if err := w.db.Inventory().Commit(t.Context(), est.Change{Insert: []est.Record{r}}); err != nil {
			t.Fatal(err)
		}
		return r.Hash
	}
	gone := func(hash est.Hash) {
		t.Helper()
		r, err := w.db.Inventory().Certificate(t.Context(), hash)
		if err != nil || r.Status != est.StatusRevoked || !slices.Contains(w.dropped, hash) {
			t.Errorf("its certificate is %s, %v, dropped %v", r.Status, err, w.dropped)
		}
	}
	d := w.add(t, fleet.Device{ID: "01P", Endpoint: "plain", Ownership: fleet.Owned})
	first := given("plain")
	if _, err := w.Devices.RetireDevice(t.Context(), alice, string(d.ID), web.Retirement{Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	gone(first)
	left := w.add(t, fleet.Device{ID: "01Q", Endpoint: "other", Ownership: fleet.Left})
	second := given("other")
	if err := w.db.Devices().Erase(t.Context(), left.ID, "test", "x"); !errors.Is(err, sqlite.ErrHeld) {
		t.Errorf("with a valid certificate: %v, want ErrHeld", err)
	}
	if err := w.Devices.EraseDevice(t.Context(), alice, string(left.ID), "other", "x"); err != nil {
		t.Fatal(err)
	}
	gone(second)
}

// TestReplacementThatCannotBe: what is refused has ended nothing: neither the right nor
// the certificates of the device that was to go.
func TestReplacementThatCannotBe(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	old, _ := w.enrolled(t, "meter-1")
	var tags []string
	for i := range 32 {
		tags = append(tags, fmt.Sprintf("tag-%d", i))
	}
	w.add(t, fleet.Device{ID: "01N", Endpoint: "meter-2", Ownership: fleet.Expected, Tags: tags})
	ctx := t.Context()
	_, err := w.Devices.ChangeTags(ctx, alice, old.ID, web.TagChange{Add: []string{"roof"}})
	check(t, err)
	_, err = w.Devices.RetireDevice(ctx, alice, old.ID, web.Retirement{Reason: "x", Replacement: "ep:meter-2"})
	if !errors.Is(err, web.ErrConflict) {
		t.Errorf("RetireDevice = %v, want ErrConflict", err)
	}
	live, err := w.Certificates.ListCertificates(ctx,
		web.CertificateFilter{Device: old.ID, State: web.CertificateLive}, web.Page{Size: 9})
	if err != nil || len(live.Items) != 1 {
		t.Errorf("the device has %d live certificates, %v, want the one it had", len(live.Items), err)
	}
}
