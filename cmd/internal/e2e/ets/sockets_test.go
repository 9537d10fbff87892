package ets_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"steward/lwm2m/bootstrap"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// A key is a pre-shared key and whose it is.
type key struct {
	secret string
	who    coap.Identity
}

// credentials are those of a site.
type credentials struct {
	own  *tls.Certificate
	keys map[string]key
	// judge says whose a certificate is; nil: nobody's.
	judge func(chain [][]byte) (coap.Identity, error)
}

func (c *credentials) Certificate(string) (*tls.Certificate, error) {
	if c.own == nil {
		return nil, errors.New("no certificate")
	}
	return c.own, nil
}

func (c *credentials) PSK(identity []byte) ([]byte, error) {
	k, ok := c.keys[string(identity)]
	if !ok {
		return nil, dtls.ErrUnknownIdentity
	}
	return []byte(k.secret), nil
}

func (c *credentials) Identify(chain [][]byte, identity []byte) (coap.Identity, error) {
	if len(chain) == 0 {
		return c.keys[string(identity)].who, nil
	}
	if c.judge == nil {
		return coap.Identity{}, dtls.ErrUnknownIdentity
	}
	return c.judge(chain)
}

// listen opens a DTLS listener of a world and returns its address.
func (x *world) listen(c *credentials) string {
	x.t.Helper()
	l, err := transport.Listen(transport.ListenOptions{Addr: "127.0.0.1:0", Credentials: c, Engine: x.engine, Sockets: 1})
	x.must("listen", err)
	start(x.t, l.Run)
	return l.Addr().String()
}

// dial joins a device by DTLS.
func dial(t *testing.T, address string, o dtls.ClientOptions) (*device, error) {
	t.Helper()
	d, _, err := dialFrom(t, 0, address, o)
	return d, err
}

// dialFrom is dial from a port of the device, 0 for any, which it returns. After
// leave nothing is sent or received, and the port is free.
func dialFrom(t *testing.T, port int, address string, o dtls.ClientOptions) (*device, leave, error) {
	t.Helper()
	remote, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	port = socket.LocalAddr().(*net.UDPAddr).Port
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client, err := dtls.Dial(ctx, socket, remote, o, 200*time.Millisecond)
	if err != nil {
		return nil, leave{}, err
	}
	d := newDevice(t, func(b []byte) { _, _ = client.Write(b) })
	d.patient = 10 * time.Second
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b := make([]byte, 4096)
		for {
			n, err := client.Read(b)
			if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				d.arrive(b[:n])
			}
		}
	}()
	quit := sync.OnceFunc(func() { _ = socket.Close(); <-ended })
	t.Cleanup(func() { quit(); _ = client.Close() })
	return d, leave{port, quit}, nil
}

// A leave ends an association without a word.
type leave struct {
	port int
	quit func()
}

func mustDial(t *testing.T, address string, o dtls.ClientOptions) *device {
	t.Helper()
	d, err := dial(t, address, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// session waits for the end of alpha's bootstrap.
func (x *world) session() {
	x.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		r, err := x.traces.Last(x.t.Context(), "alpha")
		x.must("trace", err)
		switch {
		case r.State == bootstrap.Done:
			return
		case r.State.Over():
			x.t.Fatalf("bootstrap: %s", r.Reason)
		}
		select {
		case <-tick.C:
		case <-deadline:
			x.t.Fatal("the bootstrap does not end")
		}
	}
}

// An authority issues certificates of the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue makes a certificate for a name, which is a DNS name too.
func (a *authority) issue(t *testing.T, name string) *tls.Certificate {
	t.Helper()
	k := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, k.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: k}
}

// verify checks a chain of the authority for a name; "" is any.
func (a *authority) verify(chain [][]byte, name string) (*x509.Certificate, error) {
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	usages := []x509.ExtKeyUsage{x509.ExtKeyUsageAny}
	_, err = leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: name, KeyUsages: usages})
	return leaf, err
}

// judge takes the common name of a certificate for that of the device.
func (a *authority) judge(chain [][]byte) (coap.Identity, error) {
	leaf, err := a.verify(chain, "")
	if err != nil {
		return coap.Identity{}, err
	}
	return coap.Identity{Role: coap.RoleOperational, Name: leaf.Subject.CommonName}, nil
}
