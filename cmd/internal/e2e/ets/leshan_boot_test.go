package ets_test

import (
	"strings"
	"testing"

	"steward/lwm2m/bootstrap"
)

func bootstrapWithoutName(t *testing.T) {
	x := newWorld(t)
	d := x.device("")
	d.expect("Bootstrap-Request", d.do(2, "/bs", "", -1, ""), 400)
}

func bootstrapSenML(t *testing.T) {
	x, d := bootWorld(t)
	d.bootstrap("ep=alpha&pct=112")
	for _, m := range d.taken() {
		if format, ok := m.option(optFormat); ok && (format != 112 || m.payload[0]&0xe0 != 0x80) {
			t.Errorf("%s in %d", m.key(), format)
		}
	}
	x.ended(bootstrap.Done, "")
}

func bootstrapIDs(t *testing.T) {
	x, d := bootWorld(t)
	d.discovers(`</>;lwm2m=1.1,</0/0>,</0/1>,</3/0>`)
	d.says("PUT /0/2", 204)
	d.bootstrap("ep=alpha&pct=11542")
	for _, m := range d.taken() {
		if strings.HasPrefix(m.key(), "DELETE /0") || m.key() == "PUT /0/0" || m.key() == "PUT /0/1" {
			t.Errorf("asked %s", m.key())
		}
	}
	x.ended(bootstrap.Done, "")
}

func bootstrapMore(t *testing.T) {
	x, d := bootWorld(t)
	d.bootstrap("ep=alpha&colour=blue&flag")
	x.ended(bootstrap.Done, "")
}

func bootstrapByIdentity(t *testing.T) {
	x, d := bootWorld(t)
	d.bootstrap("")
	x.ended(bootstrap.Done, "")
}

func registerByIdentity(t *testing.T) {
	x := newWorld(t)
	x.device("alpha").register("lt=60&lwm2m=1.1&b=U", links)
	if r := x.registration(); r.Endpoint != "alpha" {
		t.Errorf("endpoint %s", r.Endpoint)
	}
}

func otherIdentity(t *testing.T) {
	x := newWorld(t)
	d, other := x.device("alpha"), x.device("beta") // of the same address
	d.register(query11, links)
	other.register("ep=beta&lt=60&lwm2m=1.1&b=U", links)
	d.hears(false)
	_, _ = x.Read(t.Context(), "alpha", path("/3/0/0"))
	other.wants()
}
