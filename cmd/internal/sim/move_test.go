package sim_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/bundle"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
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
	raURI       string // "": no attestation
	updateFirst bool
	from, until time.Time // when commits are allowed; zero: for an hour from a minute ago

	raw     []byte // of message
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
		_, err := m.alpha.srv.Create(m.t.Context(), endpoint, base.Prefix(1), int(base.ID(1)), a.Entries(base))
		if err != nil {
			m.t.Fatalf("create %v: %v", base, err)
		}
	}
}

// build makes the message for a device of alpha.
func (m *move) build() []byte {
	m.t.Helper()
	return m.buildAt(m.alpha)
}

// buildAt makes alpha's message for a device that is at p.
func (m *move) buildAt(p *provider) []byte {
	m.t.Helper()
	d := transfer.Destination{
		UpdateURI: m.beta.uri() + "/update", EnrollURI: m.beta.uri(), ServerURI: m.beta.uri(),
		Account: transfer.Account{SSID: 2, Lifetime: 60}, Grace: &m.grace, RAURI: m.raURI,
		UpdateFirst: m.updateFirst,
	}
	for _, a := range m.beta.anchors() {
		d.Anchors = append(d.Anchors, transfer.AnchorRef{Thumbprint: transfer.ThumbprintOf(a.der), Purposes: a.purposes})
	}
	destination, err := d.Encode()
	if err != nil {
		m.t.Fatal(err)
	}
	now := time.Now()
	from, until := m.from, m.until
	if until.IsZero() {
		from, until = now.Add(-time.Minute), now.Add(time.Hour)
	}
	epoch, _ := p.read(endpoint, transferEpoch).Uint()
	raw, err := transfer.Message{
		Issuer: "alpha", Subject: endpoint, Audience: "beta", ID: bytes.Repeat([]byte{7}, 16),
		Expires: transfer.SecondsOf(until), NotBefore: transfer.SecondsOf(from),
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
	m.raw = raw
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
	m.insist(m.alpha, objects.TransferCommit, transfer.Ready) // it may leave before its answer has arrived
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
	p.awaitInt(transferState, int64(want.Number()))
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
