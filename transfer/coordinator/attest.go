package coordinator

import (
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"steward/est/attest"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// Attesters is what a provider knows of the attestation keys of devices.
type Attesters interface {
	// Describe returns what a partner's verifier needs, nil if the key is not known.
	Describe(ctx context.Context, id fleet.ID, factory fleet.Factory) (*transfer.RAInfo, error)
	// Learn notes what a partner said of a device that comes. It may be told again.
	Learn(ctx context.Context, factory fleet.Factory, info transfer.RAInfo, actor string) error
}

// Gates are what a device must pass between its commit and its enrolment.
type Gates struct {
	Attest      bool // an affirming verdict of the verifier
	UpdateFirst bool // the update server
	// Release is what it has for devices of that release's class; "" is the newest that
	// was approved, as for all others. Only the incoming provider knows it.
	Release string `json:",omitempty"`
}

// SetGates says what the offer of an incoming transfer will ask for. What the
// mandate demands cannot be left out. It returns ErrUnknown, ErrState or ErrInvalid.
func (c *Coordinator) SetGates(ctx context.Context, id, actor string, g Gates) (Transfer, error) {
	return c.command(ctx, id, actor, func(t *Transfer, ch *Change) error {
		if !t.Incoming || t.State != transfer.BatchInfoAccepted {
			return refusedf(ErrState, "transfer is %s", t.State)
		}
		docs, err := c.o.Store.Documents(ctx, id)
		if err != nil {
			return err
		}
		mandate, err := transfer.ParseMandate(docs.Mandate)
		if err != nil {
			return err
		}
		demanded := mandate.Body.NeedsAttestation() || t.Verifier != ""
		if err := c.gatesAllowed(ctx, *t, demanded, g); err != nil {
			return err
		}
		before := gateWords(t.Gates)
		t.Gates = g
		ch.Audit = append(ch.Audit, audit.Row{
			Actor: actor, Action: "transfer.gates", Subject: id, Before: before, After: gateWords(g),
		})
		return nil
	})
}

// gatesAllowed returns ErrInvalid for gates that cannot be kept, or that are fewer
// than what is demanded.
func (c *Coordinator) gatesAllowed(ctx context.Context, t Transfer, demanded bool, g Gates) error {
	switch {
	case g.Release != "" && !g.UpdateFirst:
		return refusedf(ErrInvalid, "a release is chosen for devices that ask the update server before they enrol")
	case !g.Attest && demanded:
		return refusedf(ErrInvalid, "the mandate, or %s, demands attestation", t.PartnerName)
	case !g.Attest:
		return nil
	case c.o.Domain.RAURI == "" || c.o.Attesters == nil:
		return refusedf(ErrInvalid, "there is no verifier here")
	default:
		return c.allAttest(ctx, t.ID)
	}
}

func gateWords(g Gates) string {
	words := fmt.Sprintf("attest %t, update first %t", g.Attest, g.UpdateFirst)
	if g.Release != "" {
		words += ", release " + g.Release
	}
	return words
}

// allAttest returns ErrInvalid unless the partner has told the attestation key of
// every device that it hands over.
func (c *Coordinator) allAttest(ctx context.Context, id string) error {
	missing := 0
	err := c.eachRow(ctx, id, func(r Row) error {
		if r.Ended() {
			return nil
		}
		pair, err := r.pair()
		if err == nil && pair.Switch.RA == nil {
			missing++
		}
		return err
	})
	if err == nil && missing > 0 {
		err = refusedf(ErrInvalid, "%d devices come without attestation data", missing)
	}
	return err
}

// usable says why the attestation data of a device is of no use; "" if it is, or
// there is none. The factory key attests nothing: whoever has a copy of it would be
// affirmed, and no mandate says that it accepts that.
func usable(ra *transfer.RAInfo, factory *x509.Certificate) transfer.Reason {
	if ra == nil {
		return ""
	}
	key, err := attest.DecodeKey(ra.Key)
	switch {
	case err != nil:
		return "attestation key cannot be used"
	case key.Equal(factory.PublicKey):
		return "attestation key is the factory key"
	}
	return ""
}

// AttestationCase returns what a device attests for: its transfer, with the key,
// message and truststore of its READY receipt; zero if it comes in none that asks
// for it.
func (c *Coordinator) AttestationCase(ctx context.Context, factory fleet.Factory) (attest.Case, error) {
	t, r, err := c.attesting(ctx, factory)
	if err != nil || r.Transfer == "" {
		return attest.Case{}, err
	}
	ready, _, err := c.stored(ctx, r, transfer.Ready)
	if err != nil {
		return attest.Case{}, err
	}
	return attest.Case{
		Elsewhere: t.Verifier != "" && t.Verifier != c.o.Name,
		Transfer:  t.ID, Key: attest.Hash(r.SPKI), Message: attest.Hash(r.Hash),
		Truststore: attest.Hash(ready.Body.Truststore),
	}, nil
}

// attesting returns the row of a device whose right waits for a verdict, or was
// opened by one; the zero Row if there is none.
func (c *Coordinator) attesting(ctx context.Context, factory fleet.Factory) (Transfer, Row, error) {
	return c.arriving(ctx, factory, attests)
}

func attests(t *Transfer) bool { return t.Attest }

// Attested takes a verdict of our verifier, or of the one that was demanded. An affirming one opens the right of the
// device, unless it must be updated first; any other closes it for good. A verdict
// about a device that attests for no transfer changes nothing.
func (c *Coordinator) Attested(ctx context.Context, result attest.Result) error {
	if result.Transfer == "" {
		return nil
	}
	return c.moveArriving(ctx, fleet.Factory(result.Device), attests, "verifier", func(t *Transfer, r *Row) (bool, error) {
		if r.Transfer != result.Transfer {
			return false, nil
		}
		name, by, err := c.verifierOf(ctx, *t)
		if err != nil {
			return false, err
		}
		if _, err := verdictFor(by, name, *r, result.Verdict); err != nil {
			return false, err
		}
		return true, r.judged(t, result.Verdict, time.Now())
	})
}

// judged moves r by a verdict that verdictFor has accepted.
func (r *Row) judged(t *Transfer, raw []byte, now time.Time) error {
	v, err := attest.ParseVerdict(raw)
	if err != nil {
		return err
	}
	r.Verdict, r.Reason = raw, ""
	var events []transfer.RowEvent
	if r.State == transfer.RowReady {
		// Only a device that has committed speaks of its message and the key of its receipt.
		if v.Key != attest.Hash(r.SPKI) || v.Message != attest.Hash(r.Hash) {
			return fmt.Errorf("%w: the device has not committed", ErrEvidence)
		}
		r.CommittedAt = now
		events = append(events, transfer.RowContact)
	}
	if v.Tier != attest.TierAffirming {
		r.Reason = cut("attestation " + v.Tier.String() + ": " + v.Reason)
		return r.applyAll(now, append(events, transfer.RowVerdict)...)
	}
	if r.State != transfer.RowUpdated {
		events = append(events, transfer.RowAttest)
	}
	if err := r.applyAll(now, events...); err != nil {
		return err
	}
	return r.applyAll(now, t.gates(r)...)
}

// verdictFor checks that a verdict was signed by that verifier of that provider, and
// is about the device of r with the key and the message of its READY receipt. It
// returns ErrEvidence.
func verdictFor(by *x509.Certificate, issuer string, r Row, raw []byte) (*attest.Verdict, error) {
	v, err := attest.VerifyVerdict(raw, by)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrEvidence, err)
	case v.Issuer != issuer:
		return nil, fmt.Errorf("%w: verdict of %.80q", ErrEvidence, v.Issuer)
	case fleet.Factory(v.Device) != r.Factory, v.Key != attest.Hash(r.SPKI) && v.Tier == attest.TierAffirming,
		v.Message != attest.Hash(r.Hash) && v.Tier == attest.TierAffirming:
		return nil, fmt.Errorf("%w: verdict about another device, key or transfer", ErrEvidence)
	}
	return v, nil
}

// shownVerdict is verdictFor with the verifier that counts for the transfer.
func (c *Coordinator) shownVerdict(ctx context.Context, t Transfer, r Row, raw []byte) (*attest.Verdict, error) {
	name, by, err := c.verifierOf(ctx, t)
	if err != nil {
		return nil, err
	}
	return verdictFor(by, name, r, raw)
}

// askVerdict asks the partner, once more before a device returns, what its verifier
// said of it.
func (c *Coordinator) askVerdict(ctx context.Context, s *step) {
	if !s.t.Attest || s.row.Verdict != nil {
		return
	}
	if there, err := c.partnerState(ctx, s, s.row.UpdatedAt); err == nil {
		c.takeVerdict(ctx, s, there.Verdict)
	}
}

// takeVerdict takes the verdict that the partner shows on a device that is on its
// way there. One that does not verify changes nothing.
func (c *Coordinator) takeVerdict(ctx context.Context, s *step, raw []byte) {
	if len(raw) == 0 || !s.t.Attest || string(raw) == string(s.row.Verdict) {
		return
	}
	v, err := c.shownVerdict(ctx, s.t, s.row, raw)
	if err != nil {
		s.row.Reason = cut("the partner's verdict: " + err.Error())
		return
	}
	s.row.Verdict, s.again = raw, true
	if v.Tier == attest.TierAffirming {
		if s.row.State == transfer.RowCommitted {
			s.fire(transfer.RowAttest)
		}
		return
	}
	s.row.Reason = cut("attestation " + v.Tier.String() + ": " + v.Reason)
	if s.row.accepts(transfer.RowVerdict) {
		s.fire(transfer.RowVerdict)
	}
}
