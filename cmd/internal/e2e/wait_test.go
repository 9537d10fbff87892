package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync/atomic"
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

// ports counts those that this process has asked for.
var ports atomic.Int64

// nextPort returns a port that this process asks for once, outside the range from which the
// system takes ports: nobody else is given it before it is used, nor while who uses it is down.
func nextPort() string {
	const first, count = 10000, 20000
	return fmt.Sprint(first + (97*int64(os.Getpid())+ports.Add(1))%count)
}

// freeAddr returns an address of host whose port is free for TCP and for UDP, another at each call.
func freeAddr(host string) (addr string, err error) {
	for range 100 {
		addr = net.JoinHostPort(host, nextPort())
		var l net.Listener
		if l, err = net.Listen("tcp", addr); err != nil {
			continue
		}
		var u net.PacketConn
		if u, err = net.ListenPacket("udp", addr); err != nil {
			err = errors.Join(err, l.Close())
			continue
		}
		return addr, errors.Join(u.Close(), l.Close())
	}
	return "", err
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
