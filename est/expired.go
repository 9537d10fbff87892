package est

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"steward/lwm2m/audit"
)

// RoleExpired is the role of a device whose operational certificate ended within
// a grace that the provider gives: it may renew that certificate and nothing else.
const RoleExpired Role = "expired"

// IdentifyExpired says who a client is whose certificate ended no longer than grace
// ago: only a device with its newest operational certificate, that was neither
// revoked nor renewed, and whose right is consumed. It returns ErrUnknown,
// ErrRevoked, ErrExpired or ErrForbidden.
func (ca *CA) IdentifyExpired(ctx context.Context, chain [][]byte, grace time.Duration) (Client, error) {
	if len(chain) == 0 {
		return Client{}, fmt.Errorf("%w: no certificate", ErrUnknown)
	}
	r, err := ca.inGrace(ctx, sha256.Sum256(chain[0]), grace)
	if err != nil {
		return Client{}, err
	}
	return Client{Role: RoleExpired, Certificate: r.Hash, Name: r.Name}, nil
}

// inGrace returns the record of a certificate that may still be renewed after its
// end.
func (ca *CA) inGrace(ctx context.Context, hash Hash, grace time.Duration) (Record, error) {
	r, err := ca.record(ctx, hash)
	if err != nil {
		return Record{}, err
	}
	now := ca.now()
	switch {
	case r.Kind != KindOperational:
		return Record{}, fmt.Errorf("%w: %s %s", ErrExpired, r.Kind, r.Name)
	case r.Status != StatusValid || !r.ReplacedAt.IsZero():
		return Record{}, fmt.Errorf("%w: %s %s, which ended besides", ErrRevoked, r.Kind, r.Name)
	case !now.After(r.NotAfter) || now.After(r.NotAfter.Add(grace)):
		return Record{}, fmt.Errorf("%w: %s %s, and no grace", ErrExpired, r.Kind, r.Name)
	}
	right, err := ca.o.Store.Right(ctx, r.Factory)
	if err != nil {
		return Record{}, err
	}
	if right.State != RightConsumed || right.Issued != hash {
		return Record{}, fmt.Errorf("%w: right of %s is %s, or has a newer certificate", ErrForbidden, r.Name, right.State)
	}
	return r, nil
}

// ReenrolExpired is Reenrol for a RoleExpired client. All that Reenrol asks for is
// asked for but that the certificate has not ended. The errors are those of Reenrol.
func (ca *CA) ReenrolExpired(ctx context.Context, r Request, grace time.Duration) (Issued, error) {
	if r.Client.Role != RoleExpired {
		return Issued{}, ca.refused(ctx, "renew", r.Client,
			fmt.Errorf("%w: a %q client has no grace", ErrForbidden, r.Client.Role))
	}
	ended, err := ca.inGrace(ctx, r.Client.Certificate, grace)
	if err != nil {
		return Issued{}, ca.refused(ctx, "renew", r.Client, err)
	}
	r.Client.Role = RoleOperational
	lenient := *ca
	lenient.o.Store = extended{Store: ca.o.Store, hash: ended.Hash, grace: grace}
	return lenient.Reenrol(ctx, r)
}

// extended is a Store in which one certificate ends later. Nothing of that is ever
// stored: what a Change updates are the fields below Record.Version.
type extended struct {
	Store

	hash  Hash
	grace time.Duration
}

// Certificate implements Store.
func (s extended) Certificate(ctx context.Context, hash Hash) (Record, error) {
	r, err := s.Store.Certificate(ctx, hash)
	if err == nil && hash == s.hash {
		r.NotAfter = r.NotAfter.Add(s.grace)
	}
	return r, err
}

// Commit implements Store: the reason of what is issued says that a grace was used.
func (s extended) Commit(ctx context.Context, ch Change) error {
	rows := make([]audit.Row, 0, len(ch.Audit))
	for _, row := range ch.Audit {
		if row.Action == "certificate.issue" {
			row.Reason = "after the certificate's end, within the grace that is set: " + row.Reason
		}
		rows = append(rows, row)
	}
	ch.Audit = rows
	return s.Store.Commit(ctx, ch)
}
