package estcoap_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/coap"
)

// joined runs f with a client of w's server, over engines and a pipe that loses
// every third datagram of each direction if lossy is set.
func joined(t *testing.T, w *world, id coap.Identity, blockSize int, lossy bool,
	f func(ctx context.Context, c *estcoap.Client), more ...func(*estcoap.ClientOptions),
) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	device := coap.New(coap.Options{BlockSize: blockSize})
	server := coap.New(coap.Options{BlockSize: blockSize, Handler: w.server})
	m := coap.Medium{A: id, B: coap.Identity{Role: coap.RoleServer}, Delay: 10 * time.Millisecond}
	if lossy {
		m.AtoB, m.BtoA = lose(), lose()
	}
	toServer, _ := coap.Join(device, server, m)
	var wg sync.WaitGroup
	for _, e := range []*coap.Engine{device, server} {
		wg.Go(func() { _ = e.Run(ctx) })
	}
	options := estcoap.ClientOptions{Engine: device, Peer: toServer}
	for _, set := range more {
		set(&options)
	}
	client, err := estcoap.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	f(ctx, client)
	cancel()
	wg.Wait()
}

// lose returns a filter that drops every third datagram.
func lose() coap.Filter {
	var mu sync.Mutex
	n := 0
	return func(d []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if n++; n%3 == 0 {
			return nil
		}
		return [][]byte{d}
	}
}

// TestLife is a device's: certificates, enrolment, renewal, over all block sizes,
// with and without losses. Whatever is repeated, one certificate comes of it.
func TestLife(t *testing.T) {
	for _, tt := range []struct {
		size  int
		lossy bool
	}{{1024, false}, {64, false}, {16, false}, {64, true}} {
		t.Run(fmt.Sprintf("blocks of %d, lossy %v", tt.size, tt.lossy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, time.Now)
				w.open(t)
				var issued est.Hash
				joined(t, w, w.factory(), tt.size, tt.lossy, func(ctx context.Context, c *estcoap.Client) {
					chain, err := c.Cacerts(ctx)
					if err != nil || len(chain) != 2 {
						t.Fatalf("Cacerts = %d, %v", len(chain), err)
					}
					cert, err := c.Enrol(ctx, esttest.CSR(t, w.key, endpoint))
					if err != nil {
						t.Fatalf("Enrol: %v", err)
					}
					if err := cert.CheckSignatureFrom(chain[0]); err != nil {
						t.Error(err)
					}
					client, err := w.ca.Identify(ctx, [][]byte{cert.Raw})
					if err != nil {
						t.Fatal(err)
					}
					issued = client.Certificate
				})
				id := coap.Identity{Role: coap.RoleOperational, Name: endpoint, Certificate: issued}
				joined(t, w, id, tt.size, tt.lossy, func(ctx context.Context, c *estcoap.Client) {
					if _, err := c.Reenrol(ctx, esttest.CSR(t, esttest.Key(t), endpoint)); err != nil {
						t.Errorf("Reenrol: %v", err)
					}
				})
				records, err := w.ca.List(t.Context(), est.Query{Kind: est.KindOperational})
				if err != nil || len(records) != 2 {
					t.Errorf("%d certificates were issued, want 2, %v", len(records), err)
				}
			})
		})
	}
}

// TestPendingThenOpen asks by the same request until the right is open.
func TestPendingThenOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, time.Now)
		joined(t, w, w.factory(), 1024, false, func(ctx context.Context, c *estcoap.Client) {
			csr := esttest.CSR(t, w.key, endpoint)
			_, err := c.Enrol(ctx, csr)
			status := (*estcoap.StatusError)(nil)
			if !errors.As(err, &status) || status.Code != coap.ServiceUnavailable || status.Retry != 30*time.Second {
				t.Fatalf("Enrol = %v, want 5.03 and 30 s", err)
			}
			w.open(t)
			time.Sleep(status.Retry) // of the bubble
			if _, err := c.Enrol(ctx, csr); err != nil {
				t.Errorf("Enrol = %v", err)
			}
			if _, err := c.Enrol(ctx, esttest.CSR(t, esttest.Key(t), endpoint)); !errors.As(err, &status) ||
				status.Code != coap.Forbidden {
				t.Errorf("Enrol another key = %v, want 4.03", err)
			}
		})
	})
}

// A doer answers with what it holds.
type doer struct {
	out *coap.Response
	err error
}

func (d doer) Do(context.Context, coap.Peer, *coap.Request) (*coap.Response, error) {
	return d.out, d.err
}

func TestClientIsStrict(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	w.open(t)
	csr := esttest.CSR(t, w.key, endpoint)
	good := w.serve(t, w.factory(), coap.Request{
		Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Accept: pkixCert, Payload: csr,
	})
	with := func(change func(*coap.Response)) *coap.Response {
		r := *good
		change(&r)
		return &r
	}
	tests := []struct {
		name string
		in   doer
		err  error
	}{
		{"good", doer{out: good}, nil},
		{"with the chain, leaf last", doer{out: with(func(r *coap.Response) {
			r.ContentFormat, r.Payload = certsOnly, encode(t, w.ca.Root(), parse(t, good.Payload))
		})}, nil},
		{"exchange failed", doer{err: coap.ErrTimeout}, coap.ErrTimeout},
		{"wrong code", doer{out: with(func(r *coap.Response) { r.Code = coap.Content })}, estcoap.ErrAnswer},
		{"no format", doer{out: with(func(r *coap.Response) { r.ContentFormat = coap.Format{} })}, estcoap.ErrAnswer},
		{
			"format of JSON",
			doer{out: with(func(r *coap.Response) { r.ContentFormat = coap.FormatID(50) })},
			estcoap.ErrAnswer,
		},
		{
			"trailing byte",
			doer{out: with(func(r *coap.Response) { r.Payload = append(slices.Clip(r.Payload), 0) })},
			estcoap.ErrAnswer,
		},
		{"certificate as PKCS#7", doer{out: with(func(r *coap.Response) { r.ContentFormat = certsOnly })}, estcoap.ErrPKCS7},
		{"huge", doer{out: with(func(r *coap.Response) { r.Payload = make([]byte, 1<<17) })}, estcoap.ErrAnswer},
		{
			"certificate for another key",
			doer{out: with(func(r *coap.Response) { r.Payload = w.device.DER })},
			estcoap.ErrAnswer,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := estcoap.NewClient(estcoap.ClientOptions{Engine: tt.in, Peer: peer{}, Root: path("/.well-known/est")})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Enrol(t.Context(), csr); !errors.Is(err, tt.err) {
				t.Errorf("Enrol = %v, want %v", err, tt.err)
			}
			if _, err := c.Enrol(t.Context(), nil); !errors.Is(err, est.ErrCSR) {
				t.Errorf("Enrol of nothing = %v, want ErrCSR", err)
			}
		})
	}
	if _, err := estcoap.NewClient(estcoap.ClientOptions{}); !errors.Is(err, estcoap.ErrOptions) {
		t.Errorf("NewClient = %v, want ErrOptions", err)
	}
}

func TestStatusError(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	tests := []struct {
		name string
		in   coap.Response
		want estcoap.StatusError
	}{
		{
			"refused",
			coap.Response{Code: coap.Forbidden, Payload: []byte("no")},
			estcoap.StatusError{Code: coap.Forbidden, Diagnostic: "no"},
		},
		{
			"later",
			coap.Response{Code: coap.ServiceUnavailable, MaxAge: coap.MaxAgeSeconds(5)},
			estcoap.StatusError{Code: coap.ServiceUnavailable, Retry: 5 * time.Second},
		},
		{
			"later, Max-Age absent",
			coap.Response{Code: coap.ServiceUnavailable},
			estcoap.StatusError{Code: coap.ServiceUnavailable, Retry: time.Minute},
		},
		{
			"much later",
			coap.Response{Code: coap.ServiceUnavailable, MaxAge: coap.MaxAgeSeconds(1 << 31)},
			estcoap.StatusError{Code: coap.ServiceUnavailable, Retry: time.Hour},
		},
		{
			"diagnostic for a terminal",
			coap.Response{Code: coap.BadRequest, Payload: []byte("\x1b[2J")},
			estcoap.StatusError{Code: coap.BadRequest},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := estcoap.NewClient(estcoap.ClientOptions{Engine: doer{out: &tt.in}, Peer: peer{}, CertsOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Reenrol(t.Context(), esttest.CSR(t, w.key, endpoint))
			if got := (*estcoap.StatusError)(nil); !errors.As(err, &got) || *got != tt.want {
				t.Errorf("Reenrol = %v, want %v", err, &tt.want)
			}
		})
	}
}
