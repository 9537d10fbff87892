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

	"steward/lwm2m/coap"
	"steward/suit/process"
	"steward/transfer"
)

// A fetcher gets envelopes and payloads by CoAP over DTLS, with the operational
// certificate, from servers with an anchor for updates (process.Fetcher).
type fetcher struct{ l *life }

// Fetch implements process.Fetcher.
func (f fetcher) Fetch(ctx context.Context, uri string, offset uint64) (io.ReadCloser, error) {
	body, err := f.get(ctx, uri)
	if err != nil {
		return nil, err
	}
	if offset > uint64(len(body)) {
		return nil, fmt.Errorf("%w: payload ends before offset %d", process.ErrURI, offset)
	}
	return io.NopCloser(bytes.NewReader(body[offset:])), nil
}

func (f fetcher) get(ctx context.Context, uri string) ([]byte, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", process.ErrURI, err)
	}
	if u.Scheme != "coaps" {
		return nil, fmt.Errorf("%w: %q", process.ErrScheme, u.Scheme)
	}
	k, done, err := f.link(ctx, uri)
	if err != nil {
		return nil, err
	}
	defer done()
	r := &coap.Request{Method: coap.GET, Path: segments(u)}
	if u.RawQuery != "" {
		r.Query = strings.Split(u.RawQuery, "&")
	}
	response, err := f.l.engine.Do(ctx, k.conn, r)
	switch {
	case errors.Is(err, coap.ErrTooLarge):
		return nil, fmt.Errorf("%w: %w", process.ErrNoSpace, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", process.ErrConnection, err)
	case response.Code == coap.Content:
		return response.Payload, nil
	case response.Code.Class() == 5:
		return nil, fmt.Errorf("%w: server answered %s", process.ErrConnection, response.Code)
	}
	return nil, fmt.Errorf("%w: server answered %s", process.ErrURI, response.Code)
}

// link returns an association to the host of uri: the one that the device is
// managed by, if an anchor for updates vouches for that server, or a new one.
func (f fetcher) link(ctx context.Context, uri string) (k *link, done func(), err error) {
	host, err := transfer.HostOf(uri)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", process.ErrURI, err)
	}
	f.l.mu.Lock()
	anchors := f.l.tr.Trusted(transfer.Update)
	f.l.mu.Unlock()
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

// under reports whether the server stands under an anchor.
func (k *link) under(a transfer.Anchor) bool { return slices.Contains(k.stands, a.Thumbprint()) }
