package est

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m/audit"
	"steward/lwm2m/machine"
)

// A Role is the class of an authenticated client.
type Role string

// The roles that may enrol. Their texts equal those of an association's class.
const (
	RoleFactory     Role = "factory"
	RoleOperational Role = "operational"
	// RoleBootstrap is a device that its Bootstrap-Server has just led to enrolment
	// (LwM2M Core §E.1, mode 4), without a factory certificate.
	RoleBootstrap Role = "bootstrap"
)

// A Client is who asks, as the handshake proved it.
type Client struct {
	Role        Role
	Certificate Hash   // of the client certificate; of RoleBootstrap: BootstrapRight
	Factory     Hash   // operational: of the device's factory certificate; zero: it has none
	Name        string // its commonName, or the endpoint
}

// enrols reports whether c has a right rather than a certificate of ours.
func (c Client) enrols() bool {
	return (c.Role == RoleFactory || c.Role == RoleBootstrap) && c.Certificate != (Hash{})
}

// renews reports whether c has a certificate of ours.
func (c Client) renews() bool { return c.Role == RoleOperational && c.Certificate != (Hash{}) }

// by says in words what gave c its right.
func (c Client) by() string {
	if c.Role == RoleBootstrap {
		return "after bootstrap"
	}
	return "with the factory certificate"
}

// A Request asks for a certificate.
type Request struct {
	Client Client
	CSR    []byte // PKCS#10 in DER, or C509
	C509   bool   // which of the two
	// Binding is the channel binding of the client's session: tls-unique, or
	// tls-exporter from TLS 1.3 on (RFC 9266). Nil: not known.
	Binding []byte
}

// An order is a request that was read.
type order struct {
	client  Client
	csr     *CSR
	binding []byte
	made    []byte   // PKCS#8 of the key made here; nil: the key is the client's own
	errands []Errand // that end with the issue; nil: the certificate is of our own issuer
	// still returns ErrConflict if what lets the client have a certificate was used up
	// since it was read.
	still func(ctx context.Context) error
	read  bool // whether the device had certificates, in place of being taken for new
}

// Enrol answers /sen: the first operational certificate of a device that proved
// its factory certificate and has a right (transfer protocol §1.8). The same
// request gets the stored answer; the same key in another request gets a new
// certificate, and the earlier one is revoked in that transaction.
//
// It returns ErrForbidden, ErrPending, ErrRevoked for a factory certificate that its
// permanent CA has revoked, ErrWrongKey, ErrCSR, ErrCSRSize, ErrKey, ErrName or
// ErrLimit. All of these but ErrPending are audited, ErrLimit when it begins; nothing is
// issued.
func (ca *CA) Enrol(ctx context.Context, r Request) (Issued, error) {
	out, err := ca.enrol(ctx, r)
	return out, ca.refused(ctx, "enrol", r.Client, err)
}

func (ca *CA) enrol(ctx context.Context, r Request) (Issued, error) {
	if !r.Client.enrols() {
		return Issued{}, fmt.Errorf("%w: a %q client cannot enrol", ErrForbidden, r.Client.Role)
	}
	return ca.serve(ctx, r, ca.enrolOnce)
}

// serve reads the request of a client that may ask, and lets once answer it.
func (ca *CA) serve(
	ctx context.Context, r Request, once func(context.Context, *order) (Issued, error),
) (Issued, error) {
	if err := ca.limiter.admit(r.Client.Certificate, ca.now()); err != nil {
		return Issued{}, err
	}
	csr, err := r.parse()
	if err != nil {
		return Issued{}, err
	}
	o := &order{client: r.Client, csr: csr, binding: r.Binding}
	return again(func() (Issued, error) { return once(ctx, o) })
}

func (ca *CA) enrolOnce(ctx context.Context, o *order) (Issued, error) {
	right, err := ca.o.Store.Right(ctx, o.client.Certificate)
	if errors.Is(err, ErrUnknown) {
		return Issued{}, fmt.Errorf("%w: factory certificate not registered", ErrForbidden)
	}
	if err != nil {
		return Issued{}, err
	}
	if err := ca.mayAsk(right, o); err != nil {
		return Issued{}, err
	}
	if o.made != nil && right.State == RightConsumed { // the right is bound to the key made before
		if old, ok, err := ca.kept(ctx, o); ok || err != nil {
			return old, err
		}
	}
	if err := ca.admits(right, o.csr.SPKI); err != nil {
		return Issued{}, err
	}
	if err := ca.uncompromised(ctx, o.csr.SPKI); err != nil {
		return Issued{}, err
	}
	if right.State == RightConsumed {
		if old, ok, err := ca.stored(ctx, o.client, o.csr, right.Endpoint); ok || err != nil {
			return old, err
		}
	}
	return ca.enrolNow(ctx, right, o)
}

// mayAsk checks what does not depend on the state of the right: the name, that the
// factory certificate stands, and the binding to the session.
func (ca *CA) mayAsk(right Right, o *order) error {
	if err := o.csr.checkOwner(right.Endpoint); err != nil {
		return err
	}
	if err := ca.stands(right); err != nil {
		return err
	}
	return ca.o.Profiles.Operational.bound(o)
}

// enrolNow issues to a device that may have a certificate, once people agree.
func (ca *CA) enrolNow(ctx context.Context, right Right, o *order) (Issued, error) {
	first := o.first(right)
	if !first {
		if err := ca.rationed(ctx, right.Factory, right.Endpoint); err != nil {
			return Issued{}, err
		}
	}
	grant, err := ca.approved(ctx, right, o)
	if err != nil {
		return Issued{}, err
	}
	o.still = func(ctx context.Context) error {
		now, err := ca.o.Store.Right(ctx, right.Factory)
		return unchanged(right.Version, now.Version, err)
	}
	cert, record, err := ca.certify(ctx, o, right.Endpoint)
	if err != nil {
		return Issued{}, err
	}
	record.Factory, record.Client, record.CSR = right.Factory, o.client.Certificate, o.csr.Hash
	_, err = ca.advance(ctx, right, EventEnrol, step{
		issued: &record, actor: "device:" + right.Endpoint, key: ca.sealed(o, record.Hash), grant: grant,
		errands: o.errands, first: first,
		why: "enrolled " + o.client.by() + o.how(),
	})
	if err != nil {
		return Issued{}, err
	}
	return ca.answer(cert, record), nil
}

// first reports whether the certificate is to be the first that the device has, as its
// right looks. Nothing is read for that: the transaction that issues proves it, and
// when it does not hold all is read.
func (o *order) first(r Right) bool {
	if o.read || r.Issued != (Hash{}) || r.Epoch > 1 {
		return false
	}
	o.read = true
	return true
}

// admits says whether a right lets the key enrol now.
func (ca *CA) admits(r Right, spki Hash) error {
	now := ca.now()
	if _, err := RightTable.Step(r.State, EventEnrol); errors.Is(err, machine.ErrNoRow) {
		// A suspended right may be reopened, once the device's receipt is read: what
		// is not for good must not look so (transfer protocol §5).
		if r.State == RightClosed || r.State == RightSuspended {
			return &PendingError{Retry: ca.o.Retry}
		}
		return fmt.Errorf("%w: right is %s", ErrForbidden, r.State)
	}
	if r.SPKI != (Hash{}) && r.SPKI != spki {
		return fmt.Errorf("%w: %x asks for %x", ErrWrongKey, r.SPKI[:8], spki[:8])
	}
	if now.Before(r.From) {
		return &PendingError{Retry: max(ca.o.Retry, r.From.Sub(now))}
	}
	if r.State == RightOpen && !r.Until.IsZero() && now.After(r.Until) {
		return fmt.Errorf("%w: window of the right is over", ErrForbidden)
	}
	return nil
}

// stored returns the certificate that the same client got for the same request,
// in that name, if it still is good.
func (ca *CA) stored(ctx context.Context, c Client, csr *CSR, name string) (Issued, bool, error) {
	records, err := ca.o.Store.Certificates(ctx, Query{
		Kind: KindOperational, Status: StatusValid, Client: c.Certificate, CSR: csr.Hash, Name: name, Limit: 1,
	})
	if err != nil || len(records) == 0 || records[0].Live(ca.now()) != nil {
		return Issued{}, false, err
	}
	cert, err := records[0].Certificate()
	if err != nil {
		return Issued{}, false, fmt.Errorf("inventory: %w", err)
	}
	return ca.answer(cert, records[0]), true, nil
}

// refusals are the errors that are audited, with what the row is called.
var refusals = []struct {
	err    error
	action string
}{
	{ErrWrongKey, "alarm.wrong_key"}, // somebody else has a copy of the factory key
	{ErrForbidden, "refuse"},
	{ErrCSR, "refuse"},
	{ErrCSRSize, "refuse"},
	{ErrKey, "refuse"},
	{ErrName, "refuse"},
	{ErrBinding, "refuse"},
	{ErrEncryption, "refuse"},
	{ErrKeyGone, "refuse"},
	{ErrEndpoint, "refuse"},
	{ErrLint, "refuse"},
	{ErrRevoked, "refuse"},
	{ErrExpired, "refuse"},
}

// refused records why a client got nothing, and returns err.
func (ca *CA) refused(ctx context.Context, what string, c Client, err error) error {
	if limit := (*LimitError)(nil); errors.As(err, &limit) {
		return ca.limited(ctx, what, c, limit)
	}
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			row := ca.row("certificate."+what+"."+r.action, c.Certificate, err.Error(), "", "")
			row.Actor = "device:" + c.Name
			return errors.Join(err, ca.o.Store.Commit(ctx, Change{Audit: []audit.Row{row}}))
		}
	}
	return err
}
