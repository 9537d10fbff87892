package app_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/bundle"
	"steward/cmd/internal/config"
	"steward/cmd/internal/sim"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/suit/author"
	"steward/transfer"
)

// A provider is one whose process ends and begins again.
type provider struct {
	t   *testing.T
	cfg config.Config
	app *app.App // nil: not running
	end func()
	log *logbook // nil: nothing is kept
}

// newProvider returns one with a data directory of its own, and a port that stays.
func newProvider(t *testing.T, name string, set ...func(*config.Options)) *provider {
	t.Helper()
	o := config.Default()
	o.Data, o.Name, o.Host, o.AllowTestRange = t.TempDir(), name, "127.0.0.1", true
	o.HTTP, o.CoAPS, o.Peer, o.PKI = "127.0.0.1:0", lasting(t), "off", "off"
	for _, f := range set {
		f(&o)
	}
	cfg, err := config.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p := &provider{t: t, cfg: cfg}
	t.Cleanup(p.stop)
	return p
}

// lasting returns an address that is free for UDP and TCP, and stays so: the system gives
// its port to nobody who asks for any (RFC 6335 §6).
func lasting(t *testing.T) string {
	t.Helper()
	const first, ports = 25_000, 5000
	for tries := ports; ; tries-- {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(first+rand.IntN(ports)))
		datagrams, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp", addr)
		if err == nil {
			err = datagrams.Close()
		}
		stream, err2 := (&net.ListenConfig{}).Listen(t.Context(), "tcp", addr)
		if err2 == nil {
			err2 = stream.Close()
		}
		if err = errors.Join(err, err2); err == nil {
			return addr
		}
		if tries == 0 {
			t.Fatal(err)
		}
	}
}

func (p *provider) start() {
	p.t.Helper()
	a, err := app.New(context.Background(), p.cfg, p.logger())
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	p.app = a
	p.end = func() {
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			p.t.Error(err)
		}
	}
}

func (p *provider) stop() {
	if p.app != nil {
		p.end()
		p.app = nil
	}
}

// maintain changes the provider while it does not run.
func (p *provider) maintain(change func(context.Context, *app.Maintenance) error) error {
	m, err := app.OpenMaintenance(context.Background(), p.cfg)
	if err != nil {
		return err
	}
	return errors.Join(change(context.Background(), m), m.Close())
}

// A factory is a permanent CA.
type factory struct {
	t   *testing.T
	dir string
}

func (f factory) open(do func(*app.Permanent)) {
	f.t.Helper()
	p, err := app.OpenPermanent(context.Background(), f.dir, "Factory CA")
	if err != nil {
		f.t.Fatal(err)
	}
	do(p)
	if err := p.Close(); err != nil {
		f.t.Fatal(err)
	}
}

// template is what all devices share.
func template() bundle.Bundle {
	vendor := author.VendorID("example.com")
	return bundle.Bundle{
		Hardware: bundle.Hardware{
			Manufacturer: "Example", Model: "Sensor", Serial: "1", Vendor: vendor.String(),
			Class: author.ClassID(vendor, "sensor").String(),
		},
		Firmware: bundle.Firmware{Version: "1.0.0", Sequence: 1},
	}
}

// device makes a device for a provider.
func (f factory) device(p *provider, name string) *bundle.Bundle {
	f.t.Helper()
	var made *bundle.Bundle
	f.open(func(ca *app.Permanent) {
		var err error
		if made, err = ca.Make(context.Background(), template(), name); err != nil {
			f.t.Fatal(err)
		}
	})
	return p.settings(made)
}

// settings gives a device what the provider says today.
func (p *provider) settings(b *bundle.Bundle) *bundle.Bundle {
	p.t.Helper()
	home := p.app.Home()
	b.Provider = &home
	return b
}

// certify certifies the provider's issuing CA.
func (f factory) certify(p *provider) {
	f.t.Helper()
	err := p.maintain(func(ctx context.Context, m *app.Maintenance) error {
		request, err := m.Request(ctx)
		if err != nil {
			return err
		}
		var chain string
		f.open(func(ca *app.Permanent) {
			if chain, err = ca.Certify(ctx, request); err != nil {
				f.t.Fatal(err)
			}
		})
		return m.Install(ctx, []byte(chain))
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// own registers a device whose factory certificate is under a CA that is listed.
func (p *provider) own(b *bundle.Bundle) {
	p.t.Helper()
	ctx := context.Background()
	block, _ := pem.Decode([]byte(b.Factory.Chain[0]))
	if _, err := p.app.CA().GrantRight(ctx, est.Grant{FactoryDER: block.Bytes}); err != nil {
		p.t.Fatal(err)
	}
	hash := est.Hash(transfer.HashOf(block.Bytes))
	if _, err := p.app.CA().OpenRight(ctx, hash, est.Hash{}); err != nil {
		p.t.Fatal(err)
	}
	d := fleet.Device{
		ID: fleet.ID(b.Endpoint), Endpoint: lwm2m.Endpoint(b.Endpoint), Factory: fleet.Factory(hash), Ownership: fleet.Owned,
		CreatedAt: time.Now(),
	}
	if err := p.app.DB().Devices().Put(ctx, d, "test", "test"); err != nil {
		p.t.Fatal(err)
	}
}

// run runs a device with its memory in dir until it has registered, renewed before
// that if asked to.
func run(t *testing.T, b *bundle.Bundle, dir string, renew bool) {
	t.Helper()
	seen := map[sim.Kind]chan struct{}{sim.Registered: make(chan struct{}, 64), sim.Renewed: make(chan struct{}, 64)}
	o := sim.Options{
		StateDir: dir, AckTimeout: 500 * time.Millisecond, RetryFirst: 50 * time.Millisecond, NoSync: true,
		Events: func(e sim.Event) {
			t.Logf("%s: %s %s %s", b.Endpoint, e.Kind, e.Detail, e.Error)
			if c := seen[e.Kind]; c != nil {
				select {
				case c <- struct{}{}:
				default:
				}
			}
		},
	}
	if renew {
		o.RenewBefore = 2 * 365 * 24 * time.Hour // always
	}
	device, err := sim.New(b, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- device.Run(ctx) }()
	wait := []sim.Kind{sim.Registered}
	if renew {
		wait = append(wait, sim.Renewed)
	}
	for _, kind := range wait {
		select {
		case <-seen[kind]:
		case <-time.After(time.Minute):
			t.Errorf("%s: not %s", b.Endpoint, kind)
		}
	}
	cancel()
	<-done
}

// verify checks with openssl that the device's newest certificate is below one of
// the anchors that it was given.
func (p *provider) verify(b *bundle.Bundle) {
	p.t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		p.t.Log("openssl is not installed")
		return
	}
	records, err := p.app.CA().List(context.Background(), est.Query{
		Kind: est.KindOperational, Status: est.StatusValid, Name: b.Endpoint, Limit: 1,
	})
	if err != nil || len(records) != 1 {
		p.t.Fatalf("%d certificates of %s, %v", len(records), b.Endpoint, err)
	}
	dir := p.t.TempDir()
	file := func(name string, certs ...[]byte) string {
		var text []byte
		for _, der := range certs {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			p.t.Fatal(err)
		}
		return path
	}
	// OpenSSL takes the first issuer that fits: those above, then what leads from one
	// CA to another, are ways of their own.
	var roots [][]byte
	var straight, links [][]byte
	chain := p.app.CA().Chain()
	for _, c := range p.app.CA().Published() {
		switch {
		case c.CheckSignatureFrom(c) == nil:
			roots = append(roots, c.Raw)
		case slices.ContainsFunc(chain, c.Equal):
			straight = append(straight, c.Raw)
		default:
			links = append(links, c.Raw)
		}
	}
	leaf := file("leaf.pem", records[0].DER)
	check := func(what string, anchors [][]byte, flags ...string) {
		var errs []error
		for _, between := range [][][]byte{slices.Concat(straight, links), slices.Concat(links, straight)} {
			between = append(between, records[0].DER) // OpenSSL wants one at least
			args := append([]string{
				"verify", "-x509_strict", "-CAfile", file("anchors.pem", anchors...),
				"-untrusted", file("between.pem", between...),
			}, flags...)
			out, err := exec.Command("openssl", append(args, leaf)...).CombinedOutput()
			if err == nil {
				return
			}
			errs = append(errs, fmt.Errorf("openssl verify: %w: %s", err, out))
		}
		p.t.Errorf("%s: %v", what, errors.Join(errs...))
	}
	for _, root := range roots {
		check("under a root", [][]byte{root})
	}
	var anchors [][]byte
	for _, a := range b.Provider.Anchors {
		block, _ := pem.Decode([]byte(a.Certificate))
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && c.IsCA {
			anchors = append(anchors, c.Raw)
		}
	}
	check("under the device's anchors", anchors, "-partial_chain")
}

func set(h config.Hierarchy) func(*config.Options) {
	return func(o *config.Options) { o.CA.Hierarchy = h }
}

// TestHierarchies leads devices through each of the four: an own root; below a
// permanent CA; two of those; one CA that is all.
func TestHierarchies(t *testing.T) {
	f := factory{t, t.TempDir()}
	var root string
	f.open(func(ca *app.Permanent) { root = ca.Root() })
	block, _ := pem.Decode([]byte(root))
	live := func(p *provider, f factory, name string) {
		p.start()
		if p.cfg.CA.Hierarchy == "" {
			if err := p.app.CA().TrustFactoryCA(t.Context(), block.Bytes); err != nil {
				t.Fatal(err)
			}
		}
		b := f.device(p, name)
		p.own(b)
		run(t, b, t.TempDir(), false)
		p.verify(b)
	}
	own := newProvider(t, "Own")
	live(own, f, "own-1")
	if n := len(own.app.CA().Chain()); n != 2 {
		t.Errorf("own: a chain of %d, want 2", n)
	}
	for _, name := range []string{"Alpha", "Beta"} {
		p := newProvider(t, name, set(config.HierarchySubordinate))
		if _, err := app.New(t.Context(), p.cfg, slog.New(slog.DiscardHandler)); !errors.Is(err, app.ErrNoCA) {
			t.Errorf("%s: a start without a certificate: %v, want ErrNoCA", name, err)
		}
		f.certify(p)
		live(p, f, name+"-1")
		if chain := p.app.CA().Chain(); len(chain) != 2 || string(chain[1].Raw) != string(block.Bytes) {
			t.Errorf("%s is not below the permanent CA", name)
		}
	}
	// The factory's own directory serves; its devices were made before or are after.
	all := newProvider(t, "All", set(config.HierarchySingle))
	f = factory{t, all.cfg.Data}
	f.open(func(*app.Permanent) {})
	all.start()
	all.stop()
	single := func(name string) {
		var b *bundle.Bundle
		f.open(func(ca *app.Permanent) {
			var err error
			if b, err = ca.Make(t.Context(), template(), name); err != nil {
				t.Fatal(err)
			}
		})
		all.start()
		defer all.stop()
		b = all.settings(b)
		all.own(b)
		run(t, b, t.TempDir(), false)
		all.verify(b)
		if n := len(all.app.CA().Chain()); n != 1 {
			t.Errorf("single: a chain of %d, want 1", n)
		}
	}
	single("all-1")
	single("all-2")
}
