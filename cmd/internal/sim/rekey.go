package sim

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
	"steward/transfer"
)

// rekeyKey is where a re-key that is under way stands in the memory.
const rekeyKey = "factory-rekey"

// rekeying is how far the device is on the way to a factory key of its own (transfer
// protocol §6):
//
//	Asked        the server wants it: stored before it is told so
//	Key, Request made and stored, before anybody is asked
//	Certificate  came from the permanent CA. The device tells its server by Send, and
//	             sees by a handshake that the server knows it; then it uses it at the
//	             permanent CA, which supersedes the one before, and last of all gives
//	             up the key before.
//
// Until then both keys are kept, so that at each instant one opens the door of each.
type rekeying struct {
	Asked       bool   `json:"asked"`
	Key         []byte `json:"key,omitempty"` // PKCS #8
	Request     []byte `json:"request,omitempty"`
	Certificate []byte `json:"certificate,omitempty"`

	fault   objects.EnrolmentFault
	refused bool // by the permanent CA; it is not asked again before the server wants it
	stale   bool // the request was refused: another is made for the same key
}

func readRekeying(stored []byte) (r rekeying, err error) {
	if stored == nil {
		return r, nil
	}
	if err := json.Unmarshal(stored, &r); err != nil {
		return r, fmt.Errorf("re-key: %w", err)
	}
	return r, nil
}

// errNoSuccessor reports that there is no certificate yet.
var errNoSuccessor = errors.New("no new factory certificate")

// identity returns what is to take the place of the identity in force.
func (r *rekeying) identity() (factoryIdentity, error) {
	if r.Certificate == nil {
		return factoryIdentity{}, errNoSuccessor
	}
	key, err := parseKey(r.Key)
	return factoryIdentity{key: key, chain: [][]byte{r.Certificate}, made: true}, err
}

// shown is the factory certificate that the server is to know.
func (r *rekeying) shown(own factoryIdentity) []byte {
	if r.Certificate != nil {
		return r.Certificate
	}
	return own.chain[0]
}

// proof is what the key in force has signed of the certificate that is to take the place
// of its own; nil: there is none yet.
func (r *rekeying) proof() []byte {
	if r.Certificate == nil {
		return nil
	}
	proof, err := est.RekeyProof(r.Request)
	if err != nil { // the device has made it itself
		return nil
	}
	return proof
}

// tell puts into object Enrolment how far it is.
func (r *rekeying) tell(e *objects.Enrolment) {
	switch {
	case r.fault != objects.FaultNone:
		e.State, e.Error = objects.EnrolmentFailed, int64(r.fault)
	case r.Certificate != nil:
		e.State = objects.EnrolmentProving
	case r.Asked, r.Key != nil:
		e.State = objects.EnrolmentAsks
	}
}

// askRekey has the device re-key. It returns ErrNotImplemented for one that knows no
// permanent CA.
func (l *life) askRekey() error {
	if l.d.b.Factory.PermanentURI == "" {
		return fmt.Errorf("%w: re-key without the URI of a permanent CA", ErrNotImplemented)
	}
	defer l.poke()
	return l.keepRekeying(func(r *rekeying) {
		r.Asked, r.fault, r.stale, r.refused = true, objects.FaultNone, r.refused, false
	})
}

// rekeys reports whether a re-key is to be gone on with.
func (l *life) rekeys() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.rekeying
	return l.state.AtRest() && (r.Asked || r.Key != nil && !r.refused)
}

// rekey goes on with the re-key as far as it can be. What fails keeps the device from
// nothing else: there is another try later.
func (l *life) rekey(ctx context.Context, m *link, home transfer.Home) {
	if time.Now().Before(l.rekeyAt) {
		return
	}
	err := l.rekeyOn(ctx, m, home)
	if ctx.Err() != nil || l.failure() != nil {
		return
	}
	fault, refused := objects.FaultNone, false
	if err != nil {
		fault = objects.FaultUnreachable
		if status, ok := errors.AsType[*estcoap.StatusError](err); ok {
			fault, refused = objects.EnrolmentFault(status.Code), transfer.PermanentRefusal(uint8(status.Code))
		} else if errors.Is(err, errIssued) {
			fault = objects.FaultCertificate
		} else if errors.Is(err, errUnknownYet) {
			fault = objects.FaultNone
		}
		l.rekeyed++
		delay := l.o.retry().Delay(l.rekeyed, dice())
		l.rekeyAt = time.Now().Add(delay)
		l.d.event(l.about(Event{
			Kind: Retrying, Detail: "re-key, in " + delay.Round(time.Millisecond).String(), Error: err.Error(),
		}))
	} else {
		l.rekeyAt, l.rekeyed = time.Time{}, 0
	}
	l.mu.Lock()
	l.rekeying.fault, l.rekeying.refused = fault, refused && l.rekeying.Certificate == nil
	l.rekeying.Asked = l.rekeying.Asked && !refused
	l.mu.Unlock()
}

// errUnknownYet reports that the device's server does not know its new factory
// certificate yet, or cannot be reached.
var errUnknownYet = errors.New("the server does not take the new factory certificate yet")

func (l *life) rekeyOn(ctx context.Context, m *link, home transfer.Home) error {
	if err := l.prepareRekey(); err != nil {
		return err
	}
	if err := l.fetchFactory(ctx); err != nil {
		return err
	}
	l.mu.Lock()
	next, err := l.rekeying.identity()
	anchors := l.tr.Trusted(transfer.Enrol)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if err := l.introduce(ctx, m, home.EnrollURI, next, anchors); err != nil {
		return fmt.Errorf("%w: %w", errUnknownYet, err)
	}
	if err := l.visit(ctx, l.d.b.Factory.PermanentURI, next.tls(), l.permanentAnchors()); err != nil {
		return fmt.Errorf("permanent CA, by the new certificate: %w", err)
	}
	return l.adoptFactory(next)
}

// prepareRekey makes key and request, once.
func (l *life) prepareRekey() error {
	l.mu.Lock()
	r, own, mandate := l.rekeying, l.own, l.tr.Mandate()
	l.mu.Unlock()
	if r.Key != nil && !r.stale {
		return nil
	}
	key, err := r.nextKey()
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	request, err := est.NewRekeyCSR(key, own.key, own.chain[0], mandate)
	if err != nil {
		return err
	}
	return l.keepRekeying(func(r *rekeying) { r.Key, r.Request, r.stale = private, request, false })
}

// nextKey returns the key that was made, or makes it: the permanent CA may know it.
func (r *rekeying) nextKey() (crypto.Signer, error) {
	if r.Key != nil {
		return parseKey(r.Key)
	}
	return newKey()
}

// keepRekeying changes and stores how far the re-key is.
func (l *life) keepRekeying(change func(*rekeying)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.rekeying
	change(&r)
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := l.put(map[string][]byte{rekeyKey: raw}); err != nil {
		return err
	}
	l.rekeying = r
	return nil
}

// permanentAnchors are those that stand for the permanent CA, whoever else may enrol.
func (l *life) permanentAnchors() (out []transfer.Anchor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.tr.Truststore() {
		if a.Domain == transfer.Permanent && !a.Staged && a.Purposes.Has(transfer.Enrol) {
			out = append(out, a)
		}
	}
	return out
}

// fetchFactory gets the certificate, by the operational one, unless it has come.
func (l *life) fetchFactory(ctx context.Context) error {
	l.mu.Lock()
	r := l.rekeying
	l.mu.Unlock()
	if r.Certificate != nil {
		return nil
	}
	certificate, err := l.operational()
	if err != nil {
		return err
	}
	uri, anchors := l.d.b.Factory.PermanentURI, l.permanentAnchors()
	return l.ask(ctx, uri, certificate, anchors, func(ctx context.Context, c *estcoap.Client) error {
		fresh, err := c.Reenrol(ctx, r.Request)
		if err != nil {
			return fmt.Errorf("re-key: sren: %w", err)
		}
		if err := l.checkSuccessor(r, fresh, anchors); err != nil {
			return fmt.Errorf("re-key: %w: %w", errIssued, err)
		}
		return l.keepRekeying(func(r *rekeying) { r.Certificate = fresh.Raw })
	})
}

// checkSuccessor says whether a factory certificate is for the device and its key.
func (l *life) checkSuccessor(r rekeying, fresh *x509.Certificate, anchors []transfer.Anchor) error {
	key, err := parseKey(r.Key)
	if err != nil {
		return err
	}
	if !samePublic(key, fresh.PublicKey) || fresh.Subject.CommonName != l.d.b.Endpoint {
		return fmt.Errorf("%w: it is for another device or key", ErrServer)
	}
	_, err = vouch(fresh, nil, anchors, l.o.now())
	return err
}

// introduce tells the device's server the new factory certificate and sees whether
// it is let in by it.
func (l *life) introduce(
	ctx context.Context, m *link, uri string, next factoryIdentity, anchors []transfer.Anchor,
) error {
	base := lwm2m.NewPath(l.d.b.IDs().Enrolment, 0)
	sending, cancel := context.WithTimeout(ctx, 8*l.o.AckTimeout) //nolint:mnd // one request and its repetitions
	defer cancel()
	err := l.cl.Send(sending, m.conn, base.Child(objects.EnrolmentFactory), base.Child(objects.EnrolmentFactoryProof))
	if err != nil {
		return err
	}
	return l.visit(ctx, uri, next.tls(), anchors)
}

// visit sees whether the enrolment server at uri lets the device in by a certificate.
func (l *life) visit(ctx context.Context, uri string, certificate *tls.Certificate, anchors []transfer.Anchor) error {
	return l.ask(ctx, uri, certificate, anchors, func(ctx context.Context, c *estcoap.Client) error {
		_, err := c.Cacerts(ctx)
		return err
	})
}

// ask does something over an association of its own with an enrolment server.
func (l *life) ask(ctx context.Context, uri string, certificate *tls.Certificate, anchors []transfer.Anchor,
	do func(ctx context.Context, c *estcoap.Client) error,
) error {
	there, err := l.dial(ctx, dialing{
		uri: uri, certificate: certificate, anchors: anchors, registrar: true, phase: phaseRenewal,
	})
	if err != nil {
		return err
	}
	l.cl.Attach(there.conn, client.Account{})
	defer l.links.drop(there, l.cl)
	c, err := l.estClientBy(there, uri, estcoap.C509Formats{}) // of X.509 and PKCS#10 all know
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.o.patience())
	defer cancel()
	return do(ctx, c)
}

// adoptFactory makes the new identity that in force, and gives up the one before,
// in one write. No message is accepted meanwhile: it would name the one before.
func (l *life) adoptFactory(next factoryIdentity) error {
	if err := l.exchangeFactory(next); err != nil {
		return err
	}
	l.links.forgetFactory(l.cl)
	l.d.event(l.about(Event{Kind: Rekeyed}))
	return l.compact()
}

func (l *life) exchangeFactory(next factoryIdentity) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.state.AtRest() {
		return fmt.Errorf("%w: a hand-over has begun", errUnknownYet)
	}
	raw, err := json.Marshal(storedFactory{Key: l.rekeying.Key, Certificate: next.chain[0]})
	if err != nil {
		return err
	}
	if err := l.put(map[string][]byte{factoryKey: raw, rekeyKey: nil}); err != nil {
		return err
	}
	l.own, l.rekeying = next, rekeying{}
	return l.tr.SetFactory(next.key, next.chain[0])
}
