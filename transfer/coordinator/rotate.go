package coordinator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"steward/lwm2m/audit"
	"steward/transfer"
)

// A Rotation is what a partner has announced of its next keys, in an identity file that
// its present signing key signs. Both are accepted until the next one is seen; from then
// on the former is not.
type Rotation struct {
	NextTLS     []byte `json:",omitempty"` // DER of the certificate; nil: none
	NextSigning []byte `json:",omitempty"` // likewise
	// Former are the signing certificates before, the oldest first: records hold what they
	// signed.
	Former [][]byte `json:",omitempty"`
}

// maxFormer is how many certificates a partner leaves behind: ten years of one a year.
const maxFormer = 10

// NextTLSKey returns the SHA-256 of the announced TLS key, zero if there is none.
func (r Rotation) NextTLSKey() [sha256.Size]byte { return spkiOf(r.NextTLS) }

// NextSigningKey returns the SHA-256 of the announced signing key, zero if there is none.
func (r Rotation) NextSigningKey() [sha256.Size]byte { return spkiOf(r.NextSigning) }

// announced reports whether next keys are.
func (r Rotation) announced() bool { return r.NextTLS != nil || r.NextSigning != nil }

// Shows reports whether a TLS key is the partner's: the present one, or the next.
func (p Partner) Shows(key [sha256.Size]byte) bool {
	return p.TLS != nil && p.TLSKey() == key || p.NextTLS != nil && p.NextTLSKey() == key
}

// signingOf returns the certificate of the key that signed with an identifier: the present
// or the next one; nil: neither.
func (p Partner) signingOf(by transfer.KeyID) []byte {
	for _, der := range [][]byte{p.Signing, p.NextSigning} {
		if der != nil && transfer.KeyIDOf(der) == by {
			return der
		}
	}
	return nil
}

// signedOnce is signingOf, for what may have been signed by a key before.
func (p Partner) signedOnce(by transfer.KeyID) []byte {
	for _, der := range p.Former {
		if transfer.KeyIDOf(der) == by {
			return der
		}
	}
	return p.signingOf(by)
}

// settled returns the state of a partner that is admitted.
func (p Partner) settled() PartnerState {
	if p.announced() {
		return Rotating
	}
	return Active
}

// announce takes the next keys of a partner's identity file. A file that announces none,
// or the same, changes nothing.
func (c *Coordinator) announce(ctx context.Context, old Partner, said Rotation, actor string) (Partner, error) {
	if !said.announced() || bytes.Equal(said.NextTLS, old.NextTLS) && bytes.Equal(said.NextSigning, old.NextSigning) {
		return old, nil
	}
	key := said.NextTLSKey()
	if said.NextTLS != nil && (key == old.TLSKey() || key == spkiOf(c.o.TLS)) ||
		said.NextSigning != nil && (bytes.Equal(said.NextSigning, old.Signing) ||
			said.NextSigningKey() == spkiOf(c.o.Signer.Certificate)) {
		return Partner{}, refusedf(ErrInvalid, "the next key of %s is its present one, or ours", old.Name)
	}
	before := old.State
	old.NextTLS, old.NextSigning = said.NextTLS, said.NextSigning
	if old.Admitted() {
		old.State = old.settled()
	}
	signing := old.NextSigningKey()
	err := c.o.Store.PutPartner(ctx, old, audit.Row{
		Actor: actor, Action: "partner.rotate", Subject: old.ID, Before: string(before), After: string(old.State),
		Reason: fmt.Sprintf("%s announces: TLS key %x, signing key %x", old.Name, key, signing),
	})
	if err != nil {
		return Partner{}, err
	}
	return c.Partner(ctx, old.ID)
}

// taken returns ErrPinned if a TLS key of p, present or next, belongs to another partner,
// or if one has announced the key that the other signs with: nobody has to show that he
// has what he announces, and papers of the one would be taken for the other's.
func taken(p Partner, partners []Partner) error {
	for _, o := range partners {
		if o.Name == p.Name {
			continue
		}
		for _, der := range [][]byte{p.TLS, p.NextTLS} {
			if der != nil && o.Shows(spkiOf(der)) {
				return fmt.Errorf("%w: %s", ErrPinned, o.Name)
			}
		}
		if p.squats(o) || o.squats(p) {
			return fmt.Errorf("%w: %s signs with it", ErrPinned, o.Name)
		}
	}
	return nil
}

// squats reports whether p has announced a key that o signs with, or will.
func (p Partner) squats(o Partner) bool {
	return p.NextSigning != nil && (p.NextSigningKey() == o.SigningKey() || p.NextSigningKey() == o.NextSigningKey())
}

// Seen tells that a partner has shown a TLS key, as client or as server. If that is the
// announced one, the former counts no more.
func (c *Coordinator) Seen(ctx context.Context, id string, tls [sha256.Size]byte) error {
	return c.switched(ctx, id, func(p *Partner) string {
		if p.NextTLS == nil || p.NextTLSKey() != tls {
			return ""
		}
		p.TLS, p.NextTLS = p.NextTLS, nil
		return fmt.Sprintf("TLS key %x is in use", tls)
	})
}

// signed tells that a service user, "" for none, has signed a mandate with a key; the
// announced one is the only one from then on, whatever becomes of what the mandate is for:
// the signature proves that it is in use.
func (c *Coordinator) signed(ctx context.Context, id string, by []byte) error {
	if id == "" {
		return nil
	}
	return c.switched(ctx, id, func(p *Partner) string {
		if p.NextSigning == nil || !bytes.Equal(p.NextSigning, by) {
			return ""
		}
		return p.switchSigning()
	})
}

// switchSigning makes the announced signing key the only one, and says so in words.
func (p *Partner) switchSigning() string {
	p.Former = append(slices.Clone(p.Former), p.Signing)
	p.Former = p.Former[max(len(p.Former)-maxFormer, 0):]
	p.Signing, p.NextSigning = p.NextSigning, nil
	return fmt.Sprintf("signing key %x is in use", p.SigningKey())
}

// switched stores what change does to an admitted partner; its "": nothing.
func (c *Coordinator) switched(ctx context.Context, id string, change func(*Partner) string) error {
	for range maxRepeat {
		p, err := c.o.Store.Partner(ctx, id)
		if err != nil || !p.Admitted() {
			return err
		}
		before := p.State
		reason := change(&p)
		if reason == "" {
			return nil
		}
		err = c.o.Store.PutPartner(ctx, p, p.settle(before, reason))
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return ErrConflict
}

// settle gives a partner whose key was switched the state that follows, and returns the
// row that audits it.
func (p *Partner) settle(before PartnerState, reason string) audit.Row {
	p.State = p.settled()
	return audit.Row{
		Actor: "peer:" + p.Name, Action: "partner.switch", Subject: p.ID, Before: string(before), After: string(p.State),
		Reason: reason,
	}
}

// takeEither judges a call by the key that the partner signs with and, if it is signed by
// another, by the announced one, which is the only one from then on: that is stored with
// what follows from the call, or not at all.
func (c *Coordinator) takeEither(ctx context.Context, from Partner, call Call, digest [sha256.Size]byte,
	receive func(context.Context, Partner, Call) (Reply, Change, error),
) (Reply, Change, error) {
	reply, ch, err := c.take(ctx, from, call, digest, receive)
	if !errors.Is(err, transfer.ErrSigner) || from.NextSigning == nil {
		return reply, ch, err
	}
	next := from
	row := next.settle(from.State, next.switchSigning())
	return c.take(ctx, next, call, digest, func(ctx context.Context, p Partner, call Call) (Reply, Change, error) {
		reply, ch, err := receive(ctx, p, call)
		ch.Partner, ch.Audit = &next, append(ch.Audit, row)
		return reply, ch, err
	})
}
