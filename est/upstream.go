package est

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"steward/lwm2m/audit"
)

// An Upstream is an external CA that makes the operational certificates of devices.
// Rights, inventory and revocation stay ours: what it makes counts when it is in the
// inventory, and no longer than it is live there. Implementations are safe for
// concurrent use.
type Upstream interface {
	// Anchors are the CA certificates to one of which its answers lead.
	Anchors() []*x509.Certificate
	// Certify asks for what e.Request asks for and returns the certificate in DER, and
	// those that lead from it towards an anchor. Asking again is safe. It returns a
	// *PendingError while it has not decided, ErrDeclined for a request that it will
	// never answer otherwise, and any other error if it is worth another try.
	Certify(ctx context.Context, e Errand) ([][]byte, error)
}

// certify returns the certificate for o in the name of a client that may have it: of
// our own issuer or, in a later attempt, of the external CA. Until that has answered
// it returns a *PendingError.
func (ca *CA) certify(ctx context.Context, o *order, name string) (*x509.Certificate, Record, error) {
	p, subject := ca.o.Profiles.Operational, o.csr.subject(name)
	if ca.o.Upstream == nil {
		return ca.sign(p, subject)
	}
	if o.made != nil {
		return nil, Record{}, fmt.Errorf("%w: no keys are made here for an external CA", ErrForbidden)
	}
	t, err := p.template(subject, ca.now(), nil, rand.Reader) // what is no good here need not be asked elsewhere
	if err != nil {
		return nil, Record{}, err
	}
	if err := lint(p, t); err != nil {
		return nil, Record{}, err
	}
	return ca.collect(ctx, o, name)
}

// collect returns the answer of the external CA to o, or sends o on its way.
func (ca *CA) collect(ctx context.Context, o *order, name string) (*x509.Certificate, Record, error) {
	newest, err := ca.o.Errands.Errands(ctx, ErrandQuery{Client: o.client.Certificate, Limit: 1})
	if err != nil {
		return nil, Record{}, err
	}
	if len(newest) == 0 {
		return nil, Record{}, ca.dispatch(ctx, o, name, nil)
	}
	// Devices sign their request anew at each attempt: the key tells what is the same.
	e, same := newest[0], newest[0].SPKI == o.csr.SPKI && newest[0].Name == name
	switch {
	case e.State == ErrandWaiting && same:
		return nil, Record{}, ca.awaits()
	case e.State == ErrandRefused && same:
		return nil, Record{}, fmt.Errorf("%w: %s", ErrForbidden, e.Reason)
	case e.State == ErrandReady && same:
		return ca.redeem(ctx, o, e)
	case e.State == ErrandReady && o.client.Role == RoleFactory:
		// The external CA has made the certificate of this right: another key is that
		// of another device until an operator says otherwise.
		return nil, Record{}, fmt.Errorf("%w: a certificate waits for another one", ErrWrongKey)
	case e.State == ErrandWaiting || e.State == ErrandReady:
		return nil, Record{}, ca.dispatch(ctx, o, name, &e)
	}
	// The answer may have been fetched by another request of the client just now.
	if err := o.still(ctx); err != nil {
		return nil, Record{}, err
	}
	return nil, Record{}, ca.dispatch(ctx, o, name, nil)
}

// unchanged returns ErrConflict if the version of a row that was read is another now.
func unchanged(read, now int64, err error) error {
	if err == nil && read != now {
		return fmt.Errorf("%w: used meanwhile", ErrConflict)
	}
	return err
}

// redeem takes what e brought. An answer that is no good any more is asked for anew.
func (ca *CA) redeem(ctx context.Context, o *order, e Errand) (*x509.Certificate, Record, error) {
	chain, err := splitDER(e.Answer)
	if err != nil {
		return nil, Record{}, err
	}
	cert, record, err := ca.examine(ctx, e, chain)
	if errors.Is(err, ErrUpstream) {
		return nil, Record{}, ca.dispatch(ctx, o, e.Name, &e)
	}
	if err != nil {
		return nil, Record{}, err
	}
	if e, err = ca.stepErrand(e, ErrandIssue, "fetched by the client"); err != nil {
		return nil, Record{}, err
	}
	o.errands = []Errand{e}
	return cert, record, nil
}

// errandLength is that of an errand's id.
const errandLength = 12

// dispatch stores the errand of o, in place of another that is under way (nil: none),
// and returns a *PendingError.
func (ca *CA) dispatch(ctx context.Context, o *order, name string, instead *Errand) error {
	now := ca.now()
	e := Errand{
		ID: strings.ToLower(rand.Text()[:errandLength]), State: ErrandWaiting, Client: o.client.Certificate, Name: name,
		Request: o.csr.req.Raw, CSR: o.csr.Hash, SPKI: o.csr.SPKI, NextAt: now, Reason: "to be asked for",
		CreatedAt: now, ChangedAt: now,
	}
	var ch Change
	if instead != nil {
		old, err := ca.stepErrand(*instead, ErrandWithdraw, "another request of the client took its place")
		if err != nil {
			return err
		}
		ch.Errands = append(ch.Errands, old)
		ch.Audit = append(ch.Audit, ca.errandRow("upstream.withdraw", old, instead.State))
	}
	ch.Errands = append(ch.Errands, e)
	ch.Audit = append(ch.Audit, ca.errandRow("upstream.ask", e, ""))
	for i := range ch.Audit {
		ch.Audit[i].Actor = "device:" + name
	}
	if err := ca.o.Store.Commit(ctx, ch); err != nil {
		return err
	}
	return ca.awaits()
}

func (ca *CA) stepErrand(e Errand, on ErrandEvent, why string) (Errand, error) {
	row, err := ErrandTable.Step(e.State, on)
	if err != nil {
		return e, fmt.Errorf("request of %s at the external CA: %w", e.Name, err)
	}
	e.State, e.Reason, e.ChangedAt = row.To, why, ca.now()
	return e, nil
}

func (ca *CA) errandRow(action string, e Errand, before ErrandState) audit.Row {
	return audit.Row{
		Actor: ca.actor, Action: action, Subject: e.ID, Reason: e.Name + ": " + e.Reason, Before: string(before),
		After: string(e.State), At: ca.now(),
	}
}

// awaits is what a client is told until the external CA has answered.
func (ca *CA) awaits() error {
	return &PendingError{Retry: ca.o.Retry, What: "the external CA has not answered"}
}
