package bench_test

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"slices"
	"testing"

	"steward/cmd/internal/bench"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// shared is a server's credentials: one key for all.
type shared []byte

func (s shared) Certificate(string) (*tls.Certificate, error) { return nil, dtls.ErrUnknownIdentity }

func (s shared) PSK([]byte) ([]byte, error) { return s, nil }

func (s shared) Identify(_ [][]byte, identity []byte) (coap.Identity, error) {
	return coap.Identity{Role: coap.RolePSK, Name: string(identity)}, nil
}

// TestTarget drives a server that is none of the bench's, by its standard paths.
func TestTarget(t *testing.T) {
	key := shared("0123456789abcdef")
	uri := foreign(t, key)
	for _, w := range []bench.Work{bench.Requests, bench.Handshakes, bench.Register, bench.Update, bench.Storm} {
		o := small(t, w)
		o.Target = &bench.Target{URI: uri, PSK: key, PID: os.Getpid(), AnyAnswer: w == bench.Storm}
		r, err := bench.Run(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", w, err)
		}
		if r.Ops == 0 || r.Refusals > 0 || *r.Loss > 0 || r.NewHandshakes != nil {
			t.Errorf("%s = %+v", w, r)
		}
	}
}

// TestTargetSilent gives up at a server that is not there.
func TestTargetSilent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := small(t, bench.Requests)
	o.Target = &bench.Target{URI: "coaps://127.0.0.1:9", PSK: []byte("x")}
	o.Progress = writer(func(b []byte) { cancel() })
	cancel()
	if _, err := bench.Run(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want %v", err, context.Canceled)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

// foreign runs a server that knows nothing but /rd.
func foreign(t *testing.T, c dtls.Credentials) (uri string) {
	t.Helper()
	engine := coap.New(coap.Options{Handler: coap.HandlerFunc(func(_ context.Context, r *coap.Request) *coap.Response {
		switch {
		case slices.Equal(r.Path, []string{"rd"}):
			return &coap.Response{Code: coap.Created, LocationPath: []string{"rd", "1"}}
		case slices.Equal(r.Path, []string{"rd", "1"}):
			return &coap.Response{Code: coap.Changed}
		default:
			return &coap.Response{Code: coap.NotFound}
		}
	})})
	l, err := transport.Listen(transport.ListenOptions{Addr: "127.0.0.1:0", Credentials: c, Engine: engine})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- engine.Run(ctx) }()
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
	})
	return "coaps://" + l.Addr().String()
}
