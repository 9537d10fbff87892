package sim_test

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"encoding/base64"
	"os"
	"path/filepath"
	"testing"
	"time"

	"steward/cmd/internal/sim"
	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/lwm2m/transport"
	"steward/objects"
	"steward/transfer"
)

// memory returns the whole non-volatile memory of a device.
func memory(t *testing.T, dir, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name+".state"))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// holds reports whether a secret stands in raw, as it is or as a part of base64.
func holds(raw, secret []byte) bool {
	if bytes.Contains(raw, secret) {
		return true
	}
	for shift, skip := range []int{0, 2, 3} { // characters that depend on what stands before
		text := base64.StdEncoding.EncodeToString(append(make([]byte, shift), secret...))
		if bytes.Contains(raw, []byte(text[skip:(shift+len(secret))/3*4])) {
			return true
		}
	}
	return false
}

// refuses writes a message to a device that must refuse it by the check with that
// number, with every byte of its memory as it was.
func refuses(t *testing.T, p *provider, name, dir, what string, raw []byte, check int64) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; p.pause() {
		before := memory(t, dir, name)
		err := p.srv.Write(t.Context(), fleet.ID(name), transferMessage,
			[]lwm2m.Entry{{Path: transferMessage, Value: lwm2m.Opaque(raw)}}, server.Replace)
		if err == nil {
			t.Errorf("%s: accepted, want E%d", what, check)
			return
		}
		got, _ := p.read(fleet.ID(name), transferBase.Child(objects.TransferError)).Int()
		same := bytes.Equal(before, memory(t, dir, name))
		if got == check && same {
			return
		}
		// It may have had something of its own to write, once, or not know yet whose the
		// association is.
		if time.Now().After(deadline) {
			t.Errorf("%s: error E%d, memory unchanged: %v; want E%d and the same memory", what, got, same, check)
			return
		}
	}
}

// signedBy makes the message with another signer in alpha's place.
func (m *move) signedBy(at *provider, by transfer.Signer) []byte {
	m.t.Helper()
	own := m.alpha.signer
	m.alpha.signer = by
	defer func() { m.alpha.signer = own }()
	return m.buildAt(at)
}

// TestT1ForeignSigner is T1 of the transfer protocol (§9): a message signed by the new
// provider, while its anchor is staged, by the CA, by another partner or by the device
// itself moves nothing, over the present provider's own association.
func TestT1ForeignSigner(t *testing.T) {
	t.Parallel()
	var ca crypto.Signer
	m := &move{
		t: t, alpha: newProvider(t, "alpha", func(o *est.Options) { ca = o.Signer }), beta: newProvider(t, "beta"),
		f: newFactory(t), grace: 60, dir: t.TempDir(),
	}
	m.b = m.f.device(endpoint, m.alpha)
	third := newProvider(t, "gamma")
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.stage()
	key, chain, err := m.b.FactoryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	own := m.alpha.signer.Certificate
	for _, tt := range []struct {
		name  string
		by    transfer.Signer
		check int64
	}{
		{"the new provider, its anchor staged", m.beta.signer, 2},
		{"the new provider under the present signer's name", transfer.Signer{Key: m.beta.signer.Key, Certificate: own}, 3},
		{"the CA", transfer.Signer{Key: ca, Certificate: m.alpha.ca.Certificate().Raw}, 2},
		{"the CA under the signer's name", transfer.Signer{Key: ca, Certificate: own}, 3},
		{"the signer of manifests", m.alpha.suit, 2},
		{"another partner", third.signer, 2},
		{"the device itself", transfer.Signer{Key: key, Certificate: chain[0]}, 2},
		{"the device under the signer's name", transfer.Signer{Key: key, Certificate: own}, 3},
	} {
		refuses(t, m.alpha, endpoint, m.dir, tt.name, m.signedBy(m.alpha, tt.by), tt.check)
	}
	if err := m.alpha.write(transferMessage, lwm2m.Opaque(m.build())); err != nil {
		t.Errorf("the sound message after all that: %v", err)
	}
}

// factoryAsk opens an association with a device's factory certificate and asks the
// enrolment server for a certificate.
func factoryAsk(t *testing.T, p *provider, identity *tls.Certificate, csr []byte) coap.Code {
	t.Helper()
	engine := coap.New(coap.Options{})
	conn, err := transport.Dial(t.Context(), transport.DialOptions{
		URI: p.uri(), Engine: engine, FlightInterval: 100 * time.Millisecond,
		Client: dtls.ClientOptions{Certificate: identity, Verify: func([][]byte) error { return nil }},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const pkcs10, certificate = 286, 287
	res, err := engine.Do(t.Context(), conn, &coap.Request{
		Method: coap.POST, Path: []string{"est", "sen"}, ContentFormat: coap.FormatID(pkcs10),
		Accept: coap.FormatID(certificate), Payload: csr,
	})
	if err != nil {
		t.Fatal(err)
	}
	return res.Code
}

// TestT4MessageOfAnother is T4: the message of one device given to another, and a
// device that asks for a certificate under the right of another.
func TestT4MessageOfAnother(t *testing.T) {
	t.Parallel()
	const other = "dev2"
	m := newMove(t, 60)
	b, dir := m.f.device(other, m.alpha), t.TempDir()
	r, another := start(t, m.b, options(m.dir)), start(t, b, options(dir))
	r.await(sim.Registered)
	another.await(sim.Registered)
	m.prepare()
	refuses(t, m.alpha, other, dir, "the message of "+endpoint, m.raw, 4)

	// Both have rights at beta: that of the first is open for its key.
	m.f.grant(m.beta, b)
	m.open()
	key, chain, err := b.FactoryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	identity := &tls.Certificate{Certificate: chain, PrivateKey: key}
	for _, tt := range []struct {
		name, subject string
		want          coap.Code
	}{
		{"in the name of the other", endpoint, coap.Forbidden},
		{"in its own", other, coap.ServiceUnavailable}, // its right is not open
	} {
		if got := factoryAsk(t, m.beta, identity, esttest.CSR(t, esttest.Key(t), tt.subject)); got != tt.want {
			t.Errorf("a device asks %s: %s, want %s", tt.name, got, tt.want)
		}
	}
	if _, err := m.beta.ca.OpenRight(t.Context(), m.f.hash(b), est.Hash(m.ready.Body.SPKI)); err != nil {
		t.Fatal(err)
	}
	if got := factoryAsk(t, m.beta, identity, esttest.CSR(t, esttest.Key(t), other)); got != coap.Forbidden {
		t.Errorf("a device asks with another key than its right names: %s, want 4.03", got)
	}
	m.commit()
	r.await(sim.Done) // the right was not used up
}

// TestT10Window is T10: before the window no Execute commits, after it no message is
// taken and none commits; a device without a clock takes the Execute alone.
func TestT10Window(t *testing.T) {
	t.Parallel()
	commit := transferBase.Child(objects.TransferCommit)
	prepared := func(t *testing.T, noClock bool, from, until time.Duration) (*move, *run) {
		t.Helper()
		m := newMove(t, 60)
		m.from, m.until = time.Now().Add(from), time.Now().Add(until)
		o := options(m.dir)
		o.NoClock = noClock
		if from > 0 {
			o.Tick = time.Hour // or it writes how long it was READY, again and again
		}
		r := start(t, m.b, o)
		r.await(sim.Registered)
		m.stage()
		return m, r
	}
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		m, r := prepared(t, false, time.Hour, 2*time.Hour)
		m.write(t)
		r.await(sim.Ready)
		m.unchanged(func() {
			if err := m.alpha.srv.Execute(t.Context(), endpoint, commit, m.order()); err == nil {
				t.Error("committed before the window")
			}
		})
		m.awaitState(m.alpha, transfer.Ready)
	})
	t.Run("after", func(t *testing.T) {
		t.Parallel()
		m, _ := prepared(t, false, -2*time.Hour, -transfer.ClockSkew-time.Second)
		refuses(t, m.alpha, endpoint, m.dir, "an expired message", m.build(), 6)
	})
	t.Run("over while READY", func(t *testing.T) {
		t.Parallel()
		m, r := prepared(t, false, -2*time.Hour, time.Hour)
		for left := 5 * time.Second; ; left *= 2 { // until the message arrives in time
			m.until = time.Now().Add(left - transfer.ClockSkew)
			err := m.alpha.write(transferMessage, lwm2m.Opaque(m.build()))
			if err == nil {
				break
			}
			if left > patience {
				t.Fatal(err)
			}
		}
		r.await(sim.Expired)
		if err := m.alpha.srv.Execute(t.Context(), endpoint, commit, m.order()); err == nil {
			t.Error("committed after the window")
		}
		m.awaitState(m.alpha, transfer.Expired)
	})
	t.Run("without a clock", func(t *testing.T) {
		t.Parallel()
		m, r := prepared(t, true, -2*time.Hour, -time.Hour)
		m.write(t)
		r.await(sim.Ready)
		m.awaitState(m.alpha, transfer.Ready)
		if err := m.alpha.srv.Execute(t.Context(), endpoint, commit, "0='1',1='0000000000000000'"); err == nil {
			t.Error("committed by an order that names another message")
		}
		if err := m.alpha.srv.Execute(t.Context(), endpoint, commit, m.order()); err != nil {
			t.Errorf("commit: %v", err)
		}
		r.await(sim.Committed)
	})
}

// unchanged checks that what is done leaves the device's memory as it was, once the
// device has written what it had to write by itself.
func (m *move) unchanged(do func()) {
	m.t.Helper()
	before := memory(m.t, m.dir, endpoint)
	for deadline := time.Now().Add(patience); ; {
		for range 30 {
			m.alpha.pause()
		}
		now := memory(m.t, m.dir, endpoint)
		if bytes.Equal(before, now) {
			break
		}
		if before = now; time.Now().After(deadline) {
			m.t.Fatal("the device does not stop writing")
		}
	}
	if do(); !bytes.Equal(before, memory(m.t, m.dir, endpoint)) {
		m.t.Error("the memory has changed")
	}
}

// write gives the device its message.
func (m *move) write(t *testing.T) {
	t.Helper()
	if err := m.alpha.write(transferMessage, lwm2m.Opaque(m.build())); err != nil {
		t.Fatal(err)
	}
}

// TestT15FormerSigners is T15: an anchor that the former provider slips in while it
// stages, and its signers of messages and of manifests after Finalise.
func TestT15FormerSigners(t *testing.T) {
	t.Parallel()
	m := newMove(t, 60)
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.stage()
	base := lwm2m.NewPath(objects.DefaultIDs.Truststore, 77)
	for _, extra := range []anchor{
		{newProvider(t, "thief").ca.Certificate().Raw, transfer.DM | transfer.Enrol},
		{m.alpha.cert.Certificate[0], transfer.Update},
	} {
		a := objects.Anchor{Certificate: extra.der, Purposes: uint64(extra.purposes)}
		_, err := m.alpha.srv.Create(t.Context(), endpoint, base.Prefix(1), int(base.ID(1)), a.Entries(base))
		if err != nil {
			t.Fatal(err)
		}
		refuses(t, m.alpha, endpoint, m.dir, "with an anchor slipped in", m.build(), 7)
		if err := m.alpha.srv.Delete(t.Context(), endpoint, base); err != nil {
			t.Fatal(err)
		}
	}
	m.prepare()
	m.open()
	m.commit()
	r.await(sim.Done)
	m.finish()
	r.await(sim.Finalised)

	// What SP1 signs reaches the device over SP2's association, as if SP2 passed it on.
	for name, by := range map[string]transfer.Signer{
		"the former signer of messages": m.alpha.signer, "the former signer of manifests": m.alpha.suit,
	} {
		refuses(t, m.beta, endpoint, m.dir, name, m.signedBy(m.beta, by), 2)
	}
	if err := m.beta.write(firmwarePackage, lwm2m.Opaque(manifest(t, m.alpha.suit, "9", 9, ""))); err != nil {
		t.Fatal(err)
	}
	r.await(sim.UpdateFailed)
	m.awaitState(m.beta, transfer.Finalised)
}

// TestT19StolenMessageKey: whoever holds the key of the present signer of messages, and
// neither a server nor another key, moves nothing. He draws the device to a server of
// his own; and he has the new provider pass a message on, in its time. It is of row T19 of the transfer protocol (§9).
func TestT19StolenMessageKey(t *testing.T) {
	t.Parallel()
	m := &move{
		t: t, alpha: newProvider(t, "alpha"), beta: newProvider(t, "beta"), f: newFactory(t), grace: 60, dir: t.TempDir(),
	}
	behind := m.alpha.addr
	wire := mirrored(t, m.alpha)
	m.b = m.f.device(endpoint, m.alpha) // which finds alpha by the wire
	thief := newProvider(t, "thief")
	thief.signer = m.alpha.signer
	m.f.grant(thief, m.b)
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	wire.redirect(t, thief.addr)
	r = start(t, m.b, options(m.dir))
	r.await(sim.Retrying)
	m.unchanged(func() {
		if e := r.await(sim.Retrying); e.Error == "" {
			t.Errorf("event %+v, want the reason", e)
		}
	})
	if n := thief.listener.Stats().Handshakes; n != 0 {
		t.Errorf("%d handshakes completed with the thief", n)
	}
	wire.redirect(t, behind)
	m.awaitState(m.alpha, transfer.Idle)

	m.prepare()
	m.open()
	m.commit()
	r.await(sim.Done)
	m.awaitState(m.beta, transfer.Done)
	if err := m.beta.write(transferMessage, lwm2m.Opaque(m.buildAt(m.beta))); err == nil {
		t.Error("the former signer moves a device that has just arrived")
	}
	m.awaitState(m.beta, transfer.Done)
}
