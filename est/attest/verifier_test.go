package attest_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"errors"
	"log/slog"
	"testing"
	"time"

	"steward/est/attest"
	"steward/est/attest/attesttest"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
)

func TestMemory(t *testing.T) { attesttest.TestStore(t, attesttest.NewMemory()) }

// A world is a verifier that knows one device.
type world struct {
	store    *attesttest.Memory
	verifier *attest.Verifier
	key      *ecdsa.PrivateKey
	evidence attest.Evidence // but for the nonce
	now      time.Time
	refused  []audit.Row
	judged   []attest.Result
	fail     error // of Judged
	context  attest.Case
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{store: attesttest.NewMemory(), key: newKey(t), evidence: honest(t), now: noon}
	x := expected(t, &w.evidence)
	w.context = attest.Case{Transfer: "t", Key: x.Key, Message: x.Message, Truststore: x.Truststore}
	signer, _ := newVerifier(t)
	var err error
	w.verifier, err = attest.New(attest.Options{
		Store: w.store, Issuer: "Beta", Signer: signer,
		References: func(_ context.Context, a attest.Attester) ([]attest.Reference, error) { return a.References, nil },
		Case:       func(context.Context, attest.Hash) (attest.Case, error) { return w.context, nil },
		Judged: func(_ context.Context, r attest.Result) error {
			w.judged = append(w.judged, r)
			return w.fail
		},
		Refuse: func(_ context.Context, r audit.Row) { w.refused = append(w.refused, r) },
		Now:    func() time.Time { return w.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	err = w.store.PutAttester(t.Context(), attest.Attester{
		Device: w.evidence.Device, Key: &w.key.PublicKey, References: x.References,
	}, audit.Row{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) challenged(t *testing.T) attest.Evidence {
	t.Helper()
	nonce, _, err := w.verifier.Challenge(t.Context(), w.evidence.Device)
	if err != nil {
		t.Fatal(err)
	}
	e := w.evidence
	e.Nonce = nonce
	return e
}

func (w *world) appraise(t *testing.T, e attest.Evidence, key *ecdsa.PrivateKey) (attest.Result, error) {
	t.Helper()
	raw, err := e.Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return w.verifier.Appraise(t.Context(), w.evidence.Device, raw)
}

func TestVerifier(t *testing.T) {
	w := newWorld(t)
	e := w.challenged(t)
	r, err := w.appraise(t, e, w.key)
	if err != nil || r.Tier != attest.TierAffirming || r.Transfer != "t" {
		t.Fatalf("%+v, %v", r, err)
	}
	v, err := attest.ParseVerdict(r.Verdict)
	if err != nil || v.Message != w.evidence.Message || !bytes.Equal(v.Nonce, e.Nonce) || v.Issuer != "Beta" {
		t.Errorf("verdict %+v, %v", v, err)
	}
	if len(w.judged) != 1 || len(w.refused) != 0 {
		t.Errorf("%d judged, %d refused", len(w.judged), len(w.refused))
	}
	if a, err := w.store.Attester(t.Context(), w.evidence.Device); err != nil || a.BootCount != 7 {
		t.Errorf("boot count %d, %v", a.BootCount, err)
	}
	if _, err := w.appraise(t, e, w.key); !errors.Is(err, attest.ErrSpent) {
		t.Errorf("replayed: %v", err)
	}
	w.evidence.BootCount = 6
	if r, err := w.appraise(t, w.challenged(t), w.key); err != nil || r.Tier != attest.TierContraindicated {
		t.Errorf("restored memory: %v, %v", r.Tier, err)
	}
	w.evidence.BootCount, w.fail = 8, errors.New("later")
	if _, err := w.appraise(t, w.challenged(t), w.key); !errors.Is(err, w.fail) {
		t.Errorf("whoever is told fails: %v", err)
	}
}

// TestVerifierRefuses shows that nobody but the device can speak against it: there
// is no verdict, and an audit row says what was tried.
func TestVerifierRefuses(t *testing.T) {
	tests := map[string]struct {
		try  func(t *testing.T, w *world) error
		want error
	}{
		"T14 emulator with a copy of the factory key": {func(t *testing.T, w *world) error {
			t.Helper()
			_, err := w.appraise(t, w.challenged(t), newKey(t))
			return err
		}, attest.ErrSignature},
		"made-up nonce": {func(t *testing.T, w *world) error {
			t.Helper()
			_, err := w.appraise(t, w.evidence, w.key)
			return err
		}, attest.ErrNonce},
		"late": {func(t *testing.T, w *world) error {
			t.Helper()
			e := w.challenged(t)
			w.now = w.now.Add(attest.NonceLife)
			_, err := w.appraise(t, e, w.key)
			return err
		}, attest.ErrExpired},
		"for another transfer": {func(t *testing.T, w *world) error {
			t.Helper()
			e := w.challenged(t)
			w.context.Transfer = "u"
			_, err := w.appraise(t, e, w.key)
			return err
		}, attest.ErrNonce},
		"unknown device": {func(t *testing.T, w *world) error {
			t.Helper()
			_, err := w.verifier.Appraise(t.Context(), attest.Hash{9}, nil)
			return err
		}, attest.ErrUnknown},
		"no evidence": {func(t *testing.T, w *world) error {
			t.Helper()
			_, err := w.verifier.Appraise(t.Context(), w.evidence.Device, nil)
			return err
		}, attest.ErrSyntax},
	}
	for name, test := range tests {
		w := newWorld(t)
		if err := test.try(t, w); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if results, _ := w.store.Results(t.Context(), w.evidence.Device, 1); len(results)+len(w.judged) != 0 {
			t.Errorf("%s: there is a verdict", name)
		}
		if len(w.refused) != 1 || w.refused[0].Action != "attestation.refuse" {
			t.Errorf("%s: audit %+v", name, w.refused)
		}
	}
}

func TestNewRefusesOptions(t *testing.T) {
	if _, err := attest.New(attest.Options{}); !errors.Is(err, attest.ErrOptions) {
		t.Errorf("got %v", err)
	}
}

type peer struct{ coap.Peer }

func (peer) Identity() coap.Identity { return coap.Identity{Role: coap.RoleFactory, Name: "d"} }

func TestEndpoint(t *testing.T) {
	w := newWorld(t)
	known := true
	s := &attest.Endpoint{
		Verifier: w.verifier, Log: slog.New(slog.DiscardHandler),
		Device: func(context.Context, coap.Identity) (attest.Hash, bool, error) { return w.evidence.Device, known, nil },
	}
	ask := func(r coap.Request) *coap.Response {
		r.Peer = peer{}
		if r.Path == nil {
			r.Path = []string{"ra"}
		}
		return s.ServeCoAP(t.Context(), &r)
	}
	get := ask(coap.Request{Method: coap.GET})
	c, err := attest.ParseChallenge(get.Payload)
	if get.Code != coap.Content || err != nil || len(c.Nonce) != attest.NonceLength {
		t.Fatalf("GET: %v, %v", get.Code, err)
	}
	e := w.evidence
	e.Nonce = c.Nonce
	raw, err := e.Sign(w.key)
	if err != nil {
		t.Fatal(err)
	}
	post := coap.Request{Method: coap.POST, ContentFormat: coap.FormatID(attest.FormatEvidence), Payload: raw}
	if res := ask(post); res.Code != coap.Changed || len(res.Payload) == 0 {
		t.Errorf("POST: %v %s", res.Code, res.Payload)
	}
	if res := ask(post); res.Code != coap.Conflict {
		t.Errorf("replayed: %v", res.Code)
	}
	wrong, malformed := post, post
	wrong.ContentFormat, malformed.Payload = coap.FormatID(60), []byte{1}
	elsewhere := coap.Request{Method: coap.GET, Path: []string{"ra", "x"}}
	for name, test := range map[string]struct {
		r    coap.Request
		want coap.Code
	}{
		"PUT":          {coap.Request{Method: coap.PUT}, coap.MethodNotAllowed},
		"other format": {wrong, coap.UnsupportedContentFormat},
		"malformed":    {malformed, coap.BadRequest}, "elsewhere": {elsewhere, coap.NotFound},
	} {
		if res := ask(test.r); res.Code != test.want {
			t.Errorf("%s: %v, want %v", name, res.Code, test.want)
		}
	}
	known = false
	if res := ask(coap.Request{Method: coap.GET}); res.Code != coap.Forbidden {
		t.Errorf("without a factory certificate: %v", res.Code)
	}
}

func TestParseChallengeRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		raw  []byte
		want error
	}{
		"empty": {nil, attest.ErrSyntax}, "short nonce": {[]byte{0xa2, 4, 1, 10, 0x40}, attest.ErrValue},
		"no nonce": {[]byte{0xa1, 4, 1}, attest.ErrSyntax},
	} {
		if _, err := attest.ParseChallenge(test.raw); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRoutine: a device that proves again and again the same fills no audit.
func TestRoutine(t *testing.T) {
	w := newWorld(t)
	w.context = attest.Case{}
	w.evidence.Message, w.evidence.Truststore = attest.Hash{}, attest.Hash{}
	again := func(change func(*attest.Evidence)) int {
		t.Helper()
		before := len(w.store.Audit())
		e := w.challenged(t)
		change(&e)
		if _, err := w.appraise(t, e, w.key); err != nil {
			t.Fatal(err)
		}
		return len(w.store.Audit()) - before
	}
	same := func(*attest.Evidence) {}
	debug := func(e *attest.Evidence) { e.Debug = attest.DebugEnabled }
	for i, step := range []struct {
		change func(*attest.Evidence)
		want   int
	}{{same, 1}, {same, 0}, {same, 0}, {debug, 1}, {debug, 0}, {same, 1}} {
		if got := again(step.change); got != step.want {
			t.Errorf("proof %d: %d audit rows, want %d", i, got, step.want)
		}
	}
	if len(w.judged) != 6 {
		t.Errorf("told of %d verdicts, want all 6", len(w.judged))
	}
}
