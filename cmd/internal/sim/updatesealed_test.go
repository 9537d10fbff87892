package sim_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/cmd/internal/sim"
	"steward/est"
	"steward/lwm2m/coap"
	"steward/suit"
	"steward/suit/cose"
	"steward/suit/rollout"
	"steward/transfer"
)

// secretOfBeta stands in an image that nobody but the device may read.
const secretOfBeta = "SECRET-OF-BETA"

// A sealedRelease is one of beta's with secrets, as the update server has it.
type sealedRelease struct {
	m       *move
	release rollout.Release
	content rollout.Content

	mu       sync.Mutex
	envelope []byte // for the device, once it has named its key
}

// sealed makes one, and has the device of m fetch it before it enrols.
func (m *move) sealed() *sealedRelease {
	m.t.Helper()
	signer, err := cose.NewSigner(m.beta.suit.Key, cose.ESP256, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	s := &sealedRelease{m: m}
	s.release, s.content, err = rollout.AuthorRelease(rollout.ImageSpec{
		ID: "R", Name: "R", Version: "2.0.0", Vendor: vendor, Class: class, Sequence: 2,
		Component: suit.ComponentPath("fw"), Secret: true, Staging: suit.ComponentPath("staging"),
		Image: append(bytes.Repeat([]byte("0123456789abcdef"), 8<<10), secretOfBeta...),
	}, rollout.PayloadURI(m.beta.uri(), "R"), signer, time.Now())
	if err != nil {
		m.t.Fatal(err)
	}
	m.beta.payloads["R"] = s.content.Cipher
	u := m.updatesFirst(nil, "2")
	m.beta.updates = coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		if len(r.Path) > 1 || r.Query[1] == "s=2" {
			return u.serve(ctx, r)
		}
		return s.give(r, signer)
	})
	return s
}

func (s *sealedRelease) give(r *coap.Request, signer *cose.Signer) *coap.Response {
	s.mu.Lock()
	defer s.mu.Unlock()
	text, _ := strings.CutPrefix(r.Query[2], "k=")
	raw, err := base64.RawURLEncoding.DecodeString(text)
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), raw)
	if err != nil || x == nil {
		return &coap.Response{Code: coap.BadRequest}
	}
	point := append(append([]byte{4}, x.FillBytes(make([]byte, 32))...), y.FillBytes(make([]byte, 32))...)
	public, err1 := ecdh.P256().NewPublicKey(point)
	spki, err2 := x509.MarshalPKIXPublicKey(public)
	if err1 != nil || err2 != nil || transfer.HashOf(spki) != s.m.ready.Body.SPKI {
		return &coap.Response{Code: coap.Forbidden}
	}
	if s.envelope == nil {
		uri := rollout.CipherURI(s.m.beta.uri(), "R")
		if s.envelope, _, err = s.release.SealFor(public, s.content.Key, uri, signer); err != nil {
			return &coap.Response{Code: coap.InternalServerError}
		}
	}
	return &coap.Response{Code: coap.Content, Payload: s.envelope, ETag: []byte{1}}
}

// info returns what the device's manifest says of the encryption.
func (s *sealedRelease) info(t *testing.T) *cose.Encrypt {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := suit.Decode(s.envelope, suit.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := e.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	parameter, ok := manifest.Parameters(0)[suit.ParameterEncryptionInfo]
	if !ok {
		t.Fatal("the manifest says nothing of encryption")
	}
	info, err := cose.ParseEncrypt(parameter.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// TestT13SealedUpdate is T13 of the transfer protocol (§9) for an image with secrets
// that a device takes before it enrols: it is encrypted to the key that the device
// enrols. Who has all keys of the former provider, the factory key, and all that passes,
// reads nothing of it.
func TestT13SealedUpdate(t *testing.T) {
	t.Parallel()
	var ca crypto.Signer
	m := &move{
		t: t, alpha: newProvider(t, "alpha", func(o *est.Options) { ca = o.Signer }), beta: newProvider(t, "beta"),
		f: newFactory(t), grace: 3600, dir: t.TempDir(),
	}
	wire := mirrored(t, m.beta)
	m.b = m.f.parts(m.alpha, "fw", "staging")
	s := m.sealed()
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	before, err := sim.Inspect(m.dir, m.b)
	if err != nil {
		t.Fatal(err)
	}
	m.prepare()
	m.commit()
	if e := r.await(sim.Updated); e.Version != "2.0.0" || e.Sequence != 2 {
		t.Errorf("updated to %s, %d", e.Version, e.Sequence)
	}
	raw, err := os.ReadFile(filepath.Join(m.dir, endpoint+".state"))
	if err != nil || !bytes.Contains(raw, []byte(secretOfBeta)) {
		t.Errorf("the image is not in the memory of the device, %v", err)
	}
	r.await(sim.Done)
	m.finish()
	r.await(sim.Finalised)
	for _, d := range append(wire.captured(), s.content.Cipher, s.envelope) {
		if bytes.Contains(d, []byte(secretOfBeta)) {
			t.Error("the secret stands in clear")
		}
	}
	factory, _, err := m.b.FactoryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	info := s.info(t)
	for name, key := range map[string]crypto.Signer{
		"key of the CA": ca, "key of the server": m.alpha.cert.PrivateKey.(crypto.Signer),
		"signer of messages": m.alpha.signer.Key, "signer of manifests": m.alpha.suit.Key,
		"factory key": factory, "former operational key": before.Key,
	} {
		exchange, err := key.(*ecdsa.PrivateKey).ECDH()
		if err != nil {
			t.Fatal(err)
		}
		recipient, err := cose.NewPrivateKey(exchange, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := info.Decrypt([]*cose.RecipientKey{recipient}, s.content.Cipher)
		if !errors.Is(err, cose.ErrDecrypt) || got != nil {
			t.Errorf("%s: %d bytes, %v, want ErrDecrypt", name, len(got), err)
		}
	}
}

// TestT16PrimeSealedUpdate is T16′ of the transfer protocol (§9): the device has decrypted
// an image of the new provider's, and cannot enrol there. It is the former one's again,
// and neither image nor ciphertext is in its memory.
func TestT16PrimeSealedUpdate(t *testing.T) {
	t.Parallel()
	m := &move{
		t: t, alpha: newProvider(t, "alpha"), beta: newProvider(t, "beta"), f: newFactory(t), grace: 1, dir: t.TempDir(),
	}
	m.b = m.f.parts(m.alpha, "fw", "staging")
	s := m.sealed()
	u := m.beta.updates
	m.beta.updates = coap.HandlerFunc(func(ctx context.Context, r *coap.Request) *coap.Response {
		if len(r.Path) == 1 && r.Query[1] == "s=2" { // it never hears that there is nothing newer
			return &coap.Response{Code: coap.ServiceUnavailable}
		}
		return u.ServeCoAP(ctx, r)
	})
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.prepare()
	m.commit()
	r.await(sim.Updated)
	r.await(sim.FallingBack)
	m.fallback()
	r.await(sim.FellBack)
	raw, err := os.ReadFile(filepath.Join(m.dir, endpoint+".state"))
	if err != nil {
		t.Fatal(err)
	}
	for what, part := range map[string][]byte{"image": []byte(secretOfBeta), "ciphertext": s.content.Cipher[1000:1032]} {
		if bytes.Contains(raw, part) {
			t.Errorf("the device's memory holds the %s", what)
		}
	}
	if state, err := sim.Inspect(m.dir, m.b); err != nil || state.State != transfer.FellBack || state.Sequence != 1 {
		t.Errorf("the device is %s and runs sequence %d, %v", state.State, state.Sequence, err)
	}
}
