package peer_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"

	"steward/transfer/coordinator"
	"steward/web/peer"
)

// fake is a Coordinator that knows one partner and answers as told.
type fake struct {
	pinned [sha256.Size]byte
	state  coordinator.PartnerState
	call   coordinator.Call
	calls  int
	err    error
	reply  coordinator.Reply
}

func (f *fake) Identify(_ context.Context, spki [sha256.Size]byte, _ string) (coordinator.Partner, error) {
	if spki != f.pinned || f.state == coordinator.Suspended {
		return coordinator.Partner{}, coordinator.ErrForbidden
	}
	return coordinator.Partner{Name: "Alpha", State: coordinator.Active}, nil
}

func (f *fake) Receive(_ context.Context, from coordinator.Partner, c coordinator.Call) (coordinator.Reply, error) {
	if c.Spool != nil {
		c.Body, _ = io.ReadAll(c.Spool)
	}
	f.call = c
	f.calls++
	if from.Name != "Alpha" {
		return coordinator.Reply{}, errors.New("not identified")
	}
	return f.reply, f.err
}

func (f *fake) StatusFor(_ context.Context, _ coordinator.Partner, id string) (coordinator.Status, error) {
	f.calls++
	return coordinator.Status{Transfer: id, State: "STAGING", Devices: []coordinator.DeviceStatus{}}, f.err
}

func (f *fake) RightFor(_ context.Context, _ coordinator.Partner, id, device string) ([]byte, error) {
	f.calls++
	return []byte("status of " + id + device), f.err
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Alpha"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// serve listens on the loopback address with the real TLS configuration.
func serve(t *testing.T, f *fake) string {
	t.Helper()
	api, err := peer.New(peer.Options{Coordinator: f})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{
		Handler: api.Routes(), ReadHeaderTimeout: time.Minute, TLSConfig: peer.TLS(certificate(t)),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	return "https://" + l.Addr().String()
}

func client(t *testing.T, own ...tls.Certificate) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: own}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func do(t *testing.T, c *http.Client, method, url, contentType string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Idempotency-Key", "k")
	res, err := c.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

// TestT5Pins lets nobody in but the holder of the pinned key. It is of row T5 of the transfer protocol (§9).
func TestT5Pins(t *testing.T) {
	own := certificate(t)
	f := &fake{pinned: coordinator.SPKI(own.Leaf)}
	base := serve(t, f)
	url := base + peer.Prefix + "/transfers/ab"
	tests := []struct {
		name   string
		client *http.Client
		state  coordinator.PartnerState
		want   int // 0: no handshake
	}{
		{"pinned key", client(t, own), coordinator.Active, 200},
		{"other key under the same name", client(t, certificate(t)), coordinator.Active, 403},
		{"no certificate", client(t), coordinator.Active, 0},
		{"suspended", client(t, own), coordinator.Suspended, 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.state = tt.state
			before := f.calls
			got, text := do(t, tt.client, http.MethodGet, url, "", nil)
			if got != tt.want {
				t.Errorf("GET = %d %s, want %d", got, text, tt.want)
			}
			if tt.want != 200 && f.calls != before {
				t.Error("refused, but the coordinator was asked")
			}
		})
	}
}

func TestCalls(t *testing.T) {
	own := certificate(t)
	f := &fake{pinned: coordinator.SPKI(own.Leaf)}
	c, base := client(t, own), serve(t, f)+peer.Prefix+"/transfers"
	for _, tt := range []struct {
		path   string
		action coordinator.Action
		about  string
	}{
		{"", coordinator.ActionInfo, ""},
		{"/ab/offer", coordinator.ActionOffer, "ab"},
		{"/ab/withdraw", coordinator.ActionWithdraw, "ab"},
		{"/ab/approve", coordinator.ActionApprove, "ab"},
		{"/ab/extend", coordinator.ActionExtend, "ab"},
		{"/ab/extension", coordinator.ActionExtension, "ab"},
		{"/ab/devices/cd/ready", coordinator.ActionReady, "abcd"},
		{"/ab/devices/cd/committed", coordinator.ActionCommitted, "abcd"},
		{"/ab/devices/cd/complete", coordinator.ActionComplete, "abcd"},
		{"/ab/devices/cd/close", coordinator.ActionClose, "abcd"},
	} {
		f.reply = coordinator.Reply{}
		if got, text := do(t, c, http.MethodPost, base+tt.path, tt.action.ContentType(), []byte("body")); got != 204 {
			t.Errorf("POST %s = %d %s, want 204", tt.path, got, text)
		}
		if f.call.Action != tt.action || f.call.Transfer+f.call.Device != tt.about || string(f.call.Body) != "body" ||
			f.call.Key != "k" {
			t.Errorf("POST %s: call %+v", tt.path, f.call)
		}
		f.reply = coordinator.Reply{ContentType: "application/cbor", Body: []byte("answer")}
		got, text := do(t, c, http.MethodPost, base+tt.path, tt.action.ContentType(), nil)
		if got != 200 || text != "answer" {
			t.Errorf("POST %s = %d %s, want the answer", tt.path, got, text)
		}
	}
}

func TestRefusals(t *testing.T) {
	own := certificate(t)
	f := &fake{pinned: coordinator.SPKI(own.Leaf)}
	c, base := client(t, own), serve(t, f)+peer.Prefix+"/transfers"
	const offer, ready = "/ab/offer", "/ab/devices/cd/ready"
	tests := []struct {
		name, method, path, contentType string
		body                            []byte
		err                             error
		want                            int
		code                            string
	}{
		{"unknown", "POST", offer, coordinator.TypeCOSE, nil, coordinator.ErrUnknown, 404, "unknown"},
		{"state", "POST", offer, coordinator.TypeCOSE, nil, coordinator.ErrState, 409, "state"},
		{"key reused", "POST", offer, coordinator.TypeCOSE, nil, coordinator.ErrKeyReused, 409, "key_reused"},
		{"invalid", "POST", offer, coordinator.TypeCOSE, nil, coordinator.ErrInvalid, 422, "invalid"},
		{"not yet", "POST", offer, coordinator.TypeCOSE, nil, coordinator.ErrNotYet, 503, "unavailable"},
		{"limit", "POST", offer, coordinator.TypeCOSE, nil, &coordinator.LimitError{Wait: time.Hour}, 429, "limit"},
		{"our fault", "POST", offer, coordinator.TypeCOSE, nil, errors.New("secret detail"), 503, "unavailable"},
		{"media type", "POST", offer, "text/plain", nil, nil, 415, "media_type"},
		{"too large", "POST", ready, coordinator.TypeCBOR, make([]byte, 65<<10), nil, 413, "too_large"},
		{"no such path", "POST", "/ab/explode", coordinator.TypeCBOR, nil, nil, 404, "unknown"},
		{"no such method", "DELETE", offer, coordinator.TypeCOSE, nil, nil, 405, "method"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f.err = tt.err
			if tt.err != nil {
				f.err = fmt.Errorf("%w: details", tt.err)
			}
			got, text := do(t, c, tt.method, base+tt.path, tt.contentType, tt.body)
			if got != tt.want || !strings.Contains(text, `"code":"`+tt.code+`"`) || strings.Contains(text, "secret") {
				t.Errorf("%s %s = %d %s, want %d %s", tt.method, tt.path, got, text, tt.want, tt.code)
			}
		})
	}
}

// TestContract compares the router with openapi.yaml, both ways.
func TestContract(t *testing.T) {
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	path := ""
	for line := range strings.Lines(string(text)) {
		if m := regexp.MustCompile(`^  (/\S*):$`).FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			path = m[1]
		} else if m := regexp.MustCompile(`^    (get|post):$`).FindStringSubmatch(strings.TrimRight(line, "\n")); m != nil {
			declared[strings.ToUpper(m[1])+" "+path] = true
		}
	}
	api, err := peer.New(peer.Options{Coordinator: &fake{}})
	if err != nil {
		t.Fatal(err)
	}
	err = chi.Walk(api.Routes(), func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !declared[method+" "+pattern] {
			t.Errorf("openapi.yaml lacks %s %s", method, pattern)
		}
		delete(declared, method+" "+pattern)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for d := range declared {
		t.Errorf("openapi.yaml has %s, the router has not", d)
	}
}

func TestNew(t *testing.T) {
	if _, err := peer.New(peer.Options{}); !errors.Is(err, peer.ErrOptions) {
		t.Errorf("New = %v, want ErrOptions", err)
	}
}
