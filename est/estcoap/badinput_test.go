package estcoap_test

import (
	"bytes"
	"strings"
	"testing"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/coap"
)

// A bad is a request that must get nothing.
type bad struct {
	name  string
	id    coap.Identity
	path  string
	csr   []byte
	want  coap.Code
	alarm bool // somebody else may have the factory key
}

// TestBadInput holds that whatever is malformed, oversized, mis-signed, wrongly
// named, replayed, wrongly keyed or unauthorised gets the code that RFC 9148 §4.6
// and RFC 7252 name, is audited, and issues nothing.
func TestBadInput(t *testing.T) {
	clock := esttest.NewClock()
	store := &esttest.Store{}
	w := &world{key: esttest.Key(t)}
	w.ca = esttest.NewCA(t, "Alpha", store, clock.Now, func(o *est.Options) {
		o.Requests, o.Sealer, o.Limits = store, esttest.NewSealer(t), est.Limits{Burst: 1000}
	})
	factory := esttest.NewFactory(t, clock.Now)
	w.device = esttest.NewDevice(t, factory, endpoint)
	esttest.Grant(t, w.ca, factory, w.device)
	w.open(t)
	keys, err := w.ca.Using(keysProfile(t))
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	w.server, err = estcoap.NewServer(estcoap.ServerOptions{
		CA: w.ca, Labels: map[string]estcoap.Authority{"keys": keys},
		Refused: func(*coap.Request, coap.Code, string) { told++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	good := esttest.CSR(t, w.key, endpoint)
	issued := w.serve(t, w.factory(), coap.Request{
		Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Accept: pkixCert, Payload: good,
	})
	client, err := w.ca.Identify(t.Context(), [][]byte{issued.Payload})
	if err != nil {
		t.Fatal(err)
	}
	operational := coap.Identity{Role: coap.RoleOperational, Name: endpoint, Certificate: client.Certificate}
	forged := bytes.Clone(good)
	forged[len(forged)-1] ^= 1
	stranger := coap.Identity{Role: coap.RoleFactory, Name: endpoint, Certificate: [32]byte{9}}
	revoked := operational
	revoked.Certificate = replaced(t, w, client.Certificate)
	change := esttest.Attribute{Type: esttest.ChangeSubjectName, Values: []string{"urn:x"}}
	decrypt := esttest.Attribute{Type: esttest.DecryptKeyID, Values: []string{"k"}}
	tests := []bad{
		{"nothing", w.factory(), "/est/sen", nil, coap.BadRequest, false},
		{"garbage", w.factory(), "/est/sen", []byte("garbage"), coap.BadRequest, false},
		{"truncated", w.factory(), "/est/sen", good[:len(good)-8], coap.BadRequest, false},
		{"trailing byte", w.factory(), "/est/sen", append(bytes.Clone(good), 0), coap.BadRequest, false},
		{"oversized", w.factory(), "/est/sen", make([]byte, est.MaxCSR+1), coap.RequestEntityTooLarge, false},
		{"mis-signed", w.factory(), "/est/sen", forged, coap.BadRequest, false},
		{"no proof of possession", w.factory(), "/est/sen", esttest.Request(t, nil, endpoint), coap.BadRequest, false},
		{"wrongly named", w.factory(), "/est/sen", esttest.CSR(t, w.key, "urn:other"), coap.Forbidden, false},
		{"another key", w.factory(), "/est/sen", esttest.CSR(t, esttest.Key(t), endpoint), coap.Forbidden, true},
		{"not registered", stranger, "/est/sen", good, coap.Forbidden, false},
		{"of the wrong class", operational, "/est/sen", good, coap.Forbidden, false},
		{"of no class", coap.Identity{}, "/est/sen", good, coap.Unauthorized, false},
		{"renewal by a factory certificate", w.factory(), "/est/sren", good, coap.Forbidden, false},
		{"renewal by a revoked certificate", revoked, "/est/sren", good, coap.Forbidden, false},
		{"renewal in another name", operational, "/est/sren", esttest.CSR(t, w.key, "urn:other"), coap.Forbidden, false},
		{
			"renewal with another name to be", operational, "/est/sren",
			esttest.Request(t, w.key, endpoint, change), coap.Forbidden, false,
		},
		{
			"key generation by a profile without", w.factory(), "/est/skg",
			esttest.Request(t, nil, endpoint), coap.Forbidden, false,
		},
		{
			"key generation for a right that is used", w.factory(), "/.well-known/est/keys/skg",
			esttest.Request(t, nil, endpoint), coap.Forbidden, true,
		},
		{"replayed to another function", w.factory(), "/.well-known/est/keys/skg", good, coap.Forbidden, false},
		{
			"encrypted key", operational, "/.well-known/est/keys/skc",
			esttest.Request(t, nil, endpoint, decrypt), coap.NotImplemented, false,
		},
		{"key generation, garbage", operational, "/.well-known/est/keys/skc", []byte{0x30, 0x80}, coap.BadRequest, false},
		{
			"key generation, oversized", operational, "/.well-known/est/keys/skc",
			make([]byte, est.MaxCSR+1), coap.RequestEntityTooLarge, false,
		},
		{"unknown label", w.factory(), "/.well-known/est/none/sen", good, coap.NotFound, false},
		{"unknown function", w.factory(), "/est/fullcmc", good, coap.NotFound, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			certificates, rows := w.issued(t), len(store.Audit())
			told = 0
			out := w.serve(t, tt.id, coap.Request{
				Method: coap.POST, Path: path(tt.path), ContentFormat: pkcs10, Payload: tt.csr,
			})
			if out.Code != tt.want || len(out.Payload) == 0 {
				t.Errorf("%s %q, want %s and words", out.Code, out.Payload, tt.want)
			}
			if now := w.issued(t); now != certificates {
				t.Errorf("%d certificates were issued", now-certificates)
			}
			fresh := store.Audit()[rows:]
			if len(fresh)+told != 1 {
				t.Fatalf("audited by %d rows, and %d told, want one", len(fresh), told)
			}
			if told == 0 && (fresh[0].Reason == "" || strings.Contains(fresh[0].Action, "alarm") != tt.alarm) {
				t.Errorf("row %+v, alarm %v", fresh[0], tt.alarm)
			}
		})
	}
}

// issued counts the operational certificates.
func (w *world) issued(t *testing.T) int {
	t.Helper()
	records, err := w.ca.List(t.Context(), est.Query{Kind: est.KindOperational})
	if err != nil {
		t.Fatal(err)
	}
	return len(records)
}

// replaced returns a certificate of the device that was revoked.
func replaced(t *testing.T, w *world, by est.Hash) est.Hash {
	t.Helper()
	out, err := w.ca.Reenrol(t.Context(), est.Request{
		Client: est.Client{Role: est.RoleOperational, Certificate: by, Name: endpoint},
		CSR:    esttest.CSR(t, esttest.Key(t), endpoint),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.ca.Revoke(t.Context(), out.Hash, est.KeyCompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	return out.Hash
}
