package est

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"steward/lwm2m/audit"
)

// A FactoryRekey asks a permanent CA for the factory certificate that takes the place
// of another (transfer protocol §6).
type FactoryRekey struct {
	// Client is the device as its operational certificate shows it, of a provider that
	// the caller knows.
	Client Client
	CSR    []byte // as NewRekeyCSR makes it
	// Mandate judges what the service user ordered: nil raw is nothing. It returns why
	// the device may not have another key. Nil: no order is asked for.
	Mandate func(factory Hash, raw []byte) error
}

// RekeyFactory issues a factory certificate for a new key of a device, with the
// subject of the one that it has. The old one stays valid until the new one is used
// here (UseFactory), which supersedes it: of one device no more than one successor
// waits for that. The same key gets the same certificate; another one ErrWrongKey
// until the one that waits is revoked. It returns ErrForbidden, ErrName, ErrCSR,
// ErrCSRSize, ErrKey, ErrRevoked, ErrExpired, ErrLimit too. Refusals are audited.
func (ca *CA) RekeyFactory(ctx context.Context, r FactoryRekey) (Issued, error) {
	out, err := ca.rekeyFactory(ctx, r)
	return out, ca.refused(ctx, "rekey", r.Client, err)
}

func (ca *CA) rekeyFactory(ctx context.Context, r FactoryRekey) (Issued, error) {
	if !r.Client.renews() {
		return Issued{}, fmt.Errorf("%w: a %q client cannot re-key", ErrForbidden, r.Client.Role)
	}
	if err := ca.limiter.admit(r.Client.Certificate, ca.now()); err != nil {
		return Issued{}, err
	}
	request, err := parseRekey(r.CSR)
	if err != nil {
		return Issued{}, err
	}
	if err := request.csr.checkOwner(r.Client.Name); err != nil {
		return Issued{}, err
	}
	return again(func() (Issued, error) { return ca.rekeyOnce(ctx, r, request) })
}

func (ca *CA) rekeyOnce(ctx context.Context, r FactoryRekey, request *rekeyRequest) (Issued, error) {
	old, certificate, err := ca.superseding(ctx, request)
	if err != nil {
		return Issued{}, err
	}
	if err := request.csr.checkRenewal(certificate); err != nil {
		return Issued{}, err
	}
	if request.csr.SPKI == old.SPKI {
		return Issued{}, fmt.Errorf("%w: the factory certificate is for this key", ErrKey)
	}
	if r.Mandate != nil {
		if err := r.Mandate(old.Hash, request.proof.Mandate); err != nil {
			return Issued{}, fmt.Errorf("%w: %w", ErrForbidden, err)
		}
	}
	if err := ca.uncompromised(ctx, request.csr.SPKI); err != nil {
		return Issued{}, err
	}
	waiting, ok, err := ca.waitingFactory(ctx, old)
	switch {
	case err != nil:
		return Issued{}, err
	case ok && waiting.SPKI != request.csr.SPKI:
		return Issued{}, fmt.Errorf("%w: a factory certificate of %s for another key waits to be used", ErrWrongKey, old.Name)
	case ok:
		return ca.sameFactory(waiting, request.csr.SPKI)
	}
	return ca.succeedFactory(ctx, r, request, old)
}

// superseding returns the factory certificate that a request is to supersede, whose
// key has signed the proof.
func (ca *CA) superseding(ctx context.Context, request *rekeyRequest) (Record, *x509.Certificate, error) {
	old, err := ca.record(ctx, request.old)
	if errors.Is(err, ErrUnknown) || err == nil && old.Kind != KindFactory {
		return Record{}, nil, fmt.Errorf("%w: not a factory certificate of ours", ErrForbidden)
	}
	if err != nil {
		return Record{}, nil, err
	}
	if err := old.Live(ca.now()); err != nil {
		return Record{}, nil, err
	}
	if old.waits() {
		return Record{}, nil, fmt.Errorf("%w: the factory certificate of %s was never used", ErrForbidden, old.Name)
	}
	certificate, err := old.Certificate()
	if err != nil {
		return Record{}, nil, fmt.Errorf("inventory: %w", err)
	}
	return old, certificate, request.verify(certificate)
}

// waits reports whether a certificate renews another and was not used yet.
func (r *Record) waits() bool { return r.Supersedes != (Hash{}) && r.UsedAt.IsZero() }

// waitingFactory returns the successor of a factory certificate that was not used
// yet. One that was revoked waits no more.
func (ca *CA) waitingFactory(ctx context.Context, old Record) (Record, bool, error) {
	if old.ReplacedBy == (Hash{}) {
		return Record{}, false, nil
	}
	next, err := ca.o.Store.Certificate(ctx, old.ReplacedBy)
	if err != nil {
		return Record{}, false, err
	}
	return next, next.Live(ca.now()) == nil, nil
}

// succeedFactory issues. ReplacedBy of the old certificate is changed in the same
// transaction, so that of two who ask one is asked again; ReplacedAt stays, for its
// time is not limited.
func (ca *CA) succeedFactory(ctx context.Context, r FactoryRekey, request *rekeyRequest, old Record) (Issued, error) {
	cert, record, err := ca.sign(ca.o.Profiles.Factory, request.csr.subject(old.Name))
	if err != nil {
		return Issued{}, err
	}
	record.Client, record.CSR, record.Supersedes = r.Client.Certificate, request.csr.Hash, old.Hash
	old.ReplacedBy = record.Hash
	why := "factory " + old.Name + ", re-keyed with the proof of the key before" + madeBy(OriginDevice)
	row := ca.row("certificate.issue", record.Hash, why, "", string(StatusValid))
	row.Actor = "device:" + old.Name
	ch := Change{
		Insert: []Record{record}, Update: []Record{old}, Origin: origin(record.Hash, OriginDevice), Audit: []audit.Row{row},
	}
	if err := ca.commit(ctx, ch); err != nil {
		return Issued{}, err
	}
	return ca.answer(cert, record), nil
}

// UseFactory says whose a factory certificate of our own is, which its owner has just
// proved to have the key of. The first use of one that takes another's place
// supersedes that one, for good; if that was revoked before, it is ErrRevoked, for
// who had its key may have asked. It returns ErrUnknown, ErrExpired, or ErrForbidden
// for a certificate of another kind, too.
func (ca *CA) UseFactory(ctx context.Context, certificate Hash) (Client, error) {
	r, err := ca.LiveRecord(ctx, certificate, ca.now())
	if err != nil {
		return Client{}, err
	}
	if r.Kind != KindFactory {
		return Client{}, fmt.Errorf("%w: %s is no factory certificate", ErrForbidden, r.Kind)
	}
	out := Client{Role: RoleFactory, Certificate: r.Hash, Name: r.Name}
	return out, ca.refused(ctx, "rekey", out, ca.used(ctx, r))
}
