package est

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
)

// FollowFactory takes over that a device, which proved its operational certificate,
// has another factory certificate in place of the one before (transfer protocol §6):
// right, certificates and device go by its name from then on, in one transaction, and
// the one before opens nothing here any more. What proves it is the permanent CA's
// signature: it must be the same that has signed the one before, for the same subject.
// proof is what the key before has signed, to be kept for others (CheckRekeyProof); nil:
// the device shows none.
// It may be repeated; moved tells whether this call did it. It returns ErrUnknown,
// ErrFactory, ErrName, ErrKey, ErrForbidden, ErrMoving, ErrEndpoint, or machine.ErrNoRow
// for a right in a state where the device may not re-key.
func (ca *CA) FollowFactory(ctx context.Context, factory Hash, der, proof []byte) (right Right, moved bool, err error) {
	fresh, err := x509.ParseCertificate(der)
	if err != nil {
		return Right{}, false, fmt.Errorf("%w: %w", ErrFactory, err)
	}
	right, err = again(func() (Right, error) {
		r, err := ca.o.Store.Right(ctx, factory)
		if errors.Is(err, ErrUnknown) {
			return ca.followed(ctx, fresh)
		}
		if err != nil {
			return Right{}, err
		}
		if bytes.Equal(r.FactoryDER, der) {
			return r, nil
		}
		if err := ca.succeeds(ctx, r, fresh, proof); err != nil {
			return Right{}, err
		}
		moved = true
		return ca.advance(ctx, r, EventFollow, step{
			factory: der, proof: proof, actor: "device:" + r.Endpoint,
			why: fmt.Sprintf("the factory certificate %x takes the place of %x, with a key that the device made",
				sha256.Sum256(der), r.Factory),
		})
	})
	return right, moved && err == nil, err
}

// followed returns the right that goes by the name of a certificate already.
func (ca *CA) followed(ctx context.Context, fresh *x509.Certificate) (Right, error) {
	return ca.o.Store.Right(ctx, sha256.Sum256(fresh.Raw))
}

// succeeds returns why a certificate cannot take the place of that of a right.
func (ca *CA) succeeds(ctx context.Context, r Right, fresh *x509.Certificate, proof []byte) error {
	if len(r.FactoryDER) == 0 {
		return fmt.Errorf("%w: %s never had a factory certificate", ErrForbidden, r.Endpoint)
	}
	old, err := x509.ParseCertificate(r.FactoryDER)
	if err != nil {
		return fmt.Errorf("inventory: %w", err)
	}
	if !bytes.Equal(fresh.RawSubject, old.RawSubject) {
		return fmt.Errorf("%w: subject %q, not %q", ErrName, fresh.Subject, old.Subject)
	}
	if bytes.Equal(fresh.RawSubjectPublicKeyInfo, old.RawSubjectPublicKeyInfo) {
		return fmt.Errorf("%w: the factory certificate of %s is for the key before", ErrKey, r.Endpoint)
	}
	if fresh.NotBefore.Before(old.NotBefore) { // there is no way back
		return fmt.Errorf("%w: the factory certificate of %s was made before the one that it has", ErrFactory, r.Endpoint)
	}
	if len(proof) > 0 { // a wrong one says that something is
		if err := CheckRekeyProof(proof, old, fresh); err != nil {
			return fmt.Errorf("%w: %w", ErrFactory, err)
		}
	}
	if err := ca.VerifyFactory(ctx, fresh, nil); err != nil {
		return err
	}
	if err := ca.sameIssuer(ctx, old, fresh); err != nil {
		return err
	}
	return ca.uncompromised(ctx, sha256.Sum256(fresh.RawSubjectPublicKeyInfo))
}

// sameIssuer returns ErrFactory unless one listed factory CA has signed both: another
// one that is listed says nothing about this CA's devices.
func (ca *CA) sameIssuer(ctx context.Context, old, fresh *x509.Certificate) error {
	listed, err := ca.FactoryCAs(ctx)
	if err != nil {
		return err
	}
	for _, c := range listed {
		if old.CheckSignatureFrom(c) == nil && fresh.CheckSignatureFrom(c) == nil {
			return nil
		}
	}
	return fmt.Errorf("%w: %s was not certified by the CA that had certified it before", ErrFactory, fresh.Subject)
}
