package sim_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/server"
	"steward/lwm2m/transport"
	"steward/objects"
	"steward/transfer"
)

const endpoint = "dev1"

var (
	transferBase    = lwm2m.NewPath(objects.DefaultIDs.Transfer, 0)
	transferMessage = transferBase.Child(objects.TransferMessage)
	transferReceipt = transferBase.Child(objects.TransferReceipt)
	transferState   = transferBase.Child(objects.TransferState)
	transferEpoch   = transferBase.Child(objects.TransferEpoch)
)

// A move is the hand-over of one device from alpha to beta, led by the test.
type move struct {
	t           *testing.T
	f           *factory
	alpha, beta *provider
	b           *bundle.Bundle
	grace       uint64
	dir         string // of the device's state

	message *transfer.Signed[transfer.Message]
	ready   *transfer.Signed[transfer.Receipt]
}

// operational looks a certificate up in the inventory of a provider.
func operational(t *testing.T, p *provider, hash transfer.Hash) *x509.Certificate {
	t.Helper()
	record, err := p.ca.Lookup(t.Context(), est.Hash(hash))
	if err != nil {
		t.Fatalf("%s: certificate of the receipt: %v", p.name, err)
	}
	c, err := record.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// receipt verifies a receipt in which the device has a certificate of p.
func (m *move) receipt(p *provider, raw []byte) *transfer.Signed[transfer.Receipt] {
	m.t.Helper()
	unproven, err := transfer.ParseReceipt(raw)
	if err != nil {
		m.t.Fatalf("receipt: %v", err)
	}
	var certificate *x509.Certificate
	if !unproven.Body.Operational.IsZero() {
		certificate = operational(m.t, p, unproven.Body.Operational)
	}
	signed, err := transfer.VerifyReceipt(raw, m.f.certificate(m.b), certificate)
	if err != nil {
		m.t.Fatalf("receipt: %v", err)
	}
	return signed
}

// stage brings beta's anchors to the device.
func (m *move) stage() {
	m.t.Helper()
	var have []transfer.Anchor
	instances := map[uint16][]lwm2m.Entry{}
	for _, e := range m.alpha.readAll(endpoint, lwm2m.NewPath(objects.DefaultIDs.Truststore)) {
		instances[e.Path.ID(1)] = append(instances[e.Path.ID(1)], e)
	}
	for id, entries := range instances {
		a, err := objects.DecodeTruststore(lwm2m.NewPath(objects.DefaultIDs.Truststore, id), entries)
		if err != nil {
			m.t.Fatal(err)
		}
		have = append(have, transfer.Anchor{
			Instance: id, Certificate: a.Certificate, Purposes: transfer.Purposes(a.Purposes),
			Domain: transfer.Domain(a.Domain),
		})
	}
	var own []transfer.Thumbprint
	for _, a := range m.alpha.anchors() {
		own = append(own, transfer.ThumbprintOf(a.der))
	}
	var want []transfer.OfferCertificate
	for _, a := range m.beta.anchors() {
		want = append(want, transfer.OfferCertificate{Certificate: a.der, Purposes: a.purposes})
	}
	for _, change := range transfer.PlanTruststore(have, own, want) {
		if change.Do != transfer.OpCreate {
			m.t.Fatalf("plan: %+v", change)
		}
		a := objects.Anchor{Certificate: change.Certificate, Purposes: uint64(change.Purposes)}
		base := lwm2m.NewPath(objects.DefaultIDs.Truststore, uint16(10+len(have)))
		have = append(have, transfer.Anchor{})
		_, err := m.alpha.srv.Create(m.t.Context(), endpoint, base.Object(), int(base.ID(1)), a.Entries(base))
		if err != nil {
			m.t.Fatalf("create %v: %v", base, err)
		}
	}
}

// build makes the message.
func (m *move) build() []byte {
	m.t.Helper()
	d := transfer.Destination{
		UpdateURI: m.beta.uri() + "/update", EnrollURI: m.beta.uri(), ServerURI: m.beta.uri(),
		Account: transfer.Account{SSID: 2, Lifetime: 60}, Grace: &m.grace,
	}
	for _, a := range m.beta.anchors() {
		d.Anchors = append(d.Anchors, transfer.AnchorRef{Thumbprint: transfer.ThumbprintOf(a.der), Purposes: a.purposes})
	}
	destination, err := d.Encode()
	if err != nil {
		m.t.Fatal(err)
	}
	now := time.Now()
	epoch, _ := m.alpha.read(endpoint, transferEpoch).Uint()
	raw, err := transfer.Message{
		Issuer: "alpha", Subject: endpoint, Audience: "beta", ID: bytes.Repeat([]byte{7}, 16),
		Expires: transfer.SecondsOf(now.Add(time.Hour)), NotBefore: transfer.SecondsOf(now.Add(-time.Minute)),
		MessageTerms: transfer.MessageTerms{
			Destination: destination, FallbackURI: m.alpha.uri(), FallbackEnrollURI: m.alpha.uri(), Epoch: epoch + 1,
			Offer: transfer.HashOf([]byte("offer")), Factory: transfer.HashOf(m.f.certificate(m.b).Raw),
		},
	}.Sign(m.alpha.signer)
	if err != nil {
		m.t.Fatal(err)
	}
	if m.message, err = transfer.ParseMessage(raw); err != nil {
		m.t.Fatal(err)
	}
	return raw
}

// order returns the arguments of an Execute.
func (m *move) order() string {
	return transfer.OrderOf(uint32(m.message.Body.Epoch), m.message.Hash).String()
}

// prepare brings the device to READY, and the right at beta to the key of its receipt.
func (m *move) prepare() {
	m.t.Helper()
	m.stage()
	if err := m.alpha.write(transferMessage, lwm2m.Opaque(m.build())); err != nil {
		m.t.Fatalf("write the message: %v", err)
	}
	m.ready = m.receipt(m.alpha, m.alpha.read(endpoint, transferReceipt).Bytes())
	if m.ready.Body.State != transfer.Ready || m.ready.Body.Message != m.message.Hash {
		m.t.Fatalf("receipt = %s of %v", m.ready.Body.State, m.ready.Body.Message)
	}
	m.f.grant(m.beta, m.b)
	if _, err := m.beta.ca.NoteSPKI(m.t.Context(), m.f.hash(m.b), est.Hash(m.ready.Body.SPKI)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *move) commit() {
	m.t.Helper()
	commit := transferBase.Child(objects.TransferCommit)
	if err := m.alpha.srv.Execute(m.t.Context(), endpoint, commit, m.order()); err != nil {
		m.t.Fatalf("commit: %v", err)
	}
	if _, err := m.alpha.ca.SuspendRight(m.t.Context(), m.f.hash(m.b)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *move) open() {
	m.t.Helper()
	if _, err := m.beta.ca.OpenRight(m.t.Context(), m.f.hash(m.b), est.Hash(m.ready.Body.SPKI)); err != nil {
		m.t.Fatal(err)
	}
}

// awaitState reads the state at p until it is want.
func (m *move) awaitState(p *provider, want transfer.DeviceState) {
	m.t.Helper()
	p.awaitInt(endpoint, transferState, int64(want.Number()))
}

// finish reads the DONE receipt at beta and finalises.
func (m *move) finish() {
	m.t.Helper()
	m.awaitState(m.beta, transfer.Done)
	done := m.receipt(m.beta, m.beta.read(endpoint, transferReceipt).Bytes())
	if err := done.Body.Follows(m.ready); err != nil {
		m.t.Error(err)
	}
	finalise := transferBase.Child(objects.TransferFinalise)
	if err := m.beta.srv.Execute(m.t.Context(), endpoint, finalise, m.order()); err != nil {
		m.t.Fatalf("finalise: %v", err)
	}
	m.awaitState(m.beta, transfer.Finalised)
	final := m.receipt(m.beta, m.beta.read(endpoint, transferReceipt).Bytes())
	if err := final.Body.Follows(done); err != nil {
		m.t.Error(err)
	}
	if _, err := m.alpha.ca.DeleteRight(m.t.Context(), m.f.hash(m.b), est.CessationOfOperation); err != nil {
		m.t.Fatal(err)
	}
}

// newMove makes two providers and a device of alpha that runs in dir.
func newMove(t *testing.T, grace uint64) *move {
	t.Helper()
	m := &move{
		t: t, alpha: newProvider(t, "alpha"), beta: newProvider(t, "beta"), f: newFactory(t), grace: grace,
		dir: t.TempDir(),
	}
	m.b = m.f.device(endpoint, m.alpha)
	return m
}

// refused dials p with a certificate and reports whether the handshake was refused.
func refused(t *testing.T, p *provider, certificate *tls.Certificate) bool {
	t.Helper()
	engine := coap.New(coap.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := transport.Dial(ctx, transport.DialOptions{
		URI: p.uri(), Engine: engine, FlightInterval: 100 * time.Millisecond,
		Client: dtls.ClientOptions{Certificate: certificate, Verify: func([][]byte) error { return nil }},
	})
	if err != nil {
		return true
	}
	_ = conn.Close()
	return false
}

func TestTransfer(t *testing.T) {
	t.Parallel()
	m := newMove(t, 60)
	o := options(m.dir)
	o.KeepOldKeys = true
	r := start(t, m.b, o)
	r.await(sim.Registered)
	m.plant()
	m.prepare()
	if err := m.alpha.write(firmwareURI, lwm2m.String("coaps://x")); err == nil {
		t.Error("firmware can be written in READY")
	}
	m.commit()
	r.await(sim.Committed)
	r.await(sim.Wiped)
	r.await(sim.Enrolling)
	if e := r.await(sim.Retrying); e.State != string(transfer.Enrolling) { // the right is closed
		t.Errorf("retrying in %s: %s", e.State, e.Error)
	}
	m.open()
	r.await(sim.Done)
	m.finish()
	r.await(sim.Finalised)

	if got := m.beta.read(endpoint, lwm2m.NewPath(3, 0, 15)).Text(); got != "UTC" {
		t.Errorf("beta reads %q of alpha's data", got)
	}
	state, err := sim.Inspect(m.dir, m.b)
	if err != nil {
		t.Fatal(err)
	}
	if state.State != transfer.Finalised || state.Epoch != 1 || state.Home.ServerURI != m.beta.uri() {
		t.Errorf("Inspect = %s, epoch %d, %s", state.State, state.Epoch, state.Home.ServerURI)
	}
	if state.OldKey == nil || !refused(t, m.alpha, state.OldKey) {
		t.Error("alpha admits the old key")
	}
	key, chain, err := m.b.FactoryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if !refused(t, m.alpha, &tls.Certificate{Certificate: chain, PrivateKey: key}) {
		t.Error("alpha admits the factory key")
	}
	m.checkWiped(state.OldKey)
	for _, c := range state.Counts {
		t.Logf("%-16s %-22s %5d sent %5d received", c.Host, c.Phase, c.SentBytes, c.ReceivedBytes)
	}

	// Beta's signer counts now, and alpha's does not.
	for _, row := range []struct {
		signer transfer.Signer
		kind   sim.Kind
	}{{m.alpha.suit, sim.UpdateFailed}, {m.beta.suit, sim.Downloaded}} {
		if err := m.beta.write(firmwareURI, lwm2m.String("")); err != nil {
			t.Fatal(err)
		}
		if err := m.beta.write(firmwarePackage, lwm2m.Opaque(manifest(t, row.signer, "3", 3, ""))); err != nil {
			t.Fatal(err)
		}
		r.await(row.kind)
	}
	if err := m.beta.srv.Execute(t.Context(), endpoint, firmwareUpdate, ""); err != nil {
		t.Fatal(err)
	}
	if e := r.await(sim.Updated); e.Sequence != 3 {
		t.Errorf("updated to %d", e.Sequence)
	}
}

const canary = "Canary/Alpha"

// plant writes something of alpha's to the device.
func (m *move) plant() {
	m.t.Helper()
	if err := m.alpha.write(lwm2m.NewPath(3, 0, objects.DeviceTimezone), lwm2m.String(canary)); err != nil {
		m.t.Fatal(err)
	}
}

// checkWiped looks for what was alpha's in the device's memory: data, and the old
// key if it was kept aside.
func (m *move) checkWiped(old *tls.Certificate) {
	m.t.Helper()
	raw, err := os.ReadFile(filepath.Join(m.dir, endpoint+".state"))
	if err != nil {
		m.t.Fatal(err)
	}
	if bytes.Contains(raw, []byte(canary)) {
		m.t.Error("the device's memory holds alpha's data")
	}
	if old == nil {
		return
	}
	key, err := x509.MarshalPKCS8PrivateKey(old.PrivateKey)
	if err != nil {
		m.t.Fatal(err)
	}
	if bytes.Contains(raw, key) {
		m.t.Error("the device's memory holds the old key")
	}
}

func TestTransferIsRefused(t *testing.T) {
	t.Parallel()
	m := newMove(t, 60)
	r := start(t, m.b, options(t.TempDir()))
	r.await(sim.Registered)
	err := m.alpha.write(transferMessage, lwm2m.Opaque(m.build())) // nothing is staged
	if e, ok := errors.AsType[*server.ResponseError](err); !ok || e.Code != coap.BadRequest {
		t.Errorf("write = %v, want 4.00", err)
	}
	r.await(sim.Refused)
	if got, _ := m.alpha.read(endpoint, transferBase.Child(objects.TransferError)).Int(); got != 7 {
		t.Errorf("error = E%d, want E7", got)
	}
	m.prepare()
	abort := transferBase.Child(objects.TransferAbort)
	if err := m.alpha.srv.Execute(t.Context(), endpoint, abort, m.order()); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Expired)
	m.awaitState(m.alpha, transfer.Expired)
}

// fallback leads a committed device back to alpha.
func (m *move) fallback() {
	m.t.Helper()
	var raw []byte
	for deadline := time.Now().Add(patience); raw == nil; m.alpha.pause() {
		if time.Now().After(deadline) {
			m.t.Fatal("no FALLBACK receipt")
		}
		for p := range m.alpha.listener.Peers() {
			if p.Identity().Role != coap.RoleFactory {
				continue
			}
			response, err := m.alpha.engine.Do(m.t.Context(), p, &coap.Request{
				Method: coap.GET, Path: transferReceipt.Segments(), Accept: coap.FormatID(42),
			})
			if err == nil && response.Code == coap.Content {
				raw = response.Payload
			}
		}
	}
	receipt := m.receipt(m.alpha, raw)
	if receipt.Body.State != transfer.InFall {
		m.t.Fatalf("receipt of %s", receipt.Body.State)
	}
	if err := receipt.Body.Follows(m.ready); err != nil {
		m.t.Error(err)
	}
	if _, err := m.alpha.ca.ReopenRight(m.t.Context(), m.f.hash(m.b), est.Hash(receipt.Body.SPKI)); err != nil {
		m.t.Fatal(err)
	}
	m.awaitState(m.alpha, transfer.FellBack)
	back := m.receipt(m.alpha, m.alpha.read(endpoint, transferReceipt).Bytes())
	if err := back.Body.Follows(receipt); err != nil {
		m.t.Error(err)
	}
}

func TestFallback(t *testing.T) {
	t.Parallel()
	m := newMove(t, 1)
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.prepare()
	m.beta.stop()
	m.commit()
	r.await(sim.FallingBack)
	m.fallback()
	r.await(sim.FellBack)
	state, err := sim.Inspect(m.dir, m.b)
	if err != nil || state.State != transfer.FellBack || state.Home.ServerURI != m.alpha.uri() {
		t.Errorf("Inspect = %+v, %v", state, err)
	}
	// The way is open for the next attempt, and alpha's signers count again.
	m.beta.start()
	if err := m.alpha.write(firmwarePackage, lwm2m.Opaque(manifest(t, m.alpha.suit, "2", 2, ""))); err != nil {
		t.Fatal(err)
	}
	r.await(sim.Downloaded)
}

func TestRefusalAtTheNewProviderFallsBack(t *testing.T) {
	t.Parallel()
	m := newMove(t, 3600)
	r := start(t, m.b, options(t.TempDir()))
	r.await(sim.Registered)
	m.prepare()
	if _, err := m.beta.ca.CloseRight(t.Context(), m.f.hash(m.b)); err != nil {
		t.Fatal(err)
	}
	other := est.Hash(transfer.HashOf([]byte("another key")))
	if _, err := m.beta.ca.NoteSPKI(t.Context(), m.f.hash(m.b), other); err != nil {
		t.Fatal(err)
	}
	if _, err := m.beta.ca.OpenRight(t.Context(), m.f.hash(m.b), other); err != nil {
		t.Fatal(err)
	}
	m.commit()
	r.await(sim.FallingBack)
	m.fallback()
}

// cutter cuts the power at the nth write after it was armed.
type cutter struct{ left atomic.Int64 }

func (c *cutter) cut() bool { return c.left.Load() > 0 && c.left.Add(-1) == 0 }

// keepRunning runs a device and starts it again after each power cut.
func keepRunning(t *testing.T, b *bundle.Bundle, o sim.Options) (cuts *atomic.Int64) {
	t.Helper()
	cuts = &atomic.Int64{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			d, err := sim.New(b, o)
			if err != nil {
				t.Error(err)
				return
			}
			err = d.Run(ctx)
			if errors.Is(err, sim.ErrPowerCut) {
				cuts.Add(1)
				continue
			}
			if err != nil {
				t.Errorf("Run = %v", err)
			}
			return
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return cuts
}

func TestEnrolmentSurvivesAPowerCutAtEveryWrite(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	for n := int64(1); ; n++ {
		name := endpoint + "-" + string(rune('a'+n))
		c := &cutter{}
		c.left.Store(n)
		o := options(t.TempDir())
		o.PowerCut = c.cut
		cuts := keepRunning(t, f.device(name, alpha), o)
		e := alpha.await(server.Registered, lwm2m.Path{})
		if string(e.Device) != name {
			t.Fatalf("write %d: %s registered", n, e.Device)
		}
		if cuts.Load() == 0 {
			t.Logf("an enrolment takes %d writes", n-1)
			break
		}
	}
}

func TestTransferSurvivesAPowerCutAtEveryWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("a transfer for each write of one")
	}
	t.Parallel()
	for n := int64(1); ; n++ {
		m, c := newMove(t, 3600), &cutter{}
		o := options(m.dir)
		o.PowerCut = c.cut
		cuts := keepRunning(t, m.b, o)
		m.alpha.await(server.Registered, lwm2m.Path{})
		m.plant()
		m.prepare()
		m.open()
		c.left.Store(n)
		m.insist(m.alpha, objects.TransferCommit, transfer.Ready)
		m.awaitState(m.beta, transfer.Done)
		m.insist(m.beta, objects.TransferFinalise, transfer.Done)
		m.awaitState(m.beta, transfer.Finalised)
		final := m.receipt(m.beta, m.beta.read(endpoint, transferReceipt).Bytes())
		if final.Body.State != transfer.Finalised || final.Body.SPKI != m.ready.Body.SPKI {
			t.Fatalf("write %d: receipt of %s", n, final.Body.State)
		}
		m.checkWiped(nil)
		if cuts.Load() == 0 {
			t.Logf("a transfer takes %d writes", n-1)
			break
		}
	}
}

// insist executes a resource until it was answered or the device has left state.
func (m *move) insist(p *provider, resource uint16, state transfer.DeviceState) {
	m.t.Helper()
	for deadline := time.Now().Add(patience); ; p.pause() {
		err := p.srv.Execute(m.t.Context(), endpoint, transferBase.Child(resource), m.order())
		if err == nil || time.Now().After(deadline) {
			return
		}
		s, err := sim.Inspect(m.dir, m.b)
		if err == nil && s.State != state {
			return
		}
	}
}
