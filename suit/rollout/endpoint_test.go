package rollout_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
	"steward/suit/rollout"
	"steward/suit/rollout/rolltest"
)

// shelf is Contents that count what is read.
type shelf struct {
	rolltest.Store

	mu    sync.Mutex
	reads int
	slow  time.Duration
}

func (s *shelf) Chunk(ctx context.Context, release string, p rollout.Part, n int) ([]byte, error) {
	s.mu.Lock()
	s.reads++
	s.mu.Unlock()
	time.Sleep(s.slow)
	return s.Store.Chunk(ctx, release, p, n)
}

// stock puts a release of size bytes on a shelf.
func (s *shelf) stock(t *testing.T, id string, size int) []byte {
	t.Helper()
	image := make([]byte, size)
	for i := range image {
		image[i] = byte(i * 7 >> 3)
	}
	c := rollout.Content{Pull: []byte("pull " + id), Image: image}
	if err := s.AddRelease(t.Context(), rollout.Release{ID: id}, c); err != nil {
		t.Fatal(err)
	}
	return image
}

// caller is the association of a device.
type caller string

func (caller) Send([]byte) error { return nil }
func (c caller) Identity() coap.Identity {
	return coap.Identity{Role: coap.RoleOperational, Name: string(c)}
}
func (caller) Addr() (none netip.AddrPort) { return none }
func (c caller) String() string            { return string(c) }

// served returns an endpoint where device "a" may fetch release "R".
func served(s *shelf, total, rate int64) *rollout.Endpoint {
	find := func(_ context.Context, who coap.Identity, release string) (rollout.Grant, error) {
		if who.Name != "a" || release != "R" {
			return rollout.Grant{}, rollout.ErrNotGranted
		}
		return rollout.Grant{Device: "a", Campaign: "c", BytesPerSecond: rate}, nil
	}
	return &rollout.Endpoint{
		Payloads: rollout.NewPayloads(s, 2*rollout.ChunkSize), Grants: rollout.NewGrants(find),
		Sealed: rollout.NewGrants(find), Budgets: rollout.NewBudgets(total), Log: slog.New(slog.DiscardHandler),
	}
}

func get(e *rollout.Endpoint, who caller, offset int, path ...string) *coap.Response {
	return e.ServeCoAP(context.Background(), &coap.Request{
		Peer: who, Method: coap.GET, Path: path, Offset: offset, Limit: 1024,
	})
}

func TestEndpointServesParts(t *testing.T) {
	s := &shelf{}
	image := s.stock(t, "R", 3*rollout.ChunkSize-5)
	e := served(s, 0, 0)
	var got []byte
	var tag []byte
	for len(got) < len(image) {
		r := get(e, "a", len(got), "update", "p", "R")
		if r.Code != coap.Content || r.Total != len(image) || tag != nil && !bytes.Equal(tag, r.ETag) {
			t.Fatalf("block at %d = %+v", len(got), r)
		}
		tag, got = r.ETag, append(got, r.Payload...)
	}
	if sha256.Sum256(got) != sha256.Sum256(image) {
		t.Error("the image came back as another one")
	}
	if s.reads != 3 {
		t.Errorf("%d chunks read for one download, want 3", s.reads)
	}
	if r := get(e, "a", 0, "update", "e", "R"); string(r.Payload) != "pull R" {
		t.Errorf("envelope = %+v", r)
	}
}

func TestEndpointRefuses(t *testing.T) {
	s := &shelf{}
	s.stock(t, "R", 2000)
	s.stock(t, "OTHER", 2000)
	e := served(s, 0, 0)
	for _, tt := range []struct {
		name   string
		who    caller
		path   []string
		offset int
		want   coap.Code
	}{
		{"another device", "b", []string{"update", "p", "R"}, 0, coap.Forbidden},
		{"the release of another class", "a", []string{"update", "p", "OTHER"}, 0, coap.Forbidden},
		{"a release that is not there", "a", []string{"update", "p", "NONE"}, 0, coap.Forbidden},
		{"upwards", "a", []string{"update", "p", ".."}, 0, coap.NotFound},
		{"a path in one segment", "a", []string{"update", "p", "../../etc/passwd"}, 0, coap.NotFound},
		{"SQL", "a", []string{"update", "p", "R' OR '1'='1"}, 0, coap.NotFound},
		{"zero byte", "a", []string{"update", "p", "R\x00"}, 0, coap.NotFound},
		{"a long id", "a", []string{"update", "p", strings.Repeat("R", 65)}, 0, coap.NotFound},
		{"no such part", "a", []string{"update", "push", "R"}, 0, coap.NotFound},
		{"too deep", "a", []string{"update", "p", "R", "x"}, 0, coap.NotFound},
		{"beyond the end", "a", []string{"update", "p", "R"}, 2048, coap.BadRequest},
	} {
		if r := get(e, tt.who, tt.offset, tt.path...); r.Code != tt.want || r.Payload != nil {
			t.Errorf("%s: %s with %d bytes, want %s", tt.name, r.Code, len(r.Payload), tt.want)
		}
	}
	put := &coap.Request{Peer: caller("a"), Method: coap.PUT, Path: []string{"update", "p", "R"}}
	if r := e.ServeCoAP(t.Context(), put); r.Code != coap.MethodNotAllowed {
		t.Errorf("PUT = %s", r.Code)
	}
	json := &coap.Request{Peer: caller("a"), Method: coap.GET, Path: put.Path, Accept: coap.FormatID(50)}
	if r := e.ServeCoAP(t.Context(), json); r.Code != coap.NotAcceptable {
		t.Errorf("Accept JSON = %s", r.Code)
	}
}

// TestPayloadsAreBounded floods the endpoint with downloads of more releases than it
// remembers: it holds its two chunks, and reads a chunk once for all who want it.
func TestPayloadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{slow: time.Second}
		image := s.stock(t, "R", rollout.ChunkSize)
		p := rollout.NewPayloads(s, 2*rollout.ChunkSize)
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				open, err := p.Open(t.Context(), "R", rollout.PartImage)
				b := make([]byte, 100)
				if err == nil {
					_, err = open.Read(t.Context(), b, 500)
				}
				if err != nil || !bytes.Equal(b, image[500:600]) {
					t.Errorf("Read = %v", err)
				}
			})
		}
		wg.Wait()
		if s.reads != 1 {
			t.Errorf("%d reads for 200 devices at once, want 1", s.reads)
		}
		for i := range 20 {
			id := fmt.Sprintf("R%d", i)
			s.stock(t, id, 10)
			open, err := p.Open(t.Context(), id, rollout.PartImage)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := open.Read(t.Context(), make([]byte, 10), 0); err != nil {
				t.Error(err)
			}
		}
		if n := p.Held(); n != 2 {
			t.Errorf("%d chunks held, want 2", n)
		}
	})
}

func TestBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		image := s.stock(t, "R", 100<<10)
		for _, tt := range []struct{ total, rate int64 }{{10 << 10, 0}, {0, 10 << 10}, {20 << 10, 10 << 10}} {
			e := served(s, tt.total, tt.rate)
			begin := time.Now()
			var wg sync.WaitGroup
			for range 4 { // one device fetches it four times at once
				wg.Go(func() {
					for at := 0; at < len(image); {
						r := get(e, "a", at, "update", "p", "R")
						if r.Code == coap.ServiceUnavailable {
							n, _ := r.MaxAge.Seconds()
							time.Sleep(time.Duration(n) * time.Second)
							continue
						}
						at += len(r.Payload)
					}
				})
			}
			wg.Wait()
			rate := float64(4*len(image)) / time.Since(begin).Seconds() / (10 << 10)
			if rate > 1.05 || rate < 0.5 {
				t.Errorf("%d and %d B/s: fetched at %.2f of the lower", tt.total, tt.rate, rate)
			}
		}
	})
}

func TestEndpointHTTP(t *testing.T) {
	s := &shelf{}
	image := s.stock(t, "R", rollout.ChunkSize+100)
	identify := func(r *http.Request) (coap.Identity, error) {
		if name := r.Header.Get("Device"); name != "" {
			return coap.Identity{Name: name}, nil
		}
		return coap.Identity{}, errors.New("nobody")
	}
	srv := httptest.NewServer(served(s, 0, 0).HTTP(identify))
	defer srv.Close()
	tag := ""
	for _, tt := range []struct {
		name, method, who, path, key, value string
		status                              int
		body                                []byte
	}{
		{"whole", "GET", "a", "/update/p/R", "", "", 200, image},
		{"the rest", "GET", "a", "/update/p/R", "Range", "bytes=262000-", 206, image[262000:]},
		{"the middle", "GET", "a", "/update/p/R", "Range", "bytes=10-19", 206, image[10:20]},
		{"beyond the end", "GET", "a", "/update/p/R", "Range", "bytes=999999999-", 416, nil},
		{"envelope", "GET", "a", "/update/e/R", "", "", 200, []byte("pull R")},
		{"not changed", "GET", "a", "/update/p/R", "If-None-Match", "TAG", 304, []byte{}},
		{"head", "HEAD", "a", "/update/p/R", "", "", 200, []byte{}},
		{"nobody", "GET", "", "/update/p/R", "", "", 403, nil},
		{"another device", "GET", "b", "/update/p/R", "", "", 403, nil},
		{"another release", "GET", "a", "/update/p/X", "", "", 403, nil},
		{"upwards", "GET", "a", "/update/p/..%2F..%2Fetc%2Fpasswd", "", "", 404, nil},
		{"elsewhere", "GET", "a", "/rd", "", "", 404, nil},
		{"post", "POST", "a", "/update/p/R", "", "", 405, nil},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tt.method, srv.URL+tt.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Device", tt.who)
		if tt.key != "" {
			r.Header.Set(tt.key, strings.ReplaceAll(tt.value, "TAG", tag))
		}
		res, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != tt.status || tt.body != nil && !bytes.Equal(body, tt.body) {
			t.Errorf("%s: %d with %d bytes, %v; want %d with %d", tt.name, res.StatusCode, len(body), err, tt.status,
				len(tt.body))
		}
		if tt.name == "whole" {
			tag = res.Header.Get("ETag")
		}
		if tt.name == "envelope" && res.Header.Get("Content-Type") != rollout.MediaEnvelope {
			t.Errorf("envelope is %s", res.Header.Get("Content-Type"))
		}
	}
}

// TestEndpointServesEnvelopes answers a device that asks for what there is.
func TestEndpointServesEnvelopes(t *testing.T) {
	s := &shelf{}
	s.stock(t, "R", 2000)
	if err := s.AddRelease(t.Context(), rollout.Release{ID: "IN"}, rollout.Content{Push: []byte("push IN")}); err != nil {
		t.Fatal(err)
	}
	e := served(s, 0, 0)
	for _, tt := range []struct {
		name    string
		release rollout.Release
		want    string // "": nothing is given
	}{
		{"apart", rollout.Release{ID: "R", Apart: true}, "pull R"},
		{"inside", rollout.Release{ID: "IN"}, "push IN"},
		{"apart, at somebody else's", rollout.Release{ID: "R"}, ""},
	} {
		given, err := e.Gives(t.Context(), tt.release)
		if err != nil || given != (tt.want != "") {
			t.Errorf("%s: Gives = %v, %v", tt.name, given, err)
		}
		r := e.ServeEnvelope(t.Context(), &coap.Request{Peer: caller("a"), Method: coap.GET, Limit: 1024}, tt.release)
		if string(r.Payload) != tt.want {
			t.Errorf("%s: %s, %q", tt.name, r.Code, r.Payload)
		}
	}
}
