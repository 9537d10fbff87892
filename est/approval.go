package est

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/machine"
)

// An ApprovalState is what people think of a request.
type ApprovalState string

// The states of a request that needs approval.
const (
	ApprovalWaiting  ApprovalState = "waiting"
	ApprovalApproved ApprovalState = "approved" // the same request gets its certificate
	ApprovalRefused  ApprovalState = "refused"
	ApprovalUsed     ApprovalState = "used" // the certificate was issued
)

// An ApprovalEvent is what can happen to such a request.
type ApprovalEvent string

// The events of a request that needs approval.
const (
	EventAsk     ApprovalEvent = "ask" // another request of the same client takes its place
	EventApprove ApprovalEvent = "approve"
	EventRefuse  ApprovalEvent = "refuse"
	EventUse     ApprovalEvent = "use"
)

// An ApprovalEffect is what such an event does beside the state: nothing.
type ApprovalEffect string

// ApprovalTable is the machine of a request that needs approval; it starts in
// ApprovalWaiting. A client has one at a time. While it waits another takes its
// place, for a device may have lost power before it stored its key; once it is
// approved none does, or whoever has a copy of the factory key could take the place
// of what was approved.
var ApprovalTable = machine.Table[ApprovalState, ApprovalEvent, ApprovalEffect]{
	{From: ApprovalWaiting, On: EventAsk, To: ApprovalWaiting},
	{From: ApprovalWaiting, On: EventApprove, To: ApprovalApproved},
	{From: ApprovalWaiting, On: EventRefuse, To: ApprovalRefused},
	{From: ApprovalApproved, On: EventApprove, To: ApprovalApproved},
	{From: ApprovalApproved, On: EventRefuse, To: ApprovalRefused},
	{From: ApprovalApproved, On: EventUse, To: ApprovalUsed},
	{From: ApprovalApproved, On: EventAsk, To: ApprovalWaiting}, // by a later grant of the right
	{From: ApprovalRefused, On: EventAsk, To: ApprovalWaiting},
	{From: ApprovalRefused, On: EventRefuse, To: ApprovalRefused},
	{From: ApprovalRefused, On: EventApprove, To: ApprovalApproved},
	{From: ApprovalUsed, On: EventAsk, To: ApprovalWaiting},
}

// An Approval is a request that needs the approval of a person.
type Approval struct {
	Client   Hash   // of the certificate that asks; the row's name
	CSR      Hash   // of the request
	SPKI     Hash   // its key; zero if one is to be made here
	Endpoint string // in whose name
	Profile  string
	State    ApprovalState
	AskedAt  time.Time
	// DecidedAt, By and Why are zero while it waits: when, by whom ("operator:<id>"),
	// and in words.
	DecidedAt time.Time
	By, Why   string
	Version   int64 // 1 when inserted
}

// maxWhy bounds the words of a decision.
const maxWhy = 500

// approved returns the approval by which o may be answered, changed as its use
// leaves it; nil where the profile needs none. It returns a *PendingError, having
// stored that o waits, ErrForbidden for a request that was refused, and ErrWrongKey
// while another one is approved.
func (ca *CA) approved(ctx context.Context, right Right, o *order) (*Approval, error) {
	if !ca.o.Profiles.Operational.approval {
		return nil, nil //nolint:nilnil // none is needed
	}
	a, err := ca.o.Requests.Approval(ctx, o.client.Certificate)
	if errors.Is(err, ErrUnknown) {
		return nil, ca.await(ctx, Approval{State: ApprovalWaiting}, right, o)
	}
	if err != nil {
		return nil, err
	}
	if a.AskedAt.Before(right.ChangedAt) { // for an earlier grant of the right: nobody knows better now
		return nil, ca.await(ctx, a, right, o)
	}
	if a.Profile != ca.o.Profiles.Operational.name && a.State == ApprovalApproved {
		return nil, fmt.Errorf("%w: a certificate by the profile %q is approved", ErrForbidden, a.Profile)
	}
	// A device that signs its request anew at each attempt asks for the same.
	same := a.Profile == ca.o.Profiles.Operational.name &&
		(a.CSR == o.csr.Hash || a.SPKI != (Hash{}) && o.made == nil && a.SPKI == o.csr.SPKI)
	switch {
	case same && a.State == ApprovalApproved:
		row, err := ApprovalTable.Step(a.State, EventUse)
		a.State = row.To
		return &a, err
	case same && a.State == ApprovalWaiting:
		return nil, &PendingError{Retry: ca.o.Retry}
	case same && a.State == ApprovalRefused:
		return nil, fmt.Errorf("%w: refused by %s: %s", ErrForbidden, a.By, a.Why)
	case a.State == ApprovalApproved:
		return nil, fmt.Errorf("%w: another request of %s is approved", ErrWrongKey, a.Endpoint)
	}
	return nil, ca.await(ctx, a, right, o)
}

// await stores that o waits, in place of before, and returns a *PendingError.
func (ca *CA) await(ctx context.Context, before Approval, right Right, o *order) error {
	row, err := ApprovalTable.Step(before.State, EventAsk)
	if err != nil {
		return err
	}
	a := Approval{
		Client: o.client.Certificate, CSR: o.csr.Hash, Endpoint: right.Endpoint,
		Profile: ca.o.Profiles.Operational.name, State: row.To, AskedAt: ca.now(), Version: before.Version,
	}
	if o.made == nil {
		a.SPKI = o.csr.SPKI
	}
	why := "request waits for approval"
	if before.Version > 0 {
		why += fmt.Sprintf(", in place of %x", before.CSR[:8])
	}
	if err := ca.putApproval(ctx, a, "device:"+right.Endpoint, "ask", why, string(before.State)); err != nil {
		return err
	}
	return &PendingError{Retry: ca.o.Retry}
}

func (ca *CA) putApproval(ctx context.Context, a Approval, actor, on, why, before string) error {
	row := ca.row("approval."+on, a.Client, fmt.Sprintf("%s: request %x: %s", a.Endpoint, a.CSR[:8], why),
		before, string(a.State))
	row.Actor = actor
	return ca.o.Store.Commit(ctx, Change{Approval: &a, Audit: []audit.Row{row}})
}

// Approve lets the client's request csr have its certificate when it is asked for
// again. It returns ErrUnknown if the client has no such request, or another has
// taken its place, or machine.ErrNoRow if it was used.
func (ca *CA) Approve(ctx context.Context, client, csr Hash, why string) (Approval, error) {
	return ca.decide(ctx, client, csr, EventApprove, why)
}

// Refuse answers the client's request csr by 4.03 from now on. Errors are those of
// Approve.
func (ca *CA) Refuse(ctx context.Context, client, csr Hash, why string) (Approval, error) {
	return ca.decide(ctx, client, csr, EventRefuse, why)
}

func (ca *CA) decide(ctx context.Context, client, csr Hash, on ApprovalEvent, why string) (Approval, error) {
	if ca.o.Requests == nil {
		return Approval{}, fmt.Errorf("%w: no request of %x", ErrUnknown, client[:8])
	}
	why = why[:min(len(why), maxWhy)]
	return again(func() (Approval, error) {
		a, err := ca.o.Requests.Approval(ctx, client)
		if err != nil {
			return Approval{}, err
		}
		if a.CSR != csr {
			return Approval{}, fmt.Errorf("%w: %s has another request now", ErrUnknown, a.Endpoint)
		}
		row, err := ApprovalTable.Step(a.State, on)
		if err != nil {
			return Approval{}, fmt.Errorf("request of %s: %w", a.Endpoint, err)
		}
		before := a.State
		a.State, a.DecidedAt, a.By, a.Why = row.To, ca.now(), ca.actor, why
		if err := ca.putApproval(ctx, a, ca.actor, string(on), why, string(before)); err != nil {
			return Approval{}, err
		}
		a.Version++
		return a, nil
	})
}

// Approvals returns a page of the requests that needed approval, see RequestStore.
func (ca *CA) Approvals(ctx context.Context, state ApprovalState, after Hash, limit int) ([]Approval, error) {
	if ca.o.Requests == nil {
		return nil, nil
	}
	return ca.o.Requests.Approvals(ctx, state, after, limit)
}
