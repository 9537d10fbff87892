package sim_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/sim"
	"steward/lwm2m"
	"steward/lwm2m/server"
	"steward/lwm2m/server/servertest"
	"steward/objects"
	"steward/suit/author"
	"steward/transfer"
)

var (
	vendor = author.VendorID("example.com")
	class  = author.ClassID(vendor, "sensor")

	battery = lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceBatteryLevel)
)

func TestDeviceEnrolsRegistersAndNotifies(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	b := f.device("urn:dev:1", alpha)
	dir := t.TempDir()
	r := start(t, b, options(dir))
	r.await(sim.Enrolled)
	r.await(sim.Registered)
	if got := alpha.read("urn:dev:1", lwm2m.NewPath(3, 0, 0)).Text(); got != "Example" {
		t.Errorf("read /3/0/0 = %q, want Example", got)
	}
	if got := alpha.read("urn:dev:1", lwm2m.NewPath(3, 0, 3)).Text(); got != "1.0.0" {
		t.Errorf("read /3/0/3 = %q, want 1.0.0", got)
	}
	if err := alpha.srv.Observe(t.Context(), "urn:dev:1", battery, "test"); err != nil {
		t.Fatal(err)
	}
	first := alpha.await(server.Notified, battery).Entries[0].Value
	for alpha.await(server.Notified, battery).Entries[0].Value == first {
	}
	if _, err := alpha.srv.Read(t.Context(), "urn:dev:1", lwm2m.NewPath(0, 0)); err == nil {
		t.Error("object Security can be read")
	}
	if err := r.stop(); err != nil {
		t.Errorf("Run = %v", err)
	}
	s, err := sim.Inspect(dir, b)
	if err != nil {
		t.Fatal(err)
	}
	if s.State != transfer.Idle || s.Operational == nil || s.Version != "1.0.0" {
		t.Errorf("Inspect = %s, %d bytes of certificate, %q", s.State, len(s.Operational), s.Version)
	}
	phases := map[string]bool{}
	for _, c := range s.Counts {
		phases[c.Phase] = c.Bytes() > 0
		t.Logf("%-24s %5d sent %5d received", c.Phase, c.SentBytes, c.ReceivedBytes)
	}
	for _, want := range []string{"handshake_enrolment", "crts", "enrolment", "handshake_management", "registration"} {
		if !phases[want] {
			t.Errorf("no bytes counted in phase %s", want)
		}
	}
}

func TestDeviceReturnsAfterEitherSideRestarts(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	b := f.device("urn:dev:1", alpha)
	o := options(t.TempDir())
	o.KeepAlive, o.AckTimeout = 200*time.Millisecond, 50*time.Millisecond
	r := start(t, b, o)
	r.await(sim.Registered)

	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start(t, b, o)
	if e := r.await(sim.Registered); e.State != string(transfer.Idle) {
		t.Errorf("registered in %s", e.State)
	}
	alpha.read("urn:dev:1", battery)

	alpha.stop()
	alpha.start()
	r.await(sim.Reconnected)
	alpha.read("urn:dev:1", battery)

	alpha.stop() // and lose all registrations
	alpha.store = &servertest.Store{}
	alpha.start()
	r.await(sim.Registered)
	alpha.read("urn:dev:1", battery)
}

func TestVariants(t *testing.T) {
	t.Parallel()
	rows := map[string]func(*sim.Options){
		"without a clock":       func(o *sim.Options) { o.NoClock = true },
		"without CID":           func(o *sim.Options) { o.NoCID = true },
		"PKCS #7":               func(o *sim.Options) { o.CertsOnly = true },
		"C509":                  func(o *sim.Options) { o.C509 = c509Formats },
		"C509, signed natively": func(o *sim.Options) { o.C509, o.NativeRequests = c509Formats, true },
		"renewal in C509": func(o *sim.Options) {
			o.C509, o.NativeRequests, o.RenewBefore = c509Formats, true, 1000*24*time.Hour
		},
		"blocks of 64 bytes":        func(o *sim.Options) { o.BlockSize = 64 },
		"a memory that is synced":   func(o *sim.Options) { o.NoSync = false },
		"an address to send from":   func(o *sim.Options) { o.LocalAddr = netip.MustParseAddr("127.0.0.2") },
		"a certificate that is old": func(o *sim.Options) { o.RenewBefore = 1000 * 24 * time.Hour },
	}
	for name, change := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alpha, f := newProvider(t, "alpha"), newFactory(t)
			o := options(t.TempDir())
			change(&o)
			r := start(t, f.device(endpoint, alpha), o)
			r.await(sim.Registered)
			alpha.read(endpoint, battery)
			if o.RenewBefore > 0 {
				r.await(sim.Renewed)
			}
		})
	}
}

func TestRebootIsExecuted(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	r := start(t, f.device("urn:dev:1", alpha), options(t.TempDir()))
	r.await(sim.Registered)
	if err := alpha.srv.Execute(t.Context(), "urn:dev:1", lwm2m.NewPath(3, 0, 4), ""); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Rebooted)
	r.await(sim.Registered)
}

func TestRenewalIsExecuted(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	dir := t.TempDir()
	b := f.device("urn:dev:1", alpha)
	r := start(t, b, options(dir))
	r.await(sim.Registered)
	before, err := sim.Inspect(dir, b)
	if err != nil {
		t.Fatal(err)
	}
	enrol := lwm2m.NewPath(objects.DefaultIDs.Enrolment, 0, objects.EnrolmentEnrol)
	if err := alpha.srv.Execute(t.Context(), "urn:dev:1", enrol, "0"); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Renewed)
	r.await(sim.Reconnected)
	after, err := sim.Inspect(dir, b)
	if err != nil {
		t.Fatal(err)
	}
	if string(before.Operational) == string(after.Operational) {
		t.Error("the certificate is the same after a renewal")
	}
}

func TestServerUnderAnotherCAIsRefused(t *testing.T) {
	t.Parallel()
	alpha, rogue, f := newProvider(t, "alpha"), newProvider(t, "rogue"), newFactory(t)
	b := f.device("urn:dev:1", alpha)
	b.Provider.EnrollURI = rogue.uri()
	f.grant(rogue, b)
	r := start(t, b, options(t.TempDir()))
	if e := r.await(sim.Retrying); e.Error == "" {
		t.Errorf("event %+v, want the reason", e)
	}
	if err := r.stop(); err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestTornTailIsDropped(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	b := f.device("dev1", alpha)
	dir := t.TempDir()
	r := start(t, b, options(dir))
	r.await(sim.Registered)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "dev1.state")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(raw, 0, 0, 1, 0, 7, 7, 7, 7, 'h', 'a', 'l', 'f'), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, b, options(dir)).await(sim.Registered)
}
