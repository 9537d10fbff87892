package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"steward/suit"
	"steward/suit/cose"
)

// encrypted returns parameter encryption-info of component i, nil if it is not
// set. Write and copy heed it, fetch does not
// (draft-ietf-suit-firmware-encryption §4).
func (m *machine) encrypted(i int) (*cose.Encrypt, error) {
	p, err := m.parameter(i, suit.ParameterEncryptionInfo)
	if errors.Is(err, ErrUnset) {
		return nil, nil //nolint:nilnil // not encrypted is no error
	}
	info, err := cose.ParseEncrypt(p.Bytes())
	if err != nil {
		return nil, m.refuse(reasonOf(err), fmt.Errorf("encryption-info: %w", err))
	}
	return info, nil
}

// decrypt writes to component i what read returns, decrypted. Ciphertext is held
// in memory as a whole: nothing of it is released before its tag is verified.
func (m *machine) decrypt(
	ctx context.Context, i int, source string, info *cose.Encrypt, read func(limit uint64) ([]byte, error),
) error {
	limit, err := m.room(ctx, i)
	if err != nil {
		return err
	}
	err = m.store(ctx, i, source+", decrypted", func(offset uint64) (io.ReadCloser, error) {
		ciphertext, err := read(limit + uint64(info.Overhead())) //nolint:gosec // not negative
		if err != nil {
			return nil, err
		}
		plaintext, err := info.Decrypt(m.p.o.Keys, ciphertext)
		if err != nil {
			return nil, err
		}
		return from(plaintext)(offset)
	})
	if errors.Is(err, cose.ErrNoRecipient) {
		return m.refuse(ReasonUnauthorised, err)
	}
	if err == nil && !info.Algorithm().Authenticated() {
		m.unproven[m.id(i)] = true
	}
	return err
}

// room returns the number of bytes that component i will have or can have.
func (m *machine) room(ctx context.Context, i int) (uint64, error) {
	c, err := m.p.o.Target.Component(ctx, m.id(i))
	if err != nil {
		return 0, err
	}
	if size, err := m.parameter(i, suit.ParameterImageSize); err == nil {
		return min(size.Uint(), c.Capacity), nil
	}
	return c.Capacity, nil
}

// readAll reads the content of a component, of at most limit bytes.
func (m *machine) readAll(ctx context.Context, id suit.ComponentID, limit uint64) ([]byte, error) {
	r, err := m.area.Read(ctx, id)
	if err != nil {
		return nil, err
	}
	limit = min(limit, math.MaxInt32)
	content, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	if uint64(len(content)) > limit {
		return nil, fmt.Errorf("%w: component %v is longer than %d bytes", ErrMismatch, id, limit)
	}
	return content, nil
}
