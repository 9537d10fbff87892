package handshake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

func trust([][]byte) error { return nil }

// dialled leads a handshake of our own client.
func dialled(tb testing.TB, s *site, o dtls.ClientOptions) (*dtls.Client, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 5*time.Second)
	defer cancel()
	w := s.newWire()
	client, err := dtls.Dial(ctx, w, net.UDPAddrFromAddrPort(w.addr), o, flight)
	if err == nil {
		tb.Cleanup(func() { _ = client.Close() })
	}
	return client, err
}

func TestDial(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds)
	var chain [][]byte
	client, err := dialled(t, s, dtls.ClientOptions{
		Certificate: creds.client, CID: true,
		Verify: func(c [][]byte) error { chain = c; return nil },
	})
	out := s.outcome(t)
	if err != nil || out.err != nil {
		t.Fatalf("handshake = server %v, client %v", out.err, err)
	}
	if len(chain) != 1 || !bytes.Equal(chain[0], creds.server[""].Certificate[0]) {
		t.Error("Verify did not see the certificate")
	}
	if id := client.Identity(); id.Name != "default" || id.Role != coap.RoleServer {
		t.Errorf("server's identity = %+v", id)
	}
	if _, has := out.Session.CID(); !has {
		t.Error("no connection identifier negotiated")
	}
	if out.LastFlight == nil || !bytes.Equal(out.Chain[0], creds.client.Certificate[0]) {
		t.Errorf("established = last flight %x, %d certificates", out.LastFlight, len(out.Chain))
	}
}

func TestDialRefused(t *testing.T) {
	creds := newCredentials(t)
	stranger := selfSigned(t, "device")
	for _, c := range []struct {
		name           string
		o              dtls.ClientOptions
		server, client error
	}{
		{"certificate nobody knows", dtls.ClientOptions{
			Certificate: stranger, Verify: trust,
		}, errStranger, dtls.ErrHandshake},
		{"no certificate", dtls.ClientOptions{Verify: trust}, dtls.ErrHandshake, dtls.ErrHandshake},
		{"server name nobody has", dtls.ClientOptions{
			Certificate: creds.client, Verify: trust, ServerName: "other.example",
		}, errStranger, dtls.ErrHandshake},
		{"psk identity nobody has", dtls.ClientOptions{
			PSKIdentity: []byte("dev-2"), PSK: creds.psk["dev-1"],
		}, dtls.ErrUnknownIdentity, dtls.ErrHandshake},
		{"wrong psk", dtls.ClientOptions{
			PSKIdentity: []byte("dev-1"), PSK: []byte("not the right key"),
		}, dtls.ErrHandshake, dtls.ErrHandshake},
		{"server the client refuses", dtls.ClientOptions{
			Certificate: creds.client, Verify: func([][]byte) error { return errStranger },
		}, dtls.ErrHandshake, errStranger},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, creds)
			client, err := dialled(t, s, c.o)
			wantErr(t, "client", err, c.client)
			out := s.outcome(t)
			wantErr(t, "server", out.err, c.server)
			if errors.Is(c.server, errStranger) || errors.Is(c.server, dtls.ErrUnknownIdentity) {
				wantErr(t, "server", out.err, dtls.ErrRefused)
			}
			if err != nil && client != nil {
				t.Error("client despite the error")
			}
			if !strings.Contains(fmt.Sprint(err), "alert") && !errors.Is(c.client, errStranger) {
				t.Errorf("client = %v, want an alert", err)
			}
			if s.Pending() != 0 || s.places.Load() != 0 {
				t.Errorf("%d handshakes pending, %d places", s.Pending(), s.places.Load())
			}
		})
	}
}

// TestRefusedByHost: the host has no room for what is complete.
func TestRefusedByHost(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds)
	s.refuse = errStranger
	_, err := dialled(t, s, dtls.ClientOptions{Certificate: creds.client, Verify: trust})
	wantErr(t, "client", err, dtls.ErrHandshake)
	wantErr(t, "server", s.outcome(t).err, errStranger)
	s.refuse = nil
	s.decline.Store(true)
	ctx, cancel := context.WithTimeout(t.Context(), 4*flight)
	defer cancel()
	w := s.newWire()
	o := dtls.ClientOptions{Certificate: creds.client, Verify: trust}
	_, err = dtls.Dial(ctx, w, net.UDPAddrFromAddrPort(w.addr), o, flight)
	wantErr(t, "client that is not admitted", err, dtls.ErrTimeout)
}
