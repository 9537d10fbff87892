package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"testing"
	"time"
)

// pollInterval is how often a real process is asked. Beside pause, nothing else here
// waits.
const pollInterval = 50 * time.Millisecond

// waitLimit is for what takes a moment, on a slow and busy machine.
const waitLimit = 30 * time.Second

// pause lets the other processes go on without one for a while: real processes
// have no clock but the real one.
func pause(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}

// poll calls f until it returns nil, or returns its last error after limit.
func poll(ctx context.Context, limit time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last error
	for {
		err := f()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil { // the last one may only tell that time is up
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %v: %w", limit, last)
		case <-tick.C:
		}
	}
}

// eventually is poll for tests: it fails t, saying what did not happen.
func eventually(t *testing.T, limit time.Duration, what string, f func() error) {
	t.Helper()
	if err := poll(t.Context(), limit, f); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// freeHost picks a loopback address of its own for one provider, so that tests
// and providers never meet on a port.
func freeHost() (string, error) {
	for range 100 {
		host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
		if _, err := freeAddr(host); err == nil {
			return host, nil
		}
	}
	return "", errors.New("no loopback address is free")
}

// freeAddr returns an address of host whose port is free for TCP and for UDP.
func freeAddr(host string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	addr := l.Addr().String()
	u, err := net.ListenPacket("udp", addr)
	if err != nil {
		return "", errors.Join(err, l.Close())
	}
	return addr, errors.Join(u.Close(), l.Close())
}

// fetch gets a URL, with a token unless it is "".
func fetch(ctx context.Context, url, token string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 8<<20))
	return res.StatusCode, string(text), err
}
