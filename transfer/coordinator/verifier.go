package coordinator

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"steward/est/attest"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// A Verifier judges devices for others; *attest.Verifier is one.
type Verifier interface {
	// ChallengeFor returns a nonce for the device in that case, and its end.
	ChallengeFor(ctx context.Context, device attest.Hash, k attest.Case) ([]byte, time.Time, error)
	// AppraiseFor judges evidence in that case. Its errors are those of Appraise.
	AppraiseFor(ctx context.Context, device attest.Hash, k attest.Case, evidence []byte) (attest.Result, error)
}

// schemeVerifier begins the URI of a verifier that is asked over the interface
// between providers. Any other URI is where the former provider's devices attested:
// nothing is demanded by it.
const schemeVerifier = "https://"

// verifierURI returns where the verifier of that name is asked; "" for "", that of the
// incoming provider. It returns ErrInvalid for one that does not exist.
func (c *Coordinator) verifierURI(ctx context.Context, name string) (string, error) {
	switch {
	case name == "":
		return "", nil
	case name == c.o.Name && c.o.Verdicts != nil && strings.HasPrefix(c.o.PeerURI, schemeVerifier):
		return c.o.PeerURI, nil
	}
	all, err := c.o.Store.ListPartners(ctx)
	if err != nil {
		return "", err
	}
	for _, p := range all {
		if p.Name == name && p.Admitted() && len(p.Verifier) > 0 {
			return p.PeerURI, nil
		}
	}
	return "", refusedf(ErrInvalid, "there is no verifier of %.80q", name)
}

// settleVerifier says in a draft whose verdict is demanded.
func (c *Coordinator) settleVerifier(ctx context.Context, d *Draft, partner Partner) error {
	if d.Verifier == "" && d.Mandate == nil {
		d.Verifier = partner.Demands
	}
	if _, err := c.verifierURI(ctx, d.Verifier); err != nil {
		return err
	}
	d.Attest = d.Attest || d.Verifier != ""
	if d.Verifier == partner.Name {
		d.Verifier = ""
	}
	return nil
}

// demand has the partner's record decide where a mandate of the service user demands
// attestation and the draft says nothing.
func (t *Transfer) demand(d Draft, partner Partner) {
	if t.Attest && !d.Attest && partner.Demands != partner.Name {
		t.Verifier = partner.Demands
	}
}

// demanded returns the URI of the verifier that the outgoing provider demands, "" if
// it leaves that to us.
func demanded(p transfer.DevicePair) string {
	if p.Switch.RA == nil || !strings.HasPrefix(p.Switch.RA.Verifier, schemeVerifier) {
		return ""
	}
	return p.Switch.RA.Verifier
}

// sameDemand reports whether all devices demand what the other one does.
func sameDemand(devices []transfer.DevicePair, other transfer.DevicePair) bool {
	return !slices.ContainsFunc(devices, func(p transfer.DevicePair) bool { return demanded(p) != demanded(other) })
}

// demands returns the name of the verifier that an info demands by its first device, ""
// for none, and why it cannot be had; it must be the same for all devices.
func (c *Coordinator) demands(ctx context.Context, first transfer.DevicePair) (string, transfer.Reason, error) {
	if demanded(first) == "" {
		return "", "", nil
	}
	all, err := c.o.Store.ListPartners(ctx)
	if err != nil {
		return "", "", err
	}
	for _, p := range all {
		if p.PeerURI == demanded(first) && p.Admitted() && len(p.Verifier) > 0 {
			return p.Name, "", nil
		}
	}
	return "", "the verifier that is demanded is not known here", nil
}

// verifierOf returns whose verdicts count for a transfer, and the certificate that
// they are signed with. It returns ErrEvidence if none is pinned.
func (c *Coordinator) verifierOf(ctx context.Context, t Transfer) (string, *x509.Certificate, error) {
	name, der := t.Verifier, c.o.Verifier
	if name == "" && !t.Incoming {
		name = t.PartnerName
	}
	if name == "" {
		name = c.o.Name
	}
	if name != c.o.Name {
		p, err := c.partnerNamed(ctx, name)
		if err != nil {
			return "", nil, err
		}
		der = p.Verifier
	}
	by, err := x509.ParseCertificate(der)
	if err != nil {
		return "", nil, fmt.Errorf("%w: no verifier of %s is pinned", ErrEvidence, name)
	}
	return name, by, nil
}

// Challenge asks the verifier of another provider for a nonce, for a device that comes.
// It returns attest.ErrBusy if that cannot be asked now, and attest.ErrUnknown if it
// does not judge the device.
func (c *Coordinator) Challenge(ctx context.Context, device attest.Hash, k attest.Case) ([]byte, time.Time, error) {
	raw, err := c.appraisal(ctx, ActionChallenge, device, k, nil)
	if errors.Is(err, ErrDeclined) {
		return nil, time.Time{}, fmt.Errorf("%w: %w", attest.ErrUnknown, err)
	}
	if err != nil {
		return nil, time.Time{}, err
	}
	given, err := attest.ParseChallenge(raw)
	return given.Nonce, time.Unix(int64(min(given.Expires, maxUnix)), 0), err
}

// maxUnix is the end of the year 9999.
const maxUnix = 253402300799

// Appraise asks the verifier of another provider for its verdict. It returns
// attest.ErrBusy if that cannot be asked now, attest.ErrNonce for evidence that it does
// not take, and ErrEvidence for a verdict that is not its: the device tries anew.
func (c *Coordinator) Appraise(
	ctx context.Context, device attest.Hash, k attest.Case, evidence []byte,
) ([]byte, error) {
	raw, err := c.appraisal(ctx, ActionEvidence, device, k, evidence)
	if errors.Is(err, ErrDeclined) {
		return nil, fmt.Errorf("%w: %w", attest.ErrNonce, err)
	}
	if err != nil {
		return nil, err
	}
	t, r, err := c.attesting(ctx, fleet.Factory(device))
	if err != nil {
		return nil, err
	}
	_, err = c.shownVerdict(ctx, t, r, raw) // before it is kept
	return raw, err
}

func (c *Coordinator) appraisal(
	ctx context.Context, a Action, device attest.Hash, k attest.Case, evidence []byte,
) ([]byte, error) {
	t, r, err := c.attesting(ctx, fleet.Factory(device))
	if err != nil {
		return nil, err
	}
	if r.Transfer == "" || t.ID != k.Transfer {
		return nil, fmt.Errorf("%w: the device attests for no transfer", attest.ErrUnknown)
	}
	judge, err := c.partnerNamed(ctx, t.Verifier)
	if err != nil {
		return nil, err
	}
	if !judge.Admitted() {
		return nil, fmt.Errorf("%w: partner %s is %s", attest.ErrBusy, judge.Name, judge.State)
	}
	_, ready, err := c.stored(ctx, r, transfer.Ready)
	if err != nil {
		return nil, err
	}
	raw, err := transfer.Appraisal{
		Transfer: t.Key(), Factory: transfer.Hash(device), Ready: ready, Evidence: evidence,
	}.Encode()
	if err != nil {
		return nil, err
	}
	once := make([]byte, idLength)
	_, _ = rand.Read(once) // never fails
	answer, err := c.o.Peers.Post(ctx, judge, Call{
		Action: a, Transfer: t.ID, Device: r.Short, Key: string(a) + "-" + hex.EncodeToString(once), Body: raw,
	})
	if errors.Is(err, ErrPartnerAway) {
		return nil, fmt.Errorf("%w: %w", attest.ErrBusy, err)
	}
	return answer, err
}

// receiveChallenge gives a partner a nonce for a device that goes to it, or, as a third
// provider, that goes from one of its partners to another.
func (c *Coordinator) receiveChallenge(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	b, k, err := c.judged(ctx, from, call)
	if err != nil {
		return Reply{}, Change{}, err
	}
	nonce, end, err := c.o.Verdicts.ChallengeFor(ctx, attest.Hash(b.Factory), k)
	if err != nil {
		return Reply{}, Change{}, unjudged(err)
	}
	raw, err := attest.Challenge{Expires: uint64(max(end.Unix(), 0)), Nonce: nonce}.Encode()
	return Reply{TypeCBOR, raw}, Change{}, err
}

// receiveEvidence gives a partner our verdict on a device.
func (c *Coordinator) receiveEvidence(ctx context.Context, from Partner, call Call) (Reply, Change, error) {
	b, k, err := c.judged(ctx, from, call)
	if err != nil {
		return Reply{}, Change{}, err
	}
	result, err := c.o.Verdicts.AppraiseFor(ctx, attest.Hash(b.Factory), k, b.Evidence)
	if err != nil {
		return Reply{}, Change{}, unjudged(err)
	}
	return Reply{TypeCOSE, result.Verdict}, Change{}, nil
}

// judged returns the case that a partner asks our verifier about. In a transfer of ours
// the READY receipt must be the one that we know. In one between others nothing is
// known of the transfer here; key and order of the receipt stand in the verdict, and
// those whom it is for compare them.
func (c *Coordinator) judged(ctx context.Context, from Partner, call Call) (transfer.Appraisal, attest.Case, error) {
	var none attest.Case
	b, err := transfer.ParseAppraisal(call.Body)
	if err != nil {
		return b, none, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if c.o.Verdicts == nil {
		return b, none, refusedf(ErrState, "there is no verifier here")
	}
	ready, err := transfer.ParseReceipt(b.Ready)
	if err != nil || ready.Body.State != transfer.Ready || ready.Body.Factory != b.Factory ||
		fleet.Factory(b.Factory).Short() != call.Device || hex.EncodeToString(b.Transfer) != call.Transfer {
		return b, none, refusedf(ErrInvalid, "the receipt is not READY of that device")
	}
	k := attest.Case{
		Transfer: call.Transfer, Key: attest.Hash(ready.Body.SPKI), Message: attest.Hash(ready.Body.Message),
		Truststore: attest.Hash(ready.Body.Truststore),
	}
	t, r, err := c.deviceWith(ctx, from, call, b.Transfer)
	if errors.Is(err, ErrUnknown) {
		if _, err := c.o.Store.Transfer(ctx, call.Transfer); err == nil {
			return b, none, refusedf(ErrForbidden, "transfer of others")
		}
		return b, k, nil
	}
	if err != nil {
		return b, none, err
	}
	own, _, err := c.stored(ctx, r, transfer.Ready)
	switch {
	case t.Incoming || t.Verifier != c.o.Name:
		return b, none, refusedf(ErrState, "our verdict was not asked for")
	case err != nil || own.Hash != ready.Hash:
		return b, none, refusedf(ErrInvalid, "not the READY receipt that is known")
	case r.Ended():
		return b, none, refusedf(ErrState, "device is %s", r.State)
	}
	return b, k, nil
}

// unjudged is what a partner hears of evidence that gets no verdict.
func unjudged(err error) error {
	if errors.Is(err, attest.ErrBusy) {
		return err
	}
	for _, refusal := range []error{
		attest.ErrUnknown, attest.ErrSyntax, attest.ErrTooLarge, attest.ErrValue, attest.ErrProfile, attest.ErrKey,
		attest.ErrSignature, attest.ErrNonce, attest.ErrExpired, attest.ErrSpent,
	} {
		if errors.Is(err, refusal) {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return err
}
