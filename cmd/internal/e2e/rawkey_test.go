package e2e_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/objects"
)

// A keyPair is a raw public key of a device with its private key.
type keyPair struct{ public, private []byte }

func newKeyPair(t *testing.T) keyPair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{public, private}
}

// store writes the pair where foreign programs find it, and returns the public key as PEM.
func (k keyPair) store(t *testing.T, d desk, name string) string {
	t.Helper()
	parsed, err := x509.ParsePKCS8PrivateKey(k.private)
	if err != nil {
		t.Fatal(err)
	}
	ec, _ := parsed.(*ecdsa.PrivateKey)
	der, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, name+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.public})
	d.write(t, name+".pub", public)
	return string(public)
}

// registerBy registers ep with the stored key called name, by libcoap's client.
func (d desk) registerBy(t *testing.T, p *provider, name, ep string) string {
	t.Helper()
	text, _ := d.try(t, "coap-client-gnutls", "-M", d.path(name+".key"), "-m", "post", "-t", "40", "-e", "</3/0>",
		"-B", "5", "-v", "7", p.uri()+"/rd?lwm2m=1.1&lt=300&b=U&ep="+ep)
	return text
}

// keyed makes a device known, with the given key for the server.
func (p *provider) keyed(t *testing.T, name string, key map[string]any) error {
	t.Helper()
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "nosec": false, "tags": []string{}})
	return p.do(t.Context(), http.MethodPut, "/api/v1/devices/ep:"+name+"/keys/server", key, nil)
}

// created is how libcoap shows a code; its times may hold "2.01" as well.
const created = "c:2.01"

// TestRawPublicKeys: devices register by keys that an operator was told, each under
// its own name, and no longer once the key is gone.
func TestRawPublicKeys(t *testing.T) {
	slow(t)
	t.Parallel()
	p, d := serve(t, "Alpha", scaled...), newDesk(t)
	first, second := newKeyPair(t), newKeyPair(t)
	const one, two = "urn:dev:ops:raw-1", "urn:dev:ops:raw-2"
	if err := p.keyed(t, one, map[string]any{"public_key": first.store(t, d, "first"), "reason": "label"}); err != nil {
		t.Fatal(err)
	}
	second.store(t, d, "second")
	if text := d.registerBy(t, p, "second", two); strings.Contains(text, created) {
		t.Errorf("registered by an unknown key: %s", text)
	}
	if err := p.keyed(t, two, map[string]any{"public_key": hex.EncodeToString(second.public)}); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []map[string]any{
		{"public_key": hex.EncodeToString(first.public)}, // another's
		{"public_key": string(d.read(t, "first.key"))},   // private
		{"public_key": hex.EncodeToString(first.public[:60])},
		{"public_key": hex.EncodeToString(second.public), "identity": "x"},
	} {
		if err := p.do(t.Context(), http.MethodPut, "/api/v1/devices/ep:"+two+"/keys/server", bad, nil); err == nil {
			t.Errorf("stored %v", bad)
		}
	}
	if text := d.registerBy(t, p, "first", one); !strings.Contains(text, created) {
		t.Errorf("register: %s", text)
	}
	if text := d.registerBy(t, p, "second", one); strings.Contains(text, created) {
		t.Errorf("registered by another device's key: %s", text)
	}
	var seen struct{ Security string }
	p.get(t, "/api/v1/devices/ep:"+one, &seen)
	if seen.Security != "rawkey" {
		t.Errorf("security %q", seen.Security)
	}
	d.removedKey(t, p, one)
}

// removedKey: without its key the device called name, which has the first key, is out at once.
func (d desk) removedKey(t *testing.T, p *provider, name string) {
	t.Helper()
	host, port, err := net.SplitHostPort(p.coaps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), foreignLimit)
	defer cancel()
	session := exec.CommandContext(ctx, "gnutls-cli", "--udp", "--insecure", "-p", port, "--rawpkkeyfile",
		d.path("first.key"), "--rawpkfile", d.path("first.pub"), "--priority",
		"NORMAL:-VERS-ALL:+VERS-DTLS1.2:-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK", host)
	in, out := io.Pipe() // open as long as the session
	defer func() { _ = out.Close() }()
	session.Stdin = in
	var text lockedBuffer
	session.Stdout, session.Stderr = &text, &text
	if err := session.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); _, _ = session.Process.Wait() }()
	eventually(t, readyLimit, "gnutls-cli", func() error {
		if s := text.String(); !strings.Contains(s, "Handshake was completed") {
			return errors.New(s)
		}
		return nil
	})
	if err := p.do(t.Context(), http.MethodDelete, "/api/v1/devices/ep:"+name+"/keys/server", nil, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(readyLimit):
		t.Errorf("the session by the removed key lives on: %s", text.String())
	}
	if text := d.registerBy(t, p, "first", name); strings.Contains(text, created) {
		t.Errorf("registered by a removed key: %s", text)
	}
}

// A lockedBuffer is what a program has printed so far.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestBootstrapByRawKey: the Bootstrap-Server gives a device a key pair of its own,
// made once, and the key of the server, with which the device registers.
func TestBootstrapByRawKey(t *testing.T) {
	slow(t)
	t.Parallel()
	p, d := serve(t, "Alpha", scaled...), newDesk(t)
	const name = "urn:dev:ops:raw-3"
	key := bytes.Repeat([]byte{9}, 16)
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "nosec": false, "tags": []string{"raw"}})
	for path, in := range map[string]any{
		"/api/v1/devices/ep:" + name + "/keys/bootstrap": map[string]any{"identity": "factory-3", "key": key},
		"/api/v1/bootstrap-profiles/raw": map[string]any{
			"tag": "raw", "mode": "rpk", "short_id": 7, "lifetime": 300,
		},
	} {
		if err := p.do(t.Context(), http.MethodPut, path, in, nil); err != nil {
			t.Fatal(err)
		}
	}
	var delivered [2]objects.Security
	for i := range delivered {
		device := newPSKDevice(t, name, p.uri())
		asked, err := device.dial(t, p.uri(), "factory-3", key)
		if err != nil {
			t.Fatal(err)
		}
		if err := device.client.Bootstrap(t.Context(), asked, 0); err != nil {
			t.Fatal(err)
		}
		_ = asked.Close()
		at := lwm2m.NewPath(objects.SecurityID, 1)
		entries, err := device.security.Read(t.Context(), client.Session{Bootstrap: true}, at)
		if err != nil {
			t.Fatal(err)
		}
		if delivered[i], err = objects.DecodeSecurity(at, entries); err != nil {
			t.Fatal(err)
		}
	}
	got := delivered[0]
	if !bytes.Equal(got.SecretKey, delivered[1].SecretKey) || !bytes.Equal(got.Identity, delivered[1].Identity) {
		t.Error("the second bootstrap brought another key")
	}
	if _, err := x509.ParsePKIXPublicKey(got.ServerKey); err != nil || got.Mode != objects.ModeRawKey {
		t.Errorf("mode %v, server's key %v", got.Mode, err)
	}
	keyPair{got.Identity, got.SecretKey}.store(t, d, "made")
	if text := d.registerBy(t, p, "made", name); !strings.Contains(text, created) {
		t.Errorf("register: %s", text)
	}

	// A public key without its private key is nothing that could be delivered.
	own := newKeyPair(t)
	if err := p.do(t.Context(), http.MethodPut, "/api/v1/devices/ep:"+name+"/keys/server",
		map[string]any{"public_key": own.store(t, d, "own")}, nil); err != nil {
		t.Fatal(err)
	}
	device := newPSKDevice(t, name, p.uri())
	asked, err := device.dial(t, p.uri(), "factory-3", key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = asked.Close() }()
	if err := device.client.Bootstrap(t.Context(), asked, 0); err == nil {
		t.Error("bootstrap took the device's own key away")
	}
	if text := d.registerBy(t, p, "own", name); !strings.Contains(text, created) {
		t.Errorf("register by the device's own key: %s", text)
	}
	if text := d.registerBy(t, p, "made", name); strings.Contains(text, created) {
		t.Errorf("registered by the former key: %s", text)
	}
}
