package ets_test

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/transport"
)

// secret is the pre-shared key of alpha.
const secret = "0123456789abcdef"

func keyOfAlpha() *credentials {
	return &credentials{keys: map[string]key{"id": {secret, coap.Identity{Role: coap.RolePSK, Name: "alpha"}}}}
}

func psk(identity, secret string) dtls.ClientOptions {
	return dtls.ClientOptions{PSKIdentity: []byte(identity), PSK: []byte(secret)}
}

func badKeys(t *testing.T) {
	x := newWorld(t)
	address := x.listen(keyOfAlpha())
	for _, o := range []dtls.ClientOptions{psk("nobody", secret), psk("id", "fedcba9876543210")} {
		if _, err := dial(t, address, o); err == nil {
			t.Errorf("%s with %s is accepted", o.PSKIdentity, o.PSK)
		}
	}
	x.gone()
}

func badEndpoint(t *testing.T) {
	x := newWorld(t)
	d := mustDial(t, x.listen(keyOfAlpha()), psk("id", secret))
	for _, ep := range []string{"beta", "id", "ALPHA"} { // one key has one name
		d.expect("Register as "+ep, d.do(2, "/rd", "ep="+ep+"&lt=60&b=U", linkFormat, links), 400)
	}
	d.register(query10, links)
}

func removedKey(t *testing.T) {
	x := newWorld(t)
	l, err := transport.Listen(transport.ListenOptions{Addr: "127.0.0.1:0", Credentials: keyOfAlpha(), Engine: x.engine})
	x.must("listen", err)
	start(t, l.Run)
	d := mustDial(t, l.Addr().String(), psk("id", secret))
	d.register(query10, links)
	x.must("Dismiss", x.Dismiss(t.Context(), "alpha", "key removed"))
	if n := l.Drop(func(who coap.Identity) bool { return who.Name == "alpha" }); n != 1 {
		t.Errorf("%d associations ended", n)
	}
	d.patient = time.Second
	if m := d.do(2, d.location, "", -1, ""); m.code != 0 {
		t.Errorf("Update over an association that ended: %d", m.number())
	}
	x.gone()
}

func badCertificates(t *testing.T) {
	x, ca, other := newWorld(t), newAuthority(t), newAuthority(t)
	address := x.listen(&credentials{own: ca.issue(t, "server.example.com"), judge: ca.judge})
	options := dtls.ClientOptions{Verify: func(chain [][]byte) error { _, err := ca.verify(chain, ""); return err }}
	options.Certificate = other.issue(t, "alpha")
	if _, err := dial(t, address, options); err == nil {
		t.Error("a certificate of another authority is accepted")
	}
	options.Certificate = ca.issue(t, "alpha")
	options.Certificate.PrivateKey = newKey(t)
	if _, err := dial(t, address, options); err == nil {
		t.Error("a certificate without its key is accepted")
	}
	options.Certificate = ca.issue(t, "beta")
	d := mustDial(t, address, options)
	d.expect("Register", d.do(2, "/rd", query10, linkFormat, links), 400)
	x.gone()
}

func nameOfCertificate(t *testing.T) {
	x, ca := newWorld(t), newAuthority(t)
	address := x.listen(&credentials{own: ca.issue(t, "server.example.com"), judge: ca.judge})
	d := mustDial(t, address, dtls.ClientOptions{
		Certificate: ca.issue(t, "alpha"),
		Verify:      func(chain [][]byte) error { _, err := ca.verify(chain, ""); return err },
	})
	d.register("lt=60&lwm2m=1.1&b=U", links)
	x.registration()
}

func anewHandshake(t *testing.T) {
	x := newWorld(t)
	address := x.listen(keyOfAlpha())
	first := mustDial(t, address, psk("id", secret))
	first.register(query10, links)
	second := mustDial(t, address, psk("id", secret))
	second.location = first.location
	second.update("", 204)
	x.readsDevice(second)
	first.wants()
}

func takenAddress(t *testing.T) {
	x := newWorld(t)
	c := keyOfAlpha()
	c.keys["other"] = key{secret, coap.Identity{Role: coap.RolePSK, Name: "beta"}}
	address := x.listen(c)
	d, gone, err := dialFrom(t, 0, address, psk("id", secret))
	x.must("dial", err)
	d.register(query10, links)
	gone.quit()
	other, _, err := dialFrom(t, gone.port, address, psk("other", secret))
	x.must("dial", err)
	other.expect("Register as alpha", other.do(2, "/rd", query10, linkFormat, links), 400)
	other.expect("Update of alpha", other.do(2, d.location, "", -1, ""), 404)
	other.register("ep=beta&lt=60&b=U", links)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := x.Read(ctx, "alpha", path("/3/0/0")); err == nil {
		t.Error("alpha answers")
	}
	other.wants() // nothing that is meant for alpha
}

// A relay stands between device and server, like a translator of addresses.
type relay struct {
	front net.PacketConn // where the device sends
	to    net.Addr

	mu     sync.Mutex
	back   net.PacketConn // from where the server hears it
	device net.Addr
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	to, err := net.ResolveUDPAddr("udp", server)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{front: packets(t), to: to}
	r.move(t)
	go func() {
		for b := make([]byte, 4096); ; {
			n, from, err := r.front.ReadFrom(b)
			if err != nil {
				return
			}
			r.mu.Lock()
			r.device = from
			_, _ = r.back.WriteTo(b[:n], r.to)
			r.mu.Unlock()
		}
	}()
	return r
}

// move gives the device another address.
func (r *relay) move(t *testing.T) {
	t.Helper()
	back := packets(t)
	r.mu.Lock()
	r.back = back
	r.mu.Unlock()
	go func() {
		for b := make([]byte, 4096); ; {
			n, _, err := back.ReadFrom(b)
			if err != nil {
				return
			}
			r.mu.Lock()
			if r.back == back { // what comes to an old address is lost
				_, _ = r.front.WriteTo(b[:n], r.device)
			}
			r.mu.Unlock()
		}
	}()
}

func packets(t *testing.T) net.PacketConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func changedAddress(t *testing.T) {
	x := newWorld(t)
	address := x.listen(keyOfAlpha())
	relay := newRelay(t, address)
	o := psk("id", secret)
	o.CID = true
	d := mustDial(t, relay.front.LocalAddr().String(), o)
	d.register(query10, links)
	before := x.registration().Address
	relay.move(t)
	d.update("", 204)
	if after := x.registration().Address; after == before {
		t.Errorf("the address is still %s", after)
	}
	x.readsDevice(d)
}
