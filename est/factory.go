package est

import (
	"context"
	"crypto"
	"fmt"

	"steward/lwm2m/audit"
)

// IssueFactory issues the permanent certificate of the device called endpoint, for
// a key of that origin. A device has one live factory key: the same key gets its
// certificate again, another one ErrEndpoint until that is revoked.
func (ca *CA) IssueFactory(ctx context.Context, endpoint string, key crypto.PublicKey, o KeyOrigin) (Issued, error) {
	return again(func() (Issued, error) {
		return ca.issueFactory(ctx, Subject{Name: endpoint, Key: key}, o, nil)
	})
}

// CertifyFactory is IssueFactory for a request that its device signed (PKCS #10),
// whose key is of that origin. It returns ErrCSR, ErrCSRSize or ErrName too.
func (ca *CA) CertifyFactory(ctx context.Context, csr []byte, o KeyOrigin) (Issued, error) {
	request, err := ca.factoryRequest(csr)
	if err != nil {
		return Issued{}, err
	}
	return again(func() (Issued, error) {
		return ca.issueFactory(ctx, request.subject(request.Name()), o, nil)
	})
}

// CertifyFactoryByPassword is CertifyFactory for a client that proved a one-time
// password (CheckPassword). Its use and the certificate are one transaction; the same
// key costs no other use. It returns ErrForbidden and ErrLimit too. Refusals are
// audited.
func (ca *CA) CertifyFactoryByPassword(ctx context.Context, p Password, csr []byte) (Issued, error) {
	out, err := ca.certifyByPassword(ctx, p.ID, csr)
	return out, ca.refused(ctx, "factory", Client{Certificate: p.client(""), Name: "password " + p.ID}, err)
}

func (ca *CA) certifyByPassword(ctx context.Context, id string, csr []byte) (Issued, error) {
	request, err := ca.factoryRequest(csr)
	if err != nil {
		return Issued{}, err
	}
	name := request.Name()
	if err := ca.admitPassword(ctx, id, name); err != nil {
		return Issued{}, err
	}
	return again(func() (Issued, error) {
		p, err := ca.password(ctx, id)
		if err != nil {
			return Issued{}, err
		}
		if !p.covers(name) {
			return Issued{}, fmt.Errorf("%w: password %s is for %q, not %q", ErrName, p.ID, p.Name, name)
		}
		return ca.issueFactory(ctx, request.subject(name), OriginDevice, &p)
	})
}

func (ca *CA) factoryRequest(csr []byte) (*CSR, error) {
	request, err := ParseCSR(csr)
	if err != nil {
		return nil, err
	}
	return request, request.checkOwner(request.Name())
}

// issueFactory issues once, and uses up p if it is not nil.
func (ca *CA) issueFactory(ctx context.Context, s Subject, o KeyOrigin, p *Password) (Issued, error) {
	spki, err := SPKI(s.Key)
	if err != nil {
		return Issued{}, err
	}
	old, err := ca.o.Store.Certificates(ctx, Query{Kind: KindFactory, Status: StatusValid, Name: s.Name})
	if err != nil {
		return Issued{}, err
	}
	if len(old) > 0 {
		return ca.sameFactory(old[0], spki)
	}
	if p != nil && p.State != PasswordOpen {
		return Issued{}, fmt.Errorf("%w: password %s is %s", ErrForbidden, p.ID, p.State)
	}
	if err := ca.uncompromised(ctx, spki); err != nil {
		return Issued{}, err
	}
	cert, record, err := ca.sign(ca.o.Profiles.Factory, s)
	if err != nil {
		return Issued{}, err
	}
	ch := Change{Origin: origin(record.Hash, o), SoleFactory: s.Name}
	if p != nil {
		if err := ca.spend(*p, record, false, &ch); err != nil {
			return Issued{}, err
		}
	} else {
		ch.Insert = []Record{record}
		ch.Audit = []audit.Row{ca.row("certificate.issue", record.Hash, "factory "+s.Name+madeBy(o), "", string(StatusValid))}
	}
	if err := ca.commit(ctx, ch); err != nil {
		return Issued{}, err
	}
	return ca.answer(cert, record), nil
}

// sameFactory answers with the certificate that a name has, if it is for this key.
func (ca *CA) sameFactory(r Record, spki Hash) (Issued, error) {
	if r.SPKI != spki {
		return Issued{}, fmt.Errorf("%w: %s has a factory certificate for another key", ErrEndpoint, r.Name)
	}
	cert, err := r.Certificate()
	if err != nil {
		return Issued{}, fmt.Errorf("inventory: %w", err)
	}
	return ca.answer(cert, r), nil
}

// madeBy says who made a key, in words.
func madeBy(o KeyOrigin) string {
	if o == OriginUnknown {
		return ""
	}
	return ", key made by the " + string(o)
}
