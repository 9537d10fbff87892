package coordinator_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/est/attest"
	"steward/est/attest/attesttest"
	"steward/est/esttest"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

const goodImage = "image of the release"

var component = []byte{0x81, 0x41, 0x00}

func imageDigest(image string) attest.Digest {
	sum := sha256.Sum256([]byte(image))
	return attest.Digest{Algorithm: transfer.SHA256, Value: sum[:]}
}

// attestation is a provider's verifier, and what it knows of devices.
type attestation struct {
	p        *provider
	signer   attest.Signer
	store    *attesttest.Memory
	verifier *attest.Verifier

	mu      sync.Mutex
	refused []audit.Row
	lost    int // verdicts that are stored and of which nobody is told
}

func newAttestation(tb testing.TB, p *provider) *attestation {
	tb.Helper()
	key := esttest.Key(tb)
	issued, err := p.ca.IssueSigner(tb.Context(), est.KindVerdictSigner, p.name, key.Public())
	check(tb, err)
	a := &attestation{
		p: p, signer: attest.Signer{Key: key, Certificate: issued.DER}, store: attesttest.NewMemory(),
	}
	a.verifier, err = attest.New(attest.Options{
		Store: a.store, Issuer: p.name, Signer: a.signer, Now: time.Now,
		References: func(_ context.Context, k attest.Attester) ([]attest.Reference, error) { return k.References, nil },
		Case: func(ctx context.Context, d attest.Hash) (attest.Case, error) {
			return p.coordinator().AttestationCase(ctx, fleet.Factory(d))
		},
		Judged: func(ctx context.Context, r attest.Result) error {
			if a.loses() {
				return context.DeadlineExceeded
			}
			return p.coordinator().Attested(ctx, r)
		},
		Refuse:    a.refuse,
		Elsewhere: a,
	})
	check(tb, err)
	return a
}

// loses reports whether this verdict is one that nobody is told of.
func (a *attestation) loses() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lost == 0 {
		return false
	}
	a.lost--
	return true
}

func (a *attestation) refuse(_ context.Context, r audit.Row) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused = append(a.refused, r)
}

// Challenge implements attest.Elsewhere.
func (a *attestation) Challenge(ctx context.Context, d attest.Hash, k attest.Case) ([]byte, time.Time, error) {
	return a.p.coordinator().Challenge(ctx, d, k)
}

// Appraise implements attest.Elsewhere.
func (a *attestation) Appraise(ctx context.Context, d attest.Hash, k attest.Case, evidence []byte) ([]byte, error) {
	return a.p.coordinator().Appraise(ctx, d, k, evidence)
}

// Describe implements coordinator.Attesters: the outgoing provider knows all its
// devices from the factory.
func (a *attestation) Describe(_ context.Context, _ fleet.ID, f fleet.Factory) (*transfer.RAInfo, error) {
	for _, d := range a.p.world.devices {
		if fleet.Factory(d.Factory) == f && d.ak != nil {
			key, err := attest.EncodeKey(&d.ak.PublicKey)
			digest := imageDigest(goodImage)
			return &transfer.RAInfo{
				References: []transfer.CertHash{{Alg: digest.Algorithm, Value: digest.Value}}, Key: key,
			}, err
		}
	}
	return nil, nil //nolint:nilnil // the interface says so
}

// Learn implements coordinator.Attesters.
func (a *attestation) Learn(ctx context.Context, f fleet.Factory, info transfer.RAInfo, actor string) error {
	key, err := attest.DecodeKey(info.Key)
	if err != nil {
		return err
	}
	k := attest.Attester{Device: attest.Hash(f), Key: key}
	for _, r := range info.References {
		k.References = append(k.References, attest.Reference{
			Digest: attest.Digest{Algorithm: r.Alg, Value: r.Value},
		})
	}
	return a.store.PutAttester(ctx, k, audit.Row{Actor: actor, Action: "attestation.key"})
}

// attest asks the verifier of p for a verdict. It returns false to wait.
func (d *device) attest(ctx context.Context, p *provider) bool {
	err := d.attestBy(ctx, p, d.ak)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err != nil {
		check(d.world.t, d.tr.Failed())
		return false
	}
	check(d.world.t, d.tr.Attested())
	return true
}

// attestBy sends evidence signed by key.
func (d *device) attestBy(ctx context.Context, p *provider, key *ecdsa.PrivateKey) error {
	nonce, _, err := p.attest.verifier.Challenge(ctx, attest.Hash(d.Factory))
	if err != nil {
		return err
	}
	d.mu.Lock()
	claims, err := d.tr.Claims()
	d.mu.Unlock()
	if err != nil {
		return err
	}
	public, _ := claims.Key.(*ecdsa.PublicKey)
	e := attest.Evidence{
		Nonce: nonce, Device: attest.Hash(d.Factory), Key: public, OEMBoot: true,
		Debug: attest.DebugDisabled, BootCount: claims.Boots, Message: attest.Hash(claims.Message),
		Truststore: attest.Hash(claims.Truststore),
		Components: []attest.Component{{ID: component, Digest: imageDigest(d.image)}},
	}
	raw, err := e.Sign(key)
	if err != nil {
		return err
	}
	_, err = p.attest.verifier.Appraise(ctx, attest.Hash(d.Factory), raw)
	return err
}
