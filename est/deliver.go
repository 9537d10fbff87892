package est

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"

	"steward/lwm2m/audit"
)

// Deliver makes a key for the device called endpoint and issues its operational
// certificate, for a Bootstrap-Server that writes both (Core 1.2.2 §5.2.9.2, §E.1).
// factory is the hash of its factory certificate, zero if it has none. The key is
// nowhere but in the answer: a device that did not get it has another made.
//
// The first use of the certificate revokes the one before; what was delivered before
// that is revoked now, so that no more than two of a device are good. It returns
// ErrName, a *LimitError beyond Limits.PerDay, and ErrForbidden where an external CA
// makes the certificates: that is asked by the devices.
func (ca *CA) Deliver(ctx context.Context, endpoint string, factory Hash) (Keyed, error) {
	key, secret, err := ca.deliverable()
	if err != nil {
		return Keyed{}, err
	}
	return again(func() (Keyed, error) {
		issued, err := ca.deliverOnce(ctx, endpoint, factory, key.Public())
		if err != nil {
			return Keyed{}, err
		}
		return Keyed{issued, secret}, nil
	})
}

func (ca *CA) deliverOnce(ctx context.Context, endpoint string, factory Hash, key crypto.PublicKey) (Issued, error) {
	own := Query{Kind: KindOperational, Name: endpoint, Limit: ca.limiter.PerDay}
	if err := ca.rationedBy(ctx, own); err != nil {
		return Issued{}, err
	}
	guard, err := ca.guard(ctx, endpoint) // before what it guards is read
	if err != nil {
		return Issued{}, err
	}
	own.Status, own.Limit = StatusValid, 0
	live, err := ca.o.Store.Certificates(ctx, own)
	if err != nil {
		return Issued{}, err
	}
	cert, record, err := ca.sign(ca.o.Profiles.Operational, Subject{Name: endpoint, Key: key})
	if err != nil {
		return Issued{}, err
	}
	record.Factory = factory
	ch := guard
	ch.Audit = []audit.Row{
		ca.row("certificate.issue", record.Hash, "operational "+endpoint+", with a key made here, for its bootstrap", "",
			string(StatusValid)),
	}
	if before := heldFor(live); before >= 0 { // two at once renew one: the second is ErrConflict
		ch.Sole, ch.Update = "", append(ch.Update, live[before])
		record.Supersedes = live[before].Hash
		live = slices.Delete(live, before, before+1)
	}
	for _, unused := range live {
		ca.revoke(unused, Superseded, fmt.Sprintf("%s was given newer ones", endpoint), &ch)
	}
	ch.Insert = []Record{record}
	if err := ca.commit(ctx, ch); err != nil {
		return Issued{}, err
	}
	return ca.answer(cert, record), nil
}

// heldFor returns which of the certificates of a device, the newest first, it surely
// has: the newest that it used, or that renews none; -1 if there is none. The others
// may have been lost on their way.
func heldFor(live []Record) int {
	return slices.IndexFunc(live, func(r Record) bool { return r.Supersedes == (Hash{}) || !r.UsedAt.IsZero() })
}

// guard returns a Change of which a second at the same time is ErrConflict: it changes
// the version of the device's right or, without one, must be the first of the name.
func (ca *CA) guard(ctx context.Context, endpoint string) (Change, error) {
	rights, err := ca.o.Store.Rights(ctx, endpoint, Hash{}, MaxPage)
	if err != nil {
		return Change{}, err
	}
	for _, r := range rights {
		if r.State == RightDeleted {
			continue
		}
		if err := ca.deliverableBy(r); err != nil {
			return Change{}, err
		}
		return Change{Right: &r}, nil
	}
	return Change{Sole: endpoint}, nil
}

// deliverableBy returns ErrForbidden for a right that another key has, or that is not
// open to any: who has a copy of the factory key must not take a device's place by
// way of its bootstrap.
func (ca *CA) deliverableBy(r Right) error {
	awaits := r.State == RightClosed && !r.Until.IsZero()
	if r.State == RightSuspended || r.SPKI != (Hash{}) || awaits || ca.now().Before(r.From) {
		return fmt.Errorf("%w: right of %s is %s", ErrForbidden, r.Endpoint, describe(r))
	}
	return nil
}

// deliverable makes a key of the one curve that every device of LwM2M knows, also as
// PKCS#8.
func (ca *CA) deliverable() (crypto.Signer, Secret, error) {
	if ca.o.Upstream != nil {
		return nil, nil, fmt.Errorf("%w: no keys are made here for an external CA", ErrForbidden)
	}
	key, err := newKey(P256)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	return key, secret, err
}
