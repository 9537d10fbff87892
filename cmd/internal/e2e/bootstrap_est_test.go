package e2e_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"

	"steward/est"
	"steward/est/estcoap"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// TestBootstrapEST leads a device that has nothing but a key for its bootstrap to a
// certificate: it enrols on the association of the bootstrap (security mode 4), and
// registers by what it got. When it lost that, another bootstrap gives it another,
// and the first is revoked. Who comes by the key without bootstrap gets nothing.
func TestBootstrapEST(t *testing.T) {
	slow(t)
	t.Parallel()
	p := serve(t, "alpha", scaled...)
	const name = "urn:dev:ops:mode-4"
	key := bytes.Repeat([]byte{7}, 16)
	p.put(t, "/api/v1/bootstrap-profiles/est", map[string]any{"tag": "est", "mode": "est", "short_id": 7, "lifetime": 300})
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "tags": []string{"est"}})
	p.put(t, "/api/v1/devices/ep:"+name+"/keys/bootstrap", map[string]any{"identity": "first", "key": key})

	engine := coap.New(coap.Options{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { _ = engine.Run(ctx) }()
	conn, err := transport.Dial(ctx, transport.DialOptions{
		URI: p.uri(), Engine: engine, Client: dtls.ClientOptions{PSKIdentity: []byte("first"), PSK: key},
	})
	if err != nil {
		t.Fatal(err)
	}
	early, err := estcoap.NewClient(estcoap.ClientOptions{Engine: engine, Peer: conn})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := early.Cacerts(ctx); err != nil {
		t.Errorf("crts: %v", err)
	}
	status := (*estcoap.StatusError)(nil)
	if _, err := early.Enrol(ctx, requestFor(t, name)); !errors.As(err, &status) || status.Code != coap.Forbidden {
		t.Errorf("sen without bootstrap = %v, want 4.03", err)
	}
	_ = conn.Close()

	start(t, name, &tail{}, "device", "--endpoint", name, "--bootstrap", p.uri(),
		"--psk", "first:"+hex.EncodeToString(key))
	p.state(t, name, "online")
	if live, all, err := p.certificatesOf(t, name); err != nil || live != 1 || all != 1 {
		t.Errorf("%d of %d certificates are live, %v", live, all, err)
	}
	p.must(t, name, map[string]any{"op": "execute", "path": "/1/0/9"}) // Bootstrap-Request Trigger
	eventually(t, onlineLimit, "a second certificate, and the first revoked", func() error {
		live, all, err := p.certificatesOf(t, name)
		if err == nil && (all != 2 || live != 1) {
			err = fmt.Errorf("%d of %d certificates are live", live, all)
		}
		return err
	})
	eventually(t, onlineLimit, name+" answers", func() error {
		_, err := p.ask(t, name, map[string]any{"op": "read", "path": "/3/0/0"})
		return err
	})
}

// requestFor makes a request in the name of a device, for a key that nobody keeps.
func requestFor(t *testing.T, name string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := est.NewCSR(key, name)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}
