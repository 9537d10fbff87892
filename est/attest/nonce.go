package attest

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
	"time"
)

// A Hash is a SHA-256. Zero means absent where a token may lack it.
type Hash [sha256.Size]byte

// The layout of a nonce: when it ends, random bytes, and a code over both and
// whom it is for.
const (
	nonceTime   = 8
	nonceRandom = 8
	nonceCode   = 16
	// NonceLength is the length in bytes of a nonce.
	NonceLength = nonceTime + nonceRandom + nonceCode
	// NonceLife is how long a device has to answer. A device in queue mode answers
	// while it is awake; slow links need minutes.
	NonceLife = 5 * time.Minute
	// maxSpent bounds what is remembered. Only evidence that a known attestation key
	// has signed spends a nonce.
	maxSpent = 1 << 16
)

// A Purpose says what a nonce is for: a device, by the hash of its factory
// certificate, and a transfer, "" for none.
type Purpose struct {
	Device   Hash
	Transfer string
}

// Nonces gives nonces and knows its own again without having kept them: whoever
// asks for many costs no memory and takes nobody's away. Only those that were used
// are kept, until they would have ended. A restart voids all: devices ask again.
// It is safe for concurrent use.
type Nonces struct {
	key [sha256.Size]byte

	mu    sync.Mutex
	spent map[[NonceLength]byte]time.Time // to their end
}

// NewNonces returns Nonces with a key of their own.
func NewNonces() *Nonces {
	n := &Nonces{spent: map[[NonceLength]byte]time.Time{}}
	_, _ = rand.Read(n.key[:]) // never fails
	return n
}

// New returns a nonce for p that ends after NonceLife, and its end.
func (n *Nonces) New(p Purpose, now time.Time) ([]byte, time.Time) {
	end := now.Add(NonceLife)
	nonce := make([]byte, nonceTime+nonceRandom, NonceLength)
	binary.BigEndian.PutUint64(nonce, uint64(max(end.UnixMicro(), 0)))
	_, _ = rand.Read(nonce[nonceTime:]) // never fails
	return append(nonce, n.code(nonce, p)...), end
}

func (n *Nonces) code(head []byte, p Purpose) []byte {
	h := hmac.New(sha256.New, n.key[:])
	h.Write(head)
	h.Write(p.Device[:])
	h.Write([]byte(p.Transfer))
	return h.Sum(nil)[:nonceCode]
}

// end returns when a nonce given for p ends.
func (n *Nonces) end(nonce []byte, p Purpose, now time.Time) (time.Time, error) {
	if len(nonce) != NonceLength {
		return time.Time{}, fmt.Errorf("attest: nonce of %d bytes: %w", len(nonce), ErrNonce)
	}
	head, code := nonce[:nonceTime+nonceRandom], nonce[nonceTime+nonceRandom:]
	if !hmac.Equal(code, n.code(head, p)) {
		return time.Time{}, fmt.Errorf("attest: %w", ErrNonce)
	}
	end := time.UnixMicro(int64(binary.BigEndian.Uint64(head))) //nolint:gosec // our own
	if !now.Before(end) {
		return time.Time{}, fmt.Errorf("attest: nonce ended at %s: %w", end.UTC().Format(time.RFC3339), ErrExpired)
	}
	return end, nil
}

// Spend uses nonce up. Of two that spend it at once, one wins. It returns
// ErrNonce for one that was not given for p, ErrExpired, ErrSpent or ErrBusy.
func (n *Nonces) Spend(nonce []byte, p Purpose, now time.Time) error {
	end, err := n.end(nonce, p, now)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	key := [NonceLength]byte(nonce)
	if _, used := n.spent[key]; used {
		return fmt.Errorf("attest: %w", ErrSpent)
	}
	if len(n.spent) >= maxSpent {
		for old, until := range n.spent {
			if !now.Before(until) {
				delete(n.spent, old)
			}
		}
	}
	if len(n.spent) >= maxSpent {
		return fmt.Errorf("attest: %w", ErrBusy)
	}
	n.spent[key] = end
	return nil
}
