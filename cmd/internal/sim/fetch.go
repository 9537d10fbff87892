package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"steward/lwm2m/coap"
	"steward/suit/process"
	"steward/transfer"
)

// A fetcher gets envelopes and payloads by CoAP over DTLS and by HTTPS, with the
// operational certificate, from servers with an anchor for updates
// (process.Fetcher). Before the device enrols it is by CoAP, with the factory
// certificate, from the update server of the transfer alone. It goes on at any offset.
type fetcher struct{ l *life }

// Fetch implements process.Fetcher.
func (f fetcher) Fetch(ctx context.Context, uri string, offset uint64) (io.ReadCloser, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", process.ErrURI, err)
	}
	if offset > capacity {
		return nil, fmt.Errorf("%w: offset %d", process.ErrNoSpace, offset)
	}
	switch u.Scheme {
	case "coaps":
		return f.coaps(ctx, uri, u, int(offset))
	case "https":
		return f.https(ctx, u, int64(offset))
	}
	return nil, fmt.Errorf("%w: %q", process.ErrScheme, u.Scheme)
}

// get fetches an envelope, the first bytes of which may be there already.
func (f fetcher) get(ctx context.Context, uri string, have []byte) ([]byte, error) {
	r, err := f.Fetch(ctx, uri, uint64(len(have)))
	if err != nil {
		return have, err
	}
	defer func() { _ = r.Close() }() // what was read counts
	more, err := io.ReadAll(io.LimitReader(r, int64(maxPackage-len(have))+1))
	have = append(have, more...)
	if err == nil && len(have) > maxPackage {
		err = fmt.Errorf("%w: an envelope of more than %d bytes", process.ErrNoSpace, maxPackage)
	}
	return have, err
}

// coaps opens a stream of blocks.
func (f fetcher) coaps(ctx context.Context, uri string, u *url.URL, offset int) (io.ReadCloser, error) {
	k, done, err := f.link(ctx, uri)
	if err != nil {
		return nil, err
	}
	r := &coap.Request{Method: coap.GET, Path: segments(u)}
	if u.RawQuery != "" {
		r.Query = strings.Split(u.RawQuery, "&")
	}
	// The block before, so that the end of the body is not beyond it.
	at := max(offset-1, 0) / f.l.o.BlockSize * f.l.o.BlockSize
	b := &blocks{ctx: ctx, l: f.l, link: k, done: done, request: r, at: at, more: true}
	if err := b.next(); err != nil {
		done()
		return nil, err
	}
	if offset-at > len(b.rest) {
		done()
		return nil, fmt.Errorf("%w: payload ends before offset %d", process.ErrURI, offset)
	}
	b.rest = b.rest[offset-at:]
	return b, nil
}

// blocks is a body that is fetched block by block as it is read.
type blocks struct {
	ctx     context.Context //nolint:containedctx // io.Reader has none
	l       *life
	link    *link
	done    func()
	request *coap.Request
	at      int // of the next block
	tag     []byte
	rest    []byte // of the last one
	more    bool
}

// Read implements io.Reader.
func (b *blocks) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if !b.more {
			return 0, io.EOF
		}
		if err := b.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (b *blocks) Close() error {
	b.done()
	return nil
}

const (
	// maxBusy is how often in a row a busy server is asked again.
	maxBusy = 60
	// maxRest is the longest time that a server may ask to be left alone.
	maxRest = 30 * time.Second
)

// next fetches a block. A server that is busy is asked again when it says.
func (b *blocks) next() error {
	for range maxBusy {
		r, more, err := b.l.engine.Block(b.ctx, b.link.conn, b.request, b.at)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", process.ErrConnection, err)
		case r.Code == coap.Content && b.tag != nil && !bytes.Equal(b.tag, r.ETag):
			return fmt.Errorf("%w: the payload changed on the way", process.ErrConnection)
		case r.Code == coap.Content:
			b.tag, b.rest, b.more, b.at = r.ETag, r.Payload, more, b.at+len(r.Payload)
			return nil
		case r.Code == coap.ServiceUnavailable:
			seconds, _ := r.MaxAge.Seconds()
			if !wait(b.ctx, min(time.Duration(seconds)*time.Second, maxRest)) {
				return b.ctx.Err()
			}
		case r.Code.Class() == 5:
			return fmt.Errorf("%w: server answered %s", process.ErrConnection, r.Code)
		default:
			return fmt.Errorf("%w: server answered %s", process.ErrURI, r.Code)
		}
	}
	return fmt.Errorf("%w: server is busy", process.ErrConnection)
}

// link returns an association to the host of uri: the one that the device is
// managed by, if an anchor for updates vouches for that server, or a new one.
func (f fetcher) link(ctx context.Context, uri string) (k *link, done func(), err error) {
	host, err := transfer.HostOf(uri)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", process.ErrURI, err)
	}
	if e, ok := f.l.updating(); ok {
		return f.ofTransfer(ctx, host, e)
	}
	anchors := f.anchors()
	if m := f.l.links.management(); m != nil && m.host == host && slices.ContainsFunc(anchors, m.under) {
		return m, func() {}, nil
	}
	certificate, err := f.l.operational()
	if err != nil {
		return nil, nil, err
	}
	k, err = f.l.dial(ctx, dialing{uri: uri, certificate: certificate, anchors: anchors, phase: phaseUpdate})
	if errors.Is(err, ErrServer) {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", process.ErrConnection, err)
	}
	return k, func() { f.l.links.drop(k, f.l.cl) }, nil
}

// ofTransfer returns the association to the update server of a transfer: no other
// server is shown the factory certificate.
func (f fetcher) ofTransfer(ctx context.Context, host string, e transfer.Effect) (*link, func(), error) {
	if server, err := transfer.HostOf(e.URI); err != nil || server != host {
		return nil, nil, fmt.Errorf("%w: %s is not the update server of the transfer", process.ErrURI, host)
	}
	k, err := f.l.factoryLink(ctx, e.URI, e.Anchors, false)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", process.ErrConnection, err)
	}
	return k, func() {}, nil
}

// updating returns the effect of a device that asks an update server before it enrols.
func (l *life) updating() (e transfer.Effect, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok = l.tr.Next()
	return e, ok && e.Do == transfer.DoUpdate
}

// anchors are those under which servers of updates must stand.
func (f fetcher) anchors() []transfer.Anchor {
	f.l.mu.Lock()
	defer f.l.mu.Unlock()
	return f.l.tr.Trusted(transfer.Update)
}

// under reports whether the server stands under an anchor.
func (k *link) under(a transfer.Anchor) bool { return slices.Contains(k.stands, a.Thumbprint()) }
