package dtls_test

import (
	"errors"
	"testing"

	"steward/lwm2m/dtls"
)

// TestConnect joins the two seams: both ends hand over their keys, which fit.
func TestConnect(t *testing.T) {
	creds := newCredentials(t)
	for name, c := range map[string]struct {
		client dtls.ClientOptions
		cid    func() []byte
	}{
		"certificate":     {dtls.ClientOptions{Certificate: creds.client, Verify: trust}, nil},
		"certificate cid": {dtls.ClientOptions{Certificate: creds.client, Verify: trust}, newCID},
		"psk cid":         {dtls.ClientOptions{PSKIdentity: []byte("dev-1"), PSK: creds.psk["dev-1"]}, newCID},
	} {
		t.Run(name, func(t *testing.T) {
			var server, client *dtls.Link
			server = dtls.NewLink(anyAddr, anyAddr, func(d []byte) { client.Deliver(d) })
			client = dtls.NewLink(anyAddr, anyAddr, func(d []byte) { server.Deliver(d) })
			done := make(chan error, 1)
			var far dtls.Established
			go func() {
				var err error
				far, err = dtls.Accept(t.Context(), server, dtls.AcceptOptions{Credentials: creds, CID: newCID})
				done <- err
			}()
			near, err := dtls.Connect(t.Context(), client, dtls.ConnectOptions{Client: c.client, CID: c.cid})
			if err := errors.Join(err, <-done); err != nil {
				t.Fatal(err)
			}
			if _, has := near.Session.CID(); has != (c.cid != nil) {
				t.Errorf("client has an identifier: %t", has)
			}
			pass(t, &near.Session, &far.Session)
			pass(t, &far.Session, &near.Session)
		})
	}
}

func TestConnectNeedsVerify(t *testing.T) {
	l := dtls.NewLink(anyAddr, anyAddr, func([]byte) {})
	_, err := dtls.Connect(t.Context(), l, dtls.ConnectOptions{})
	wantErr(t, "Connect", err, dtls.ErrNoVerify)
}

// pass seals a message at one end and opens it at the other.
func pass(t *testing.T, from, to *dtls.Session) {
	t.Helper()
	raw, err := from.Seal(nil, dtls.ApplicationData, []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := dtls.ParseRecord(raw)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := to.Open(nil, r); err != nil || string(o.Plaintext) != "hello" {
		t.Errorf("Open = %+v, %v", o, err)
	}
}
