package app_test

import (
	"context"
	"encoding/pem"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/bundle"
	"steward/cmd/internal/config"
	"steward/cmd/internal/sim"
	"steward/est"
	"steward/est/enrol"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// A rekeyWorld is a provider and a permanent CA that are served, and a device.
type rekeyWorld struct {
	t         *testing.T
	provider  *provider
	permanent *app.Permanent
	uri       string
	dir       string              // of the device's memory
	c509      estcoap.C509Formats // that the devices speak with their provider
}

func newRekeyWorld(t *testing.T, set ...func(*app.RekeyOptions)) *rekeyWorld {
	t.Helper()
	w := &rekeyWorld{t: t, dir: t.TempDir()}
	w.provider = newProvider(t, "Alpha", func(o *config.Options) {
		o.Timers.Retry = config.Duration(200 * time.Millisecond)
		o.EST.C509Formats = "65001,65002,65003"
	})
	w.provider.start()
	var err error
	if w.permanent, err = app.OpenPermanent(t.Context(), t.TempDir(), "Factory CA"); err != nil {
		t.Fatal(err)
	}
	root, _ := pem.Decode([]byte(w.permanent.Root()))
	if err := w.provider.app.CA().TrustFactoryCA(t.Context(), root.Bytes); err != nil {
		t.Fatal(err)
	}
	o := app.RekeyOptions{
		Listen: "127.0.0.1:0", Providers: map[string]string{"Alpha": caFile(t, w.provider.app.CA())},
		AckTimeout: 500 * time.Millisecond,
	}
	for _, f := range set {
		f(&o)
	}
	w.serve(o)
	return w
}

// caFile writes the certificate of a provider's CA.
func caFile(t *testing.T, ca *est.CA) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, []byte(bundle.EncodeCertificate(ca.Certificate().Raw)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serve serves the permanent CA until the test ends.
func (w *rekeyWorld) serve(o app.RekeyOptions) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() {
		done <- w.permanent.Serve(ctx, app.PermanentOptions{
			Host: "127.0.0.1", Rekey: o, Log: slog.New(slog.DiscardHandler),
		}, func(at app.PermanentService) error { ready <- at.CoAPS; return nil })
	}()
	w.t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, w.permanent.Close()); err != nil {
			w.t.Error(err)
		}
	})
	select {
	case w.uri = <-ready:
	case err := <-done:
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if !w.t.Failed() {
			return
		}
		rows, err := w.provider.app.DB().AuditBefore(context.Background(), "", 0, 12)
		for _, r := range rows {
			w.t.Logf("%s %s %s: %s, %v", r.Actor, r.Action, r.Subject, r.Reason, err)
		}
	})
}

// device makes a device that belongs to the provider.
func (w *rekeyWorld) device(name string) *bundle.Bundle {
	w.t.Helper()
	t := template()
	t.Factory.PermanentURI = w.uri
	b, err := w.permanent.Make(w.t.Context(), t, name)
	if err != nil {
		w.t.Fatal(err)
	}
	w.provider.own(b)
	return w.provider.settings(b)
}

func factoryOf(b *bundle.Bundle) est.Hash {
	block, _ := pem.Decode([]byte(b.Factory.Chain[0]))
	return est.Hash(transfer.HashOf(block.Bytes))
}

// live runs a device until the test ends, through power cuts, and tells its events.
func (w *rekeyWorld) live(b *bundle.Bundle, cut func() bool) (events chan sim.Event, cuts *atomic.Int64) {
	w.t.Helper()
	events, cuts = make(chan sim.Event, 4096), &atomic.Int64{}
	o := sim.Options{
		StateDir: w.dir, AckTimeout: 500 * time.Millisecond, RetryFirst: 50 * time.Millisecond,
		RetryMax: 300 * time.Millisecond, NoSync: true, PowerCut: cut, C509: w.c509,
		Events: func(e sim.Event) {
			select {
			case events <- e:
			default:
			}
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			d, err := sim.New(b, o)
			if err == nil {
				err = d.Run(ctx)
			}
			if !errors.Is(err, sim.ErrPowerCut) {
				if err != nil {
					w.t.Errorf("Run = %v", err)
				}
				return
			}
			cuts.Add(1)
		}
	}()
	w.t.Cleanup(func() { cancel(); <-done })
	return events, cuts
}

// await waits for an event of a kind.
func await(t *testing.T, events chan sim.Event, kind sim.Kind) {
	t.Helper()
	var last []string
	for timeout := time.After(time.Minute); ; {
		select {
		case e := <-events:
			if e.Kind == kind {
				return
			}
			last = append(last, string(e.Kind)+" "+e.Error)
		case <-timeout:
			t.Fatalf("no event %s; %s", kind, strings.Join(last[max(0, len(last)-4):], "; "))
		}
	}
}

// pause lets others run.
func pause(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(20 * time.Millisecond):
	case <-t.Context().Done():
	}
}

// order has the device re-key.
func (w *rekeyWorld) order(b *bundle.Bundle) {
	w.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		_, err := w.provider.app.Enrolment().Order(
			w.t.Context(), fleet.ID(b.Endpoint), enrol.Rekey, "operator:test", "test")
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			w.t.Fatal(err)
		}
		pause(w.t)
	}
}

// rekeyed checks that all is as it should be after a re-key, and returns the hash of
// the new factory certificate.
func (w *rekeyWorld) rekeyed(b *bundle.Bundle) est.Hash {
	t, ctx := w.t, w.t.Context()
	t.Helper()
	s, err := sim.Inspect(w.dir, b)
	if err != nil {
		t.Fatal(err)
	}
	fresh, old := est.Hash(transfer.HashOf(s.Factory)), factoryOf(b)
	ca := w.provider.app.CA()
	if fresh == old {
		t.Fatal("the device has the factory certificate that it had")
	}
	d, err := w.provider.app.DB().Devices().Device(ctx, fleet.ID(b.Endpoint))
	if err != nil || est.Hash(d.Factory) != fresh {
		t.Errorf("device goes by %x, %v, want %x", d.Factory[:4], err, fresh[:4])
	}
	if r, err := ca.Right(ctx, fresh); err != nil || r.State != est.RightConsumed {
		t.Errorf("right %s, %v", r.State, err)
	}
	if _, err := ca.Right(ctx, old); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("right by the old certificate: %v, want ErrUnknown", err)
	}
	if o, err := ca.KeyOrigin(ctx, fresh); err != nil || o != est.OriginDevice {
		t.Errorf("key made by %q, %v", o, err)
	}
	all, err := w.permanent.CA().List(ctx, est.Query{Kind: est.KindFactory, Name: b.Endpoint, Status: est.StatusValid})
	if err != nil || len(all) != 1 || all[0].Hash != fresh {
		t.Errorf("%d factory certificates are valid, %v, want one", len(all), err)
	}
	return fresh
}

// TestRekey leads a device to a factory key of its own by the runner, from end to end,
// and then tries the key before.
func TestRekey(t *testing.T) {
	w := newRekeyWorld(t)
	b := w.device("urn:dev:rekey:1")
	events, _ := w.live(b, nil)
	await(t, events, sim.Registered)
	w.order(b)
	await(t, events, sim.Rekeyed)
	w.rekeyed(b)
	for deadline := time.Now().Add(time.Minute); ; pause(t) {
		e, err := w.provider.app.Enrolment().Enrolment(t.Context(), fleet.ID(b.Endpoint))
		if err == nil && e.State == enrol.Good && e.Want == enrol.Renewal {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("enrolment %+v, %v", e, err)
		}
	}
	key, chain, err := b.FactoryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	ca := w.provider.app.CA()
	if _, err := ca.Identify(t.Context(), chain); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("the old certificate at the provider: %v, want ErrUnknown", err)
	}
	_, err = ca.Enrol(t.Context(), est.Request{
		Client: est.Client{Role: est.RoleFactory, Certificate: factoryOf(b), Name: b.Endpoint},
		CSR:    esttest.CSR(t, key, b.Endpoint),
	})
	if !errors.Is(err, est.ErrForbidden) {
		t.Errorf("enrolment by the old certificate: %v, want ErrForbidden", err)
	}
	csr, err := est.NewRekeyCSR(esttest.Key(t), key, chain[0], nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.permanent.CA().RekeyFactory(t.Context(), est.FactoryRekey{
		Client: est.Client{Role: est.RoleOperational, Certificate: est.Hash{1}, Name: b.Endpoint}, CSR: csr,
	})
	if !errors.Is(err, est.ErrRevoked) {
		t.Errorf("re-key by the old key: %v, want ErrRevoked", err)
	}

	// The device renews by its operational certificate, and once more re-keys.
	if _, err := w.provider.app.Enrolment().Order(
		t.Context(), fleet.ID(b.Endpoint), enrol.Renewal, "operator:test", "test"); err != nil {
		t.Fatal(err)
	}
	await(t, events, sim.Renewed)
	before := w.rekeyed(b)
	w.order(b)
	await(t, events, sim.Rekeyed)
	if w.rekeyed(b) == before {
		t.Error("the second re-key changed nothing")
	}
}

// TestRekeyOfC509Device: the permanent CA need not know the encoding of the provider.
func TestRekeyOfC509Device(t *testing.T) {
	w := newRekeyWorld(t)
	w.c509 = estcoap.C509Formats{Request: 65001, Certificate: 65002, Chain: 65003}
	b := w.device("urn:dev:rekey:c509")
	events, _ := w.live(b, nil)
	await(t, events, sim.Registered)
	w.order(b)
	await(t, events, sim.Rekeyed)
	w.rekeyed(b)
}

// TestRekeySurvivesAPowerCutAtEveryWrite: whenever the power goes, the device comes
// back and ends with one factory key that all know.
func TestRekeySurvivesAPowerCutAtEveryWrite(t *testing.T) {
	w := newRekeyWorld(t)
	for n := int64(1); ; n++ {
		b := w.device("urn:dev:cut:" + string(rune('a'+n)))
		left := &atomic.Int64{}
		events, cuts := w.live(b, func() bool { return left.Load() > 0 && left.Add(-1) == 0 })
		await(t, events, sim.Registered)
		left.Store(n)
		w.order(b)
		await(t, events, sim.Rekeyed)
		w.rekeyed(b)
		if cuts.Load() == 0 {
			t.Logf("a re-key takes %d writes", n-1)
			return
		}
	}
}
