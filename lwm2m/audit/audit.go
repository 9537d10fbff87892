// Package audit is the row that every Store writes in the transaction of each
// change: who did what to what, why, and what it was before and after. Rows are
// chained by their hashes, so that one taken out or altered is noticed.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A Row is one change, or one refusal, as it is stored.
type Row struct {
	Actor   string // "operator:<id>", "device:<endpoint>", "peer:<name>", "system"
	Action  string // a constant such as "certificate.issue" or "handshake.refuse"
	Subject string // the id of what was changed; never a secret
	Reason  string // in words, for people; may be empty
	Before  string // state before, may be empty
	After   string // state after, may be empty
	At      time.Time
}

// A Record is a row with its place in the chain.
type Record struct {
	Row

	ID   int64 // grows by one a row; the order of rows, for time is not
	Prev [sha256.Size]byte
	Hash [sha256.Size]byte
}

// ErrStorage reports that nothing can be stored now: the disk is full, read-only or
// failing. What was to be changed was not. Stores wrap it, for what is audited is
// stored in the same transaction.
var ErrStorage = errors.New("nothing can be stored now")

// ErrChain reports a row whose hash does not follow from the one before.
var ErrChain = errors.New("audit chain broken")

// Hash returns the hash of the row that follows one with hash prev. Fields are
// written with their lengths, so that no two rows hash the same text.
func Hash(prev [sha256.Size]byte, r Row) [sha256.Size]byte {
	const usual = 256 // bytes
	b := append(make([]byte, 0, usual), prev[:]...)
	for _, s := range [...]string{r.Actor, r.Action, r.Subject, r.Reason, r.Before, r.After} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // G115: rows are far below 4 GiB
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.At.UnixMicro()))
	return sha256.Sum256(b)
}

// Verify checks that records, in order, follow from the hash prev (zero before
// the first row of all). It returns ErrChain, naming the first row that does not.
func Verify(prev [sha256.Size]byte, records []Record) error {
	for _, r := range records {
		if r.Prev != prev || Hash(prev, r.Row) != r.Hash {
			return fmt.Errorf("%w at row %d", ErrChain, r.ID)
		}
		prev = r.Hash
	}
	return nil
}

// A Log takes rows that belong to no other change: refusals above all.
type Log interface {
	// Audit appends a row in a transaction of its own.
	Audit(ctx context.Context, r Row) error
}
