package account

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"golang.org/x/crypto/argon2"
)

// Costs are what one hash of a password costs. Zero fields take the second
// recommendation of RFC 9106 §4: 64 MiB, 3 passes, 4 lanes.
type Costs struct {
	Memory uint32 // KiB
	Passes uint32
	Lanes  uint8
}

func (c Costs) complete() Costs {
	if c == (Costs{}) {
		return Costs{Memory: 64 << 10, Passes: 3, Lanes: 4}
	}
	return c
}

const (
	saltBytes = 16
	hashBytes = 32
	// maxHashes at once bounds the memory to 128 MiB; those who wait are bounded too.
	maxHashes  = 2
	maxWaiting = 32
	// Bounds of what a stored hash may ask for.
	maxMemory = 1 << 20 // KiB
	maxPasses = 16
)

// errHash reports a stored hash that is none.
var errHash = errors.New("account: unreadable password hash")

// ErrBusy reports that too many sign in at once.
var ErrBusy = errors.New("too many sign in at once")

// A hasher makes and checks hashes of passwords, a few at a time.
type hasher struct {
	costs   Costs
	slots   chan struct{}
	waiting atomic.Int32
}

func newHasher(c Costs) *hasher {
	return &hasher{costs: c.complete(), slots: make(chan struct{}, maxHashes)}
}

// derive runs argon2id once a slot is free. It returns ErrBusy if many wait.
func (h *hasher) derive(ctx context.Context, password string, salt []byte, c Costs, size uint32) ([]byte, error) {
	if h.waiting.Add(1) > maxWaiting {
		h.waiting.Add(-1)
		return nil, ErrBusy
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-h.slots }()
	return argon2.IDKey([]byte(password), salt, c.Passes, c.Memory, c.Lanes, size), nil
}

// hash returns what is stored of a password, in the format of the reference
// implementation: "$argon2id$v=19$m=65536,t=3,p=4$salt$hash".
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // crypto/rand never fails
	sum, err := h.derive(ctx, password, salt, h.costs, hashBytes)
	if err != nil {
		return "", err
	}
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.costs.Memory, h.costs.Passes,
		h.costs.Lanes, b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
}

// check reports whether password is that of stored. Without a stored hash it costs
// the same and is false.
func (h *hasher) check(ctx context.Context, stored, password string) (bool, error) {
	if stored == "" {
		_, err := h.derive(ctx, password, make([]byte, saltBytes), h.costs, hashBytes)
		return false, err
	}
	c, salt, want, err := parseHash(stored)
	if err != nil {
		return false, err
	}
	got, err := h.derive(ctx, password, salt, c, uint32(len(want))) //nolint:gosec // G115: checked by parseHash
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// parseHash reads what hash writes, with any costs within bounds.
func parseHash(text string) (c Costs, salt, sum []byte, err error) {
	parts := strings.Split(text, "$")
	const fields = 6 // one is empty, before the first $
	if len(parts) != fields || parts[0] != "" || parts[1] != "argon2id" ||
		parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return c, nil, nil, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &c.Memory, &c.Passes, &c.Lanes); err != nil {
		return c, nil, nil, errHash
	}
	written := fmt.Sprintf("m=%d,t=%d,p=%d", c.Memory, c.Passes, c.Lanes)
	salt, err1 := base64.RawStdEncoding.Strict().DecodeString(parts[4])
	sum, err2 := base64.RawStdEncoding.Strict().DecodeString(parts[5])
	if written != parts[3] || errors.Join(err1, err2) != nil || len(salt) != saltBytes || len(sum) != hashBytes ||
		c.Memory == 0 || c.Memory > maxMemory || c.Passes == 0 || c.Passes > maxPasses || c.Lanes == 0 {
		return c, nil, nil, errHash
	}
	return c, salt, sum, nil
}
