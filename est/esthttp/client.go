package esthttp

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"steward/est"
	"steward/est/estcoap"
)

// ErrAnswer reports an answer that is not what RFC 7030 promises.
var ErrAnswer = errors.New("unusable answer of the EST server")

// A StatusError is an answer that is no success.
type StatusError struct {
	Status int
	Text   string // what the server said, printable
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("EST server answered %d %s: %q", e.Status, http.StatusText(e.Status), e.Text)
}

// ClientOptions says whom a Client asks and as whom. URL and HTTP are required.
type ClientOptions struct {
	// URL ends before the function: "https://ca.example/.well-known/est".
	URL string
	// HTTP knows the server's CA and has the client's certificate, if it has one.
	HTTP *http.Client
	// User and Password are for HTTP Basic; "" and nil: none.
	User     string
	Password est.Secret
}

// A Client asks one EST server (RFC 7030).
type Client struct {
	o    ClientOptions
	http http.Client
}

// NewClient validates o. A password goes nowhere but where URL says: no redirection
// is followed.
func NewClient(o ClientOptions) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("%w: the address of an EST server is https://host/.well-known/est", ErrOptions)
	}
	if o.HTTP == nil || (o.User == "") != (len(o.Password) == 0) {
		return nil, fmt.Errorf("%w: a client needs HTTP, and user and password together", ErrOptions)
	}
	c := &Client{o: o, http: *o.HTTP}
	c.o.URL = strings.TrimSuffix(o.URL, "/")
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

// Cacerts fetches the CA certificates. Nothing says that they are to be trusted. It
// returns *StatusError, ErrAnswer, or an error of the exchange.
func (c *Client) Cacerts(ctx context.Context) ([]*x509.Certificate, error) {
	return c.do(ctx, http.MethodGet, Cacerts, nil)
}

// Enrol asks for a certificate by simpleenroll. It returns a *est.PendingError if the
// server wants to be asked again, and the errors of Cacerts.
func (c *Client) Enrol(ctx context.Context, csr []byte) ([]*x509.Certificate, error) {
	return c.do(ctx, http.MethodPost, Enrol, encodeBody(csr))
}

// maxClientBody bounds an answer: many times the longest chain.
const maxClientBody = 128 << 10

func (c *Client) do(ctx context.Context, method, function string, body []byte) ([]*x509.Certificate, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.o.URL+"/"+function, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", typePKCS10)
		r.Header.Set("Content-Transfer-Encoding", "base64") // for servers from before RFC 8951
	}
	if c.o.User != "" {
		r.SetBasicAuth(c.o.User, string(c.o.Password))
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }() // read to its end, or given up
	text, err := io.ReadAll(io.LimitReader(res.Body, maxClientBody))
	if err != nil {
		return nil, err
	}
	wait, given := retryAfter(res.Header)
	switch res.StatusCode {
	case http.StatusOK:
		return readCertificates(res.Header.Get("Content-Type"), text)
	case http.StatusAccepted:
		return nil, &est.PendingError{Retry: wait}
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		if given {
			return nil, &est.PendingError{Retry: wait}
		}
	}
	return nil, &StatusError{Status: res.StatusCode, Text: shown(strings.TrimSpace(string(text)))}
}

func readCertificates(mediaType string, text []byte) ([]*x509.Certificate, error) {
	kind, _, err := mime.ParseMediaType(mediaType)
	if err != nil || kind != typePKCS7 {
		return nil, fmt.Errorf("%w: media type %q", ErrAnswer, shown(mediaType))
	}
	der, err := decodeBody(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	certs, err := estcoap.DecodeCertsOnly(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return certs, nil
}

// usualWait is for a server that does not say how long to wait, or in a way that
// cannot be read.
const usualWait = time.Minute

// retryAfter reads Retry-After (RFC 9110 §10.2.3): seconds, or a time, which counts
// from the server's own.
func retryAfter(h http.Header) (wait time.Duration, given bool) {
	text := h.Get("Retry-After")
	if text == "" {
		return usualWait, false
	}
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		return time.Duration(n) * time.Second, true
	}
	at, err := http.ParseTime(text)
	now, errNow := http.ParseTime(h.Get("Date"))
	if err != nil || errNow != nil {
		return usualWait, true
	}
	return max(at.Sub(now), time.Second), true
}
