package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
)

// Errors of commands and calls.
var (
	// ErrState reports a command or call that the present state does not accept.
	ErrState = errors.New("not in this state")
	// ErrApprover reports an approval by the person who drafted the transfer.
	ErrApprover = errors.New("another person must approve")
	// ErrInvalid reports input that can never be right.
	ErrInvalid = errors.New("invalid")
	// ErrForbidden reports a partner that may not do this.
	ErrForbidden = errors.New("partner may not do this")
	// ErrKeyReused reports an idempotency key that came with another body.
	ErrKeyReused = errors.New("idempotency key was used for another request")
)

var errTodo = errors.New("not implemented")

// A Draft is what an operator asks for.
type Draft struct {
	Partner string          // id
	Devices []fleet.ID      // at least one
	Window  transfer.Window // Earliest 0: now; Latest 0: a day later
	Mandate []byte          // COSE_Sign1 of the service user; nil: we sign it ourselves
	Note    string
	Actor   string
}

// Draft stores a new outgoing transfer, which does nothing before Submit.
func (c *Coordinator) Draft(ctx context.Context, d Draft) (Transfer, error) {
	return Transfer{}, errTodo
}

// Submit signs the DeviceUpdateInfo and posts it to the partner.
func (c *Coordinator) Submit(ctx context.Context, id, actor string) (Transfer, error) {
	return Transfer{}, errTodo
}

// Approve is the one decision of each side.
func (c *Coordinator) Approve(ctx context.Context, id, actor, reason string) (Transfer, error) {
	return Transfer{}, errTodo
}

// Withdraw ends a transfer before any device was told to commit.
func (c *Coordinator) Withdraw(ctx context.Context, id, actor, reason string) (Transfer, error) {
	return Transfer{}, errTodo
}

// Resume lets commits go on.
func (c *Coordinator) Resume(ctx context.Context, id, actor, reason string) (Transfer, error) {
	return Transfer{}, errTodo
}

// List returns transfers, see Store.
func (c *Coordinator) List(ctx context.Context, before string, limit int) ([]Transfer, error) {
	return c.o.Store.ListTransfers(ctx, before, limit)
}

// Get returns a transfer, or ErrUnknown.
func (c *Coordinator) Get(ctx context.Context, id string) (Transfer, error) {
	return c.o.Store.Transfer(ctx, id)
}

// Documents returns those of a transfer, or ErrUnknown.
func (c *Coordinator) Documents(ctx context.Context, id string) (Documents, error) {
	return c.o.Store.Documents(ctx, id)
}

// Rows returns a page of a transfer's devices, see Store.
func (c *Coordinator) Rows(ctx context.Context, id, after string, limit int) ([]Row, error) {
	return c.o.Store.ListRows(ctx, id, after, limit)
}

// Row returns a device of a transfer by its Short, or ErrUnknown.
func (c *Coordinator) Row(ctx context.Context, id, short string) (Row, error) {
	return c.o.Store.Row(ctx, id, short)
}

// Count returns how many rows of a transfer are in each state.
func (c *Coordinator) Count(ctx context.Context, id string) (map[transfer.RowState]int, error) {
	return c.o.Store.Count(ctx, id)
}

// Receipts returns a device's receipts in a transfer, the oldest first.
func (c *Coordinator) Receipts(ctx context.Context, id, short string) ([]Receipt, error) {
	return c.o.Store.Receipts(ctx, id, short)
}

// Partners returns all partners.
func (c *Coordinator) Partners(ctx context.Context) ([]Partner, error) {
	return c.o.Store.ListPartners(ctx)
}

// Partner returns one, or ErrUnknown.
func (c *Coordinator) Partner(ctx context.Context, id string) (Partner, error) {
	return c.o.Store.Partner(ctx, id)
}

// AddPartner verifies an identity file and pins its keys. It returns ErrInvalid
// for a file that does not verify and ErrPinned.
func (c *Coordinator) AddPartner(ctx context.Context, identity []byte, label, actor string) (Partner, error) {
	return Partner{}, errTodo
}

// SetPartnerState suspends or readmits a partner.
func (c *Coordinator) SetPartnerState(ctx context.Context, id string, s PartnerState, actor, reason string) (
	Partner, error,
) {
	return Partner{}, errTodo
}

// Identity returns our own identity file, for a partner to pin.
func (c *Coordinator) Identity() (json.RawMessage, error) { return nil, errTodo }

// Enrolled tells that our CA issued a certificate under the right of a device.
func (c *Coordinator) Enrolled(factory fleet.Factory) {}

// Registered tells that a device registered here. It does not block.
func (c *Coordinator) Registered(device fleet.ID) { c.Wake(device) }

// FactoryContact tells that a device asked for a certificate over an association
// with its factory certificate and got none: at the former provider it may be on
// its way back, and its receipt is read over that association; at the new one,
// spki, the key in its request, proves that it has committed. Zero: not known.
func (c *Coordinator) FactoryContact(factory fleet.Factory, spki transfer.Hash) {}

// Wake tells that a device registered or notified. It does not block.
func (c *Coordinator) Wake(device fleet.ID) {}

// Run serves what is due until ctx ends and returns after its last goroutine.
func (c *Coordinator) Run(ctx context.Context) error { return errTodo }

// Identify returns the partner that a TLS key is pinned for. It returns
// ErrForbidden, and audits, for a key that nobody has and a partner that is
// suspended.
func (c *Coordinator) Identify(ctx context.Context, tls [32]byte, from string) (Partner, error) {
	return Partner{}, errTodo
}

// Receive answers a call of a partner. It returns ErrUnknown, ErrState,
// ErrInvalid, ErrForbidden or ErrKeyReused, all of them audited.
func (c *Coordinator) Receive(ctx context.Context, from Partner, call Call) (Reply, error) {
	return Reply{}, errTodo
}

// StatusFor tells a partner how far a transfer with it is, or ErrUnknown.
func (c *Coordinator) StatusFor(ctx context.Context, from Partner, id string) (Status, error) {
	return Status{}, errTodo
}

var _ = time.Now
