package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// ErrPin reports a server whose key is not the one that is pinned.
var ErrPin = errors.New("server has another key than the one pinned")

// PeersOptions configure a Peers.
type PeersOptions struct {
	Certificate tls.Certificate // ours, for mutual TLS; required
	Name        string          // of this provider, for the partner's log
	Timeout     time.Duration   // of one call; 1 min
	// Seen is told when a partner shows the key that it has announced. Nil: nobody is.
	Seen func(ctx context.Context, id string, tls [32]byte) error
}

// A Peers calls the peer API of partners: HTTPS with our certificate and the
// partner's pinned key, whatever CA has signed it. It implements
// coordinator.Peers.
type Peers struct {
	o PeersOptions

	mu      sync.Mutex
	clients map[pins]*http.Client // by pinned keys: a key that is replaced ends its connections
}

// pins are the keys that a partner may show: the present one and the next.
type pins [2][32]byte

var _ coordinator.Peers = (*Peers)(nil)

const defaultPeerTimeout = time.Minute

// NewPeers validates o.
func NewPeers(o PeersOptions) (*Peers, error) {
	if len(o.Certificate.Certificate) == 0 || o.Certificate.PrivateKey == nil {
		return nil, errors.New("remote: a certificate is required")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultPeerTimeout
	}
	return &Peers{o: o, clients: map[pins]*http.Client{}}, nil
}

// PeerPrefix is where the peer API begins.
const PeerPrefix = "/peer/v1/transfers"

// Post implements coordinator.Peers.
func (p *Peers) Post(ctx context.Context, to coordinator.Partner, c coordinator.Call) ([]byte, error) {
	path := PeerPrefix
	if c.Action != coordinator.ActionInfo {
		path += "/" + url.PathEscape(c.Transfer)
		if c.Action.AboutDevice() {
			path += "/devices/" + url.PathEscape(c.Device)
		}
		path += "/" + string(c.Action)
	}
	header := http.Header{"Content-Type": {c.Action.ContentType()}, "Idempotency-Key": {c.Key}}
	return p.do(ctx, to, http.MethodPost, path, header, c.Body)
}

// Status implements coordinator.Peers.
func (p *Peers) Status(ctx context.Context, to coordinator.Partner, id string) (coordinator.Status, error) {
	var s coordinator.Status
	raw, err := p.do(ctx, to, http.MethodGet, PeerPrefix+"/"+url.PathEscape(id), nil, nil)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("%w: status: %w", coordinator.ErrDeclined, err)
	}
	return s, nil
}

// Right implements coordinator.Peers.
func (p *Peers) Right(ctx context.Context, to coordinator.Partner, id, device string) ([]byte, error) {
	path := PeerPrefix + "/" + url.PathEscape(id) + "/devices/" + url.PathEscape(device) + "/right"
	return p.do(ctx, to, http.MethodGet, path, nil, nil)
}

// client returns the client of the connections to a partner.
func (p *Peers) client(to coordinator.Partner) *http.Client {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := pins{to.TLSKey(), to.NextTLSKey()}
	c, ok := p.clients[key]
	if !ok {
		c = &http.Client{CheckRedirect: noRedirect, Transport: &http.Transport{
			TLSClientConfig: p.pinned(to), MaxIdleConnsPerHost: maxIdle, IdleConnTimeout: p.o.Timeout,
		}}
		p.clients[key] = c
	}
	return c
}

// accepted are the answers that are understood: of version 1, or without any. Bodies go
// out in the plain types, which partners of any release know.
const accepted = "application/vnd.steward.transfer+json;version=1, application/vnd.steward.transfer+cbor;version=1, " +
	"application/vnd.steward.transfer+cose;version=1, application/json, application/cbor, application/cose"

const maxIdle = 8 // connections kept to a partner

// do makes one request.
func (p *Peers) do(ctx context.Context, to coordinator.Partner, method, path string, h http.Header, body []byte) (
	[]byte, error,
) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(to.PeerURI, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", coordinator.ErrDeclined, err)
	}
	maps.Copy(req.Header, h)
	req.Header.Set("Accept", accepted)
	req.Header.Set("User-Agent", "steward/"+p.o.Name)
	res, err := p.client(to).Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", coordinator.ErrPartnerAway, err)
	}
	defer func() { _ = res.Body.Close() }()
	if err := p.seen(ctx, to, res); err != nil {
		return nil, fmt.Errorf("%w: %w", coordinator.ErrPartnerAway, err)
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, transfer.MaxBatch+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", coordinator.ErrPartnerAway, err)
	}
	return raw, judge(res, raw)
}

// seen tells of a partner's next key, once it is shown.
func (p *Peers) seen(ctx context.Context, to coordinator.Partner, res *http.Response) error {
	if p.o.Seen == nil || to.NextTLS == nil || res.TLS == nil {
		return nil
	}
	key := coordinator.SPKI(res.TLS.PeerCertificates[0]) // VerifyConnection has seen it
	if key != to.NextTLSKey() {
		return nil
	}
	return p.o.Seen(ctx, to.ID, key)
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// judge sorts an answer: done, refused, or to be asked again.
func judge(res *http.Response, raw []byte) error {
	switch {
	case res.StatusCode >= 200 && res.StatusCode < 300 && len(raw) <= transfer.MaxBatch:
		return nil
	case res.StatusCode >= 200 && res.StatusCode < 300:
		return fmt.Errorf("%w: answer is too long", coordinator.ErrDeclined)
	}
	var problem web.Problem
	detail := res.Status
	if json.Unmarshal(raw, &problem) == nil && problem.Detail != "" {
		detail = fmt.Sprintf("%d %s", res.StatusCode, problem.Detail)
	}
	kind := coordinator.ErrDeclined
	if res.StatusCode >= http.StatusInternalServerError || res.StatusCode == http.StatusTooManyRequests ||
		res.StatusCode == http.StatusRequestTimeout || res.StatusCode == http.StatusForbidden {
		// A partner that has suspended us, or not pinned us yet, may change its mind.
		kind = coordinator.ErrPartnerAway
	}
	return fmt.Errorf("%w: %.300s", kind, detail)
}

// pinned trusts exactly the key that is pinned for the partner, and the announced one. Names and dates
// are not looked at: the record is replaced or suspended by people.
func (p *Peers) pinned(to coordinator.Partner) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		Certificates:       []tls.Certificate{p.o.Certificate},
		InsecureSkipVerify: true, //nolint:gosec // G402: VerifyConnection compares the pinned key instead
		VerifyConnection: func(s tls.ConnectionState) error {
			return checkPin(s.PeerCertificates, to)
		},
	}
}

func checkPin(chain []*x509.Certificate, to coordinator.Partner) error {
	if len(chain) == 0 || !to.Shows(coordinator.SPKI(chain[0])) {
		return fmt.Errorf("%w: %s", ErrPin, to.Name)
	}
	return nil
}
