package coordinator

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// Errors of a Store.
var (
	// ErrUnknown reports a transfer, device, partner or answer that is not stored.
	ErrUnknown = errors.New("unknown transfer, device or partner")
	// ErrConflict reports a change of something that was changed since it was read.
	ErrConflict = errors.New("changed meanwhile")
	// ErrBusy reports a device that has an unfinished row in another transfer.
	ErrBusy = errors.New("device is in another transfer")
	// ErrPinned reports a name or key that is pinned for another partner.
	ErrPinned = errors.New("name or key belongs to another partner")
)

// A Store keeps partners and transfers. Implementations are safe for concurrent
// use; coordtest.TestStore says what they must do.
type Store interface {
	Partners
	Transfers
	Rows
	Open
	Papers
}

// Partners keeps partners.
type Partners interface {
	// Partner returns ErrUnknown if there is none with that id.
	Partner(ctx context.Context, id string) (Partner, error)
	// ListPartners returns all, in order of their names.
	ListPartners(ctx context.Context) ([]Partner, error)
	// PutPartner stores p with its audit row, new if p.Version is 0. It returns
	// ErrPinned if another partner has its name or TLS key, and ErrConflict if
	// p.Version is not that stored.
	PutPartner(ctx context.Context, p Partner, row audit.Row) error
}

// Transfers keeps transfers.
type Transfers interface {
	// Transfer returns ErrUnknown if there is none with that id.
	Transfer(ctx context.Context, id string) (Transfer, error)
	// Documents returns those of a transfer, or ErrUnknown.
	Documents(ctx context.Context, id string) (Documents, error)
	// ListTransfers returns up to limit transfers, the last stored first, that were
	// stored before the one with id before; "" starts at the last.
	ListTransfers(ctx context.Context, before string, limit int) ([]Transfer, error)
	// DueTransfers returns up to limit transfers that are due.
	DueTransfers(ctx context.Context, now time.Time, limit int) ([]Transfer, error)
	// Answer returns what a partner was answered under an idempotency key, or
	// ErrUnknown.
	Answer(ctx context.Context, partner, key string) (Answer, error)
	// Commit applies ch in one transaction, or nothing of it. It returns
	// ErrConflict if a version is not that stored or a new row exists already, and
	// ErrBusy.
	Commit(ctx context.Context, ch Change) error
}

// Rows keeps the devices of transfers and their receipts.
type Rows interface {
	// Row returns a device of a transfer, or ErrUnknown.
	Row(ctx context.Context, id, short string) (Row, error)
	// ListRows returns up to limit rows of a transfer in order of Short, after the
	// given one; "" starts at the first.
	ListRows(ctx context.Context, id, after string, limit int) ([]Row, error)
	// OpenRows returns the rows of a device that have not ended or have something
	// pending.
	OpenRows(ctx context.Context, factory fleet.Factory) ([]Row, error)
	// DueRows returns up to limit rows that are due.
	DueRows(ctx context.Context, now time.Time, limit int) ([]Row, error)
	// Count returns how many rows of a transfer are in each state.
	Count(ctx context.Context, id string) (map[transfer.RowState]int, error)
	// Receipts returns those of a device in a transfer, the oldest first.
	Receipts(ctx context.Context, id, short string) ([]Receipt, error)
}

// Open tells which rows a device may move, and which it has.
type Open interface {
	// EachOpenRow calls fn with the id, short, device and version of every row that
	// has not ended or has something pending. fn must not call the Store.
	EachOpenRow(ctx context.Context, fn func(Row)) error
	// Ended returns how many rows of a transfer have ended.
	Ended(ctx context.Context, id string) (int, error)
	// FactoryRows returns a device's rows in up to limit transfers, the last stored first.
	FactoryRows(ctx context.Context, factory fleet.Factory, limit int) ([]Row, error)
}

// Papers keeps what the providers signed in the course of a transfer, beside the
// Documents that it goes by.
type Papers interface {
	// Papers returns those of a transfer, the oldest first.
	Papers(ctx context.Context, id string) ([]Paper, error)
}

// A PaperKind says what a Paper is.
type PaperKind string

// The kinds of papers.
const (
	PaperAsk       PaperKind = "ask"       // an Extension, CBOR
	PaperAgreement PaperKind = "agreement" // COSE_Sign1 of the incoming provider
	PaperInfo      PaperKind = "info"      // a DeviceUpdateInfo that was revised
	PaperAnswer    PaperKind = "answer"    // to the PaperInfo before it
)

// A Paper is one of them.
type Paper struct {
	Kind PaperKind
	Raw  []byte
	At   time.Time
}

// maxPapers is how often one transfer may be revised, and how often extended: a partner
// must not fill the disk, and a record holds so many.
const maxPapers = 32

// room returns ErrState if there are too many papers of a kind already.
func (c *Coordinator) room(ctx context.Context, id string, kind PaperKind) error {
	all, err := c.o.Store.Papers(ctx, id)
	if err != nil {
		return err
	}
	n := 0
	for _, p := range all {
		if p.Kind == kind {
			n++
		}
	}
	if n >= maxPapers {
		return refusedf(ErrState, "there were %d of %s before: draft another transfer", n, kind)
	}
	return nil
}

// newest returns the last paper of a kind, nil if there is none.
func newest(all []Paper, kind PaperKind) []byte {
	for _, p := range slices.Backward(all) {
		if p.Kind == kind {
			return p.Raw
		}
	}
	return nil
}

// A Change is what one step stores: state, effects still to be performed,
// evidence, the answer given and the audit rows.
type Change struct {
	Transfer  *Transfer // stored if its Version is that stored; 0: new
	Documents Documents // of Transfer; nil ones stay
	Papers    []Paper   // of Transfer, added to those stored
	Rows      []Row     // likewise; a new one must not be of a device with an open row
	Receipts  []Receipt // one that is stored already is left out
	Answer    *Answer
	// Partner is stored if its Version is that stored: it has signed, by its announced
	// key, what the rest follows from. nil: it stays as it is.
	Partner *Partner
	Audit   []audit.Row
}

// An Answer is what a partner was told, kept for when it asks again.
type Answer struct {
	Partner string
	Key     string // its idempotency key
	Request [sha256.Size]byte
	Reply   Reply
	At      time.Time
}
