package estcoap_test

import (
	"crypto"
	"errors"
	"io"
	"strings"
	"testing"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/coap"
)

// A token is a signing key that can be taken away.
type token struct {
	crypto.Signer
	away *bool
}

func (k token) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if *k.away {
		return nil, errors.New("CKR_TOKEN_NOT_PRESENT at slot 7")
	}
	return k.Signer.Sign(random, digest, opts)
}

// TestSignerAway checks that a device that enrols while the CA's token is away is
// asked to come again, and has used up nothing.
func TestSignerAway(t *testing.T) {
	clock, away := esttest.NewClock(), false
	w := newWorld(t, clock.Now)
	first := w.ca.Authorities()[0]
	var store esttest.Store
	ca, err := est.NewCA(est.Options{
		Store: &store, Now: clock.Now, Issuer: first.Certificate, Parents: first.Parents, Signer: token{first.Signer, &away},
	})
	if err != nil {
		t.Fatal(err)
	}
	factory := esttest.NewFactory(t, clock.Now)
	w.device = esttest.NewDevice(t, factory, endpoint)
	esttest.Grant(t, ca, factory, w.device)
	w.ca = ca
	w.open(t)
	if w.server, err = estcoap.NewServer(estcoap.ServerOptions{CA: ca}); err != nil {
		t.Fatal(err)
	}
	sen := coap.Request{
		Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Payload: esttest.CSR(t, w.key, endpoint),
	}
	away = true
	out := w.serve(t, w.factory(), sen)
	age, ok := out.MaxAge.Seconds()
	if out.Code != coap.ServiceUnavailable || !ok || age != 30 || strings.Contains(string(out.Payload), "slot") {
		t.Errorf("sen = %s %q, Max-Age %d %v, want 5.03 and 30", out.Code, out.Payload, age, ok)
	}
	if r, err := ca.Right(t.Context(), w.device.Factory); err != nil || r.State != est.RightOpen {
		t.Errorf("the right is %s, %v, want it open still", r.State, err)
	}
	crts := w.serve(t, w.factory(), coap.Request{Method: coap.GET, Path: path("/est/crts")})
	if crts.Code != coap.Content {
		t.Errorf("crts meanwhile = %s", crts.Code)
	}
	away = false
	if out := w.serve(t, w.factory(), sen); out.Code != coap.Changed {
		t.Errorf("sen with the token back = %s %q", out.Code, out.Payload)
	}
}
