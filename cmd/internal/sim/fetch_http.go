package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"steward/suit/process"
)

// headerTime is how long a server may take to begin its answer.
const headerTime = 30 * time.Second

// https opens a payload from offset on (RFC 9110 §14).
func (f fetcher) https(ctx context.Context, u *url.URL, offset int64) (io.ReadCloser, error) {
	client, err := f.client(u.Hostname())
	if err != nil {
		return nil, err
	}
	for range maxBusy {
		res, err := ask(ctx, client, u, offset)
		if err != nil {
			return nil, err
		}
		if res.StatusCode == http.StatusServiceUnavailable {
			_ = res.Body.Close() // its text is of no use
			seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
			if !wait(ctx, min(time.Duration(seconds)*time.Second, maxRest)) {
				return nil, ctx.Err()
			}
			continue
		}
		body, err := opened(res, offset)
		if err != nil {
			return nil, errors.Join(err, res.Body.Close())
		}
		return body, nil
	}
	return nil, fmt.Errorf("%w: server is busy", process.ErrConnection)
}

// ask sends one request.
func ask(ctx context.Context, client *http.Client, u *url.URL, offset int64) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", process.ErrURI, err)
	}
	if offset > 0 {
		r.Header.Set("Range", "bytes="+strconv.FormatInt(offset, 10)+"-")
	}
	res, err := client.Do(r)
	if err != nil && !errors.Is(err, ErrServer) {
		err = fmt.Errorf("%w: %w", process.ErrConnection, err)
	}
	return res, err
}

// opened returns the body of an answer from offset on.
func opened(res *http.Response, offset int64) (io.ReadCloser, error) {
	body := download{res.Body}
	switch code := res.StatusCode; {
	case code == http.StatusOK:
		_, err := io.CopyN(io.Discard, body, offset)
		return body, err
	case code == http.StatusPartialContent:
		if !strings.HasPrefix(res.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset)) {
			return nil, fmt.Errorf("%w: range %.60q", process.ErrConnection, res.Header.Get("Content-Range"))
		}
		return body, nil
	case code == http.StatusRequestedRangeNotSatisfiable:
		return download{http.NoBody}, nil // all of it is there; the digest will tell
	case code >= http.StatusInternalServerError:
		return nil, fmt.Errorf("%w: server answered %s", process.ErrConnection, res.Status)
	}
	return nil, fmt.Errorf("%w: server answered %s", process.ErrURI, res.Status)
}

// client returns an HTTP client for one download: the server must be the host of the
// URI and stand under an anchor for updates, and sends nobody elsewhere.
func (f fetcher) client(host string) (*http.Client, error) {
	certificate, err := f.l.operational()
	if err != nil {
		return nil, err
	}
	anchors := f.anchors()
	dialer := &net.Dialer{}
	if f.l.o.LocalAddr.IsValid() {
		dialer.LocalAddr = &net.TCPAddr{IP: f.l.o.LocalAddr.AsSlice()}
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, DisableKeepAlives: true, ResponseHeaderTimeout: headerTime,
			TLSHandshakeTimeout: headerTime,
			TLSClientConfig: &tls.Config{
				MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{*certificate},
				InsecureSkipVerify: true, //nolint:gosec // VerifyConnection judges, by the device's truststore
				VerifyConnection: func(s tls.ConnectionState) error {
					var chain [][]byte
					for _, c := range s.PeerCertificates {
						chain = append(chain, c.Raw)
					}
					_, err := checkServer(chain, host, anchors, false, f.l.o.now())
					return err
				},
			},
		},
	}, nil
}

// A download is a body whose errors are lost connections.
type download struct{ io.ReadCloser }

// Read implements io.Reader.
func (d download) Read(p []byte) (int, error) {
	n, err := d.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", process.ErrConnection, err)
	}
	return n, err
}
