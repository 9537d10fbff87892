package handshake_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

// near is a wire as our own client has it.
type near struct{ *wire }

func (w near) Send(d []byte) error { w.up(d); return nil }

func (w near) Receive(deadline time.Time) ([]byte, error) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case d := <-w.toClient:
		return d, nil
	case <-timer.C:
		return nil, os.ErrDeadlineExceeded
	}
}

func connect(tb testing.TB, w *wire, o dtls.ClientOptions, cid []byte) (dtls.Established, [][]byte, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
	defer cancel()
	return handshake.Connect(ctx, near{w}, o, cid, flight)
}

func (c *credentials) rawOptions(tb testing.TB) dtls.ClientOptions {
	tb.Helper()
	key, _ := c.client.PrivateKey.(crypto.Signer)
	return dtls.ClientOptions{RawKey: key, VerifyKey: func([]byte) error { return nil }}
}

// ways are the ways in which our own client proves itself.
func ways(tb testing.TB, creds *credentials) map[string]dtls.ClientOptions {
	tb.Helper()
	raw := creds.rawOptions(tb)
	halfRaw := dtls.ClientOptions{RawKey: raw.RawKey, Verify: trust}
	either := dtls.ClientOptions{Certificate: creds.client, Verify: trust, VerifyKey: raw.VerifyKey}
	return map[string]dtls.ClientOptions{
		"certificate":        {Certificate: creds.client, Verify: trust, CID: true},
		"Ed25519 server":     {Certificate: creds.client, Verify: trust, ServerName: "ed.example"},
		"P-384 server":       {Certificate: creds.client, Verify: trust, ServerName: "p384.example"},
		"psk":                {PSKIdentity: []byte("dev-1"), PSK: creds.psk["dev-1"]},
		"raw public keys":    raw,
		"raw public key":     halfRaw,
		"server's raw key":   {Certificate: creds.client, VerifyKey: raw.VerifyKey},
		"whatever server":    either,
		"psk, nobody judges": {PSKIdentity: []byte("dev-1"), PSK: creds.psk["dev-1"], CID: true},
	}
}

// TestOwnClient: our own client and our server, in each way, agree on who they are,
// on keys that fit and on what binds the channel.
func TestOwnClient(t *testing.T) {
	creds := newCredentials(t)
	for name, o := range ways(t, creds) {
		for _, cid := range [][]byte{nil, newCID()} {
			t.Run(fmt.Sprint(name, len(cid)), func(t *testing.T) {
				s := newSite(t, rawCredentials{creds})
				e, _, err := connect(t, s.newWire(), o, cid)
				out := s.outcome(t)
				if err := errors.Join(err, out.err); err != nil {
					t.Fatal(err)
				}
				talk(t, &e.Session, &out.Session)
				if e.Binding != out.Binding || e.Binding == [12]byte{} {
					t.Errorf("bindings %x and %x", e.Binding, out.Binding)
				}
				if _, has := e.Session.CID(); has != (cid != nil) {
					t.Error("identifier of the client's")
				}
				if _, has := out.Session.CID(); has != (cid != nil || o.CID) {
					t.Error("identifier of the server's")
				}
				want := coap.Identity{Role: coap.RoleServer}
				switch {
				case e.RawKey != nil:
					want.Certificate = sha256.Sum256(e.RawKey)
				case e.Chain != nil:
					want.Name, want.Certificate = map[string]string{"": "default"}[o.ServerName], sha256.Sum256(e.Chain[0])
					if o.ServerName != "" {
						want.Name = o.ServerName
					}
				}
				if e.Identity != want || (e.RawKey != nil) != (o.VerifyKey != nil) {
					t.Errorf("server is %+v, raw key %x", e.Identity, e.RawKey)
				}
				if (out.RawKey != nil) != (o.RawKey != nil) {
					t.Errorf("client's raw key %x", out.RawKey)
				}
			})
		}
	}
}

// TestOwnClientRefuses: what either side does not like ends the handshake at both.
func TestOwnClientRefuses(t *testing.T) {
	creds, other := newCredentials(t), newCredentials(t)
	distrust := func([]byte) error { return errStranger }
	stolen := creds.rawOptions(t)
	stolen.RawKey = thief{other.rawOptions(t).RawKey, stolen.RawKey.Public()}
	judge := dtls.ClientOptions{Verify: func([][]byte) error { return errStranger }}
	pskOf := func(name string) dtls.ClientOptions {
		return dtls.ClientOptions{PSKIdentity: []byte(name), PSK: []byte{1}}
	}
	named := func(name string) dtls.ClientOptions { return dtls.ClientOptions{Verify: trust, ServerName: name} }
	refused := creds.rawOptions(t)
	refused.VerifyKey = distrust
	for name, c := range map[string]struct {
		o              dtls.ClientOptions
		server, client error
	}{
		"key of a stranger":   {other.rawOptions(t), errStranger, dtls.ErrHandshake},
		"key of another":      {stolen, dtls.ErrHandshake, dtls.ErrHandshake},
		"server's key":        {refused, dtls.ErrHandshake, dtls.ErrRefused},
		"server's chain":      {judge, dtls.ErrHandshake, errStranger},
		"no certificate":      {dtls.ClientOptions{Verify: trust}, dtls.ErrHandshake, dtls.ErrHandshake},
		"psk nobody has":      {pskOf("dev-2"), dtls.ErrUnknownIdentity, dtls.ErrHandshake},
		"wrong psk":           {pskOf("dev-1"), dtls.ErrHandshake, dtls.ErrHandshake},
		"name nobody has":     {named("x.example"), errStranger, dtls.ErrHandshake},
		"long name":           {named(strings.Repeat("n", 300)), dtls.ErrHandshake, dtls.ErrHandshake},
		"certificate of ours": {dtls.ClientOptions{Certificate: other.client, Verify: trust}, errStranger, dtls.ErrHandshake},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, rawCredentials{creds})
			_, _, err := connect(t, s.newWire(), c.o, nil)
			wantErr(t, "client", err, c.client)
			wantErr(t, "server", s.outcome(t).err, c.server)
		})
	}
	for name, c := range map[string]struct {
		o    dtls.ClientOptions
		cid  []byte
		want error
	}{
		"nobody judges":   {dtls.ClientOptions{}, nil, dtls.ErrNoVerify},
		"identifier":      {dtls.ClientOptions{Verify: trust}, []byte{1, 2, 3}, dtls.ErrHandshake},
		"psk of a length": {dtls.ClientOptions{PSK: []byte{1}, PSKIdentity: make([]byte, 257)}, nil, dtls.ErrHandshake},
	} {
		_, _, err := handshake.Connect(t.Context(), nil, c.o, c.cid, 0)
		wantErr(t, name, err, c.want)
	}
}

// TestOwnClientEnds: a server that says nothing, or no more, and a caller who has had
// enough.
func TestOwnClientEnds(t *testing.T) {
	creds := newCredentials(t)
	o := creds.rawOptions(t)
	for n := range 3 { // so many datagrams of the server arrive
		s := newSite(t, rawCredentials{creds})
		w := s.newWire()
		seen := 0
		w.pass = func(toClient bool, d []byte) [][]byte {
			if toClient {
				if seen++; seen > n {
					return nil
				}
			}
			return [][]byte{d}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*flight)
		_, _, err := handshake.Connect(ctx, near{w}, o, nil, flight)
		wantErr(t, "Connect", err, dtls.ErrTimeout)
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		cancel()
		_, _, err = handshake.Connect(ctx, near{w}, o, nil, flight)
		wantErr(t, "Connect of somebody who has given up", err, dtls.ErrHandshake)
	}
}

// TestOwnClientOnLossyPaths: as TestLossyPaths.
func TestOwnClientOnLossyPaths(t *testing.T) {
	creds := newCredentials(t)
	for name, pass := range map[string]func(n int, d []byte) [][]byte{
		"every third lost": func(n int, d []byte) [][]byte {
			if n%3 == 2 {
				return nil
			}
			return [][]byte{d}
		},
		"every other lost at first": func(n int, d []byte) [][]byte {
			if n < 8 && n%2 == 0 {
				return nil
			}
			return [][]byte{d}
		},
		"all doubled":                 func(_ int, d []byte) [][]byte { return [][]byte{d, d} },
		"record by record, backwards": func(_ int, d []byte) [][]byte { return backwards(d) },
	} {
		for way, o := range ways(t, creds) {
			t.Run(name+" "+way, func(t *testing.T) {
				s := newSite(t, rawCredentials{creds})
				w := s.newWire()
				n := [2]int{}
				w.pass = func(toClient bool, d []byte) [][]byte {
					i := 0
					if toClient {
						i = 1
					}
					n[i]++
					return slices.DeleteFunc(slices.Clone(pass(n[i]-1, d)), func(d []byte) bool { return len(d) == 0 })
				}
				repeating := make(chan struct{})
				go repeat(s, w, repeating)
				if _, _, err := connect(t, w, o, nil); err != nil {
					t.Fatalf("client = %v", err)
				}
				close(repeating)
			})
		}
	}
}

// TestServerSpeaksFirst: what the server says right behind its last flight is kept
// for whoever has the session, which has not seen it yet.
func TestServerSpeaksFirst(t *testing.T) {
	creds := newCredentials(t)
	s := newSite(t, creds)
	w := s.newWire()
	hello := make(chan []byte, 1)
	w.pass = func(toClient bool, d []byte) [][]byte {
		if !toClient || d[0] != 20 { // not the last flight, which begins with ChangeCipherSpec
			return [][]byte{d}
		}
		o := <-s.outcomes
		raw, _ := o.Session.Seal(nil, dtls.ApplicationData, []byte("hello"))
		hello <- raw
		return [][]byte{slices.Concat(raw, d)}
	}
	e, early, err := connect(t, w, dtls.ClientOptions{Certificate: creds.client, Verify: trust}, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw := <-hello
	if len(early) != 1 || !bytes.Equal(early[0], raw) {
		t.Fatalf("early = %x, want %x", early, raw)
	}
	r, _, err := dtls.ParseRecord(early[0])
	if err != nil {
		t.Fatal(err)
	}
	if o, err := e.Session.Open(nil, r); err != nil || string(o.Plaintext) != "hello" {
		t.Errorf("%q, %v", o.Plaintext, err)
	}
}
