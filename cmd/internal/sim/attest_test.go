package sim_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/cmd/internal/sim"
	"steward/est"
	"steward/est/attest"
	"steward/est/attest/attesttest"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/server"
	"steward/objects"
	"steward/transfer"
)

// a verifier is that of beta, which judges the device of a move.
type verifier struct {
	store *attesttest.Memory

	mu       sync.Mutex
	verdicts []attest.Result
}

// attests has the device of m attest at beta, whose right opens by an affirming
// verdict.
func (m *move) attests() *verifier {
	m.t.Helper()
	v := &verifier{store: attesttest.NewMemory()}
	m.raURI = m.beta.uri() + "/" + attest.Root
	signer := m.beta.newSigner(est.KindVerdictSigner)
	made, err := attest.New(attest.Options{
		Store: v.store, Issuer: "beta", Signer: attest.Signer(signer), Now: time.Now,
		References: func(_ context.Context, a attest.Attester) ([]attest.Reference, error) { return a.References, nil },
		Case: func(context.Context, attest.Hash) (attest.Case, error) {
			return attest.Case{
				Transfer: "t", Key: attest.Hash(m.ready.Body.SPKI), Message: attest.Hash(m.message.Hash),
				Truststore: attest.Hash(m.ready.Body.Truststore),
			}, nil
		},
		Judged: func(ctx context.Context, r attest.Result) error {
			v.mu.Lock()
			v.verdicts = append(v.verdicts, r)
			v.mu.Unlock()
			if r.Tier == attest.TierAffirming {
				_, err := m.beta.ca.OpenRight(ctx, m.f.hash(m.b), est.Hash(m.ready.Body.SPKI))
				return err
			}
			_, err := m.beta.ca.DeleteRight(ctx, m.f.hash(m.b), est.CessationOfOperation)
			return err
		},
		Refuse: func(context.Context, audit.Row) {},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.beta.verifier = &attest.Endpoint{
		Verifier: made, Log: slog.New(slog.DiscardHandler),
		Device: func(_ context.Context, who coap.Identity) (attest.Hash, bool, error) {
			return who.Certificate, true, nil
		},
	}
	return v
}

// knows tells the verifier what the factory says of the device.
func (v *verifier) knows(m *move) {
	m.t.Helper()
	key, err := m.b.AttestationKey()
	if err != nil {
		m.t.Fatal(err)
	}
	a := attest.Attester{Device: attest.Hash(m.f.hash(m.b)), Key: &key.PublicKey}
	ids, err := m.b.ComponentIDs()
	if err != nil {
		m.t.Fatal(err)
	}
	for i, r := range m.b.Attestation.References {
		sum, err := hex.DecodeString(r.SHA256)
		if err != nil {
			m.t.Fatal(err)
		}
		a.References = append(a.References, attest.Reference{
			Component: []byte(ids[i]), Digest: attest.Digest{Algorithm: transfer.SHA256, Value: sum},
		})
	}
	if err := v.store.PutAttester(m.t.Context(), a, audit.Row{}); err != nil {
		m.t.Fatal(err)
	}
}

func (v *verifier) last() attest.Result {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.verdicts) == 0 {
		return attest.Result{}
	}
	return v.verdicts[len(v.verdicts)-1]
}

// TestAttestation moves a device that must attest first.
func TestAttestation(t *testing.T) {
	t.Parallel()
	m := newMove(t, 60)
	v := m.attests()
	v.knows(m)
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.prepare()
	m.commit()
	if e := r.await(sim.Attested); e.Detail != "affirming" {
		t.Errorf("the device hears %q", e.Detail)
	}
	r.await(sim.Renewed)
	r.await(sim.Done)
	m.finish()
	r.await(sim.Finalised)
	m.wantFresh()
	if got := v.last(); got.Tier != attest.TierAffirming || got.BootCount == 0 {
		t.Errorf("verdict %v, %s, after %d boots", got.Tier, got.Reason, got.BootCount)
	}
}

// wantFresh checks that the one certificate in force at beta is of another key than
// that of the READY receipt, whose certificate its first use has ended.
func (m *move) wantFresh() {
	m.t.Helper()
	all, err := m.beta.ca.List(m.t.Context(), est.Query{Kind: est.KindOperational})
	if err != nil {
		m.t.Fatal(err)
	}
	valid := 0
	for _, c := range all {
		came := c.SPKI == est.Hash(m.ready.Body.SPKI)
		if c.Status == est.StatusValid {
			valid++
		}
		if came && c.Status == est.StatusValid {
			m.t.Error("the certificate of the key with which the device came is in force")
		}
	}
	if len(all) != 2 || valid != 1 {
		m.t.Errorf("beta has issued %d certificates, %d are in force; want 2 and 1", len(all), valid)
	}
}

// TestAttestationFails is a device that runs an altered image, and one that the
// verifier does not know: both are alpha's again.
func TestAttestationFails(t *testing.T) {
	for name, test := range map[string]struct {
		tamper, unknown, keyless bool
		reason                   string
	}{
		"T14 altered firmware": {tamper: true, reason: "which no release in force has"},
		"unknown key":          {unknown: true},
		"no key":               {keyless: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMove(t, 3600)
			v := m.attests()
			if !test.unknown {
				v.knows(m)
			}
			o := options(m.dir)
			o.Tamper = test.tamper
			if test.keyless {
				m.b.Attestation = nil
			}
			r := start(t, m.b, o)
			r.await(sim.Registered)
			m.prepare()
			m.commit()
			r.await(sim.FallingBack)
			m.fallback()
			r.await(sim.FellBack)
			got := v.last()
			if test.tamper && (got.Tier != attest.TierContraindicated || !strings.Contains(got.Reason, test.reason)) {
				t.Errorf("verdict %v, %s", got.Tier, got.Reason)
			}
			if !test.tamper && got.Verdict != nil {
				t.Errorf("there is a verdict: %v", got.Tier)
			}
		})
	}
}

// TestAttestationSurvivesAPowerCutAtEveryWrite cuts the power from the commit to
// FINALISED.
func TestAttestationSurvivesAPowerCutAtEveryWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("a transfer for each write of one")
	}
	t.Parallel()
	for n := int64(1); ; n++ {
		m, c := newMove(t, 3600), &cutter{}
		v := m.attests()
		v.knows(m)
		o := options(m.dir)
		o.PowerCut = c.cut
		cuts := keepRunning(t, m.b, o)
		m.alpha.await(server.Registered, lwm2m.Path{})
		m.prepare()
		c.left.Store(n)
		m.insist(m.alpha, objects.TransferCommit, transfer.Ready)
		m.awaitState(m.beta, transfer.Done)
		m.insist(m.beta, objects.TransferFinalise, transfer.Done)
		m.awaitState(m.beta, transfer.Finalised)
		if got := v.last(); got.Tier != attest.TierAffirming {
			t.Fatalf("write %d: verdict %v, %s", n, got.Tier, got.Reason)
		}
		if cuts.Load() == 0 {
			t.Logf("a transfer with attestation takes %d writes", n-1)
			break
		}
	}
}

// TestEvidenceByObject writes a nonce to object Enrolment, and reads the evidence.
func TestEvidenceByObject(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	b := f.device(endpoint, alpha)
	r := start(t, b, options(t.TempDir()))
	r.await(sim.Registered)
	base := lwm2m.NewPath(objects.DefaultIDs.Enrolment, 0)
	nonce := make([]byte, attest.NonceLength)
	nonce[0] = 7
	if err := alpha.write(base.Child(objects.EnrolmentNonce), lwm2m.Opaque(nonce)); err != nil {
		t.Fatal(err)
	}
	key, err := b.AttestationKey()
	if err != nil {
		t.Fatal(err)
	}
	raw := alpha.read(endpoint, base.Child(objects.EnrolmentEvidence)).Bytes()
	e, err := attest.VerifyEvidence(raw, &key.PublicKey)
	if err != nil || !bytes.Equal(e.Nonce, nonce) || e.Device != attest.Hash(f.hash(b)) || e.Message != (attest.Hash{}) {
		t.Fatalf("evidence %+v, %v", e, err)
	}
	if err := alpha.write(base.Child(objects.EnrolmentNonce), lwm2m.Opaque([]byte{1})); err == nil {
		t.Error("a nonce of one byte was taken")
	}
}
