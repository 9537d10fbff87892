package transport_test

import (
	"errors"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/transport"
)

// TestStreamDropDuringHandshake is TestDropDuringHandshake by TLS: a certificate that
// is revoked between the judgement and the connection's registration is judged again.
func TestStreamDropDuringHandshake(t *testing.T) {
	creds := newCredentials(t)
	s := newStreamSite(t, creds, nil)
	creds.onJudged(func() {
		creds.revoke("sensor")
		s.Drop(func(coap.Identity) bool { return true })
	})
	conn, err := transport.Dial(t.Context(), transport.DialOptions{
		URI: s.uri(), Client: creds.client(t, "sensor"), Engine: newEngine(t),
	})
	if err == nil { // TLS 1.3: the server judges after the client is done
		<-conn.Done()
	}
	eventually(t, "refusal", func() bool { return s.refusal() != nil })
	if !errors.Is(s.refusal(), errRevoked) {
		t.Errorf("Refused(%v), want %v", s.refusal(), errRevoked)
	}
	eventually(t, "the end of the connection", func() bool { return s.streams().Connections == 0 })
}
