package handshake_test

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls/handshake"
)

// piece is a record of epoch 0 with a fragment of a handshake message.
func piece(record uint64, typ uint8, seq uint16, length, offset int, body []byte) []byte {
	n := len(body)
	b := binary.BigEndian.AppendUint64([]byte{22, 0xfe, 0xfd}, record)
	b = binary.BigEndian.AppendUint16(b, uint16(12+n))
	b = append(b, typ, 0, byte(length>>8), byte(length), byte(seq>>8), byte(seq))
	b = append(b, 0, byte(offset>>8), byte(offset), 0, byte(n>>8), byte(n))
	return append(b, body...)
}

// anyKey are credentials that take every raw public key, and count them.
type anyKey struct {
	*credentials

	asked *int
}

func (c anyKey) IdentifyKey([]byte) (coap.Identity, error) {
	*c.asked++
	return coap.Identity{Role: coap.RoleRawKey}, nil
}

// TestKindsOfKeysApart: a certificate whose key was proved is remembered, yet is no raw
// public key, nor is a raw public key a certificate.
func TestKindsOfKeysApart(t *testing.T) {
	creds := newCredentials(t)
	asked := 0
	s := newStage(t, anyKey{creds, &asked}, nil)
	s.must(t, creds.certClient())
	posing := creds.rawClient()
	posing.RawBody = creds.client.Certificate[0]
	const badCertificate = 42
	if _, err := s.run(posing); err == nil || posing.Alert != badCertificate || asked != 0 {
		t.Errorf("a certificate as raw public key: %v, alert %d, %d asked", err, posing.Alert, asked)
	}
	s.must(t, creds.rawClient())
	other := creds.certClient()
	other.Chain = [][]byte{creds.spki()}
	if _, err := s.run(other); err == nil || other.Alert != badCertificate {
		t.Errorf("a raw public key as certificate: %v, alert %d", err, other.Alert)
	}
	end(t, s)
}

// TestRawKeyOfServerGoesWithOfClient: a client with a raw public key that lists both
// types gets the server's, though it named certificates first; one with a certificate
// gets what it named first.
func TestRawKeyOfServerGoesWithOfClient(t *testing.T) {
	creds := newCredentials(t)
	const x509, raw = 0, 2
	for name, own := range map[string]bool{"raw public key": true, "certificate": false} {
		s := newStage(t, rawCredentials{creds}, nil)
		client := creds.rawClient()
		client.RawKey, client.ServerRaw, client.ServerTypes = own, false, []byte{x509, raw}
		s.must(t, client)
		if got := client.Accepted[20]; len(got) != 1 || (got[0] == raw) != own {
			t.Errorf("client with a %s: server's type %x", name, got)
		}
	}
}

// begun is a client whose handshake waits for its last flight.
func begun(s *stage, client *handshake.Client, from netip.AddrPort) {
	_ = client.Run(func(d ...[]byte) [][]byte {
		if client.Accepted[0xff01] != nil { // the server's flight has come
			return nil
		}
		return s.post(from, d...)
	})
}

// TestInboxOfOne: a client cannot use up what all clients may have waiting.
func TestInboxOfOne(t *testing.T) {
	creds := newCredentials(t)
	s := newStage(t, creds, nil)
	begun(s, creds.certClient(), somewhere)
	taken := 0
	for range 64 {
		if s.Deliver(make([]byte, 8192), somewhere) == handshake.Taken {
			taken++
		}
	}
	if taken != 4 || handshake.Waiting(s.Server) != 4*8192 {
		t.Errorf("%d datagrams taken, %d bytes wait", taken, handshake.Waiting(s.Server))
	}
	handshake.Work(s.Server)
	if s.Deliver(make([]byte, 8192), somewhere) != handshake.Taken {
		t.Error("no room when all was read")
	}
	handshake.Work(s.Server)
}

// TestPieceOfNothing: a piece of a message that must not come takes no memory, and the
// handshake ends before the rest of it can.
func TestPieceOfNothing(t *testing.T) {
	creds := newCredentials(t)
	s := newStage(t, creds, nil)
	begun(s, creds.pskClient(), somewhere)
	const certificate, unexpectedMessage = 11, 10
	out := s.post(somewhere, piece(9, certificate, 2, 8192, 8191, []byte{1}))
	if len(out) != 1 || out[0][len(out[0])-1] != unexpectedMessage {
		t.Errorf("answer %x", out)
	}
	end(t, s)
}

// TestInjectedFinished: what anybody can send does not keep out what the keys protect.
func TestInjectedFinished(t *testing.T) {
	creds := newCredentials(t)
	for name, c := range map[string]struct {
		client *handshake.Client
		seq    uint16
	}{"psk": {creds.pskClient(), 3}, "certificate": {creds.certClient(), 5}} {
		s := newStage(t, creds, nil)
		const finished = 20
		err := c.client.Run(func(d ...[]byte) [][]byte {
			if c.client.Accepted[0xff01] != nil {
				s.post(somewhere, piece(900, finished, c.seq, 12, 0, []byte{1}))
			}
			return s.post(somewhere, d...)
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNumbersAtTheEnd of their range: ours would continue them, into the next epoch.
func TestNumbersAtTheEnd(t *testing.T) {
	creds := newCredentials(t)
	s := newStage(t, creds, nil)
	var hello []byte
	_ = creds.certClient().Run(func(d ...[]byte) [][]byte { hello = d[0]; return nil })
	for name, change := range map[string]func(b []byte){
		"record":  func(b []byte) { copy(b[5:11], "\xff\xff\xff\xff\xff\xff") },
		"message": func(b []byte) { copy(b[17:19], "\xff\xff") },
	} {
		b := append([]byte(nil), hello...)
		change(b)
		if got := s.Hello(b, somewhere, s, time.Now()); got != handshake.Malformed {
			t.Errorf("%s: %v", name, got)
		}
	}
	if got := s.Hello(hello, somewhere, s, time.Now()); got != handshake.Verified {
		t.Errorf("unchanged: %v", got)
	}
}
