package remote_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/remote"
	"steward/transfer/coordinator"
	"steward/web/peer"
)

func certificate(tb testing.TB) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "x"}, NotAfter: time.Now()}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// partner answers as a Coordinator that pins one key.
type partner struct {
	pinned [32]byte
	err    error
}

func (p *partner) Identify(_ context.Context, spki [32]byte, _ string) (coordinator.Partner, error) {
	if spki != p.pinned {
		return coordinator.Partner{}, coordinator.ErrForbidden
	}
	return coordinator.Partner{Name: "Alpha"}, nil
}

func (p *partner) Receive(_ context.Context, _ coordinator.Partner, c coordinator.Call) (coordinator.Reply, error) {
	body := c.Body
	if c.Spool != nil {
		body, _ = io.ReadAll(c.Spool)
	}
	said := string(c.Action) + " " + c.Transfer + " " + c.Device + " " + c.Key + " " + string(body)
	return coordinator.Reply{ContentType: coordinator.TypeCBOR, Body: []byte(said)}, p.err
}

func (p *partner) StatusFor(_ context.Context, _ coordinator.Partner, id string) (coordinator.Status, error) {
	return coordinator.Status{Transfer: id, State: "ARMED"}, p.err
}

func (p *partner) RightFor(_ context.Context, _ coordinator.Partner, id, device string) ([]byte, error) {
	return []byte("right " + id + " " + device), p.err
}

// serve runs the peer API of p under a certificate and returns the record to pin.
func serve(t *testing.T, p *partner, own tls.Certificate) coordinator.Partner {
	t.Helper()
	api, err := peer.New(peer.Options{Coordinator: p})
	if err != nil {
		t.Fatal(err)
	}
	return listen(t, api, own)
}

func listen(tb testing.TB, api *peer.API, own tls.Certificate) coordinator.Partner {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &http.Server{
		Handler: api.Routes(), ReadHeaderTimeout: time.Minute, TLSConfig: peer.TLS(own),
		ErrorLog: log.New(io.Discard, "", 0),
	}
	done := make(chan error, 1)
	go func() { done <- s.ServeTLS(l, "", "") }()
	tb.Cleanup(func() { _ = s.Close(); <-done })
	return coordinator.Partner{Name: "Beta", PeerURI: "https://" + l.Addr().String() + "/", TLS: own.Leaf.Raw}
}

func peers(t *testing.T, own tls.Certificate) *remote.Peers {
	t.Helper()
	p, err := remote.NewPeers(remote.PeersOptions{Certificate: own, Name: "Alpha"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPeers(t *testing.T) {
	own := certificate(t)
	p := &partner{pinned: coordinator.SPKI(own.Leaf)}
	to := serve(t, p, certificate(t))
	c := peers(t, own)
	got, err := c.Post(t.Context(), to, coordinator.Call{
		Action: coordinator.ActionReady, Transfer: "ab", Device: "cd", Key: "k", Body: []byte("b"),
	})
	if err != nil || string(got) != "ready ab cd k b" {
		t.Errorf("Post = %q, %v", got, err)
	}
	got, err = c.Post(t.Context(), to, coordinator.Call{Action: coordinator.ActionInfo, Key: "k", Body: []byte("b")})
	if err != nil || string(got) != "transfers   k b" {
		t.Errorf("Post = %q, %v", got, err)
	}
	if got, err = c.Right(t.Context(), to, "ab", "cd"); err != nil || string(got) != "right ab cd" {
		t.Errorf("Right = %q, %v", got, err)
	}
	s, err := c.Status(t.Context(), to, "ab")
	if err != nil || s.Transfer != "ab" || s.State != "ARMED" {
		t.Errorf("Status = %+v, %v", s, err)
	}
}

// TestPeersErrors tells what is to be repeated from what is refused for good.
func TestPeersErrors(t *testing.T) {
	own, theirs := certificate(t), certificate(t)
	p := &partner{pinned: coordinator.SPKI(own.Leaf)}
	to := serve(t, p, theirs)
	otherKey, nobody := to, to
	otherKey.TLS = certificate(t).Leaf.Raw
	nobody.PeerURI = "https://127.0.0.1:1"
	noPin := to
	noPin.TLS = nil
	tests := []struct {
		name string
		own  tls.Certificate
		to   coordinator.Partner
		err  error
		want error
		text string
	}{
		{"state", own, to, coordinator.ErrState, coordinator.ErrDeclined, "not in this state"},
		{"unknown", own, to, coordinator.ErrUnknown, coordinator.ErrDeclined, "unknown"},
		{"not yet", own, to, coordinator.ErrNotYet, coordinator.ErrPartnerAway, ""},
		{"fault", own, to, errors.New("x"), coordinator.ErrPartnerAway, ""},
		{"we are not pinned", certificate(t), to, nil, coordinator.ErrPartnerAway, "403"},
		{"server with another key", own, otherKey, nil, coordinator.ErrPartnerAway, "another key"},
		{"no key pinned", own, noPin, nil, coordinator.ErrPartnerAway, "another key"},
		{"nobody there", own, nobody, nil, coordinator.ErrPartnerAway, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p.err = tt.err
			call := coordinator.Call{Action: coordinator.ActionOffer, Transfer: "ab"}
			_, err := peers(t, tt.own).Post(t.Context(), tt.to, call)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Post = %v, want %v with %q", err, tt.want, tt.text)
			}
			_, err = peers(t, tt.own).Status(t.Context(), tt.to, "ab")
			if !errors.Is(err, tt.want) {
				t.Errorf("Status = %v, want %v", err, tt.want)
			}
		})
	}
}
