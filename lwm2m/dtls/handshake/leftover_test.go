package handshake_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

// TestWrongFlightOfKeys: the last flights of a pre-shared key and of a resumption, each
// message missing, doubled, out of order and wrong.
func TestWrongFlightOfKeys(t *testing.T) {
	const exchange, changeCipher, finished = 0, 1, 2
	for name, c := range map[string]struct {
		psk, resumed flightChange // nil: not of this kind
		alert        int
	}{
		"exchange missing":      {without(exchange), nil, silence},
		"exchange twice":        {twice(exchange), nil, unexpectedMessage},
		"exchange longer":       {body(exchange, longer), nil, decodeError},
		"exchange empty":        {body(exchange, empty), nil, decodeError},
		"identity cut off":      {body(exchange, is(0, 9, 'x')), nil, decodeError},
		"overlong identity":     {body(exchange, is(append([]byte{1, 1}, make([]byte, 257)...)...)), nil, decodeError},
		"certificate instead":   {first(11), nil, unexpectedMessage},
		"exchange under keys":   {inEpoch(exchange, 1), nil, silence},
		"spec missing":          {without(changeCipher), without(changeCipher - 1), silence},
		"finished missing":      {without(finished), without(finished - 1), silence},
		"finished in the clear": {inEpoch(finished, 0), inEpoch(finished-1, 0), unexpectedMessage},
		"finished longer":       {body(finished, longer), body(finished-1, longer), decodeError},
		"wrong finished":        {body(finished, wrong), body(finished-1, wrong), decryptError},
		"finished of none":      {body(finished, empty), body(finished-1, empty), decodeError},
	} {
		for kind, change := range map[string]flightChange{"psk": c.psk, "resumption": c.resumed} {
			if change == nil {
				continue
			}
			t.Run(kind+", "+name, func(t *testing.T) {
				creds := newCredentials(t)
				s, client := newStage(t, creds, nil), creds.pskClient()
				if kind == "resumption" {
					client.Ticket, client.Master = ticketOf(t, creds.pskClient(), s)
				}
				client.ChangeFlight = change
				s.outcomes, creds.judged = nil, 0
				_, err := s.run(client)
				end(t, s)
				if err == nil && kind == "psk" || len(s.outcomes) != 1 || s.outcomes[0].Established != nil {
					t.Errorf("client = %v, server = %+v", err, s.outcomes)
				}
				if kind == "psk" && client.Alert != c.alert {
					t.Errorf("alert %d, want %d", client.Alert, c.alert)
				}
			})
		}
	}
}

// TestExtensionsChangedAfterCookie: the cookie is for what RFC 6347 §4.2.1 names, and
// extensions are not among it. What counts is the second hello; who changes it on the
// way is found out by the signature, or by Finished.
func TestExtensionsChangedAfterCookie(t *testing.T) {
	creds := newCredentials(t)
	identifier := []byte{0, 54, 0, 1, 0}
	add := func(b []byte) []byte { return append(lengthen(b, len(identifier)), identifier...) }
	s, client := newStage(t, creds, nil), creds.certClient()
	client.ChangeNext = add
	out := s.must(t, client)
	if _, has := out.Session.CID(); !has {
		t.Error("the extension of the second hello does not count")
	}
	for name, client := range map[string]*handshake.Client{"certificate": creds.certClient(), "psk": creds.pskClient()} {
		s.outcomes = nil
		client.CID = []byte{}
		n := 0
		err := client.Run(func(d ...[]byte) [][]byte {
			if n++; n == 2 { // somebody takes the identifier away
				d[0] = bytes.Replace(d[0], identifier, []byte{0, 99, 0, 1, 0}, 1)
			}
			return s.post(somewhere, d...)
		})
		end(t, s)
		if err == nil || len(s.outcomes) != 1 || s.outcomes[0].Established != nil {
			t.Errorf("%s: client = %v, server = %+v", name, err, s.outcomes)
		}
	}
}

// lengthen makes room for n more bytes of extensions in a hello without a session.
func lengthen(b []byte, n int) []byte {
	b = bytes.Clone(b)
	at := 2 + 32 + 1
	at += 1 + int(b[at])
	at += 2 + int(b[at])<<8 + int(b[at+1])
	at += 1 + int(b[at])
	length := int(b[at])<<8 + int(b[at+1]) + n
	b[at], b[at+1] = byte(length>>8), byte(length)
	return b
}

// TestNothingStays: handshakes that fail in whatever way leave neither a handshake,
// nor a place, nor bytes in an inbox, nor memory.
func TestNothingStays(t *testing.T) {
	creds := newCredentials(t)
	stranger := newCredentials(t)
	s := newStage(t, rawCredentials{creds}, nil)
	ways := []func() *handshake.Client{
		func() *handshake.Client { return changed(creds.certClient(), without(flightCertificate)) },
		func() *handshake.Client { return changed(creds.certClient(), without(flightFinished)) },
		func() *handshake.Client { return changed(creds.certClient(), body(flightVerify, wrong)) },
		func() *handshake.Client { return changed(creds.certClient(), body(flightFinished, wrong)) },
		func() *handshake.Client { return changed(creds.pskClient(), body(0, empty)) },
		func() *handshake.Client { c := creds.pskClient(); c.PSK = []byte("guess"); return c },
		func() *handshake.Client { c := creds.pskClient(); c.PSKIdentity = []byte("x"); return c },
		func() *handshake.Client { c := creds.certClient(); c.Suite = 0xc02c; return c },
		func() *handshake.Client { c := creds.certClient(); c.ServerName = "other.example"; return c },
		stranger.certClient, stranger.rawClient,
	}
	round := func() {
		for i, way := range ways {
			s.outcomes, s.late = s.outcomes[:0], nil
			if out, err := s.run(way()); err == nil || out.Established != nil {
				t.Fatalf("way %d: %+v, %v", i, out, err)
			}
			end(t, s)
		}
		clear(s.out)
	}
	const rounds = 30
	for range rounds {
		round()
	}
	before := heap()
	for range rounds {
		round()
	}
	if grown := heap() - before; grown > 64<<10 || handshake.Waiting(s.Server) != 0 {
		t.Errorf("%d bytes more after %d failures, %d bytes waiting", grown, rounds*len(ways), handshake.Waiting(s.Server))
	}
}

func changed(c *handshake.Client, change flightChange) *handshake.Client {
	c.ChangeFlight = change
	return c
}

// TestWrongServer: what our own client takes of no server.
func TestWrongServer(t *testing.T) {
	creds := newCredentials(t)
	hello := func(old, other []byte) func(d []byte) []byte {
		return func(d []byte) []byte { return bytes.Replace(d, old, other, 1) }
	}
	o := dtls.ClientOptions{Certificate: creds.client, Verify: trust, CID: true}
	for name, change := range map[string]func(d []byte) []byte{
		"another version": func(d []byte) []byte {
			if len(d) > 30 && d[13] == 2 {
				d[26] = 0xff
			}
			return d
		},
		"suite not offered":      hello([]byte{0, 0xc0, 0xae, 0}, []byte{0, 0xc0, 0x2c, 0}),
		"suite of a key":         hello([]byte{0, 0xc0, 0xae, 0}, []byte{0, 0xc0, 0xa8, 0}),
		"compression":            hello([]byte{0, 0xc0, 0xae, 0}, []byte{0, 0xc0, 0xae, 1}),
		"no master secret":       hello([]byte{0, 23, 0, 0}, []byte{0, 99, 0, 0}),
		"extension not offered":  hello([]byte{0xff, 1, 0, 1, 0}, []byte{0, 35, 0, 1, 0}),
		"wrong renegotiation":    hello([]byte{0xff, 1, 0, 1, 0}, []byte{0xff, 1, 0, 1, 1}),
		"unknown group":          hello([]byte{3, 0, 23, 65, 4}, []byte{3, 0, 25, 65, 4}),
		"point not on the curve": hello([]byte{3, 0, 23, 65, 4}, []byte{3, 0, 23, 65, 5}),
		"explicit curve":         hello([]byte{3, 0, 23, 65, 4}, []byte{1, 0, 23, 65, 4}),
		"another signature":      hello([]byte{4, 3, 0}, []byte{2, 3, 0}),
		"another certificate":    hello([]byte("default"), []byte("dEfault")),
		"twice the server hello": func(d []byte) []byte {
			if len(d) < 30 || d[13] != 2 {
				return d
			}
			return slices.Concat(d[:17], []byte{0, 2}, d[19:])
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, creds, nil)
			touched := false
			w := &lockstep{stage: s, change: func(_ int, d []byte) [][]byte {
				out := change(bytes.Clone(d))
				touched = touched || !bytes.Equal(out, d)
				return [][]byte{out}
			}}
			_, _, err := handshake.Connect(t.Context(), w, o, nil, 0)
			if err == nil || !touched || !errors.Is(err, dtls.ErrHandshake) {
				t.Errorf("Connect = %v, changed %t", err, touched)
			}
			end(t, s)
		})
	}
}
