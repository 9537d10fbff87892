package e2e_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// completed is the metric of handshakes.
const completed = `steward_dtls_handshakes_total{outcome="completed"}`

// leshanPSK registers with a pre-shared key and a connection identifier from behind
// a router, and goes on, without another handshake, when the router gives it
// another address and when the provider stops or is killed.
func leshanPSK(t *testing.T, kit leshanKit) {
	t.Helper()
	const name = "leshan-psk"
	n := newNetwork(t, 2)
	p := serve(t, "Alpha", append([]string{"--host", n.host, "--public-coaps", n.addr()}, scaled...)...)
	n.lead(p.coaps)
	key := bytes.Repeat([]byte{5}, 16)
	p.post(t, "/api/v1/devices", map[string]any{"endpoint": name})
	p.put(t, "/api/v1/devices/ep:"+name+"/keys/server", map[string]any{"identity": "leshan", "key": key})
	l := kit.start(t, name, "uri=coaps://"+n.addr(), "identity=leshan", "key="+hex.EncodeToString(key), "cid=6")
	l.hear(t, "registered")
	p.must(t, name, map[string]any{"op": "observe", "path": "/3/0/9"})
	for i, c := range []struct {
		how string
		do  func()
	}{
		{"another address", n.rebind},
		{"stop", func() { p.stop(t); p.restart(t) }},
		{"kill -9", func() { p.kill(); p.restart(t) }},
		{"another address and kill -9", func() { p.kill(); n.rebind(); p.restart(t) }},
	} {
		before := p.metric(t, completed)
		c.do()
		if strings.Contains(c.how, "address") { // it is asked when it has spoken
			l.say(t, "update")
			l.hear(t, "updated")
		}
		if strings.Contains(c.how, "kill") || c.how == "stop" {
			before = 0 // counted by the process
		}
		p.reads(t, name, "/3/0/0", `"Leshan Ltd"`)
		l.notifies(t, p, 20*(i+1))
		if now := p.metric(t, completed); now != before {
			t.Errorf("%s: %v handshakes, want %v", c.how, now, before)
		}
	}
	// Without its key it is out; with another it comes back.
	p.put(t, "/api/v1/devices/ep:"+name+"/keys/server", map[string]any{
		"identity": "leshan", "key": bytes.Repeat([]byte{6}, 16),
	})
	if _, err := p.ask(t, name, map[string]any{"op": "read", "path": "/3/0/0"}); err == nil {
		t.Error("a device is read by the session of its former key")
	}
}

// notifies changes the level, from a number on, until p hears of it: Leshan says
// nothing of a change while it answers the Observe that a provider sends again.
func (l *leshan) notifies(t *testing.T, p *provider, from int) {
	t.Helper()
	level := from
	eventually(t, onlineLimit, "notification of "+l.name, func() error {
		l.say(t, fmt.Sprint("level ", level))
		level++
		var out struct{ Values []struct{ Value int } }
		if err := p.do(t.Context(), http.MethodGet, "/api/v1/devices/ep:"+l.name+"/lwm2m/3/0/9", nil, &out); err != nil {
			return err
		}
		if len(out.Values) != 1 || out.Values[0].Value < from {
			return fmt.Errorf("%v after %d", out.Values, level)
		}
		return nil
	})
}

// leshanX509 registers with an operational certificate that the provider's CA
// issued over EST-coaps, and is out when that is revoked.
func leshanX509(t *testing.T, kit leshanKit) {
	t.Helper()
	const name = "leshan-x509"
	p, maker := serve(t, "Alpha"), newFactory(t)
	device := maker.device(t, name)
	p.deliver(t, maker, device)
	d := newDesk(t)
	d.roots(t, p)
	d.run(t, "openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "new.key")
	d.run(t, "openssl", "req", "-new", "-key", "new.key", "-subj", "/CN="+name, "-outform", "DER", "-out", "csr")
	leaf, text := d.coap(t, device, 1024, p.uri()+"/est/sen", "-m", "post", "-t", "286", "-A", "287", "-f", "csr")
	if len(leaf) == 0 {
		t.Fatalf("sen: %s", text)
	}
	d.write(t, "leaf.der", leaf)
	d.run(t, "openssl", "pkcs8", "-topk8", "-nocrypt", "-in", "new.key", "-outform", "DER", "-out", "new.der")
	l := kit.start(t, name, "uri="+p.uri(), "certificate="+d.path("leaf.der"), "key="+d.path("new.der"),
		"anchor="+d.path("issuing.pem"), "cid=0")
	l.hear(t, "registered")
	p.reads(t, name, "/3/0/0", `"Leshan Ltd"`)
	p.must(t, name, map[string]any{"op": "observe", "path": "/3/0/9"})
	l.say(t, "level 33")
	p.hears(t, name, "33")
	p.kill()
	p.restart(t)
	p.reads(t, name, "/3/0/0", `"Leshan Ltd"`)
	l.say(t, "update")
	l.hear(t, "updated")
	l.notifies(t, p, 40)

	p.post(t, "/api/v1/ca/certificates/"+hexSum(leaf)+"/revoke", map[string]string{"reason": "keyCompromise"})
	eventually(t, onlineLimit, "the revoked device cannot be asked", func() error {
		if o, err := p.ask(t, name, map[string]any{"op": "read", "path": "/3/0/0"}); err == nil {
			return fmt.Errorf("read %v", o.values)
		}
		return nil
	})
}

// leshanBootstrap lets devices ask for bootstrap, each with another security, and
// registers them with what they got.
func leshanBootstrap(t *testing.T, kit leshanKit) {
	t.Helper()
	p, uri := servePlain(t, scaled...)
	maker, d := newFactory(t), newDesk(t)
	d.roots(t, p)
	p.put(t, "/api/v1/bootstrap-profiles/keyed", map[string]any{
		"tag": "keyed", "mode": "psk", "short_id": 7, "lifetime": 300,
	})
	p.put(t, "/api/v1/bootstrap-profiles/plain", map[string]any{
		"tag": "plain", "mode": "nosec", "short_id": 8, "lifetime": 200, "queue": true,
	})
	p.put(t, "/api/v1/bootstrap-profiles/certified", map[string]any{
		"tag": "certified", "mode": "x509", "short_id": 9, "lifetime": 300,
	})
	key := bytes.Repeat([]byte{9}, 32)

	t.Run("key to key", func(t *testing.T) {
		t.Parallel()
		const name = "leshan-bs-key"
		p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "tags": []string{"keyed"}})
		p.put(t, "/api/v1/devices/ep:"+name+"/keys/bootstrap", map[string]any{"identity": "factory-key", "key": key})
		l := kit.start(t, name, "bootstrap=", "uri="+p.uri(), "identity=factory-key", "key="+hex.EncodeToString(key))
		l.bootstrapped(t, p)
	})
	t.Run("key to certificate", func(t *testing.T) {
		t.Parallel()
		const name = "leshan-bs-x509"
		p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "tags": []string{"certified"}})
		p.put(t, "/api/v1/devices/ep:"+name+"/keys/bootstrap", map[string]any{"identity": "first-key", "key": key})
		l := kit.start(t, name, "bootstrap=", "uri="+p.uri(), "identity=first-key", "key="+hex.EncodeToString(key))
		l.bootstrapped(t, p)
	})
	t.Run("factory certificate to key", func(t *testing.T) {
		t.Parallel()
		const name = "leshan-bs-cert"
		device := maker.device(t, name)
		p.post(t, "/api/v1/factory-authorities", map[string]any{"certificate": maker.cert.Raw})
		p.post(t, "/api/v1/devices", map[string]any{"certificate": device.der, "tags": []string{"keyed"}})
		d.run(t, "openssl", "pkcs8", "-topk8", "-nocrypt", "-in", device.keyFile, "-outform", "DER", "-out", "key.der")
		l := kit.start(t, name, "bootstrap=", "uri="+p.uri(), "certificate="+device.certFile,
			"key="+d.path("key.der"), "anchor="+d.path("issuing.pem"))
		l.bootstrapped(t, p)
	})
	t.Run("without security", func(t *testing.T) {
		t.Parallel()
		const name = "leshan-bs-plain"
		p.post(t, "/api/v1/devices", map[string]any{"endpoint": name, "nosec": true, "tags": []string{"plain"}})
		l := kit.start(t, name, "bootstrap=", "uri="+uri)
		l.bootstrapped(t, p)
		p.reads(t, name, "/1/0/1", "200")
	})
}

// bootstrapped waits for a device's bootstrap and demands that it can be managed.
func (l *leshan) bootstrapped(t *testing.T, p *provider) {
	t.Helper()
	l.hear(t, "bootstrapped")
	l.hear(t, "registered")
	p.state(t, l.name, "online")
	p.reads(t, l.name, "/3/0/0", `"Leshan Ltd"`)
	var keys struct{ Bootstrap struct{ State string } }
	p.get(t, "/api/v1/devices/ep:"+l.name+"/keys", &keys)
	if keys.Bootstrap.State != "done" {
		t.Errorf("bootstrap is %q, want done", keys.Bootstrap.State)
	}
	l.say(t, "update")
	l.hear(t, "updated")
}
