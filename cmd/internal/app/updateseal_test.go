package app_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/suit"
	"steward/suit/cose"
	"steward/suit/rollout"
	"steward/transfer"
)

// enrolKey makes a key, and how a device names it.
func enrolKey(t *testing.T) (key *ecdsa.PrivateKey, named string, hash transfer.Hash) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	point = append([]byte{2 + point[64]&1}, point[1:33]...)
	return key, "k=" + base64.RawURLEncoding.EncodeToString(point), transfer.HashOf(spki)
}

// opened decrypts what an envelope says of a ciphertext.
func opened(t *testing.T, envelope, ciphertext []byte, key *ecdsa.PrivateKey) ([]byte, error) {
	t.Helper()
	e, err := suit.Decode(envelope, suit.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	info, err := cose.ParseEncrypt(m.Parameters(0)[suit.ParameterEncryptionInfo].Bytes())
	if err != nil {
		t.Fatal(err)
	}
	exchange, err := key.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	recipient, err := cose.NewPrivateKey(exchange, nil)
	if err != nil {
		t.Fatal(err)
	}
	return info.Decrypt([]*cose.RecipientKey{recipient}, ciphertext)
}

// TestSealedUpdate: a release with secrets is given to two devices before they enrol,
// each by a manifest of its own over the same ciphertext, which only its key opens.
func TestSealedUpdate(t *testing.T) {
	v := newArrivals(t)
	image := append(bytes.Repeat([]byte("image"), 60_000), "SECRET"...)
	v.secret("R", 3, image)
	one, oneNamed, oneHash := enrolKey(t)
	two, twoNamed, twoHash := enrolKey(t)
	a := v.deviceWith("A", transfer.RowCommitted, oneHash)
	b := v.deviceWith("B", transfer.RowCommitted, twoHash)
	early := v.deviceWith("C", transfer.RowCommitted, transfer.Hash{1})
	if res, _ := v.get(early, "update/x/R"); res.Code != coap.Forbidden {
		t.Errorf("the ciphertext before the manifest = %s, want 4.03", res.Code)
	}
	envelopes := map[string][]byte{}
	for name, d := range map[string]struct {
		peer  coap.Peer
		named string
		own   *ecdsa.PrivateKey
		other *ecdsa.PrivateKey
	}{"A": {a, oneNamed, one, two}, "B": {b, twoNamed, two, one}} {
		res, envelope := v.ask(d.peer, "s=1", d.named)
		if res.Code != coap.Content {
			t.Fatalf("%s: GET /update = %s", name, res.Code)
		}
		if _, again := v.ask(d.peer, "s=1", d.named); !bytes.Equal(again, envelope) {
			t.Errorf("%s: asked again, another envelope", name)
		}
		res, ciphertext := v.get(d.peer, "update/x/R")
		if res.Code != coap.Content || bytes.Contains(ciphertext, []byte("SECRET")) {
			t.Fatalf("%s: the ciphertext = %s, %d bytes", name, res.Code, len(ciphertext))
		}
		if got, err := opened(t, envelope, ciphertext, d.own); err != nil || !bytes.Equal(got, image) {
			t.Errorf("%s: its key opens %d bytes, %v", name, len(got), err)
		}
		if got, err := opened(t, envelope, ciphertext, d.other); err == nil {
			t.Errorf("%s: the key of another opens %d bytes", name, len(got))
		}
		envelopes[name] = envelope
	}
	if bytes.Equal(envelopes["A"], envelopes["B"]) {
		t.Error("both have the same manifest")
	}
	if res, _ := v.ask(a, "s=3", oneNamed); res.Code != coap.Valid {
		t.Errorf("with nothing newer = %s", res.Code)
	}
}

// TestWithdrawnSealedUpdate: a release with secrets that is withdrawn is fetched no more,
// also by a device that has the key to it already.
func TestWithdrawnSealedUpdate(t *testing.T) {
	v := newArrivals(t)
	v.secret("W", 4, []byte("SECRET"))
	_, named, hash := enrolKey(t)
	d := v.deviceWith("A", transfer.RowCommitted, hash)
	if res, _ := v.ask(d, "s=1", named); res.Code != coap.Content {
		t.Fatalf("GET /update = %s", res.Code)
	}
	err := v.a.DB().Rollout().DecideRelease(t.Context(), "W", rollout.ReleaseApproved, rollout.Decision{
		On: rollout.WithdrawRelease, To: rollout.ReleaseWithdrawn, By: "operator:alice", At: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	if res, got := v.get(d, "update/x/W"); res.Code != coap.Forbidden || len(got) > 0 {
		t.Errorf("the ciphertext after it was withdrawn = %s, %d bytes, want 4.03", res.Code, len(got))
	}
}

// TestSecretsAreNeverInClear asks for a release with secrets by every way that a factory
// certificate opens, and without the key of the READY receipt.
func TestSecretsAreNeverInClear(t *testing.T) {
	v := newArrivals(t)
	v.release("OLD", 2, []byte("without secrets"))
	v.secret("R", 3, append(bytes.Repeat([]byte("image"), 1000), "SECRET"...))
	_, _, own := enrolKey(t)
	_, thief, _ := enrolKey(t)
	comes, stranger := v.deviceWith("A", transfer.RowCommitted, own), &peer{[32]byte{9}}
	for _, p := range []coap.Peer{comes, stranger} {
		for _, path := range []string{"update/p/R", "update/e/R", "update/t/R", "update/x/R", "update/key/R"} {
			if res, got := v.get(p, path); res.Code.IsSuccess() || len(got) > 0 {
				t.Errorf("%s = %s, %d bytes", path, res.Code, len(got))
			}
		}
	}
	if res, _ := v.ask(comes, "s=1", thief); res.Code != coap.Forbidden {
		t.Errorf("by another key = %s, want 4.03", res.Code)
	}
	res, raw := v.ask(comes, "s=1")
	e, err := suit.Decode(raw, suit.Limits{})
	if err != nil || res.Code != coap.Content {
		t.Fatalf("without a key = %s, %v", res.Code, err)
	}
	if m, err := e.Manifest(); err != nil || m.Sequence != 2 {
		t.Errorf("without a key: sequence %d, %v, want the one without secrets", m.Sequence, err)
	}
	for _, query := range [][]string{
		{"s=1", "k="},
		{"s=1", "k=AAAA"},
		{"s=1", thief, thief},
		{"s=1", "x=1"},
		{"s=1", thief + "="},
		{"s=1", "k=" + strings.Repeat("A", 44)},
		{thief},
		{"s=-1", thief},
	} {
		if res, _ := v.ask(comes, query...); res.Code != coap.BadRequest {
			t.Errorf("%q = %s, want 4.00", query, res.Code)
		}
	}
}

// TestSecretsOfAnUpdate: a device of ours in whose update a release with secrets is gets
// it by its operational certificate, and not by that of its factory.
func TestSecretsOfAnUpdate(t *testing.T) {
	v := newArrivals(t)
	v.secret("R", 3, []byte("SECRET"))
	p := v.device("A", transfer.RowFinalised)
	now := time.Now().UTC().Truncate(time.Microsecond)
	c := rollout.Campaign{
		ID: "C", Release: "R", Delivery: rollout.Pull, State: rollout.CampaignWaves, CreatedAt: now, CreatedBy: "x",
		Waves: []rollout.Wave{{Size: 1, State: rollout.WaveRunning}},
	}
	jobs := []rollout.Job{{Campaign: "C", Device: "A", State: rollout.Planned, Due: now, UpdatedAt: now}}
	if err := v.a.DB().Rollout().AddCampaign(t.Context(), c, jobs); err != nil {
		t.Fatal(err)
	}
	if started, _, err := v.a.DB().Rollout().StartJobs(t.Context(), c, 0, 1, now); err != nil || len(started) != 1 {
		t.Fatalf("StartJobs = %d, %v", len(started), err)
	}
	if res, got := v.get(p, "update/p/R"); res.Code != coap.Forbidden || len(got) > 0 {
		t.Errorf("by the factory certificate = %s, %d bytes", res.Code, len(got))
	}
	if res, got := v.get(enrolled{p, "A"}, "update/p/R"); res.Code != coap.Content || string(got) != "SECRET" {
		t.Errorf("by the operational certificate = %s, %q", res.Code, got)
	}
}

// enrolled is the association of a device by its operational certificate.
type enrolled struct {
	*peer

	name string
}

func (e enrolled) Identity() coap.Identity {
	return coap.Identity{Role: coap.RoleOperational, Name: e.name}
}
