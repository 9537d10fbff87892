package services

import (
	"context"
	"encoding/json"

	"steward/transfer"
	"steward/transfer/coordinator"
)

// A Coordinator runs hand-overs; *coordinator.Coordinator is one, and its
// documentation says what errors these return.
type Coordinator interface {
	transferReader
	transferRecorder
	transferCommander
	transferReviser
	mandateKeeper
	partnerKeeper
}

// A transferRecorder writes the records of transfers for auditors.
type transferRecorder interface {
	Record(ctx context.Context, id string) ([]byte, error)
}

// A transferReader shows transfers.
type transferReader interface {
	List(ctx context.Context, before string, limit int) ([]coordinator.Transfer, error)
	Get(ctx context.Context, id string) (coordinator.Transfer, error)
	Documents(ctx context.Context, id string) (coordinator.Documents, error)
	Count(ctx context.Context, id string) (map[transfer.RowState]int, error)
	Rows(ctx context.Context, id, after string, limit int) ([]coordinator.Row, error)
	Receipts(ctx context.Context, id, short string) ([]coordinator.Receipt, error)
}

// A transferCommander commands transfers.
type transferCommander interface {
	Draft(ctx context.Context, d coordinator.Draft) (coordinator.Transfer, error)
	Submit(ctx context.Context, id, actor string) (coordinator.Transfer, error)
	SetGates(ctx context.Context, id, actor string, g coordinator.Gates) (coordinator.Transfer, error)
	Approve(ctx context.Context, id, actor, reason string) (coordinator.Transfer, error)
	Resume(ctx context.Context, id, actor, reason string) (coordinator.Transfer, error)
	Withdraw(ctx context.Context, id, actor, reason string) (coordinator.Transfer, error)
}

// A transferReviser changes what was agreed.
type transferReviser interface {
	Extend(ctx context.Context, e coordinator.Extension) (coordinator.Transfer, error)
	Revise(ctx context.Context, id, actor, reason string) (coordinator.Transfer, error)
}

// A partnerBounder bounds partners.
type partnerBounder interface {
	SetPartnerLimits(ctx context.Context, id string, l coordinator.Limits, actor, reason string) (
		coordinator.Partner, error)
	Usage(ctx context.Context, partner string) (coordinator.Usage, error)
	Holding(ctx context.Context, partner string, fn func(coordinator.Row)) error
}

// A partnerKeeper keeps partners.
type partnerKeeper interface {
	partnerBounder
	Partners(ctx context.Context) ([]coordinator.Partner, error)
	Partner(ctx context.Context, id string) (coordinator.Partner, error)
	AddPartner(ctx context.Context, identity []byte, label, actor string) (coordinator.Partner, error)
	SetPartnerVerifier(ctx context.Context, id, name, actor, reason string) (coordinator.Partner, error)
	SetPartnerState(ctx context.Context, id string, s coordinator.PartnerState, actor, reason string) (
		coordinator.Partner, error)
	Identity() (json.RawMessage, error)
}

var _ Coordinator = (*coordinator.Coordinator)(nil)
