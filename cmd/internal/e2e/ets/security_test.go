package ets_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/url"
	"slices"
	"testing"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

const query10 = "ep=alpha&lt=300&b=U"

// readsDevice reads /3/0 in TLV from a device of raw bytes.
func (x *world) readsDevice(d *device) {
	x.t.Helper()
	d.says("GET /3/0", 205, "11542", "C10041 C10142")
	same(x.t, "Read", x.read("/3/0"), []string{"/3/0/0=A", "/3/0/1=B"})
}

func ets401(t *testing.T) {
	x := newWorld(t)
	address := x.listen(&credentials{keys: map[string]key{
		"id": {"0123456789abcdef", coap.Identity{Role: coap.RolePSK, Name: "alpha"}},
	}})
	wrong := dtls.ClientOptions{PSKIdentity: []byte("id"), PSK: []byte("fedcba9876543210")}
	if _, err := dial(t, address, wrong); err == nil {
		t.Error("a wrong key is accepted")
	}
	d := mustDial(t, address, dtls.ClientOptions{PSKIdentity: []byte("id"), PSK: []byte("0123456789abcdef")})
	d.expect("another's name", d.do(2, "/rd", "ep=beta&lt=300&b=U", linkFormat, links), 400)
	d.register(query10, links)
	x.readsDevice(d)
}

func ets402(t *testing.T) {
	x, ca := newWorld(t), newAuthority(t)
	address := x.listen(&credentials{own: ca.issue(t, "server.example.com"), judge: ca.judge})
	d := mustDial(t, address, dtls.ClientOptions{
		Certificate: ca.issue(t, "alpha"), ServerName: "server.example.com",
		Verify: func(chain [][]byte) error { _, err := ca.verify(chain, "server.example.com"); return err },
	})
	d.register(query10, links)
	x.readsDevice(d)
}

func ets403(t *testing.T) {
	x, ca := newWorld(t), newAuthority(t)
	address := x.listen(&credentials{own: ca.issue(t, "server.example.com"), judge: ca.judge})
	wrong := errors.New("wrong name")
	_, err := dial(t, address, dtls.ClientOptions{
		Certificate: ca.issue(t, "alpha"), ServerName: "server-fail.example.com",
		Verify: func(chain [][]byte) error {
			if _, err := ca.verify(chain, "server-fail.example.com"); err != nil {
				return wrong
			}
			return nil
		},
	})
	if !errors.Is(err, wrong) {
		t.Errorf("Dial = %v", err)
	}
	x.gone()
}

// secured is an account at a URI with what a security mode needs.
func secured(uri string, mode int64, more map[uint16][]byte) bootstrap.Account {
	a := account(101, uri)
	a.Security[2].Value = lwm2m.Integer(mode)
	for _, id := range []uint16{3, 4, 5} {
		if v, ok := more[id]; ok {
			a.Security = append(a.Security, lwm2m.Entry{Path: path("/0/0").Child(id), Value: lwm2m.Opaque(v)})
		}
	}
	slices.SortFunc(a.Security, func(x, y lwm2m.Entry) int { return x.Path.Compare(y.Path) })
	return a
}

// delivered bootstraps a device and returns the resources of its Security account.
func (x *world) delivered(d *device) map[int]string {
	x.t.Helper()
	d.discovers(`</>;lwm2m=1.1,</0/1>,</3/0>`)
	for _, k := range []string{"PUT /0/0", "PUT /1/0", "POST /bs"} {
		d.says(k, 204)
	}
	d.expect("Bootstrap-Request", d.do(2, "/bs", "ep=alpha&pct=11542", -1, ""), 204)
	x.session()
	for _, m := range d.taken() {
		if m.key() == "PUT /0/0" {
			return tlvs(m.payload)
		}
	}
	x.t.Fatal("no account")
	return nil
}

func host(t *testing.T, uri string) string {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "coaps" {
		t.Fatalf("URI %q", uri)
	}
	return u.Host
}

// bootKey is the account for bootstrap of the cases below.
var bootKey = map[string]key{"boot": {"fedcba9876543210", coap.Identity{Role: coap.RoleBootstrap, Name: "alpha"}}}

func bootDevice(t *testing.T, x *world) *device {
	return mustDial(t, x.listen(&credentials{keys: bootKey}), dtls.ClientOptions{
		PSKIdentity: []byte("boot"), PSK: []byte("fedcba9876543210"),
	})
}

func ets1(t *testing.T) {
	x := newWorld(t)
	dm := x.listen(&credentials{keys: map[string]key{
		"id": {"0123456789abcdef", coap.Identity{Role: coap.RolePSK, Name: "alpha"}},
	}})
	x.gives(nil, secured("coaps://"+dm, 0, map[uint16][]byte{3: []byte("id"), 5: []byte("0123456789abcdef")}))
	got := x.delivered(bootDevice(t, x))
	if got[2] != "\x00" || got[1] != "\x00" || got[10] != "e" {
		t.Errorf("account %v", got)
	}
	d := mustDial(t, host(t, got[0]), dtls.ClientOptions{PSKIdentity: []byte(got[3]), PSK: []byte(got[5])})
	d.register(query10, links)
}

func ets2(t *testing.T) {
	x, ca := newWorld(t), newAuthority(t)
	own, mine := ca.issue(t, "server.example.com"), ca.issue(t, "alpha")
	dm := x.listen(&credentials{own: own, judge: ca.judge})
	der, err := x509.MarshalPKCS8PrivateKey(mine.PrivateKey)
	x.must("key", err)
	x.gives(nil, secured("coaps://"+dm, 2, map[uint16][]byte{3: mine.Certificate[0], 4: own.Certificate[0], 5: der}))
	got := x.delivered(bootDevice(t, x))
	private, err := x509.ParsePKCS8PrivateKey([]byte(got[5]))
	x.must("key", err)
	d := mustDial(t, host(t, got[0]), dtls.ClientOptions{
		Certificate: &tls.Certificate{Certificate: [][]byte{[]byte(got[3])}, PrivateKey: private},
		Verify: func(chain [][]byte) error {
			if !bytes.Equal(chain[0], []byte(got[4])) {
				return errors.New("not the certificate of the account")
			}
			return nil
		},
	})
	d.register(query10, links)
	x.readsDevice(d)
}

func ets10(t *testing.T) {
	x := newWorld(t)
	ca, factory := esttest.NewCA(t, "provider", &esttest.Store{}, time.Now), esttest.NewFactory(t, time.Now)
	born := esttest.NewDevice(t, factory, "alpha")
	esttest.Grant(t, ca, factory, born)
	_, err := ca.OpenRight(t.Context(), born.Factory, est.Hash{})
	x.must("right", err)
	own := esttest.Key(t)
	issued, err := ca.IssueServer(t.Context(), "127.0.0.1", own.Public())
	x.must("server certificate", err)
	x.est, err = estcoap.NewServer(estcoap.ServerOptions{CA: ca})
	x.must("EST", err)
	address := x.listen(&credentials{
		own: &tls.Certificate{Certificate: [][]byte{issued.DER}, PrivateKey: own},
		judge: func(chain [][]byte) (coap.Identity, error) {
			c, err := ca.Identify(t.Context(), chain)
			role := coap.RoleFactory
			if c.Role == est.RoleOperational {
				role = coap.RoleOperational
			}
			return coap.Identity{Role: role, Name: c.Name, Certificate: c.Certificate}, err
		},
	})
	x.gives(nil, secured("coaps://"+address, 4, map[uint16][]byte{4: issued.DER}))
	var server string
	options := dtls.ClientOptions{
		Certificate: &tls.Certificate{Certificate: [][]byte{born.DER}, PrivateKey: born.Key},
		Verify: func(chain [][]byte) error {
			if server != "" && server != string(chain[0]) {
				return errors.New("not the certificate of the account")
			}
			return nil
		},
	}
	d := mustDial(t, address, options)
	got := x.delivered(d)
	if got[2] != "\x04" || got[3] != "" || got[5] != "" {
		t.Errorf("account %v", got)
	}
	server = got[4]
	mine := newKey(t)
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "alpha"}}
	csr, err := x509.CreateCertificateRequest(rand.Reader, template, mine)
	x.must("request", err)
	m := d.expect("enrol", d.do(2, "/est/sen", "", 286, string(csr), uintOption(optAccept, 287)), 204)
	cert, err := x509.ParseCertificate([]byte(m.payload))
	x.must("certificate", err)
	options.Certificate = &tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: mine}
	d = mustDial(t, host(t, got[0]), options)
	d.register(query10, links)
	x.readsDevice(d)
}
