package sim_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/server"
	"steward/objects"
	"steward/transfer"
)

var (
	enrolmentBase = lwm2m.NewPath(objects.DefaultIDs.Enrolment, 0)
	enrolNow      = enrolmentBase.Child(objects.EnrolmentEnrol)
)

// lifetime gives a provider's devices certificates of that life.
func lifetime(t *testing.T, d time.Duration) func(*est.Options) {
	t.Helper()
	p, err := est.NewProfile(est.ProfileOptions{Name: "operational", Kind: est.KindOperational, Validity: d})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *est.Options) {
		o.Profiles.Operational, o.Limits = p, est.Limits{PerDay: 1000, Burst: 1000, PerMinute: 100_000}
	}
}

// certificates returns the operational ones of a device, the newest first.
func (p *provider) certificates() []est.Record {
	p.t.Helper()
	all, err := p.ca.List(p.t.Context(), est.Query{Kind: est.KindOperational, Name: endpoint})
	if err != nil {
		p.t.Fatal(err)
	}
	return all
}

// inUse returns the certificate that the device has stored as operational.
func inUse(t *testing.T, dir string, b *bundle.Bundle) est.Hash {
	t.Helper()
	s, err := sim.Inspect(dir, b)
	if err != nil {
		t.Fatal(err)
	}
	return est.Hash(transfer.HashOf(s.Operational))
}

// TestFailedRenewalKeepsTheCertificate: whatever goes wrong with a renewal, the one
// that works stays, and the device stays registered by it; later it succeeds.
func TestFailedRenewalKeepsTheCertificate(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		fault sim.RenewalFault
		code  int64
	}{
		{sim.RenewalRefused, 0x83}, // 4.03
		{sim.RenewalLost, int64(objects.FaultUnreachable)},
		{sim.RenewalUnused, int64(objects.FaultUnproven)},
	} {
		t.Run(string(tt.fault), func(t *testing.T) {
			t.Parallel()
			alpha, f := newProvider(t, "alpha"), newFactory(t)
			dir := t.TempDir()
			o := options(dir)
			o.RenewalFault, o.RenewalFaults, o.RetryFirst, o.RetryMax = tt.fault, 2, time.Second, time.Second
			b := f.device(endpoint, alpha)
			r := start(t, b, o)
			r.await(sim.Registered)
			first := inUse(t, dir, b)
			if err := alpha.srv.Execute(t.Context(), endpoint, enrolNow, "0"); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(patience); ; alpha.pause() {
				code, _ := alpha.read(endpoint, enrolmentBase.Child(objects.EnrolmentError)).Int()
				if code == tt.code {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("error of object Enrolment = %d, want %d", code, tt.code)
				}
			}
			if got := inUse(t, dir, b); got != first {
				t.Error("the certificate that works was given up")
			}
			if rec, err := alpha.ca.Lookup(t.Context(), first); err != nil || rec.Status != est.StatusValid {
				t.Errorf("the certificate that works is %s, %v", rec.Status, err)
			}
			if tt.fault == sim.RenewalUnused { // it asks again when it is told to
				for range 2 {
					_ = alpha.srv.Execute(t.Context(), endpoint, enrolNow, "0")
					alpha.pause()
				}
			}
			for deadline := time.Now().Add(patience); ; alpha.pause() {
				rec, err := alpha.ca.Lookup(t.Context(), first)
				if err != nil {
					t.Fatal(err)
				}
				if rec.Status == est.StatusRevoked { // the next one is in use
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the renewal did not succeed after the fault was over")
				}
				if tt.fault == sim.RenewalUnused {
					_ = alpha.srv.Execute(t.Context(), endpoint, enrolNow, "0")
				}
			}
			alpha.read(endpoint, battery)
			if tt.fault == sim.RenewalLost {
				if n := len(alpha.certificates()); n != 2 {
					t.Errorf("%d certificates, want 2: a repeated request has one answer", n)
				}
			}
		})
	}
}

// TestShortLivedCertificates: a device renews by itself every few seconds, in time, and
// keeps its registration.
func TestShortLivedCertificates(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha", lifetime(t, 30*time.Second)), newFactory(t)
	b, o := f.device(endpoint, alpha), options(t.TempDir())
	o.RenewBefore = 27 * time.Second // long before its end, for a slow machine
	r := start(t, b, o)
	r.await(sim.Registered)
	for range 3 {
		r.await(sim.Renewed)
		if e := r.await(sim.Reconnected); e.Kind != sim.Reconnected {
			t.Errorf("event %+v", e)
		}
		alpha.read(endpoint, battery)
	}
	for _, rec := range alpha.certificates()[2:] {
		if rec.Status != est.StatusRevoked {
			t.Errorf("a certificate that was replaced is %s", rec.Status)
		}
	}
}

// TestExpiredWhileOff: the device comes back by its factory certificate, with the key
// that it had.
func TestExpiredWhileOff(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha", lifetime(t, 8*time.Second)), newFactory(t)
	dir, b := t.TempDir(), f.device(endpoint, alpha)
	r := start(t, b, options(dir))
	r.await(sim.Registered)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	old, err := alpha.ca.Lookup(t.Context(), inUse(t, dir, b)) // the first, unless the machine is slow
	if err != nil {
		t.Fatal(err)
	}
	for time.Now().Before(old.NotAfter.Add(time.Second)) {
		alpha.pause()
	}
	r = start(t, b, options(dir))
	r.await(sim.Enrolled)
	r.await(sim.Registered)
	all := alpha.certificates()
	next := slices.IndexFunc(all, func(c est.Record) bool { return c.Hash == old.Hash }) - 1
	if next < 0 || all[next].SPKI != old.SPKI || all[next].Supersedes != (est.Hash{}) {
		t.Errorf("%d certificates; that after the old one must be by the factory certificate and for the old key", len(all))
	}
}

// TestRevokedDeviceEnrolsAnew: where the right allows it.
func TestRevokedDeviceEnrolsAnew(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	o := options(t.TempDir())
	o.KeepAlive, o.AckTimeout = 200*time.Millisecond, 50*time.Millisecond
	r := start(t, f.device(endpoint, alpha), o)
	r.await(sim.Registered)
	old := alpha.certificates()[0]
	if err := alpha.ca.Revoke(t.Context(), old.Hash, est.Superseded, "test"); err != nil {
		t.Fatal(err)
	}
	alpha.stop()
	alpha.start()
	r.await(sim.Enrolled)
	r.await(sim.Reconnected)
}

func TestRenewBeforeIsWritten(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	dir, b := t.TempDir(), f.device(endpoint, alpha)
	r := start(t, b, options(dir))
	r.await(sim.Registered)
	before := enrolmentBase.Child(objects.EnrolmentRenewBefore)
	if err := alpha.write(before, lwm2m.Unsigned(3600)); err != nil {
		t.Fatal(err)
	}
	if err := alpha.write(before, lwm2m.Unsigned(1<<40)); err == nil {
		t.Error("a thousand years were accepted")
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, b, options(dir))
	r.await(sim.Registered)
	if got, _ := alpha.read(endpoint, before).Uint(); got != 3600 {
		t.Errorf("Renew Before after a restart = %d, want 3600", got)
	}
	if err := alpha.write(before, lwm2m.Unsigned(400*24*3600)); err != nil { // more than its whole life
		t.Fatal(err)
	}
	r.await(sim.Renewed)
}

// TestRenewalSurvivesAPowerCutAtEveryWrite: the device is registered again after
// each, by the old certificate or the new one, and renews.
func TestRenewalSurvivesAPowerCutAtEveryWrite(t *testing.T) {
	t.Parallel()
	for n := int64(1); ; n++ {
		alpha, f, c := newProvider(t, "alpha"), newFactory(t), &cutter{}
		dir, b := t.TempDir(), f.device(endpoint, alpha)
		o := options(dir)
		o.PowerCut = c.cut
		cuts := keepRunning(t, b, o)
		alpha.await(server.Registered, lwm2m.Path{})
		first := inUse(t, dir, b)
		c.left.Store(n)
		for deadline := time.Now().Add(patience); ; alpha.pause() {
			_ = alpha.srv.Execute(t.Context(), endpoint, enrolNow, "0") // the answer may be lost
			rec, err := alpha.ca.Lookup(t.Context(), first)
			if err != nil {
				t.Fatal(err)
			}
			if rec.Status == est.StatusRevoked && inUse(t, dir, b) != first {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("write %d: no renewal", n)
			}
		}
		alpha.read(endpoint, battery)
		if cuts.Load() == 0 {
			t.Logf("a renewal takes %d writes", n-1)
			break
		}
	}
}

func TestUnknownRenewalFault(t *testing.T) {
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	o := options(t.TempDir())
	o.RenewalFault = "dance"
	if _, err := sim.New(f.device(endpoint, alpha), o); !errors.Is(err, sim.ErrOptions) {
		t.Errorf("New with a fault that there is not = %v, want ErrOptions", err)
	}
}
