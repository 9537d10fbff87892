package process

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"

	"steward/suit"
)

// identity makes the condition that one of the device's identifiers equals the
// parameter (§8.4.8.2). These are compatibility checks, not proofs.
func identity(key suit.Key) handler {
	return func(_ context.Context, m *machine, _ *suit.Command, i int) error {
		p, err := m.parameter(i, key)
		if err != nil {
			return err
		}
		for _, own := range m.p.o.Identity.of(key) {
			m.measure(key, own)
			if len(own) > 0 && bytes.Equal(own, p.Bytes()) {
				return nil
			}
		}
		return fmt.Errorf("%w: %v %x", ErrNotForDevice, key, p.Bytes())
	}
}

// of returns the identifiers that a condition accepts.
func (d Identity) of(key suit.Key) [][]byte {
	switch key {
	case suit.ParameterVendor:
		return d.Vendors
	case suit.ParameterClass:
		return d.Classes
	default:
		return [][]byte{d.Device}
	}
}

// imageMatch compares the content of the component with image-digest.
func imageMatch(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterImageDigest)
	if err != nil {
		return err
	}
	same, err := m.matches(ctx, i, p.Digest())
	if err == nil && same {
		delete(m.unproven, m.id(i))
	}
	switch {
	case errors.Is(err, ErrAbsent):
		return fmt.Errorf("%w: %w", ErrMismatch, err)
	case err != nil:
		return err
	case !same:
		return fmt.Errorf("%w: component %v", ErrMismatch, m.id(i))
	}
	return nil
}

// imageNotMatch holds if the content is another, or none.
func imageNotMatch(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterImageDigest)
	if err != nil {
		return err
	}
	same, err := m.matches(ctx, i, p.Digest())
	if err != nil && !errors.Is(err, ErrAbsent) {
		return err
	}
	if same {
		return errors.New("the image is there already")
	}
	return nil
}

// matches computes the digest of the content of component i.
func (m *machine) matches(ctx context.Context, i int, want suit.Digest) (bool, error) {
	if !slices.Contains(m.p.o.Digests, want.Algorithm) {
		return false, m.refuse(ReasonAlgorithm, fmt.Errorf("image digest: %v", want.Algorithm))
	}
	if _, ok := m.k.Manifest.Dependency(i); ok {
		got, err := m.manifestDigest(ctx, i)
		return err == nil && got.Equal(want), err
	}
	h, err := want.Algorithm.New()
	if err != nil {
		return false, m.refuse(ReasonAlgorithm, err)
	}
	r, err := m.area.Read(ctx, m.id(i))
	if err != nil {
		return false, err
	}
	_, err = io.Copy(h, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return false, err
	}
	got := suit.Digest{Algorithm: want.Algorithm, Value: h.Sum(nil)}
	m.measure(suit.ParameterImageDigest, got)
	return got.Equal(want), nil
}

// componentSlot compares the slot from which the component runs.
func componentSlot(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterComponentSlot)
	if err != nil {
		return err
	}
	c, err := m.p.o.Target.Component(ctx, m.id(i))
	if err != nil {
		return err
	}
	m.measure(suit.ParameterComponentSlot, c.Slot)
	if c.Slot != p.Uint() {
		return fmt.Errorf("slot is %d, not %d", c.Slot, p.Uint())
	}
	return nil
}

// checkContent compares the content itself, in constant time: it may be secret
// (§8.4.9.4).
func checkContent(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterContent)
	if err != nil {
		return err
	}
	r, err := m.area.Read(ctx, m.id(i))
	if err != nil {
		return err
	}
	want := p.Bytes()
	got, err := io.ReadAll(io.LimitReader(r, int64(len(want))+1))
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(got, want) != 1 {
		return errors.New("content differs")
	}
	return nil
}
