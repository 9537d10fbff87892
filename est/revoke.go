package est

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Lookup returns a certificate's record, or ErrUnknown.
func (ca *CA) Lookup(ctx context.Context, hash Hash) (Record, error) {
	return ca.o.Store.Certificate(ctx, hash)
}

// List returns the records that q selects, the last issued first.
func (ca *CA) List(ctx context.Context, q Query) ([]Record, error) {
	return ca.o.Store.Certificates(ctx, q)
}

// Live returns nil if a certificate of the inventory is good at now, else
// ErrUnknown, ErrRevoked or ErrExpired. It costs one look-up by key.
func (ca *CA) Live(ctx context.Context, hash Hash, now time.Time) error {
	_, err := ca.LiveRecord(ctx, hash, now)
	return err
}

// LiveRecord is Live for who needs to know more of the certificate.
func (ca *CA) LiveRecord(ctx context.Context, hash Hash, now time.Time) (Record, error) {
	r, err := ca.record(ctx, hash)
	if err != nil {
		return Record{}, err
	}
	return r, r.Live(now)
}

// Identify says who a client with this chain of DER certificates (leaf first) is,
// for the handshake of our own servers. Operational is who is in our inventory
// and live, never by chain alone; factory is who has a right that is not deleted
// and a chain to a listed factory CA. The first use of a renewed certificate
// revokes the one before. It returns ErrUnknown, ErrRevoked, ErrExpired,
// ErrForbidden or ErrFactory. Our servers remember what it says of an operational
// certificate until its record changes: whatever else it were to depend on would
// have to change the record.
func (ca *CA) Identify(ctx context.Context, chain [][]byte) (Client, error) {
	if len(chain) == 0 {
		return Client{}, fmt.Errorf("%w: no certificate", ErrUnknown)
	}
	hash := sha256.Sum256(chain[0])
	r, err := ca.record(ctx, hash)
	switch {
	case err == nil && r.Live(ca.now()) != nil:
		return Client{}, r.Live(ca.now())
	case err == nil && r.Kind == KindOperational:
		return Client{Role: RoleOperational, Certificate: hash, Factory: r.Factory, Name: r.Name}, ca.used(ctx, r)
	case err != nil && !errors.Is(err, ErrUnknown):
		return Client{}, err
	}
	right, err := ca.o.Store.Right(ctx, hash)
	if err != nil {
		return Client{}, err
	}
	if right.State == RightDeleted {
		return Client{}, fmt.Errorf("%w: right of %s is deleted", ErrForbidden, right.Endpoint)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return Client{}, fmt.Errorf("%w: %w", ErrFactory, err)
	}
	if err := ca.VerifyFactory(ctx, leaf, chain[1:]); err != nil {
		return Client{}, err
	}
	return Client{Role: RoleFactory, Certificate: hash, Name: right.Endpoint}, nil
}

// used notes the first use of a renewing certificate and revokes the one before.
func (ca *CA) used(ctx context.Context, r Record) error {
	if r.Supersedes == (Hash{}) || !r.UsedAt.IsZero() {
		return nil
	}
	_, err := again(func() (struct{}, error) {
		fresh, err := ca.o.Store.Certificate(ctx, r.Hash)
		if err != nil || !fresh.UsedAt.IsZero() {
			return struct{}{}, err
		}
		if err := fresh.Live(ca.now()); err != nil {
			return struct{}{}, err
		}
		old, err := ca.o.Store.Certificate(ctx, fresh.Supersedes)
		if err != nil {
			return struct{}{}, err
		}
		if old.Status != StatusValid && fresh.Kind == KindFactory {
			return struct{}{}, fmt.Errorf("%w: the factory certificate of %s before it: %s", ErrRevoked, old.Name, old.Reason)
		}
		fresh.UsedAt = ca.now()
		ch := Change{Update: []Record{fresh}}
		if old.Status == StatusValid {
			old.ReplacedBy = fresh.Hash
			ca.As("device:"+r.Name).revoke(old, Superseded, "the certificate that renews it was used", &ch)
		}
		return struct{}{}, ca.commit(ctx, ch)
	})
	return err
}

// Revoke revokes a certificate for good; with KeyCompromise, every one for its key.
// Revoking it again changes nothing. It returns ErrUnknown or ErrReason.
func (ca *CA) Revoke(ctx context.Context, hash Hash, reason Reason, why string) error {
	if _, err := reason.Code(); err != nil {
		return err
	}
	_, err := again(func() (struct{}, error) {
		r, err := ca.o.Store.Certificate(ctx, hash)
		if err != nil {
			return struct{}{}, err
		}
		var ch Change
		if err := ca.alsoCompromised(ctx, r, reason, why, &ch); err != nil {
			return struct{}{}, err
		}
		if r.Status != StatusRevoked {
			ca.revoke(r, reason, why, &ch)
		}
		if len(ch.Update) == 0 { // acknowledged once the journal has it too
			return struct{}{}, ca.ledger.settle(Entry{Kind: EntryRevoked, Revocation: r.revocation()})
		}
		return struct{}{}, ca.commit(ctx, ch)
	})
	return err
}

// alsoCompromised adds to ch the other certificates for a key that somebody else has.
func (ca *CA) alsoCompromised(ctx context.Context, r Record, reason Reason, why string, ch *Change) error {
	if reason != KeyCompromise {
		return nil
	}
	others, err := ca.o.Store.Certificates(ctx, Query{Status: StatusValid, SPKI: r.SPKI})
	for _, o := range others {
		if o.Hash != r.Hash {
			ca.revoke(o, reason, why, ch)
		}
	}
	return err
}

// Sweep revokes the certificates that were renewed RekeyOverlap ago and whose
// successors were never used. Live refuses them already; Sweep makes it known to
// the CRL. It returns how many there were.
func (ca *CA) Sweep(ctx context.Context) (int, error) {
	records, err := ca.o.Store.Certificates(ctx, Query{
		Status: StatusValid, Replaced: ca.now().Add(-RekeyOverlap).Add(time.Microsecond),
	})
	if err != nil {
		return 0, err
	}
	for i, r := range records {
		var ch Change
		ca.revoke(r, Superseded, "renewed and the overlap is over", &ch)
		if err := ca.commit(ctx, ch); err != nil && !errors.Is(err, ErrConflict) {
			return i, err
		}
	}
	return len(records), nil
}
