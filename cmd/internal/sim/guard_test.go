package sim_test

import (
	"slices"
	"testing"

	"steward/cmd/internal/sim"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/objects"
	"steward/transfer"
)

// A probe is one request of a server, as bytes that no server of ours would send.
type probe struct {
	name   string
	method coap.Code
	path   string
	query  []string
	format uint16 // of the body
	accept uint16
	body   []byte
}

// peersOf returns the associations of a provider.
func (p *provider) peersOf(role coap.Role) (out []coap.Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for peer := range p.listener.Peers() {
		if peer.Identity().Role == role {
			out = append(out, peer)
		}
	}
	return out
}

// ask sends a probe over an association.
func (p *provider) ask(peer coap.Peer, q probe) coap.Code {
	p.t.Helper()
	path, err := lwm2m.ParsePath(q.path)
	if err != nil {
		p.t.Fatal(err)
	}
	r := &coap.Request{Method: q.method, Path: path.Segments(), Query: q.query, Payload: q.body}
	if q.format != 0 || len(q.body) > 0 {
		r.ContentFormat = coap.FormatID(q.format)
	}
	if q.accept != 0 {
		r.Accept = coap.FormatID(q.accept)
	}
	res, err := p.engine.Do(p.t.Context(), peer, r)
	if err != nil {
		p.t.Fatalf("%s: %v", q.name, err)
	}
	return res.Code
}

func packed(t *testing.T, entries ...lwm2m.Entry) []byte {
	t.Helper()
	body, err := codec.Encode(codec.SenMLCBOR, lwm2m.Path{}, entries, sim.Schema(objects.DefaultIDs))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// changes are all the ways to change something that the rule table protects.
func changes(t *testing.T, order string) []probe {
	t.Helper()
	purposes := lwm2m.Entry{Path: lwm2m.NewPath(objects.DefaultIDs.Truststore, 1, 2), Value: lwm2m.Unsigned(2)}
	uri := lwm2m.Entry{Path: lwm2m.NewPath(objects.DefaultIDs.Enrolment, 0, 0), Value: lwm2m.String("coaps://evil")}
	pull := lwm2m.Entry{Path: lwm2m.NewPath(5, 0, 1), Value: lwm2m.String("coaps://evil/x")}
	created := lwm2m.Entry{Path: lwm2m.NewPath(objects.DefaultIDs.Truststore, 99, 0), Value: lwm2m.Opaque([]byte{1})}
	return []probe{
		{name: "truststore by Write", method: coap.PUT, path: "/42769/1/2", body: []byte("2")},
		{
			name: "truststore by partial Write", method: coap.POST, path: "/42769/1", format: codec.SenMLCBOR,
			body: packed(t, purposes),
		},
		{
			name: "truststore by Write-Composite", method: coap.IPATCH, path: "/", format: codec.SenMLCBOR,
			body: packed(t, purposes),
		},
		{name: "truststore by Create", method: coap.POST, path: "/42769", format: codec.SenMLCBOR, body: packed(t, created)},
		{name: "truststore by Delete", method: coap.DELETE, path: "/42769/1"},
		{name: "anchors command", method: coap.PUT, path: "/42769/1/7", format: codec.Opaque, body: []byte{1}},
		{name: "enrolment by Write", method: coap.PUT, path: "/42770/0/0", body: []byte("coaps://evil")},
		{
			name: "enrolment by Write-Composite", method: coap.IPATCH, path: "/", format: codec.SenMLCBOR,
			body: packed(t, uri),
		},
		{name: "enrolment by Execute", method: coap.POST, path: "/42770/0/2"},
		{name: "firmware by Write", method: coap.PUT, path: "/5/0/1", body: []byte("coaps://evil/x")},
		{
			name: "firmware by Write-Composite", method: coap.IPATCH, path: "/", format: codec.SenMLCBOR,
			body: packed(t, pull),
		},
		{name: "firmware package", method: coap.PUT, path: "/5/0/0", format: codec.Opaque, body: []byte{1}},
		{name: "firmware by Execute", method: coap.POST, path: "/5/0/2"},
		{name: "mandate", method: coap.PUT, path: "/42771/0/13", format: codec.Opaque, body: []byte{1}},
		{name: "transfer as an instance", method: coap.PUT, path: "/42771/0", format: codec.SenMLCBOR, body: packed(t,
			lwm2m.Entry{Path: transferMessage, Value: lwm2m.Opaque([]byte{1})})},
		{name: "delete transfer", method: coap.DELETE, path: "/42771/0"},
		{name: "another message", method: coap.PUT, path: "/42771/0/0", format: codec.Opaque, body: []byte{1}},
		{name: "commit another message", method: coap.POST, path: "/42771/0/1", body: []byte("0='9',1='0000000000000000'")},
		{name: "security", method: coap.GET, path: "/0"},
		{name: "security by Write", method: coap.PUT, path: "/0/0/0", body: []byte("coaps://evil")},
		{name: "finalise before its time", method: coap.POST, path: "/42771/0/11", body: []byte(order)},
	}
}

// TestT12GuardOnTheWire sends, over the real associations, every kind of request
// that changes something: by the former provider in READY, by the new one's
// enrolment server before the device is registered, and by the new provider in
// DONE. The device must not have changed at all. It is of row T12 of the transfer protocol (§9).
func TestT12GuardOnTheWire(t *testing.T) {
	t.Parallel()
	m := newMove(t, 60)
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.prepare()
	home := m.alpha.peersOf(coap.RoleOperational)
	if len(home) != 1 {
		t.Fatalf("%d associations with alpha", len(home))
	}
	before := m.alpha.readAll(endpoint, lwm2m.NewPath(objects.DefaultIDs.Truststore))
	for _, q := range changes(t, m.order()) {
		if code := m.alpha.ask(home[0], q); code.IsSuccess() {
			t.Errorf("READY, %s: %s", q.name, code)
		}
	}
	if got := m.alpha.readAll(endpoint, lwm2m.NewPath(objects.DefaultIDs.Truststore)); !slices.Equal(got, before) {
		t.Error("the truststore has changed in READY")
	}
	m.awaitState(m.alpha, transfer.Ready)
	again := probe{name: "identical message", method: coap.PUT, path: "/42771/0/0", format: codec.Opaque}
	m.commit()
	r.await(sim.Enrolling)
	r.await(sim.Retrying)
	if left := m.alpha.peersOf(coap.RoleOperational); len(left) > 0 {
		t.Errorf("%d associations with alpha after COMMITTED", len(left))
	}
	ca2 := m.beta.peersOf(coap.RoleFactory)
	if len(ca2) == 0 {
		t.Fatal("no association by the factory certificate at beta")
	}
	for _, peer := range ca2 {
		reads := []probe{
			{name: "read", method: coap.GET, path: "/3/0/0"},
			{name: "receipt", method: coap.GET, path: "/42771/0/9"},
			{name: "discover", method: coap.GET, path: "/42769", accept: codec.Link},
			{name: "attributes", method: coap.PUT, path: "/42769", query: []string{"pmin=1"}},
			{name: "attributes of a resource", method: coap.PUT, path: "/42771/0/3", query: []string{"pmin=1"}},
		}
		for _, q := range append(changes(t, m.order()), reads...) {
			if code := m.beta.ask(peer, q); code.IsSuccess() {
				t.Errorf("ENROL, %s: %s", q.name, code)
			}
		}
	}
	m.open()
	r.await(sim.Done)
	m.awaitState(m.beta, transfer.Done)
	there := m.beta.peersOf(coap.RoleOperational)
	if len(there) != 1 {
		t.Fatalf("%d associations with beta", len(there))
	}
	for _, q := range append(changes(t, "0='1',1='0000000000000000'"), again) {
		if code := m.beta.ask(there[0], q); code.IsSuccess() {
			t.Errorf("DONE, %s: %s", q.name, code)
		}
	}
	m.finish()
	r.await(sim.Finalised)
}
