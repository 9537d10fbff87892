package sqlite

import (
	"context"
	"crypto/x509"
	"errors"
	"sync"
	"testing"

	"steward/est"
	"steward/est/esttest"
)

// TestPasswordRaceOnDisk has eight keys race by two passwords for one name.
func TestPasswordRaceOnDisk(t *testing.T) {
	db := open(t)
	clock := esttest.NewClock()
	ca := esttest.NewCA(t, "Alpha", db.Inventory(), clock.Now)
	var with [2]est.Password
	for i := range with {
		var err error
		if with[i], _, err = ca.MakePassword(t.Context(), est.NewPassword{Name: "gateway-1"}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for i := range 8 {
		csr := esttest.CSR(t, esttest.Key(t), "gateway-1")
		wg.Go(func() {
			_, err := ca.EnrolByPassword(t.Context(), with[i%2], est.Request{CSR: csr})
			if err != nil && !errors.Is(err, est.ErrForbidden) && !errors.Is(err, est.ErrConflict) {
				t.Errorf("EnrolByPassword = %v", err)
			}
		})
	}
	wg.Wait()
	live, err := ca.List(t.Context(), est.Query{Kind: est.KindOperational, Status: est.StatusValid, Name: "gateway-1"})
	if err != nil || len(live) != 1 {
		t.Errorf("%d valid certificates, %v, want 1", len(live), err)
	}
	all, err := ca.List(t.Context(), est.Query{Kind: est.KindOperational, Name: "gateway-1"})
	if err != nil || len(all) > len(with) {
		t.Errorf("%d certificates by %d passwords, %v", len(all), len(with), err)
	}
}

// An outside is an external CA.
type outside struct {
	ca       *est.CA
	password est.Password
}

func (o outside) Anchors() []*x509.Certificate { return []*x509.Certificate{o.ca.Root()} }

func (o outside) Certify(ctx context.Context, e est.Errand) ([][]byte, error) {
	out, err := o.ca.EnrolByPassword(ctx, o.password, est.Request{CSR: e.Request})
	return append([][]byte{out.DER}, out.Chain...), err
}

// TestUpstreamRaceOnDisk has a device fetch one certificate many times at once, and
// its errand be forwarded twice at once.
func TestUpstreamRaceOnDisk(t *testing.T) {
	db := open(t)
	clock := esttest.NewClock()
	out := outside{ca: esttest.NewCA(t, "Outside", &esttest.Store{}, clock.Now)}
	var err error
	if out.password, _, err = out.ca.MakePassword(t.Context(), est.NewPassword{Name: "urn:dev:1"}); err != nil {
		t.Fatal(err)
	}
	ca := esttest.NewCA(t, "Alpha", db.Inventory(), clock.Now, func(o *est.Options) {
		o.Upstream, o.Errands = out, db.Inventory()
	})
	factory := esttest.NewFactory(t, clock.Now)
	device := esttest.NewDevice(t, factory, "urn:dev:1")
	esttest.Grant(t, ca, factory, device)
	if _, err := ca.OpenRight(t.Context(), device.Factory, est.Hash{}); err != nil {
		t.Fatal(err)
	}
	ask := est.Request{Client: device.Client(), CSR: esttest.CSR(t, esttest.Key(t), device.Endpoint)}
	atOnce := func(what func() error, want error) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if err := what(); !errors.Is(err, want) {
					t.Errorf("%v, want %v", err, want)
				}
			})
		}
		wg.Wait()
	}
	enrol := func() error {
		_, err := ca.Enrol(t.Context(), ask)
		return err
	}
	atOnce(enrol, est.ErrPending)
	due, err := ca.DueErrands(t.Context(), 10)
	if err != nil || len(due) != 1 {
		t.Fatalf("%d errands, %v, want one", len(due), err)
	}
	atOnce(func() error { return ca.Forward(t.Context(), due[0]) }, nil)
	atOnce(enrol, nil)
	all, err := ca.List(t.Context(), est.Query{Kind: est.KindOperational})
	if err != nil || len(all) != 1 {
		t.Errorf("%d certificates, %v, want 1", len(all), err)
	}
}
