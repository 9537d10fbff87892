package dtls_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	pion "github.com/pion/dtls/v3"

	"steward/lwm2m/dtls"
)

// wire joins a client's packet connection with a server's link in memory.
type wire struct {
	link     *dtls.Link
	toClient chan []byte
	records  chan []byte // what the client sends once the link has ended
	closed   chan struct{}
	once     sync.Once
	kick     chan struct{}

	mu   sync.Mutex
	lose func(toClient bool, datagram []byte) bool
}

var anyAddr = &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5684}

func newWire() *wire {
	w := &wire{
		toClient: make(chan []byte, 64), records: make(chan []byte, 64),
		closed: make(chan struct{}), kick: make(chan struct{}, 1),
	}
	w.link = dtls.NewLink(anyAddr, anyAddr, w.send)
	return w
}

func (w *wire) send(d []byte) {
	if !w.lost(true, d) {
		w.toClient <- append([]byte(nil), d...)
	}
}

func (w *wire) lost(toClient bool, d []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lose != nil && w.lose(toClient, d)
}

func (w *wire) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-w.closed:
		return 0, nil, io.EOF
	case <-w.kick:
		return 0, nil, os.ErrDeadlineExceeded
	case d := <-w.toClient:
		return copy(b, d), anyAddr, nil
	}
}

func (w *wire) WriteTo(b []byte, _ net.Addr) (int, error) {
	if w.lost(false, b) {
		return len(b), nil
	}
	if !w.link.Deliver(b) {
		w.records <- append([]byte(nil), b...)
	}
	return len(b), nil
}

func (w *wire) Close() error                { w.once.Do(func() { close(w.closed) }); return nil }
func (w *wire) LocalAddr() net.Addr         { return anyAddr }
func (w *wire) SetDeadline(time.Time) error { return nil }

func (w *wire) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		select {
		case w.kick <- struct{}{}:
		default:
		}
	}
	return nil
}
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// outcome is what both ends of a handshake got.
type outcome struct {
	server    dtls.Established
	serverErr error
	client    *dtls.Client
	clientErr error
}

func newCID() []byte {
	b := make([]byte, dtls.CIDLength)
	_, _ = rand.Read(b)
	return b
}

// handshake leads one over w with the given client options.
func handshake(ctx context.Context, w *wire, c dtls.Credentials, o dtls.ClientOptions) outcome {
	var out outcome
	var wg sync.WaitGroup
	wg.Go(func() {
		out.server, out.serverErr = dtls.Accept(ctx, w.link,
			dtls.AcceptOptions{Credentials: c, CID: newCID, FlightInterval: 50 * time.Millisecond})
		w.link.Drain()
	})
	out.client, out.clientErr = dtls.Dial(ctx, w, anyAddr, o, 50*time.Millisecond)
	wg.Wait()
	return out
}

// pionClient leads a handshake with one suite only, as a client of another make would.
func pionClient(ctx context.Context, w *wire, c dtls.Credentials, options ...pion.ClientOption) (outcome, *pion.Conn) {
	var out outcome
	var wg sync.WaitGroup
	wg.Go(func() {
		out.server, out.serverErr = dtls.Accept(ctx, w.link, dtls.AcceptOptions{Credentials: c, CID: newCID})
		w.link.Drain()
	})
	conn, err := pion.ClientWithOptions(w, anyAddr, options...)
	if err == nil {
		err = conn.HandshakeContext(ctx)
	}
	out.clientErr = err
	wg.Wait()
	return out, conn
}

func wantErr(t *testing.T, call string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s = %v, want %v", call, got, want)
	}
}
