package sim

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/lwm2m/client"
	"steward/lwm2m/dtls"
	"steward/objects"
	"steward/transfer"
)

// A RenewalFault is how the renewals of a device fail, on purpose.
type RenewalFault string

// The faults of renewals.
const (
	// RenewalRefused asks for a certificate with a name that is not the device's.
	RenewalRefused RenewalFault = "refused"
	// RenewalLost throws the answer away.
	RenewalLost RenewalFault = "lost"
	// RenewalUnused never shows the new certificate to the LwM2M server.
	RenewalUnused RenewalFault = "unused"
)

// check returns ErrOptions for a fault that there is not; "" is none.
func (f RenewalFault) check() error {
	known := []RenewalFault{"", RenewalRefused, RenewalLost, RenewalUnused}
	if !slices.Contains(known, f) {
		return fmt.Errorf("%w: no fault of renewals %q, there are %v", ErrOptions, f, known[1:])
	}
	return nil
}

// errAnswerLost is what RenewalLost makes of an answer.
var errAnswerLost = errors.New("answer lost, on purpose")

// Keys of the memory.
const (
	gotKey         = "certificate-got" // when the operational certificate came: Unix seconds
	renewBeforeKey = "renew-before"    // as written to object Enrolment: seconds
)

// A renewing is how far the present renewal is. life.mu guards it.
type renewing struct {
	asked bool // by Enrol of object Enrolment
	fault objects.EnrolmentFault
	tries int // that failed
}

// failing reports whether a fault is to be shown now.
func (l *life) failing(f RenewalFault) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.o.RenewalFault == f && (l.o.RenewalFaults == 0 || l.renewal.tries < l.o.RenewalFaults)
}

// renewalFailed notes why a renewal did not come about.
func (l *life) renewalFailed(err error) error {
	fault := objects.FaultUnreachable
	if status, ok := errors.AsType[*estcoap.StatusError](err); ok {
		fault = objects.EnrolmentFault(status.Code)
	} else if errors.Is(err, errIssued) {
		fault = objects.FaultCertificate
	}
	l.mu.Lock()
	l.renewal.fault, l.renewal.tries = fault, l.renewal.tries+1
	l.mu.Unlock()
	return err
}

// errIssued reports a certificate that is of no use.
var errIssued = errors.New("certificate issued")

// seconds reads a number from the memory; 0 is none.
func (l *life) seconds(key string) int64 {
	raw := l.nv.Get(key)
	if len(raw) != 8 { //nolint:mnd // of an int64
		return 0
	}
	return int64(binary.BigEndian.Uint64(raw)) //nolint:gosec // G115: written by storeSeconds
}

func storeSeconds(n int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(n)) //nolint:gosec // G115: read back by seconds
}

// got notes when the operational certificate came; of a device without a clock,
// nothing.
func (l *life) got() error {
	now := l.o.now()
	if now.IsZero() {
		return nil
	}
	return l.put(map[string][]byte{gotKey: storeSeconds(now.Unix())})
}

// renewBefore is how long before its end a certificate is renewed by the device
// itself: as the server said, as an option says, or a fifth of its life, so that a
// server that asks at two thirds is first.
func (l *life) renewBefore(c *x509.Certificate) time.Duration {
	if s := l.seconds(renewBeforeKey); s > 0 {
		return time.Duration(s) * time.Second
	}
	if l.o.RenewBefore > 0 {
		return l.o.RenewBefore
	}
	const part = 5
	return l.lifeOf(c) / part
}

// lifeOf returns how long a certificate lives from when it came.
func (l *life) lifeOf(c *x509.Certificate) time.Duration {
	begins := c.NotBefore // may lie before the certificate was made
	if got := l.seconds(gotKey); got > 0 {
		begins = later(begins, time.Unix(got, 0))
	}
	return c.NotAfter.Sub(begins)
}

// maxRenewPause is the shortest time between two renewals that the device begins by
// itself, whatever the certificates say; a tenth of their life if that is less.
const (
	maxRenewPause   = time.Hour
	partOfLifePause = 10
)

// ages returns when a certificate is to be renewed; zero: never, for want of a clock.
func (l *life) ages(der []byte) time.Time {
	c, err := x509.ParseCertificate(der)
	if err != nil || l.o.now().IsZero() {
		return time.Time{}
	}
	at := c.NotAfter.Add(-l.renewBefore(c))
	if !l.renewed.IsZero() {
		at = later(at, l.renewed.Add(min(maxRenewPause, l.lifeOf(c)/partOfLifePause)))
	}
	return at
}

// due reports whether a certificate is to be renewed now.
func (l *life) due(der []byte) bool {
	at := l.ages(der)
	return !at.IsZero() && !l.o.now().Before(at)
}

// renew gets a new certificate over an association by the present one, and
// connects anew with it. Where the enrolment server is another endpoint than the
// LwM2M server, an association of its own is opened. The present certificate is kept
// until the new one has served.
func (l *life) renew(ctx context.Context, m *link, home transfer.Home) error {
	if _, _, ok := l.former(); ok { // the last one has not served yet
		l.mu.Lock()
		l.renewal.asked = false
		l.mu.Unlock()
		l.links.condemn(m.conn)
		l.poke()
		return nil
	}
	there, fresh, err := l.fetchRenewal(ctx, home, (*transfer.Device).EnrolmentKey)
	if err != nil {
		return l.renewalFailed(err)
	}
	if err := l.with(func(tr *transfer.Device) error { return tr.SetRenewed(fresh.Raw) }); err != nil {
		return err
	}
	if err := l.got(); err != nil {
		return err
	}
	l.mu.Lock()
	l.renewal = renewing{tries: l.renewal.tries}
	l.mu.Unlock()
	l.d.event(l.about(Event{Kind: Renewed, Server: there, Detail: l.encoding()}))
	l.renewed = l.o.now()
	l.links.condemn(m.conn)
	l.poke()
	return nil
}

// refresh renews the certificate with a fresh key before the device registers with
// its new provider: what it attested with, or what saw the update come, does not stay.
func (l *life) refresh(ctx context.Context, home transfer.Home) error {
	there, fresh, err := l.fetchRenewal(ctx, home, (*transfer.Device).FreshKey)
	if err != nil {
		return err
	}
	l.d.event(l.about(Event{Kind: Renewed, Server: there, Detail: l.encoding()}))
	return errors.Join(l.with(func(tr *transfer.Device) error { return tr.Renewed(fresh.Raw) }), l.got())
}

// fetchRenewal asks for the next certificate, with that key. It returns where it came
// from.
func (l *life) fetchRenewal(
	ctx context.Context, home transfer.Home, keyOf func(*transfer.Device) (crypto.Signer, error),
) (string, *x509.Certificate, error) {
	l.mu.Lock()
	anchors := l.tr.Trusted(transfer.Enrol)
	l.mu.Unlock()
	certificate, err := l.operational()
	if err != nil {
		return "", nil, err
	}
	there, err := l.dial(ctx, dialing{
		uri: home.EnrollURI, certificate: certificate, anchors: anchors, registrar: true, phase: phaseRenewal,
	})
	if err != nil {
		return "", nil, err
	}
	l.cl.Attach(there.conn, client.Account{})
	defer l.links.drop(there, l.cl)
	var key crypto.Signer
	err = l.with(func(tr *transfer.Device) (err error) { key, err = keyOf(tr); return err })
	if err != nil {
		return "", nil, err
	}
	request, err := l.renewalRequest(key)
	if err != nil {
		return "", nil, err
	}
	c, err := l.estClient(there, home.EnrollURI)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.o.patience())
	defer cancel()
	fresh, err := c.Reenrol(ctx, request)
	if err != nil {
		return "", nil, fmt.Errorf("sren: %w", err)
	}
	if l.failing(RenewalLost) {
		return "", nil, fmt.Errorf("sren: %w", errAnswerLost)
	}
	if err := l.vouchRenewed(ctx, c, fresh, anchors); err != nil {
		return "", nil, fmt.Errorf("sren: %w: %w", errIssued, err)
	}
	return there.host, fresh, nil
}

// renewalRequest is the stored request, or one that will be refused.
func (l *life) renewalRequest(key crypto.Signer) ([]byte, error) {
	if l.failing(RenewalRefused) {
		return est.NewCSR(key, l.d.b.Endpoint+"-or-another")
	}
	return l.request(key)
}

// former returns the certificate before the operational one, as long as that has not
// served and the former is of use.
func (l *life) former() (crypto.Signer, []byte, bool) {
	l.mu.Lock()
	key, certificate, ok := l.tr.Former()
	l.mu.Unlock()
	return key, certificate, ok
}

// shown returns the certificate to show to the LwM2M server: the operational one,
// or, in turn with it while it has not served, the one before.
func (l *life) shown() (certificate *tls.Certificate, former bool, err error) {
	key, der, ok := l.former()
	if ok && !l.expired(der) && (l.turnBack || l.failing(RenewalUnused)) {
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, true, nil
	}
	certificate, err = l.operational()
	return certificate, false, err
}

// served notes that the device is registered by one of its certificates: that one
// is kept.
func (l *life) served(former bool) error {
	l.refused, l.turnBack = 0, false
	if !former {
		return l.with((*transfer.Device).Prove)
	}
	l.mu.Lock()
	l.renewal.fault, l.renewal.tries = objects.FaultUnproven, l.renewal.tries+1
	l.mu.Unlock()
	err := l.with((*transfer.Device).Revert)
	// The same request would get the same certificate again.
	return errors.Join(err, l.put(map[string][]byte{csrKey: nil}))
}

// maxRefused is how often the LwM2M server may refuse a device before it enrols anew:
// its certificate may have been revoked.
const maxRefused = 3

// unserved notes that the device could not register.
func (l *life) unserved(err error) {
	if _, _, ok := l.former(); ok {
		l.turnBack = !l.turnBack
	}
	if errors.Is(err, dtls.ErrHandshake) {
		l.refused++
	}
}
