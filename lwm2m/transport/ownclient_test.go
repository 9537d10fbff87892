package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
	"steward/lwm2m/transport"
)

// oneKey are credentials that know one raw public key.
type oneKey struct {
	*credentials

	spki []byte
}

func (c oneKey) IdentifyKey(spki []byte) (coap.Identity, error) {
	if !bytes.Equal(spki, c.spki) {
		return coap.Identity{}, dtls.ErrUnknownIdentity
	}
	return coap.Identity{Role: coap.RoleBootstrap, Name: "sensor", Certificate: sha256.Sum256(spki)}, nil
}

func spkiOf(t *testing.T, key crypto.PrivateKey) []byte {
	t.Helper()
	signer, _ := key.(crypto.Signer)
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return spki
}

// publicKeyFile writes the SubjectPublicKeyInfo of a key, for programs of others.
func publicKeyFile(t *testing.T, key crypto.PrivateKey) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "public.pem")
	block := &pem.Block{Type: "PUBLIC KEY", Bytes: spkiOf(t, key)}
	if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRawPublicKeysOfBoth: our own client shows a raw public key and takes the
// server's, and no other; another key of its own is refused.
func TestRawPublicKeysOfBoth(t *testing.T) {
	creds := newCredentials(t)
	mine, another := creds.authority.issue(t, "sensor"), creds.authority.issue(t, "sensor")
	knows := oneKey{creds, spkiOf(t, mine.PrivateKey)}
	servers := spkiOf(t, creds.server.PrivateKey)
	signer, _ := mine.PrivateKey.(crypto.Signer)
	o := dtls.ClientOptions{RawKey: signer, CID: true, VerifyKey: func(spki []byte) error {
		if !bytes.Equal(spki, servers) {
			return errRevoked
		}
		return nil
	}}
	testSecureEcho(t, creds, dtls.ClientOptions{Certificate: mine, Verify: creds.authority.verify, CID: true})
	s := newSite(t, knows, nil)
	e := newEngine(t)
	conn := dial(t, e, s.uri(), o)
	if got := do(t, e, conn, coap.GET, ""); got != "sensor" {
		t.Errorf("GET = %q", got)
	}
	if got := do(t, s.engine, s.peer(), coap.GET, ""); got != "device" {
		t.Errorf("GET at the device = %q", got)
	}
	want := coap.Identity{Role: coap.RoleServer, Certificate: sha256.Sum256(servers)}
	if conn.Identity() != want {
		t.Errorf("the server is %+v, want %+v", conn.Identity(), want)
	}
	near, far := bindingOf(t, conn), bindingOf(t, s.peer())
	if !bytes.Equal(near, far) || len(near) != dtls.BindingLength {
		t.Errorf("bindings %x and %x", near, far)
	}
	s.Drop(func(coap.Identity) bool { return true })
	<-conn.Done()
	try := func(o dtls.ClientOptions) error {
		_, err := transport.Dial(t.Context(), transport.DialOptions{
			URI: s.uri(), Client: o, Engine: e, FlightInterval: 100 * time.Millisecond,
		})
		return err
	}
	o.RawKey, _ = another.PrivateKey.(crypto.Signer)
	if err := try(o); !errors.Is(err, dtls.ErrHandshake) {
		t.Errorf("by another key: %v", err)
	}
	eventually(t, "the refusal", func() bool { return errors.Is(s.refusal(), dtls.ErrUnknownIdentity) })
	o.RawKey, servers = signer, nil
	if err := try(o); !errors.Is(err, dtls.ErrRefused) || !errors.Is(err, errRevoked) {
		t.Errorf("at another server: %v", err)
	}
}

// otherServer starts a server of another make, which is killed in the end, and returns
// its address once it answers.
func otherServer(t *testing.T, name string, args func(port string) []string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	_, port, _ := net.SplitHostPort(freeUDP(t))
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, path, args(port)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = in.Close(); _ = cmd.Wait() })
	ready := make(chan struct{})
	go func() {
		scan := bufio.NewScanner(out)
		first := true
		for scan.Scan() {
			if first {
				close(ready)
				first = false
			}
		}
		_, _ = io.Copy(io.Discard, out)
	}()
	select {
	case <-ready:
	case <-time.After(5 * time.Second):
	}
	return "127.0.0.1:" + port
}

// wireTo is a client's socket for a handshake at a server of another make.
type wireTo struct{ *net.UDPConn }

func (w wireTo) Send(d []byte) error { _, err := w.Write(d); return err }

func (w wireTo) Receive(deadline time.Time) ([]byte, error) {
	_ = w.SetReadDeadline(deadline)
	b := make([]byte, 4096)
	for {
		n, err := w.Read(b)
		if err == nil || !strings.Contains(err.Error(), "refused") { // it is not up yet
			return b[:n], err
		}
	}
}

// TestOwnClientElsewhere: our own client at servers of OpenSSL and GnuTLS.
func TestOwnClientElsewhere(t *testing.T) {
	creds := newCredentials(t)
	cert, key, anchor := creds.authority.write(t, creds.server)
	mine := creds.authority.issue(t, "sensor")
	signer, _ := mine.PrivateKey.(crypto.Signer)
	byCert := dtls.ClientOptions{Certificate: mine, Verify: creds.authority.verify, ServerName: "localhost", CID: true}
	byKey := dtls.ClientOptions{PSKIdentity: []byte("Client_identity"), PSK: creds.psk["sensor"]}
	openssl := func(more ...string) func(string) []string {
		return func(port string) []string {
			return append([]string{
				"s_server", "-dtls1_2", "-accept", "127.0.0.1:" + port, "-cert", cert, "-key", key, "-CAfile", anchor,
				"-cipher", "ALL:@SECLEVEL=0",
			}, more...)
		}
	}
	gnutls := func(more ...string) func(string) []string {
		return func(port string) []string {
			return append([]string{
				"--udp", "--port", port, "--echo", "--x509certfile", cert, "--x509keyfile", key, "--x509cafile", anchor,
			}, more...)
		}
	}
	for name, c := range map[string]struct {
		program string
		args    func(string) []string
		o       dtls.ClientOptions
	}{
		"OpenSSL, certificates": {"openssl", openssl("-Verify", "2"), byCert},
		"OpenSSL, X25519":       {"openssl", openssl("-Verify", "2", "-groups", "X25519:P-256", "-serverpref"), byCert},
		"OpenSSL, P-384":        {"openssl", openssl("-Verify", "2", "-groups", "P-384:P-256", "-serverpref"), byCert},
		"OpenSSL, psk":          {"openssl", openssl("-psk", fmt.Sprintf("%x", creds.psk["sensor"]), "-nocert"), byKey},
		"GnuTLS, certificates":  {"gnutls-serv", gnutls("--require-client-cert"), byCert},
		"GnuTLS, raw public keys": {
			"gnutls-serv", func(port string) []string {
				return []string{
					"--udp", "--port", port, "--echo", "--rawpkkeyfile", key, "--rawpkfile", publicKeyFile(t, creds.server.PrivateKey),
					"--priority", "NORMAL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK", "--require-client-cert",
				}
			},
			dtls.ClientOptions{RawKey: signer, VerifyKey: func([]byte) error { return nil }},
		},
	} {
		t.Run(name, func(t *testing.T) {
			addr := otherServer(t, c.program, c.args)
			conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			e, _, err := handshake.Connect(ctx, wireTo{conn}, c.o, nil, 200*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if c.program != "gnutls-serv" {
				return
			}
			hello, err := e.Session.Seal(nil, dtls.ApplicationData, []byte("hello\n"))
			if err != nil {
				t.Fatal(err)
			}
			_ = wireTo{conn}.Send(hello)
			for {
				d, err := wireTo{conn}.Receive(time.Now().Add(30 * time.Second))
				if err != nil {
					t.Fatal(err)
				}
				r, _, err := dtls.ParseRecord(d)
				if err != nil {
					t.Fatal(err)
				}
				if o, err := e.Session.Open(nil, r); err == nil && o.Type == dtls.ApplicationData {
					if string(o.Plaintext) != "hello\n" {
						t.Errorf("echo of %q", o.Plaintext)
					}
					return
				}
			}
		})
	}
}
