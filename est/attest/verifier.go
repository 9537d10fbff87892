package attest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
)

// ErrOptions reports Options that New refuses.
var ErrOptions = errors.New("unusable options of a verifier")

// An Attester is what is known of a device before it attests.
type Attester struct {
	Device     Hash // of the factory certificate
	Key        *ecdsa.PublicKey
	References []Reference // of what the factory, or its former provider, put into it
	BootCount  uint64      // the highest seen
	At         time.Time   // when the key was made known
}

// A Result is a verdict that was given.
type Result struct {
	Device  Hash
	At      time.Time
	Tier    Tier
	Reason  string
	Verdict []byte // as signed
	// Transfer is what it was given for; "": nothing but knowing.
	Transfer string
	// BootCount is what the evidence said.
	BootCount uint64
}

// A Store keeps attesters and results. Implementations are safe for concurrent use.
type Store interface {
	// Attester returns ErrUnknown if there is none.
	Attester(ctx context.Context, device Hash) (Attester, error)
	// PutAttester stores an attester in place of the one before. The boot count
	// stays.
	PutAttester(ctx context.Context, a Attester, row audit.Row) error
	// AddResult stores a result, and its boot count if that is the highest. The zero
	// row is of a result like the one before: nothing changed, and nothing is audited.
	AddResult(ctx context.Context, r Result, row audit.Row) error
	// Results returns up to limit results of a device, the newest first.
	Results(ctx context.Context, device Hash, limit int) ([]Result, error)
}

// A Case is what a device attests for.
type Case struct {
	// Elsewhere says that the verifier of another provider judges.
	Elsewhere                bool
	Transfer                 string // "": nothing but knowing
	Key, Message, Truststore Hash   // zero: not compared
}

// Elsewhere relays to the verifier of another provider what a device says (RFC 9334
// §5.2).
type Elsewhere interface {
	// Challenge returns a nonce of the other verifier, and its end. It returns ErrBusy
	// or ErrUnknown.
	Challenge(ctx context.Context, device Hash, k Case) ([]byte, time.Time, error)
	// Appraise returns the other verifier's verdict, whose signature it has checked. It
	// returns ErrBusy or ErrNonce.
	Appraise(ctx context.Context, device Hash, k Case, evidence []byte) ([]byte, error)
}

// Options configure a Verifier. All but Judged and Now are required.
type Options struct {
	Store  Store
	Issuer string // name of the provider
	Signer Signer // of verdicts
	// References returns what the device may hold now.
	References func(ctx context.Context, a Attester) ([]Reference, error)
	// Case returns what the device attests for.
	Case func(ctx context.Context, device Hash) (Case, error)
	// Elsewhere asks the verifier of another provider; nil: there is none.
	Elsewhere Elsewhere
	// Judged is told of each verdict after it was stored. Its error is the answer
	// to the device, which tries again. Nil: nobody is told.
	Judged func(ctx context.Context, r Result) error
	Refuse func(ctx context.Context, row audit.Row)
	Now    func() time.Time
}

// A Verifier gives nonces and verdicts. It is safe for concurrent use.
type Verifier struct {
	o      Options
	nonces *Nonces
}

// New returns a Verifier. It returns ErrOptions.
func New(o Options) (*Verifier, error) {
	if o.Store == nil || o.Issuer == "" || o.Signer.Key == nil || o.References == nil || o.Case == nil ||
		o.Refuse == nil || o.Now == nil {
		return nil, fmt.Errorf("attest: %w", ErrOptions)
	}
	if o.Judged == nil {
		o.Judged = func(context.Context, Result) error { return nil }
	}
	return &Verifier{o: o, nonces: NewNonces()}, nil
}

// Challenge returns a nonce for the device, and its end. It returns ErrUnknown for
// one whose attestation key is not known.
func (v *Verifier) Challenge(ctx context.Context, device Hash) (nonce []byte, end time.Time, err error) {
	if _, err := v.o.Store.Attester(ctx, device); err != nil {
		return nil, end, err
	}
	c, err := v.o.Case(ctx, device)
	if err != nil {
		return nil, end, err
	}
	if c.Elsewhere && v.o.Elsewhere != nil {
		return v.o.Elsewhere.Challenge(ctx, device, c)
	}
	nonce, end = v.nonces.New(Purpose{device, c.Transfer}, v.o.Now())
	return nonce, end, nil
}

// ChallengeFor is Challenge for a device of which others say what it attests for.
func (v *Verifier) ChallengeFor(ctx context.Context, device Hash, k Case) ([]byte, time.Time, error) {
	if _, err := v.o.Store.Attester(ctx, device); err != nil {
		return nil, time.Time{}, err
	}
	nonce, end := v.nonces.New(Purpose{device, k.Transfer}, v.o.Now())
	return nonce, end, nil
}

// Appraise judges evidence that came from the device and returns the signed
// verdict, whatever it says. What is not authentic gets no verdict but an error:
// ErrUnknown, ErrNonce, ErrExpired, ErrSpent, ErrBusy, or one of VerifyEvidence.
func (v *Verifier) Appraise(ctx context.Context, device Hash, raw []byte) (Result, error) {
	c, err := v.o.Case(ctx, device)
	if err != nil {
		return Result{}, err
	}
	if c.Elsewhere && v.o.Elsewhere != nil {
		return v.relay(ctx, device, c, raw)
	}
	return v.AppraiseFor(ctx, device, c, raw)
}

// relay has another verifier judge, and keeps its verdict.
func (v *Verifier) relay(ctx context.Context, device Hash, c Case, raw []byte) (Result, error) {
	if len(raw) > MaxEvidence {
		return Result{}, fmt.Errorf("attest: %d bytes: %w", len(raw), ErrTooLarge)
	}
	signed, err := v.o.Elsewhere.Appraise(ctx, device, c, raw)
	if err != nil {
		return Result{}, err
	}
	verdict, err := ParseVerdict(signed)
	if err != nil {
		return Result{}, err
	}
	r := Result{
		Device: device, At: v.o.Now(), Tier: verdict.Tier, Reason: verdict.Reason, Transfer: c.Transfer, Verdict: signed,
	}
	return r, v.keep(ctx, r, verdict.Issuer)
}

// AppraiseFor is Appraise for a device of which others say what it attests for.
func (v *Verifier) AppraiseFor(ctx context.Context, device Hash, c Case, raw []byte) (Result, error) {
	r, err := v.appraise(ctx, device, c, raw)
	for _, refusal := range []error{
		ErrUnknown, ErrSyntax, ErrTooLarge, ErrValue, ErrProfile, ErrKey, ErrSignature, ErrNonce, ErrExpired, ErrSpent,
	} {
		if errors.Is(err, refusal) {
			name := hex.EncodeToString(device[:16])
			v.o.Refuse(ctx, audit.Row{
				Actor: "device:" + name, Action: "attestation.refuse", Subject: name, Reason: err.Error(),
			})
			break
		}
	}
	return r, err
}

func (v *Verifier) appraise(ctx context.Context, device Hash, c Case, raw []byte) (Result, error) {
	a, err := v.o.Store.Attester(ctx, device)
	if err != nil {
		return Result{}, err
	}
	e, err := VerifyEvidence(raw, a.Key)
	if err != nil {
		return Result{}, err
	}
	references, err := v.o.References(ctx, a)
	if err != nil {
		return Result{}, err
	}
	now := v.o.Now()
	if err := v.nonces.Spend(e.Nonce, Purpose{device, c.Transfer}, now); err != nil {
		return Result{}, err
	}
	appraisal := Appraise(e, Expectation{
		Device: device, Key: c.Key, Message: c.Message, Truststore: c.Truststore, BootCount: a.BootCount,
		References: references, Components: named(references),
	})
	return v.conclude(ctx, e, &appraisal, c, now)
}

// named returns the components that the references name.
func named(references []Reference) (ids [][]byte) {
	for _, r := range references {
		if r.Component != nil {
			ids = append(ids, r.Component)
		}
	}
	return ids
}

func (v *Verifier) conclude(ctx context.Context, e *Evidence, a *Appraisal, c Case, now time.Time) (Result, error) {
	verdict, err := NewVerdict(v.o.Issuer, e, a, now)
	if err != nil {
		return Result{}, err
	}
	r := Result{
		Device: verdict.Device, At: now, Tier: verdict.Tier, Reason: verdict.Reason, Transfer: c.Transfer,
		BootCount: e.BootCount,
	}
	if r.Verdict, err = verdict.Sign(v.o.Signer); err != nil {
		return Result{}, err
	}
	return r, v.keep(ctx, r, v.o.Issuer)
}

// keep stores a verdict and tells of it.
func (v *Verifier) keep(ctx context.Context, r Result, issuer string) error {
	subject := hex.EncodeToString(r.Device[:16])
	row := audit.Row{
		Actor: "device:" + subject, Action: "attestation.verdict", Subject: subject, Reason: r.Reason, After: r.Tier.String(),
	}
	if issuer != v.o.Issuer {
		row.Reason = "by the verifier of " + issuer + ": " + row.Reason
	}
	same, err := v.same(ctx, r)
	if err != nil {
		return err
	}
	if same {
		row = audit.Row{}
	}
	if err := v.o.Store.AddResult(ctx, r, row); err != nil {
		return err
	}
	return v.o.Judged(ctx, r)
}

// same reports whether r says what the result before it said, and is for no transfer:
// devices that prove every hour what they run would fill the audit with it.
func (v *Verifier) same(ctx context.Context, r Result) (bool, error) {
	last, err := v.o.Store.Results(ctx, r.Device, 1)
	if err != nil || len(last) == 0 || r.Transfer != "" {
		return false, err
	}
	return last[0].Transfer == "" && last[0].Tier == r.Tier && last[0].Reason == r.Reason, nil
}

// Same reports whether two attesters have the same key and references.
func (a *Attester) Same(o *Attester) bool {
	if a.Key == nil || !a.Key.Equal(o.Key) || len(a.References) != len(o.References) {
		return false
	}
	for i, r := range a.References {
		if !bytes.Equal(r.Component, o.References[i].Component) || !r.Digest.Equal(o.References[i].Digest) {
			return false
		}
	}
	return true
}
