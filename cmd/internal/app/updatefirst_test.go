package app_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
	"steward/suit/rollout"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// arrivals is a provider to which devices come that ask for updates first.
type arrivals struct {
	*testing.T

	a             *app.App
	vendor, class author.UUID
	t             coordinator.Transfer
}

func newArrivals(t *testing.T) *arrivals {
	t.Helper()
	v := &arrivals{T: t, a: serving(t), vendor: author.VendorID("vendor.example")}
	v.class = author.ClassID(v.vendor, "sensor")
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	partner := coordinator.Partner{ID: "P", Name: "Alpha"}
	if err := v.a.DB().Transfers().PutPartner(ctx, partner, audit.Row{Actor: "x", Action: "x"}); err != nil {
		t.Fatal(err)
	}
	v.t = coordinator.Transfer{
		ID: hex.EncodeToString(bytes.Repeat([]byte{7}, 16)), Incoming: true, Partner: "P", PartnerName: "Alpha",
		State: transfer.BatchSwitching, Gates: coordinator.Gates{UpdateFirst: true}, CreatedAt: now, UpdatedAt: now,
	}
	v.commit(coordinator.Change{Transfer: &v.t})
	return v
}

func (v *arrivals) commit(ch coordinator.Change) {
	v.Helper()
	if err := v.a.DB().Transfers().Commit(v.Context(), ch); err != nil {
		v.Fatal(err)
	}
}

// device adds a device in a state of its row, by a name of one letter.
func (v *arrivals) device(name string, state transfer.RowState) *peer {
	v.Helper()
	return v.deviceWith(name, state, transfer.Hash{1})
}

// deviceWith is device, with a key that it enrols.
func (v *arrivals) deviceWith(name string, state transfer.RowState, key transfer.Hash) *peer {
	v.Helper()
	p := &peer{[32]byte{name[0]}}
	f := fleet.Factory(p.certificate)
	d := fleet.Device{
		ID: fleet.ID(name), Endpoint: lwm2m.Endpoint(name), Factory: f, Ownership: fleet.Owned, CreatedAt: time.Now(),
	}
	if err := v.a.DB().Devices().Put(v.Context(), d, "test", "test"); err != nil {
		v.Fatal(err)
	}
	v.commit(coordinator.Change{Rows: []coordinator.Row{{
		Transfer: v.t.ID, Short: f.Short(), Device: d.ID, Factory: f, Incoming: true, State: state,
		SPKI: key, UpdatedAt: time.Now(),
	}}})
	return p
}

// release adds an approved release, authored here.
func (v *arrivals) release(id string, sequence uint64, image []byte) {
	v.Helper()
	v.author(rollout.ImageSpec{ID: id, Sequence: sequence, Image: image})
}

// secret is release with secrets.
func (v *arrivals) secret(id string, sequence uint64, image []byte) {
	v.Helper()
	staging := suit.NewComponentID([]byte{1})
	v.author(rollout.ImageSpec{ID: id, Sequence: sequence, Image: image, Secret: true, Staging: staging})
}

func (v *arrivals) author(s rollout.ImageSpec) {
	v.Helper()
	key, _ := v.a.SUIT()
	signer, err := cose.NewSigner(key, cose.ESP256, nil)
	if err != nil {
		v.Fatal(err)
	}
	s.Name, s.Version, s.Vendor, s.Class, s.By = s.ID, "2."+s.ID, v.vendor, v.class, "test"
	r, c, err := rollout.AuthorRelease(s, rollout.PayloadURI(v.a.CoAPSURI(), s.ID), signer, time.Now())
	if err != nil {
		v.Fatal(err)
	}
	r.State = rollout.ReleaseApproved
	if err := v.a.StockRelease(v.Context(), r, c); err != nil {
		v.Fatal(err)
	}
}

// get asks for a path of the update server, all of it.
func (v *arrivals) get(p coap.Peer, path string, query ...string) (*coap.Response, []byte) {
	v.Helper()
	var all []byte
	for {
		res := v.a.ServeUpdates(context.Background(), &coap.Request{
			Peer: p, Method: coap.GET, Path: strings.Split(path, "/"), Query: query, Offset: len(all), Limit: 1024,
		})
		all = append(all, res.Payload...)
		if res.Code != coap.Content || len(all) >= res.Total {
			return res, all
		}
	}
}

func (v *arrivals) ask(p coap.Peer, query ...string) (*coap.Response, []byte) {
	v.Helper()
	return v.get(p, "update", append([]string{"c=" + v.class.String()}, query...)...)
}

// TestUpdateFirstApart: a device that comes is given a manifest without its image, and
// fetches that by the same association, from any offset. Nobody else is: no device whose
// row stands elsewhere, and none of no transfer.
func TestUpdateFirstApart(t *testing.T) {
	v := newArrivals(t)
	image := bytes.Repeat([]byte("image"), 60_000)
	v.release("R", 2, image)
	v.release("W", 3, image)
	withdraw := rollout.Decision{On: rollout.WithdrawRelease, To: rollout.ReleaseWithdrawn, By: "test", At: time.Now()}
	if err := v.a.DB().Rollout().DecideRelease(t.Context(), "W", rollout.ReleaseApproved, withdraw); err != nil {
		t.Fatal(err)
	}
	comes := v.device("A", transfer.RowCommitted)
	res, raw := v.ask(comes, "s=1")
	if res.Code != coap.Content {
		t.Fatalf("GET /update = %s", res.Code)
	}
	e, err := suit.Decode(raw, suit.Limits{})
	if err != nil || len(e.Integrated) != 0 || len(raw) > 1024 {
		t.Fatalf("an envelope of %d bytes with %d payloads inside, %v", len(raw), len(e.Integrated), err)
	}
	if res, got := v.get(comes, "update/p/R"); res.Code != coap.Content || !bytes.Equal(got, image) {
		t.Errorf("the image = %s, %d bytes", res.Code, len(got))
	}
	for _, path := range []string{"update/p/W", "update/p/X", "update/e/W"} {
		if res, _ := v.get(comes, path); res.Code != coap.Forbidden {
			t.Errorf("%s = %s, want 4.03", path, res.Code)
		}
	}
	for name, p := range map[string]coap.Peer{
		"enrolled": v.device("B", transfer.RowEnrolled), "fallen back": v.device("C", transfer.RowFellBack),
		"delivered": v.device("D", transfer.RowDelivered), "a stranger": &peer{[32]byte{9}},
	} {
		if res, _ := v.ask(p, "s=1"); res.Code != coap.ServiceUnavailable {
			t.Errorf("%s: GET /update = %s, want 5.03", name, res.Code)
		}
		for _, path := range []string{"update/p/R", "update/e/R"} {
			if res, _ := v.get(p, path); res.Code != coap.Forbidden {
				t.Errorf("%s: %s = %s, want 4.03", name, path, res.Code)
			}
		}
	}
	if res, _ := v.ask(comes, "s=2"); res.Code != coap.Valid {
		t.Errorf("with nothing newer = %s", res.Code)
	}
}

// TestUpdateFirstElsewhere: a release made elsewhere is given if its payload is inside,
// and passed over if devices would have to fetch it from somebody else.
func TestUpdateFirstElsewhere(t *testing.T) {
	v := newArrivals(t)
	for id, c := range map[string]rollout.Content{
		"IN": {Push: []byte("with its payload")}, "OUT": {Pull: []byte("names a payload"), Image: []byte("image")},
	} {
		r := rollout.Release{
			ID: id, Class: v.class.String(), Sequence: uint64(len(id)), CreatedAt: time.Now(), State: rollout.ReleaseApproved,
		}
		if err := v.a.StockRelease(t.Context(), r, c); err != nil {
			t.Fatal(err)
		}
	}
	comes := v.device("A", transfer.RowCommitted)
	if res, raw := v.ask(comes, "s=1"); res.Code != coap.Content || string(raw) != "with its payload" {
		t.Errorf("GET /update = %s, %q", res.Code, raw)
	}
	if res, _ := v.get(comes, "update/p/OUT"); res.Code != coap.Forbidden {
		t.Errorf("the payload of the other = %s, want 4.03", res.Code)
	}
}

// TestUpdateFirstChosen: devices of a transfer are given the release that was chosen for
// it, not the newest. When it is withdrawn they wait; one with secrets wants a key.
func TestUpdateFirstChosen(t *testing.T) {
	v := newArrivals(t)
	image := []byte("image")
	v.release("R", 2, image)
	v.secret("S", 5, image)
	v.release("T", 4, image)
	comes := v.device("A", transfer.RowCommitted)
	choose := func(release string) {
		t.Helper()
		err := coordinator.ErrConflict
		for errors.Is(err, coordinator.ErrConflict) { // the coordinator looks at it too
			var stored coordinator.Transfer
			if stored, err = v.a.DB().Transfers().Transfer(t.Context(), v.t.ID); err == nil {
				stored.Release = release
				err = v.a.DB().Transfers().Commit(t.Context(), coordinator.Change{Transfer: &stored})
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	given := func() (coap.Code, uint64) {
		t.Helper()
		res, raw := v.ask(comes, "s=1")
		if res.Code != coap.Content {
			return res.Code, 0
		}
		e, err := suit.Decode(raw, suit.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		m, err := e.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		return res.Code, m.Sequence
	}
	choose("R")
	if code, sequence := given(); code != coap.Content || sequence != 2 {
		t.Errorf("chosen: %s, sequence %d, want 2", code, sequence)
	}
	if res, got := v.get(comes, "update/p/R"); res.Code != coap.Content || !bytes.Equal(got, image) {
		t.Errorf("its image = %s", res.Code)
	}
	if res, _ := v.get(comes, "update/p/T"); res.Code != coap.Forbidden {
		t.Errorf("the image of the newest = %s, want 4.03", res.Code)
	}
	if res, _ := v.ask(comes, "s=2"); res.Code != coap.Valid {
		t.Errorf("who runs what was chosen = %s, want 2.03", res.Code)
	}
	choose("S")
	if code, _ := given(); code != coap.NotAcceptable {
		t.Errorf("chosen with secrets, without a key = %s, want 4.06", code)
	}
	choose("")
	if code, sequence := given(); code != coap.Content || sequence != 4 {
		t.Errorf("none chosen: %s, sequence %d, want 4", code, sequence)
	}
	withdraw := rollout.Decision{On: rollout.WithdrawRelease, To: rollout.ReleaseWithdrawn, By: "test", At: time.Now()}
	if err := v.a.DB().Rollout().DecideRelease(t.Context(), "R", rollout.ReleaseApproved, withdraw); err != nil {
		t.Fatal(err)
	}
	choose("R")
	if code, _ := given(); code != coap.ServiceUnavailable {
		t.Errorf("withdrawn = %s, want 5.03", code)
	}
}
