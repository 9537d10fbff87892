package dtls_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	pion "github.com/pion/dtls/v3"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

func trust([][]byte) error { return nil }

func TestAcceptSuites(t *testing.T) {
	creds := newCredentials(t)
	for _, suite := range []pion.CipherSuiteID{
		pion.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8, pion.TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
		pion.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
		pion.TLS_PSK_WITH_AES_128_CCM_8, pion.TLS_PSK_WITH_AES_128_CCM, pion.TLS_PSK_WITH_AES_128_GCM_SHA256,
	} {
		for _, cid := range []string{"none", "server", "both"} {
			t.Run(fmt.Sprintf("%s/cid=%s", pion.CipherSuiteName(suite), cid), func(t *testing.T) {
				testSuite(t, creds, suite, cid)
			})
		}
	}
}

func testSuite(t *testing.T, creds *credentials, suite pion.CipherSuiteID, cid string) {
	t.Helper()
	options := []pion.ClientOption{pion.WithCipherSuites(suite), pion.WithInsecureSkipVerify(true)}
	want := coap.Identity{Role: coap.RolePSK, Name: "dev-1"}
	if strings.Contains(pion.CipherSuiteName(suite), "PSK") {
		options = append(options, pion.WithPSKIdentityHint([]byte("dev-1")),
			pion.WithPSK(func([]byte) ([]byte, error) { return creds.psk["dev-1"], nil }))
	} else {
		options = append(options, pion.WithCertificates(*creds.client))
		want, _ = creds.Identify(creds.client.Certificate, nil)
	}
	switch cid {
	case "server":
		options = append(options, pion.WithConnectionIDGenerator(pion.OnlySendCIDGenerator()))
	case "both":
		options = append(options, pion.WithConnectionIDGenerator(pion.RandomCIDGenerator(5)))
	}
	w := newWire()
	out, conn := pionClient(t.Context(), w, creds, options...)
	if out.serverErr != nil || out.clientErr != nil {
		t.Fatalf("handshake = server %v, client %v", out.serverErr, out.clientErr)
	}
	defer conn.Close()
	if out.server.Identity != want {
		t.Errorf("identity = %+v, want %+v", out.server.Identity, want)
	}
	s := out.server.Session
	if _, has := s.CID(); has != (cid != "none") {
		t.Errorf("session has cid %t", has)
	}
	for i := range 70 {
		exchange(t, w, &s, conn, bytes.Repeat([]byte{byte(i)}, i*17))
	}
}

// exchange sends message both ways, then the client's record again, altered and unaltered.
func exchange(t *testing.T, w *wire, s *dtls.Session, conn *pion.Conn, message []byte) {
	t.Helper()
	if _, err := conn.Write(message); err != nil {
		t.Fatal(err)
	}
	raw := <-w.records
	altered := append([]byte(nil), raw...)
	altered[len(altered)-1] ^= 1
	r, _, err := dtls.ParseRecord(altered)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Open(nil, r); !errors.Is(err, dtls.ErrForged) {
		t.Fatalf("Open(altered) = %v, want %v", err, dtls.ErrForged)
	}
	if r, _, err = dtls.ParseRecord(raw); err != nil {
		t.Fatal(err)
	}
	o, err := s.Open(nil, r)
	if err != nil || !bytes.Equal(o.Plaintext, message) || o.Type != dtls.ApplicationData || !o.Newest {
		t.Fatalf("Open = %+v, %v, want %x", o, err, message)
	}
	if _, err := s.Open(nil, r); !errors.Is(err, dtls.ErrReplay) {
		t.Fatalf("Open(again) = %v, want %v", err, dtls.ErrReplay)
	}
	record, err := s.Seal(nil, dtls.ApplicationData, message)
	if err != nil {
		t.Fatal(err)
	}
	w.send(record)
	got := make([]byte, 2048)
	if n, err := conn.Read(got); err != nil || !bytes.Equal(got[:n], message) {
		t.Fatalf("client read %x, %v, want %x", got[:n], err, message)
	}
}

func TestAcceptOwnDial(t *testing.T) {
	creds := newCredentials(t)
	var chain [][]byte
	out := handshake(t.Context(), newWire(), creds, dtls.ClientOptions{
		Certificate: creds.client, ServerName: "sp.example", CID: true,
		Verify: func(c [][]byte) error { chain = c; return nil },
	})
	if out.serverErr != nil || out.clientErr != nil {
		t.Fatalf("handshake = server %v, client %v", out.serverErr, out.clientErr)
	}
	defer out.client.Close()
	if len(chain) != 1 || !bytes.Equal(chain[0], creds.server["sp.example"].Certificate[0]) {
		t.Error("Verify did not see the certificate of the name asked for")
	}
	if id := out.client.Identity(); id.Name != "sp.example" || id.Role != coap.RoleServer {
		t.Errorf("server's identity = %+v", id)
	}
	if _, has := out.server.Session.CID(); !has {
		t.Error("no connection identifier negotiated")
	}
	if out.server.LastFlight == nil || !bytes.Equal(out.server.Chain[0], creds.client.Certificate[0]) {
		t.Errorf("established = last flight %x, %d certificates", out.server.LastFlight, len(out.server.Chain))
	}
}

func TestAcceptRefuses(t *testing.T) {
	creds := newCredentials(t)
	stranger := selfSigned(t, "device")
	key := creds.psk["dev-1"]
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
			PSKIdentity: []byte("dev-2"), PSK: key,
		}, dtls.ErrUnknownIdentity, dtls.ErrHandshake},
		{"server the client refuses", dtls.ClientOptions{
			Certificate: creds.client, Verify: func([][]byte) error { return errStranger },
		}, dtls.ErrHandshake, errStranger},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := handshake(t.Context(), newWire(), creds, c.o)
			wantErr(t, "server", out.serverErr, c.server)
			wantErr(t, "client", out.clientErr, c.client)
			if errors.Is(c.server, errStranger) || errors.Is(c.server, dtls.ErrUnknownIdentity) {
				wantErr(t, "server", out.serverErr, dtls.ErrRefused)
			}
			if out.clientErr != nil && out.client != nil {
				t.Error("client despite the error")
			}
			if !strings.Contains(fmt.Sprint(out.clientErr), "alert") && !errors.Is(c.client, errStranger) {
				t.Errorf("client = %v, want an alert", out.clientErr)
			}
		})
	}
}

func TestAcceptWrongKey(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	out := handshake(ctx, newWire(), newCredentials(t),
		dtls.ClientOptions{PSKIdentity: []byte("dev-1"), PSK: []byte("not the right key")})
	wantErr(t, "server", out.serverErr, dtls.ErrTimeout)
	wantErr(t, "client", out.clientErr, dtls.ErrTimeout)
}

func TestAcceptNeedsExtendedMasterSecret(t *testing.T) {
	creds := newCredentials(t)
	out, _ := pionClient(t.Context(), newWire(), creds, pion.WithCertificates(*creds.client),
		pion.WithInsecureSkipVerify(true), pion.WithCipherSuites(pion.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8),
		pion.WithExtendedMasterSecret(pion.DisableExtendedMasterSecret))
	wantErr(t, "server", out.serverErr, dtls.ErrHandshake)
}

func TestDialNeedsVerify(t *testing.T) {
	_, err := dtls.Dial(t.Context(), newWire(), anyAddr, dtls.ClientOptions{}, 0)
	wantErr(t, "Dial", err, dtls.ErrNoVerify)
}

// TestLastFlightLost: the engine is gone when the client repeats its Finished;
// the kept flight, sent verbatim, completes the handshake.
func TestLastFlightLost(t *testing.T) {
	creds := newCredentials(t)
	w := newWire()
	lost := 0
	w.lose = func(toClient bool, d []byte) bool {
		if toClient && d[0] == byte(dtls.ChangeCipherSpec) && lost == 0 {
			lost++
			return true
		}
		return false
	}
	done := make(chan error, 1)
	accepted := make(chan dtls.Established, 1)
	go func() {
		e, err := dtls.Accept(t.Context(), w.link, dtls.AcceptOptions{Credentials: creds, CID: newCID})
		w.link.Drain()
		accepted <- e
		done <- err
	}()
	go func() {
		e := <-accepted
		for raw := range w.records {
			if !finished(&e.Session, raw) {
				continue
			}
			w.send(e.LastFlight)
			return
		}
	}()
	client, err := dtls.Dial(t.Context(), w, anyAddr,
		dtls.ClientOptions{Certificate: creds.client, Verify: trust, CID: true}, 50*time.Millisecond)
	if err != nil {
		t.Fatalf("Dial = %v", err)
	}
	defer client.Close()
	if err := <-done; err != nil || lost != 1 {
		t.Errorf("Accept = %v, %d flights lost", err, lost)
	}
}

// finished looks for an authentic handshake record behind those in the clear.
func finished(s *dtls.Session, raw []byte) bool {
	for len(raw) > 0 {
		r, rest, err := dtls.ParseRecord(raw)
		if err != nil {
			return false
		}
		if s.RepeatedFinished(r) {
			return true
		}
		raw = rest
	}
	return false
}
