package app_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/bundle"
	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/est"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// A fleetOf is a provider with a factory and devices that know what they knew when
// they were made.
type fleetOf struct {
	*provider

	factory factory
	devices map[string]*bundle.Bundle
	memory  map[string]string
}

func newFleet(t *testing.T, p *provider) *fleetOf {
	t.Helper()
	return &fleetOf{p, factory{t, t.TempDir()}, map[string]*bundle.Bundle{}, map[string]string{}}
}

// add makes a device and lets it enrol.
func (f *fleetOf) add(name string) {
	f.t.Helper()
	f.factory.open(func(ca *app.Permanent) {
		chain, err := app.ParseCertificates([]byte(ca.Root()))
		if err != nil {
			f.t.Fatal(err)
		}
		if err := f.app.CA().TrustFactoryCA(f.t.Context(), chain[0].Raw); err != nil {
			f.t.Fatal(err)
		}
	})
	b := f.factory.device(f.provider, name)
	f.own(b)
	f.devices[name], f.memory[name] = b, f.t.TempDir()
	run(f.t, b, f.memory[name], false)
}

// all has each device connect anew and renew its certificate.
func (f *fleetOf) all() {
	f.t.Helper()
	for name, b := range f.devices {
		run(f.t, b, f.memory[name], true)
		f.verify(b)
	}
}

// step changes the provider while it does not run, and starts it again.
func (f *fleetOf) step(purpose keys.Name, do func(*app.Maintenance, context.Context, keys.Name) error) {
	f.t.Helper()
	f.stop()
	err := f.maintain(func(ctx context.Context, m *app.Maintenance) error { return do(m, ctx, purpose) })
	if err != nil {
		f.t.Fatal(err)
	}
	f.start()
}

func (f *fleetOf) refused(purpose keys.Name, do func(*app.Maintenance, context.Context, keys.Name) error) {
	f.t.Helper()
	f.stop()
	err := f.maintain(func(ctx context.Context, m *app.Maintenance) error { return do(m, ctx, purpose) })
	if !errors.Is(err, est.ErrRollover) {
		f.t.Errorf("%s: %v, want ErrRollover", purpose, err)
	}
	f.start()
}

func (f *fleetOf) issuers(server string, names ...string) {
	f.t.Helper()
	var got []string
	for _, a := range f.app.CA().Authorities() {
		got = append(got, a.Certificate.Subject.CommonName)
	}
	if !slices.Equal(got, names) || f.app.ServerIssuer() != server {
		f.t.Errorf("authorities %q, the server by %q, want %q and %q", got, f.app.ServerIssuer(), names, server)
	}
	for _, a := range f.app.CA().Authorities() {
		crl, err := f.app.CA().CRL(f.t.Context(), est.CRLScope{Issuer: a.Hash()}, time.Hour)
		if err != nil {
			f.t.Errorf("CRL of %s: %v", a.Certificate.Subject, err)
			continue
		}
		parsed, err := x509.ParseRevocationList(crl.DER)
		if err != nil || parsed.CheckSignatureFrom(a.Certificate) != nil {
			f.t.Errorf("CRL of %s is not its own: %v", a.Certificate.Subject, err)
		}
	}
}

// known checks with openssl that who trusts one of the certificates only accepts
// what our server shows.
func (f *fleetOf) known(when string, anchors ...*x509.Certificate) {
	f.t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		f.t.Log("openssl is not installed")
		return
	}
	dir := f.t.TempDir()
	file := func(name string, ders ...[]byte) string {
		var text []byte
		for _, der := range ders {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			f.t.Fatal(err)
		}
		return path
	}
	chain := f.app.ServerChain()
	leaf, between := file("leaf.pem", chain[0]), file("between.pem", chain...)
	for _, anchor := range anchors {
		out, err := exec.CommandContext(f.t.Context(), "openssl", "verify", "-x509_strict", "-partial_chain",
			"-CAfile", file("anchor.pem", anchor.Raw), "-untrusted", between, leaf).CombinedOutput()
		if err != nil {
			f.t.Errorf("%s, of %d certificates, under %s %x: %v: %s", when, len(chain), anchor.Subject,
				anchor.SubjectKeyId, err, out)
		}
	}
}

// TestRolloverIssuing rolls the issuing CA over: devices made before, during and
// after connect and renew at each point.
func TestRolloverIssuing(t *testing.T) {
	f := newFleet(t, newProvider(t, "Alpha"))
	f.start()
	f.add("before")
	f.refused(keys.Issuing, (*app.Maintenance).Finish)
	f.refused(keys.Issuing, (*app.Maintenance).Withdraw)
	f.issuers("Alpha Issuing CA", "Alpha Issuing CA")
	first, root := f.app.CA().Certificate(), f.app.CA().Root()
	f.step(keys.Issuing, (*app.Maintenance).Begin)
	f.issuers("Alpha Issuing CA", "Alpha Issuing CA 2", "Alpha Issuing CA")
	f.known("during", first, root)
	f.refused(keys.Issuing, (*app.Maintenance).Begin)
	f.add("during")
	f.all()
	f.step(keys.Issuing, (*app.Maintenance).Finish)
	f.issuers("Alpha Issuing CA 2", "Alpha Issuing CA 2", "Alpha Issuing CA")
	f.add("after")
	f.all()
	f.known("afterwards", first, f.app.CA().Certificate(), root)
	f.stop()
	f.start() // nothing of it was in memory only
	f.issuers("Alpha Issuing CA 2", "Alpha Issuing CA 2", "Alpha Issuing CA")
	f.step(keys.Issuing, (*app.Maintenance).Begin)
	f.step(keys.Issuing, (*app.Maintenance).Withdraw)
	f.issuers("Alpha Issuing CA 2", "Alpha Issuing CA 2", "Alpha Issuing CA 3", "Alpha Issuing CA")
}

// TestRolloverRoot rolls the root over, and the issuing CA with it.
func TestRolloverRoot(t *testing.T) {
	f := newFleet(t, newProvider(t, "Alpha"))
	f.start()
	f.add("before")
	old, first := f.app.CA().Root(), f.app.CA().Certificate()
	f.step(keys.Root, (*app.Maintenance).Begin)
	if n := len(f.app.CA().Published()); n != 5 {
		t.Errorf("/crts has %d certificates, want both roots, two between them, and the issuing CA", n)
	}
	f.add("new root")
	f.refused(keys.Root, (*app.Maintenance).Finish) // the issuing CA is below the old one
	f.step(keys.Issuing, (*app.Maintenance).Begin)
	f.refused(keys.Root, (*app.Maintenance).Finish)
	f.refused(keys.Root, (*app.Maintenance).Withdraw)
	f.add("both")
	f.all()
	f.step(keys.Issuing, (*app.Maintenance).Finish)
	f.all()
	f.step(keys.Root, (*app.Maintenance).Finish)
	f.add("after")
	f.all()
	f.known("afterwards", first, f.app.CA().Certificate(), f.app.CA().Root(), old)
	if root := f.app.CA().Root(); root.Equal(old) || root.Subject.CommonName != old.Subject.CommonName {
		t.Errorf("the root is %s still", root.Subject)
	}
}

// TestRolloverBelow rolls over an issuing CA that a permanent CA certifies.
func TestRolloverBelow(t *testing.T) {
	f := newFleet(t, newProvider(t, "Beta", set(config.HierarchySubordinate)))
	f.factory.certify(f.provider)
	f.start()
	f.add("before")
	f.refused(keys.Issuing, (*app.Maintenance).Begin)
	f.stop()
	f.factory.certify(f.provider)
	f.start()
	f.issuers("Beta Issuing CA", "Beta Issuing CA 2", "Beta Issuing CA")
	f.add("during")
	f.all()
	f.step(keys.Issuing, (*app.Maintenance).Finish)
	f.issuers("Beta Issuing CA 2", "Beta Issuing CA 2", "Beta Issuing CA")
	f.add("after")
}

// TestRotate gives each other purpose a new key.
func TestRotate(t *testing.T) {
	f := newFleet(t, newProvider(t, "Alpha"))
	f.start()
	f.add("before")
	signer := func() string {
		_, cert := f.app.SUIT()
		return string(cert)
	}
	first := signer()
	f.step(keys.SUIT, (*app.Maintenance).Begin)
	if signer() != first {
		t.Error("the next key of suit signs already")
	}
	anchors := 0
	for _, a := range f.app.Home().Anchors {
		if slices.Equal(a.Purposes, bundle.NewAnchor(nil, transfer.SUITSigner).Purposes) {
			anchors++
		}
	}
	if anchors != 2 {
		t.Errorf("%d anchors for signers of manifests, want the present and the next", anchors)
	}
	f.step(keys.SUIT, (*app.Maintenance).Finish)
	if signer() == first {
		t.Error("the present key of suit signs still")
	}
	for _, purpose := range []keys.Name{keys.Server, keys.Report} {
		f.step(purpose, (*app.Maintenance).Begin)
	}
	f.announced()
	f.all()
	f.stop()
	err := f.maintain(func(ctx context.Context, m *app.Maintenance) error {
		lines, err := m.Keys(ctx)
		states := map[string]string{}
		for _, l := range lines {
			states[l.Purpose] += " " + l.State
		}
		for _, purpose := range []keys.Name{keys.Server, keys.Peer, keys.Report, keys.SUIT} {
			if states[string(purpose)] != " past active" {
				t.Errorf("%s: %s, want past and active", purpose, states[string(purpose)])
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	f.refused("nonsense", (*app.Maintenance).Begin)
}

// announced rotates the keys that partners have pinned: the identity file announces them
// between the two steps, and has them in place of the former ones afterwards.
func (f *fleetOf) announced() {
	f.t.Helper()
	identity := func() coordinator.Identity {
		file, err := f.app.PeerIdentity()
		if err != nil {
			f.t.Fatal(err)
		}
		i, err := coordinator.ParseIdentity(file)
		if err != nil {
			f.t.Fatal(err)
		}
		return i
	}
	before := identity()
	f.step(keys.Peer, (*app.Maintenance).Begin)
	f.step(keys.Transfer, (*app.Maintenance).Begin)
	said := identity()
	if said.TLS != before.TLS || said.Signing != before.Signing || said.NextTLS == "" || said.NextSigning == "" ||
		before.NextTLS+before.NextSigning != "" {
		f.t.Errorf("announced: %+v, before: %+v", said, before)
	}
	f.step(keys.Peer, (*app.Maintenance).Finish)
	f.step(keys.Transfer, (*app.Maintenance).Finish)
	after := identity()
	if after.TLS != said.NextTLS || after.Signing != said.NextSigning || after.NextTLS+after.NextSigning != "" {
		f.t.Errorf("afterwards: %+v, announced: %+v", after, said)
	}
}

// TestRolloverCrash ends the process at each step of a roll-over: what was made is
// no part of the CA until the last, and is used when it is asked for again.
func TestRolloverCrash(t *testing.T) {
	errPower := errors.New("power cut")
	for _, purpose := range []keys.Name{keys.Issuing, keys.Root, keys.SUIT} {
		t.Run(string(purpose), func(t *testing.T) {
			p := newProvider(t, "Alpha")
			p.start()
			before := p.app.CA().Published()
			p.stop()
			for range 2 {
				err := p.maintain(func(ctx context.Context, m *app.Maintenance) error {
					m.BreakKeys(errPower)
					return m.Begin(ctx, purpose)
				})
				if !errors.Is(err, errPower) {
					t.Fatalf("Begin = %v, want the power cut", err)
				}
			}
			made := filepath.Join(p.cfg.Data, "keys", string(purpose)+"-2.pem")
			key, err := os.ReadFile(made)
			if err != nil {
				t.Fatal(err)
			}
			p.start()
			if !slices.EqualFunc(p.app.CA().Published(), before, (*x509.Certificate).Equal) {
				t.Error("what a crash left behind is published")
			}
			p.stop()
			files, err := filepath.Glob(filepath.Join(p.cfg.Data, "pki", string(purpose)+"-2*"))
			if err != nil || len(files) == 0 {
				t.Fatalf("%v, %v", files, err)
			}
			slices.SortFunc(files, func(a, b string) int { return strings.Compare(b, a) })
			for _, file := range files { // it may have ended before each of them
				if err := os.Remove(file); err != nil {
					t.Fatal(err)
				}
				err := p.maintain(func(ctx context.Context, m *app.Maintenance) error {
					m.BreakKeys(errPower)
					return m.Begin(ctx, purpose)
				})
				if !errors.Is(err, errPower) {
					t.Errorf("without %s: %v, want the power cut", filepath.Base(file), err)
				}
			}
			for _, step := range []func(*app.Maintenance, context.Context, keys.Name) error{
				(*app.Maintenance).Begin, (*app.Maintenance).Finish,
			} {
				err := p.maintain(func(ctx context.Context, m *app.Maintenance) error {
					m.BreakKeys(errPower)
					return step(m, ctx, purpose)
				})
				if purpose == keys.Root && errors.Is(err, est.ErrRollover) {
					continue // the issuing CA is below the old one
				}
				if !errors.Is(err, errPower) {
					t.Errorf("a step = %v, want the power cut", err)
				}
				p.start()
				p.stop()
				err = p.maintain(func(ctx context.Context, m *app.Maintenance) error { return step(m, ctx, purpose) })
				if err != nil {
					t.Error(err)
				}
				p.start()
				p.stop()
			}
			if again, err := os.ReadFile(made); err != nil || string(again) != string(key) {
				t.Errorf("another key was made: %v", err)
			}
		})
	}
}
