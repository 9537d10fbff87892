package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	"steward/suit"
)

// fetch writes the payload at parameter uri to the component (§8.4.10.4). A
// payload in the envelope is used if its key is that URI; the signature does not
// cover it, so that only image-match protects it.
func fetch(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterURI)
	if err != nil {
		return err
	}
	uri := p.Text()
	open := func(offset uint64) (io.ReadCloser, error) { return m.fetch(ctx, i, uri, offset) }
	if payload, ok := p.by.Envelope.Integrated[uri]; ok {
		open = from(payload)
	} else if uri == "" || strings.HasPrefix(uri, "#") {
		return fmt.Errorf("%w: no payload %q in the envelope", ErrURI, uri)
	}
	return m.store(ctx, i, uri, open)
}

// fetch asks the Fetcher, with the arguments if there are any.
func (m *machine) fetch(ctx context.Context, i int, uri string, offset uint64) (io.ReadCloser, error) {
	arguments, set := m.parameters[m.id(i)][suit.ParameterFetchArguments]
	if with, ok := m.p.o.Fetch.(ArgumentFetcher); ok && set {
		return with.FetchWith(ctx, uri, offset, arguments.Bytes())
	}
	return m.p.o.Fetch.Fetch(ctx, uri, offset)
}

// from opens a payload held in memory.
func from(payload []byte) func(uint64) (io.ReadCloser, error) {
	return func(offset uint64) (io.ReadCloser, error) {
		offset = min(offset, uint64(len(payload)))
		return io.NopCloser(bytes.NewReader(payload[offset:])), nil
	}
}

// copyComponent writes the content of source-component to the component.
func copyComponent(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	source, err := m.source(i)
	if err != nil {
		return err
	}
	name := "component " + source.String()
	encrypted, err := m.encrypted(i)
	if err != nil {
		return err
	}
	if encrypted != nil {
		return m.decrypt(ctx, i, name, encrypted, func(limit uint64) ([]byte, error) {
			return m.readAll(ctx, source, limit)
		})
	}
	err = m.store(ctx, i, name, func(offset uint64) (io.ReadCloser, error) {
		r, err := m.area.Read(ctx, source)
		if err != nil {
			return nil, err
		}
		have := int64(min(offset, math.MaxInt64))
		if _, err := io.CopyN(io.Discard, r, have); err != nil {
			return nil, errors.Join(err, r.Close())
		}
		return r, nil
	})
	if m.unproven[source] {
		m.unproven[m.id(i)] = true
	}
	return err
}

// source returns the component named by source-component: an index into the
// components of the manifest, other than i.
func (m *machine) source(i int) (suit.ComponentID, error) {
	p, err := m.parameter(i, suit.ParameterSourceComponent)
	if err != nil {
		return "", err
	}
	n, count := p.Uint(), len(p.by.Manifest.Components)
	if n >= uint64(count) || p.by.id(int(n)) == m.id(i) { //nolint:gosec // compared before it is converted
		return "", fmt.Errorf("source component %d is not another of %d", n, count)
	}
	return p.by.id(int(n)), nil //nolint:gosec // less than count
}

// write writes parameter content to the component.
func write(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	p, err := m.parameter(i, suit.ParameterContent)
	if err != nil {
		return err
	}
	content := p.Bytes()
	if err := m.checkLink(ctx, i, content); err != nil {
		return err
	}
	encrypted, err := m.encrypted(i)
	if err != nil {
		return err
	}
	if encrypted != nil {
		return m.decrypt(ctx, i, "content", encrypted, func(uint64) ([]byte, error) { return content, nil })
	}
	m.wrote(m.id(i), true)
	w, _, _, err := m.area.Create(ctx, m.id(i), Image{Source: "content", Size: uint64(len(content))})
	if err != nil {
		return err
	}
	if err := finish(w, pour(ctx, w, bytes.NewReader(content), uint64(len(content)), 0)); err != nil {
		return err
	}
	return m.describe(ctx, i)
}

// swap exchanges the component with source-component (§8.4.10.11).
func swap(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	source, err := m.source(i)
	if err != nil {
		return err
	}
	mine, other := m.unproven[m.id(i)], m.unproven[source]
	m.wrote(m.id(i), !other)
	m.wrote(source, !mine)
	return m.area.Swap(ctx, m.id(i), source)
}

// invoke starts the component. It has no place in an update: there the new image
// is not committed yet.
func invoke(ctx context.Context, m *machine, _ *suit.Command, i int) error {
	if m.section != suit.SectionInvoke && m.section != suit.SectionLoad {
		return fmt.Errorf("in section %s", m.section)
	}
	var args []byte
	if p, err := m.parameter(i, suit.ParameterInvokeArgs); err == nil {
		args = p.Bytes()
	}
	if err := m.proven(m.section); err != nil {
		return err
	}
	return m.p.o.Target.Invoke(ctx, m.area, m.id(i), args)
}

// store writes what open returns to component i, going on where an interrupted
// run stopped.
func (m *machine) store(ctx context.Context, i int, source string, open func(uint64) (io.ReadCloser, error)) error {
	image := Image{Source: source}
	if p, ok := m.parameters[m.id(i)][suit.ParameterImageDigest]; ok {
		image.Digest = p.Digest().String()
	}
	size, sized := m.parameters[m.id(i)][suit.ParameterImageSize]
	if sized {
		image.Size = size.Uint()
	}
	m.wrote(m.id(i), true)
	w, offset, done, err := m.area.Create(ctx, m.id(i), image)
	if err != nil {
		return err
	}
	if done {
		return m.describe(ctx, i)
	}
	r, err := open(offset)
	if err != nil {
		return finish(w, err)
	}
	limit := uint64(math.MaxUint64) // not given: the capacity of the component bounds it
	if sized {
		limit = image.Size
	}
	err = pour(ctx, w, r, limit, offset)
	if err := finish(w, errors.Join(err, r.Close())); err != nil {
		return err
	}
	return m.describe(ctx, i)
}

// chunk is how much is read at once, and thus how much a break can lose.
const chunk = 16 << 10

// pour copies r to w. It returns ErrMismatch unless the image has the size that
// the manifest gives: limit, of which offset bytes are there already.
func pour(ctx context.Context, w io.Writer, r io.Reader, limit, offset uint64) error {
	buffer := make([]byte, chunk)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.Read(buffer)
		got := uint64(n) //nolint:gosec // readers return no negative counts
		if got > limit-min(limit, offset) {
			return fmt.Errorf("%w: more than %d bytes", ErrMismatch, limit)
		}
		offset += got
		if _, err := w.Write(buffer[:n]); err != nil {
			return err
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if limit != math.MaxUint64 && offset != limit {
		return fmt.Errorf("%w: %d bytes, not %d", ErrMismatch, offset, limit)
	}
	return nil
}

// finish completes the image, or keeps what is there of it if err says that
// writing failed.
func finish(w Writer, err error) error {
	if err != nil {
		return errors.Join(err, w.Close())
	}
	return w.Complete()
}
