// Package once makes POSTs that a client repeats one: the header Idempotency-Key
// names what is meant, and the answer to it is kept for a day.
package once

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"
)

// Limits.
const (
	Lifetime   = 24 * time.Hour // of a kept answer
	MaxKey     = 255            // bytes of a key
	MaxAnswer  = 64 << 10       // bytes of an answer that is kept; commands answer far less
	MaxReplies = 10_000         // kept of one caller; beyond it new keys are refused
)

// The errors of a Store.
var (
	// ErrFull says that as many answers of the caller are kept as may be.
	ErrFull = errors.New("too many keys within a day")
	// ErrGone says that a reply is not there, or not any more.
	ErrGone = errors.New("no such reply")
)

// A Key is what is kept of a caller and the key that they sent: its SHA-256.
type Key [sha256.Size]byte

// A Digest is the SHA-256 of a request: its method, target, and body.
type Digest [sha256.Size]byte

// A State says how far the work for a key is.
type State string

// The states.
const (
	Running State = "running" // nothing was changed yet
	Applied State = "applied" // something was changed; the answer is not there yet
	Done    State = "done"    // the answer is there
	Unkept  State = "unkept"  // done, and the answer was too long to be kept
)

// A Reply is what is kept of one key.
type Reply struct {
	Key     Key
	Caller  string // the audit actor
	Request Digest
	Run     string // the process that works, or worked, on it
	State   State
	Status  int         // of the answer; 0 until State is Done
	Header  http.Header // that the answer needs
	Body    []byte
	At      time.Time // of the request
}

// A Store keeps replies. Implementations are safe for concurrent use.
type Store interface {
	// Begin keeps r, which is Running, unless there is one of its key: then it returns
	// that one, and false. One that another process left Running changed nothing: r
	// takes its place. It returns ErrFull beyond MaxReplies of the caller.
	Begin(ctx context.Context, r Reply) (Reply, bool, error)
	// Finish keeps the answer. If nothing was changed for the key, and r is no success
	// (2xx), the key is free again.
	Finish(ctx context.Context, r Reply) error
	// Prune forgets the replies to requests before a time.
	Prune(ctx context.Context, before time.Time) error
}

type contextKey struct{}

// With returns a context for the work for a key: what a transaction of it changes
// makes the reply Applied, in the same transaction.
func With(ctx context.Context, k Key) context.Context {
	return context.WithValue(ctx, contextKey{}, k)
}

// KeyOf returns the key that the work of ctx is for, and whether there is one.
func KeyOf(ctx context.Context) (Key, bool) {
	k, ok := ctx.Value(contextKey{}).(Key)
	return k, ok
}
