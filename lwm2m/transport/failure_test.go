package transport_test

import (
	"testing"

	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// TestFailuresLeaveNothing: handshakes that fail leave no association, no slot and
// nothing that is kept for one.
func TestFailuresLeaveNothing(t *testing.T) {
	creds, stranger := newCredentials(t), newCredentials(t)
	creds.revoke("revoked")
	s, e := newSite(t, creds, nil), newEngine(t)
	trusting := stranger.client(t, "sensor")
	trusting.Verify = creds.authority.verify
	distrusting := creds.client(t, "sensor")
	distrusting.Verify = stranger.authority.verify
	for range 5 {
		for name, o := range map[string]dtls.ClientOptions{
			"stranger": trusting, "server refused": distrusting, "revoked": creds.client(t, "revoked"),
			"no certificate": {Verify: creds.authority.verify},
			"wrong key":      {PSKIdentity: []byte("sensor"), PSK: []byte("guess"), Bound: true},
			"unknown key":    {PSKIdentity: []byte("nobody"), PSK: []byte("guess"), Bound: true},
		} {
			if _, err := transport.Dial(t.Context(), transport.DialOptions{
				URI: s.uri(), Client: o, Engine: e, FlightInterval: 50e6, HandshakeTimeout: 5e9,
			}); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
	}
	eventually(t, "the end of all", func() bool {
		n := s.Stats()
		return n.HandshakesPending == 0 && n.Refused == 30
	})
	if n := s.Stats(); n.Associations != 0 || n.Handshakes != 0 {
		t.Errorf("Stats = %+v", n)
	}
	if slots, flights := transport.Left(s.Listener); slots > 8 || flights != 0 || transport.Bindings(s.Listener) != 0 {
		t.Errorf("%d slots, %d flights, %d bindings", slots, flights, transport.Bindings(s.Listener))
	}
}
