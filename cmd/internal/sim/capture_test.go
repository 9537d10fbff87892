package sim_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"encoding/binary"
	"testing"

	"steward/cmd/internal/sim"
	"steward/est"
	"steward/lwm2m"
	"steward/objects"
)

// What the records of DTLS 1.2 say in clear (RFC 6347 §4.1, §4.2.2; RFC 8422 §5.4, §5.7).
const (
	recordHead, messageHead = 13, 12
	typeHandshake           = 22
	serverHello             = 2
	serverKeyExchange       = 12
	clientKeyExchange       = 16
	namedCurve, secp256r1   = 3, 23
)

// ephemeral are the suites whose secret comes from two keys that both sides forget:
// ECDHE_ECDSA with CCM, CCM_8, GCM of 128 and 256 bits (RFC 7251, RFC 5289).
var ephemeral = map[uint16]bool{0xc0ac: true, 0xc0ae: true, 0xc02b: true, 0xc02c: true}

// handshakeMessages returns the bodies of the messages of a kind that datagrams carry
// in clear and in one piece.
func handshakeMessages(datagrams [][]byte, kind byte) (out [][]byte) {
	for _, d := range datagrams {
		for len(d) > recordHead {
			length := int(binary.BigEndian.Uint16(d[recordHead-2:]))
			if recordHead+length > len(d) {
				break
			}
			plain := d[0] == typeHandshake && binary.BigEndian.Uint16(d[3:]) == 0
			body := d[recordHead : recordHead+length]
			d = d[recordHead+length:]
			for plain && len(body) >= messageHead {
				whole := int(body[1])<<16 | int(body[2])<<8 | int(body[3])
				part := int(body[9])<<16 | int(body[10])<<8 | int(body[11])
				if messageHead+part > len(body) {
					break
				}
				if body[0] == kind && part == whole {
					out = append(out, body[messageHead:messageHead+part])
				}
				body = body[messageHead+part:]
			}
		}
	}
	return out
}

// points returns the public keys from which the secrets of the handshakes in a capture
// are made: those of the server and those of the client, each once.
func points(t *testing.T, datagrams [][]byte) (server, client map[string]bool) {
	t.Helper()
	server, client = map[string]bool{}, map[string]bool{}
	for _, m := range handshakeMessages(datagrams, serverKeyExchange) {
		if len(m) < 4 || m[0] != namedCurve || binary.BigEndian.Uint16(m[1:]) != secp256r1 || len(m) < 4+int(m[3]) {
			t.Fatalf("ServerKeyExchange %x", m)
		}
		server[string(m[4:4+int(m[3])])] = true
	}
	for _, m := range handshakeMessages(datagrams, clientKeyExchange) {
		if len(m) < 1 || len(m) < 1+int(m[0]) {
			t.Fatalf("ClientKeyExchange %x", m)
		}
		client[string(m[1:1+int(m[0])])] = true
	}
	return server, client
}

// TestT13CapturedTraffic is T13: all that passes between a device and its new provider
// is captured by who holds every key of the former one, and a copy of the factory key.
// Nothing secret stands there in clear, and no handshake takes its secret from any of
// those keys: each comes from two keys that are used once and kept nowhere. What the
// device is given before it is the new provider's own is in TestT13UpdateServer.
func TestT13CapturedTraffic(t *testing.T) {
	t.Parallel()
	var ca crypto.Signer
	m := &move{
		t: t, alpha: newProvider(t, "alpha", func(o *est.Options) { ca = o.Signer }), beta: newProvider(t, "beta"),
		f: newFactory(t), grace: 60, dir: t.TempDir(),
	}
	wire := mirrored(t, m.beta)
	m.b = m.f.device(endpoint, m.alpha)
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.prepare()
	m.open()
	m.commit()
	r.await(sim.Done)
	m.finish()
	r.await(sim.Finalised)
	const secret = "Canary/Beta"
	zone := lwm2m.NewPath(objects.DeviceID, 0, objects.DeviceTimezone)
	if err := m.beta.write(zone, lwm2m.String(secret)); err != nil {
		t.Fatal(err)
	}
	if got := m.beta.read(endpoint, zone).Text(); got != secret { // it crosses once more
		t.Fatalf("the device says %q", got)
	}
	captured := wire.captured()
	state, err := sim.Inspect(m.dir, m.b)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range captured {
		if bytes.Contains(d, []byte(secret)) {
			t.Error("the new provider's data stand in clear")
		}
	}
	handshakes := map[string]bool{} // by what both sides chose at random
	for _, hello := range handshakeMessages(captured, serverHello) {
		handshakes[string(hello[2:34])] = true
		at := 2 + 32 + 1 + int(hello[34]) // version, random, session id
		if suite := binary.BigEndian.Uint16(hello[at:]); !ephemeral[suite] {
			t.Errorf("suite %04x keeps no secret from a holder of long-lived keys", suite)
		}
	}
	factory, _, err := m.b.FactoryIdentity()
	if err != nil {
		t.Fatal(err)
	}
	held := map[string]crypto.Signer{
		"key of the CA": ca, "key of the server": m.alpha.cert.PrivateKey.(crypto.Signer),
		"signer of messages":  m.alpha.signer.Key,
		"signer of manifests": m.alpha.suit.Key, "factory key": factory, "new operational key": state.Key,
	}
	theirs, own := points(t, captured)
	for name, key := range held {
		if point := uncompressed(t, key.Public().(*ecdsa.PublicKey)); theirs[point] || own[point] {
			t.Errorf("the %s opens a handshake", name)
		}
	}
	for point := range own {
		if theirs[point] {
			t.Error("both sides have the same key")
		}
	}
	// One for enrolment and one for the registration at least; one that broke off lacks
	// the client's key.
	if len(own) < 2 || len(own) > len(theirs) || len(theirs) != len(handshakes) {
		t.Errorf("%d keys of the server and %d of the device in %d handshakes", len(theirs), len(own), len(handshakes))
	}
	t.Logf("%d datagrams, %d handshakes", len(captured), len(handshakes))
}

func uncompressed(t *testing.T, key *ecdsa.PublicKey) string {
	t.Helper()
	raw, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
