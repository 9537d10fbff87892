package transport_test

import (
	"bytes"
	"errors"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// roleCredentials give everybody another role.
type roleCredentials struct {
	*credentials

	role coap.Role
}

func (c roleCredentials) Identify(chain [][]byte, psk []byte) (coap.Identity, error) {
	id, err := c.credentials.Identify(chain, psk)
	id.Role = c.role
	return id, err
}

func bindingOf(t *testing.T, p coap.Peer) []byte {
	t.Helper()
	b, ok := p.(coap.Bound)
	if !ok {
		t.Fatalf("%T is not bound", p)
	}
	return b.ChannelBinding()
}

// TestChannelBinding: associations that may enrol tell theirs, as long as they last
// or for a while; each handshake has another.
func TestChannelBinding(t *testing.T) {
	for role, c := range map[coap.Role]struct{ kept, forLong bool }{
		coap.RoleFactory: {true, true}, coap.RoleBootstrap: {true, true}, coap.RoleOperational: {true, false},
		coap.RolePSK: {}, coap.RoleExpired: {true, true},
	} {
		t.Run(string(role), func(t *testing.T) {
			creds := roleCredentials{newCredentials(t), role}
			s, e := newSite(t, creds, nil), newEngine(t)
			var last []byte
			var peers []coap.Peer
			for range 2 {
				conn := dial(t, e, s.uri(), creds.client(t, "sensor"))
				do(t, e, conn, coap.GET, "")
				b := bindingOf(t, s.peer())
				if (len(b) == dtls.BindingLength) != c.kept || c.kept && bytes.Equal(b, last) {
					t.Errorf("binding %x after %x", b, last)
				}
				last = b
				peers = append(peers, s.peer())
			}
			transport.ForgetBindings(s.Listener)
			if got := bindingOf(t, peers[0]); (got != nil) != c.forLong {
				t.Errorf("binding %x in the end", got)
			}
			s.Drop(func(coap.Identity) bool { return true })
			if got := bindingOf(t, peers[0]); got != nil || transport.Bindings(s.Listener) != 0 {
				t.Errorf("binding %x of an association that has ended, %d kept", got, transport.Bindings(s.Listener))
			}
		})
	}
}

// TestUnknownRole: a class that the table does not have is no association without one.
func TestUnknownRole(t *testing.T) {
	creds := roleCredentials{newCredentials(t), "unheard of"}
	s := newSite(t, creds, nil)
	_, err := transport.Dial(t.Context(), transport.DialOptions{
		URI: s.uri(), Client: creds.client(t, "sensor"), Engine: newEngine(t),
	})
	if err == nil || s.Stats().Associations != 0 {
		t.Errorf("Dial = %v, %d associations", err, s.Stats().Associations)
	}
	eventually(t, "the refusal", func() bool { return errors.Is(s.refusal(), transport.ErrRole) })
}
