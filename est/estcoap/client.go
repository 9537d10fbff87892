package estcoap

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"steward/lwm2m/coap"
)

// ErrAnswer reports a response that is not what RFC 9148 promises.
var ErrAnswer = errors.New("unusable answer of the EST server")

// A StatusError is an answer of class 4 or 5.
type StatusError struct {
	Code       coap.Code
	Retry      time.Duration // of a 5.03: when to ask again with the same request; zero otherwise
	Diagnostic string        // what the server said, printable
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("EST server answered %s %q", e.Code, e.Diagnostic)
}

// A Doer exchanges a request for a response; *coap.Engine is one.
type Doer interface {
	// Do returns the errors of coap.Engine.Do.
	Do(ctx context.Context, p coap.Peer, r *coap.Request) (*coap.Response, error)
}

// ClientOptions says whom a Client asks and how. Engine and Peer are required.
type ClientOptions struct {
	Engine Doer
	Peer   coap.Peer // an association whose server the caller has verified
	Root   []string  // Uri-Path before the function; nil: /est
	// CertsOnly asks for 281 at /sen and /sren, which every server has, rather
	// than for 287, which is some 50 bytes shorter.
	CertsOnly bool
	// C509 has requests and answers in C509 where it is not zero, ahead of CertsOnly.
	C509 C509Formats
}

// A Client asks one EST server.
type Client struct{ o ClientOptions }

// NewClient validates o.
func NewClient(o ClientOptions) (*Client, error) {
	if o.Engine == nil || o.Peer == nil {
		return nil, fmt.Errorf("%w: a client needs an engine and a peer", ErrOptions)
	}
	if err := o.C509.validate(); err != nil {
		return nil, err
	}
	if len(o.Root) == 0 {
		o.Root = []string{"est"}
	}
	return &Client{o: o}, nil
}

// Cacerts fetches the CA certificates by /crts: the issuing CA first, if the
// server follows RFC 9148 as ours does. It returns *StatusError, ErrAnswer,
// ErrPKCS7, or an error of the exchange.
func (c *Client) Cacerts(ctx context.Context) ([]*x509.Certificate, error) {
	accept := FormatCertsOnly
	if c.o.C509.offered() {
		accept = c.o.C509.Chain
	}
	resp, err := c.do(ctx, &coap.Request{
		Method: coap.GET, Path: c.path(Cacerts), Accept: coap.FormatID(accept),
	}, coap.Content)
	if err != nil {
		return nil, err
	}
	return c.certificates(resp)
}

// Enrol asks for the first certificate by /sen with a PKCS#10 request in DER, or one
// of C509 if that is spoken. Repeating it with the same csr is safe, and gives the
// same certificate. Errors are those of Cacerts; ErrAnswer
// also for a certificate that is not for the key in csr.
func (c *Client) Enrol(ctx context.Context, csr []byte) (*x509.Certificate, error) {
	return c.enrol(ctx, Enrol, csr)
}

// Reenrol asks for a new certificate by /sren, see Enrol.
func (c *Client) Reenrol(ctx context.Context, csr []byte) (*x509.Certificate, error) {
	return c.enrol(ctx, Reenrol, csr)
}

func (c *Client) enrol(ctx context.Context, function string, csr []byte) (*x509.Certificate, error) {
	r, parsed, err := c.o.C509.request(csr)
	if err != nil {
		return nil, err
	}
	r.Path = c.path(function)
	if c.o.CertsOnly && !c.o.C509.offered() {
		r.Accept = coap.FormatID(FormatCertsOnly)
	}
	resp, err := c.do(ctx, r, coap.Changed)
	if err != nil {
		return nil, err
	}
	certs, err := c.certificates(resp)
	if err != nil {
		return nil, err
	}
	for _, cert := range certs { // a server may send the chain as well, in any order
		if pub, ok := cert.PublicKey.(interface{ Equal(k crypto.PublicKey) bool }); ok && pub.Equal(parsed.Key) {
			return cert, nil
		}
	}
	return nil, fmt.Errorf("%w: certificate for another key", ErrAnswer)
}

func (c *Client) path(function string) []string { return append(slices.Clone(c.o.Root), function) }

// do exchanges r and expects the code want.
func (c *Client) do(ctx context.Context, r *coap.Request, want coap.Code) (*coap.Response, error) {
	resp, err := c.o.Engine.Do(ctx, c.o.Peer, r)
	if err != nil {
		return nil, err
	}
	if resp.Code == want {
		return resp, nil
	}
	if resp.Code.IsSuccess() {
		return nil, fmt.Errorf("%w: code %s", ErrAnswer, resp.Code)
	}
	out := &StatusError{Code: resp.Code, Diagnostic: printable(resp.Payload)}
	if resp.Code == coap.ServiceUnavailable || resp.Code == coap.TooManyRequests {
		out.Retry = 60 * time.Second // what an absent Max-Age means (RFC 7252 §5.10.5)
		if n, ok := resp.MaxAge.Seconds(); ok {
			out.Retry = min(time.Duration(n)*time.Second, maxRetry)
		}
	}
	return nil, out
}

// certificates reads 281, 287 or C509; an answer without Content-Format is refused.
func (c *Client) certificates(r *coap.Response) ([]*x509.Certificate, error) {
	if certs, ok, err := c.o.C509.decode(r); ok {
		return certs, err
	}
	format, ok := r.ContentFormat.ID()
	switch {
	case ok && format == FormatCertsOnly:
		return DecodeCertsOnly(r.Payload)
	case ok && format == FormatPKIXCert:
		if len(r.Payload) > maxPKCS7 {
			return nil, fmt.Errorf("%w: %d bytes", ErrAnswer, len(r.Payload))
		}
		c, err := x509.ParseCertificate(r.Payload)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		return []*x509.Certificate{c}, nil
	}
	return nil, fmt.Errorf("%w: content format %q", ErrAnswer, r.ContentFormat)
}

// maxDiagnostic bounds what a server can write to our logs.
const maxDiagnostic = 128

func printable(b []byte) string {
	b = b[:min(len(b), maxDiagnostic)]
	if !utf8.Valid(b) || slices.ContainsFunc([]rune(string(b)), func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return ""
	}
	return string(b)
}
