package handshake_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

// The alerts that are looked for (RFC 5246 §7.2).
const (
	silence            = -1
	unexpectedMessage  = 10
	handshakeFailure   = 40
	badCertificate     = 42
	illegalParameter   = 47
	decodeError        = 50
	decryptError       = 51
	protocolVersion    = 70
	unrecognizedName   = 112
	flightCertificate  = 0 // places in the client's last flight
	flightKeyExchange  = 1
	flightVerify       = 2
	flightChangeCipher = 3
	flightFinished     = 4
)

type flightChange = func(f []handshake.Msg) []handshake.Msg

// without leaves a message out, and numbers the rest as if it had never been.
func without(i int) flightChange {
	return func(f []handshake.Msg) []handshake.Msg {
		for j := i + 1; j < len(f); j++ {
			if f[i].Typ != 0 {
				f[j].Seq--
			}
		}
		return slices.Delete(f, i, i+1)
	}
}

// twice sends a message twice, the second time under the next number.
func twice(i int) flightChange {
	return func(f []handshake.Msg) []handshake.Msg {
		again := f[i]
		again.Seq++
		for j := i + 1; j < len(f); j++ {
			f[j].Seq++
		}
		return slices.Insert(f, i+1, again)
	}
}

// swapped exchanges two messages, and their numbers.
func swapped(i, j int) flightChange {
	return func(f []handshake.Msg) []handshake.Msg {
		f[i].Seq, f[j].Seq = f[j].Seq, f[i].Seq
		f[i], f[j] = f[j], f[i]
		return f
	}
}

func body(i int, change func(b []byte) []byte) flightChange {
	return func(f []handshake.Msg) []handshake.Msg {
		f[i].Body = change(bytes.Clone(f[i].Body))
		return f
	}
}

// is puts other content into a message.
func is(b ...byte) func([]byte) []byte { return func([]byte) []byte { return b } }

// inEpoch sends a message in an epoch that is not its own.
func inEpoch(i int, epoch uint16) flightChange {
	return func(f []handshake.Msg) []handshake.Msg {
		f[i].Epoch = epoch
		return f
	}
}

// first sends a flight whose first message has another type.
func first(typ uint8) flightChange {
	return func(f []handshake.Msg) []handshake.Msg {
		f[0].Typ = typ
		return f
	}
}

// compressed is a key exchange with a compressed point, which nobody offered.
func compressed(b []byte) []byte { b[1] = 2; return append([]byte{33}, b[1:34]...) }

func longer(b []byte) []byte  { return append(b, 0) }
func shorter(b []byte) []byte { return b[:len(b)-1] }
func empty([]byte) []byte     { return nil }
func wrong(b []byte) []byte   { b[len(b)-1] ^= 1; return b }

// TestWrongFlight: each message missing, doubled, out of order, of the wrong length
// and with the wrong content.
func TestWrongFlight(t *testing.T) {
	for name, c := range map[string]struct {
		change flightChange
		alert  int
	}{
		"certificate missing":         {without(flightCertificate), unexpectedMessage},
		"key exchange missing":        {without(flightKeyExchange), unexpectedMessage},
		"verify missing":              {without(flightVerify), silence},
		"change cipher spec missing":  {without(flightChangeCipher), silence},
		"finished missing":            {without(flightFinished), silence},
		"certificate twice":           {twice(flightCertificate), unexpectedMessage},
		"key exchange twice":          {twice(flightKeyExchange), unexpectedMessage},
		"verify twice":                {twice(flightVerify), unexpectedMessage},
		"key exchange before":         {swapped(flightCertificate, flightKeyExchange), unexpectedMessage},
		"verify before":               {swapped(flightKeyExchange, flightVerify), unexpectedMessage},
		"certificate longer":          {body(flightCertificate, longer), decodeError},
		"certificate shorter":         {body(flightCertificate, shorter), decodeError},
		"certificate empty":           {body(flightCertificate, empty), decodeError},
		"no certificate":              {body(flightCertificate, is(0, 0, 0)), handshakeFailure},
		"certificate of nothing":      {body(flightCertificate, is(0, 0, 4, 0, 0, 1, 9)), badCertificate},
		"empty certificate in chain":  {body(flightCertificate, is(0, 0, 3, 0, 0, 0)), decodeError},
		"certificate too long":        {body(flightCertificate, is(make([]byte, 9000)...)), unexpectedMessage},
		"key exchange longer":         {body(flightKeyExchange, longer), decodeError},
		"key exchange shorter":        {body(flightKeyExchange, shorter), decodeError},
		"key exchange empty":          {body(flightKeyExchange, empty), decodeError},
		"point off the curve":         {body(flightKeyExchange, is(handshake.OffCurve()...)), illegalParameter},
		"point at infinity":           {body(flightKeyExchange, is(1, 0)), illegalParameter},
		"compressed point":            {body(flightKeyExchange, compressed), illegalParameter},
		"verify longer":               {body(flightVerify, longer), decodeError},
		"verify shorter":              {body(flightVerify, shorter), decodeError},
		"verify empty":                {body(flightVerify, empty), decodeError},
		"wrong signature":             {body(flightVerify, wrong), decryptError},
		"another signature algorithm": {body(flightVerify, func(b []byte) []byte { b[0] = 5; return b }), decryptError},
		"RSA":                         {body(flightVerify, func(b []byte) []byte { b[1] = 1; return b }), illegalParameter},
		"SHA-1":                       {body(flightVerify, func(b []byte) []byte { b[0] = 2; return b }), illegalParameter},
		"wrong finished":              {body(flightFinished, wrong), decryptError},
		"finished longer":             {body(flightFinished, longer), decodeError},
		"finished shorter":            {body(flightFinished, shorter), decodeError},
		"finished in the clear":       {inEpoch(flightFinished, 0), unexpectedMessage},
		"certificate under the keys":  {inEpoch(flightCertificate, 1), silence},
		"server hello":                {first(2), unexpectedMessage},
		"unknown type":                {first(99), unexpectedMessage},
	} {
		t.Run(name, func(t *testing.T) {
			creds := newCredentials(t)
			client := creds.certClient()
			client.ChangeFlight = c.change
			refused(t, newStage(t, creds, nil), client, c.alert, dtls.ErrHandshake, creds)
		})
	}
}

// refused wants a handshake to fail and nothing of it to stay.
func refused(t *testing.T, s *stage, client *handshake.Client, alert int, reason error, creds *credentials) {
	t.Helper()
	out, err := s.run(client)
	if err == nil || client.Alert != alert {
		t.Errorf("client = %v, alert %d, want %d", err, client.Alert, alert)
	}
	if alert == silence {
		end(t, s)
		if len(s.outcomes) == 0 {
			t.Fatal("no outcome")
		}
		out, reason = s.outcomes[0], dtls.ErrTimeout
	}
	if out.Established != nil || !errors.Is(out.err, reason) {
		t.Errorf("server = %v, want %v", out.err, reason)
	}
	if len(s.outcomes) != 1 || creds.judged != 0 && !errors.Is(reason, errStranger) {
		t.Errorf("%d outcomes, judged %d times", len(s.outcomes), creds.judged)
	}
	end(t, s)
}

func groups(g ...uint16) clientChange  { return func(c *handshake.Client) { c.Groups = g } }
func schemes(s ...uint16) clientChange { return func(c *handshake.Client) { c.Schemes = s } }
func extra(e ...byte) clientChange     { return func(c *handshake.Client) { c.Extra = e } }

type clientChange = func(c *handshake.Client)

// TestWrongHello: what no client of ours says.
func TestWrongHello(t *testing.T) {
	for name, c := range map[string]struct {
		change clientChange
		alert  int
		reason error
	}{
		"DTLS 1.0":             {func(c *handshake.Client) { c.Version = 0xfeff }, protocolVersion, dtls.ErrHandshake},
		"TLS 1.2":              {func(c *handshake.Client) { c.Version = 0x0303 }, protocolVersion, dtls.ErrHandshake},
		"unknown suite":        {func(c *handshake.Client) { c.Suite = 0xc02c }, handshakeFailure, dtls.ErrHandshake},
		"unknown group":        {groups(25), handshakeFailure, dtls.ErrHandshake},
		"group without ours":   {groups(x25519), handshakeFailure, dtls.ErrHandshake},
		"unknown algorithm":    {schemes(0x0401), handshakeFailure, dtls.ErrHandshake},
		"no master secret":     {func(c *handshake.Client) { c.NoMasterSecret = true }, handshakeFailure, dtls.ErrHandshake},
		"name nobody has":      {func(c *handshake.Client) { c.ServerName = "other.example" }, unrecognizedName, errStranger},
		"tiny records":         {func(c *handshake.Client) { c.RecordSize = 63 }, illegalParameter, dtls.ErrHandshake},
		"fragment length of 5": {func(c *handshake.Client) { c.MaxFragment = 5 }, illegalParameter, dtls.ErrHandshake},
		"extension twice":      {extra(0, 23, 0, 0), decodeError, dtls.ErrHandshake},
		"master secret with a body": {func(c *handshake.Client) {
			c.NoMasterSecret, c.Extra = true, []byte{0, 23, 0, 1, 0}
		}, decodeError, dtls.ErrHandshake},
		"overlong extension": {extra(0, 99, 0, 9), decodeError, dtls.ErrHandshake},
		"identifier cut off": {extra(0, 54, 0, 2, 5, 1), decodeError, dtls.ErrHandshake},
		"suite changed after the cookie": {func(c *handshake.Client) {
			c.ChangeNext = func(b []byte) []byte { b[2+32+1+1+24+2+1] ^= 2; return b }
		}, silence, nil},
		"random changed after the cookie": {func(c *handshake.Client) {
			c.ChangeNext = func(b []byte) []byte { b[2] ^= 1; return b }
		}, silence, nil},
		"version changed after the cookie": {func(c *handshake.Client) {
			c.ChangeNext = func(b []byte) []byte { b[1] = 0xff; return b }
		}, silence, nil},
		"cookie changed": {func(c *handshake.Client) {
			c.ChangeNext = func(b []byte) []byte { b[2+32+1+1] ^= 1; return b }
		}, silence, nil},
	} {
		t.Run(name, func(t *testing.T) {
			creds := newCredentials(t)
			s, client := newStage(t, creds, nil), creds.certClient()
			c.change(client)
			if c.reason != nil {
				refused(t, s, client, c.alert, c.reason, creds)
				return
			}
			if out, err := s.run(client); err == nil || !errors.Is(out.err, errNothing) || s.places != 0 {
				t.Errorf("client = %v, server %v, %d places", err, out.err, s.places)
			}
		})
	}
}

// TestUnknownIdentityIsAWrongKey: to the peer both are the same, alert, time and all
// (RFC 4279 §2); the reason tells them apart.
func TestUnknownIdentityIsAWrongKey(t *testing.T) {
	for name, c := range map[string]struct {
		change func(c *handshake.Client)
		reason error
	}{
		"wrong key":            {func(c *handshake.Client) { c.PSK = []byte("guess") }, dtls.ErrHandshake},
		"unknown identity":     {func(c *handshake.Client) { c.PSKIdentity = []byte("dev-2") }, dtls.ErrUnknownIdentity},
		"identity without key": {func(c *handshake.Client) { c.PSKIdentity = []byte("empty") }, dtls.ErrUnknownIdentity},
	} {
		for _, suite := range []uint16{pskCCM8, ecPSKGCM} {
			creds := newCredentials(t)
			creds.psk["empty"] = nil
			s, client := newStage(t, creds, nil), creds.pskClient()
			client.Suite = suite
			c.change(client)
			client.ChangeFlight = func(f []handshake.Msg) []handshake.Msg { // it insists
				last := f[len(f)-1]
				return append(f, last, last, last)
			}
			var answers [][]byte
			s.outcomes = nil
			err := client.Run(func(d ...[]byte) [][]byte {
				if answers = s.post(somewhere, d...); len(d) > 1 {
					if len(answers) > 0 || s.Pending() != 1 || len(s.outcomes) > 0 {
						t.Errorf("%s: the time of the answer tells what was looked up", name)
					}
					s.post(somewhere, d...) // nothing is read any more
					handshake.Tick(s.Server, time.Now())
					answers = s.post(somewhere)
				}
				return answers
			})
			if err == nil || len(s.outcomes) != 1 || !errors.Is(s.outcomes[0].err, c.reason) || client.Alert != decryptError ||
				len(answers) != 1 {
				t.Errorf("%s: client %v, alert %d, %d answers, server %+v", name, err, client.Alert, len(answers), s.outcomes)
			}
			end(t, s)
		}
	}
}

// TestSmallOrder: a point of X25519 that makes the secret known to all.
func TestSmallOrder(t *testing.T) {
	creds := newCredentials(t)
	client := creds.pskClient()
	client.Suite, client.Group = ecPSKCCM8, x25519
	client.ChangeFlight = body(0, func(b []byte) []byte { return append(b[:len(b)-32], make([]byte, 32)...) })
	refused(t, newStage(t, creds, nil), client, illegalParameter, dtls.ErrHandshake, creds)
}

// TestSuiteOrder: the client's preference counts (RFC 5246 §7.4.1.2); a weaker
// suite cannot be forced on it, since Finished covers what was offered.
func TestSuiteOrder(t *testing.T) {
	creds := newCredentials(t)
	s, client := newStage(t, creds, nil), creds.certClient()
	client.Suites = []uint16{0x1301, certGCM, certCCM8, 0x00ff}
	s.must(t, client)
}

// TestDowngrade: somebody on the way changes what the client offers, in both of its
// hellos. What each side signs and finishes with differs then.
func TestDowngrade(t *testing.T) {
	masterSecret, other := []byte{0, 23, 0, 0}, []byte{0, 99, 0, 0}
	for name, c := range map[string]struct {
		client   func(*credentials) *handshake.Client
		old, new []byte
		alert    int
	}{
		"suite": {
			// both suites, for two bytes may also stand in what is random
			(*credentials).certClient, []byte{0xc0, 0x2b, 0xc0, 0xae}, []byte{0xc0, 0x2c, 0xc0, 0xae}, decryptError,
		},
		"extended master secret, certificate": {(*credentials).certClient, masterSecret, other, decryptError},
		"extended master secret, psk":         {(*credentials).pskClient, masterSecret, other, silence},
	} {
		t.Run(name, func(t *testing.T) {
			creds := newCredentials(t)
			s := newStage(t, creds, func(o *handshake.Options) { o.PlainMasterSecret = true })
			client := c.client(creds)
			if name == "suite" {
				client.Suites = []uint16{certGCM, certCCM8}
			}
			err := client.Run(func(d ...[]byte) [][]byte {
				for i := range d {
					d[i] = bytes.Replace(d[i], c.old, c.new, 1)
				}
				return s.post(somewhere, d...)
			})
			if err == nil || client.Alert != c.alert {
				t.Errorf("client = %v, alert %d, want %d", err, client.Alert, c.alert)
			}
			end(t, s)
			if len(s.outcomes) != 1 || s.outcomes[0].Established != nil {
				t.Errorf("server = %+v", s.outcomes)
			}
		})
	}
}
