package estcoap_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/coap"
)

// newWorldOf is newWorld with a CA whose default profile is plain; below the label
// "keys" it makes keys, below "ask" people approve, below "bound" it demands channel
// binding.
func newWorldOf(t *testing.T, now func() time.Time) *world {
	t.Helper()
	store := &esttest.Store{}
	w := &world{key: esttest.Key(t)}
	w.ca = esttest.NewCA(t, "Alpha", store, now, func(o *est.Options) {
		o.Requests, o.Sealer = store, esttest.NewSealer(t)
	})
	factory := esttest.NewFactory(t, now)
	w.device = esttest.NewDevice(t, factory, endpoint)
	esttest.Grant(t, w.ca, factory, w.device)
	labels := map[string]estcoap.Authority{}
	for label, o := range map[string]est.ProfileOptions{
		"keys": {ServerKeys: true}, "ask": {Approval: true}, "bound": {Binding: true},
	} {
		o.Name, o.Kind, o.Validity = label, est.KindOperational, 24*time.Hour
		p, err := est.NewProfile(o)
		if err != nil {
			t.Fatal(err)
		}
		if labels[label], err = w.ca.Using(p); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.server, err = estcoap.NewServer(estcoap.ServerOptions{
		CA: w.ca, Labels: labels, Log: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

var multipart = coap.FormatID(estcoap.FormatMultipart)

// pair reads the answer of skg or skc.
func pair(t *testing.T, r *coap.Response, second uint16) (key crypto.Signer, cert *x509.Certificate) {
	t.Helper()
	if r.Code != coap.Changed || r.ContentFormat != multipart {
		t.Fatalf("answer %s %q of format %v", r.Code, r.Payload, r.ContentFormat)
	}
	parts, err := estcoap.DecodeMultipart(r.Payload)
	if err != nil || len(parts) != 2 || parts[0].Format != estcoap.FormatPKCS8 || parts[1].Format != second {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	read, err := x509.ParsePKCS8PrivateKey(parts[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	certs := []*x509.Certificate{}
	if second == estcoap.FormatPKIXCert {
		certs = append(certs, parse(t, parts[1].Body))
	} else if certs, err = estcoap.DecodeCertsOnly(parts[1].Body); err != nil {
		t.Fatal(err)
	}
	key = read.(crypto.Signer)
	if !key.Public().(interface{ Equal(x crypto.PublicKey) bool }).Equal(certs[0].PublicKey) {
		t.Error("the certificate is for another key")
	}
	return key, certs[0]
}

func TestServerKeys(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorldOf(t, clock.Now)
	w.open(t)
	ask := coap.Request{
		Method: coap.POST, Path: path("/.well-known/est/keys/skg"), ContentFormat: pkcs10,
		Payload: esttest.Request(t, nil, endpoint),
	}
	_, whole := pair(t, w.serve(t, w.factory(), ask), estcoap.FormatCertsOnly)
	ask.Path, ask.Accept = path("/.well-known/est/keys/skc"), multipart
	_, one := pair(t, w.serve(t, w.factory(), ask), estcoap.FormatPKIXCert)
	if !one.Equal(whole) {
		t.Error("skc gives another certificate for the same request")
	}
	ask.Accept = certsOnly
	if out := w.serve(t, w.factory(), ask); out.Code != coap.NotAcceptable {
		t.Errorf("skc for 281 = %s, want 4.06", out.Code)
	}
	ask.Accept = coap.Format{}
	ask.Payload = esttest.Request(t, nil, endpoint, esttest.Attribute{Type: esttest.DecryptKeyID, Values: []string{"k"}})
	if out := w.serve(t, w.factory(), ask); out.Code != coap.NotImplemented {
		t.Errorf("skc with a key for encryption = %s, want 5.01", out.Code)
	}
	if strings.Contains(w.log.String(), "PRIVATE") || bytes.Contains(w.log.Bytes(), []byte{0x30, 0x81, 0x87}) {
		t.Error("a key is in the log")
	}
}

func TestKeyGone(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorldOf(t, clock.Now)
	w.open(t)
	ask := coap.Request{
		Method: coap.POST, Path: path("/.well-known/est/keys/skg"), ContentFormat: pkcs10,
		Payload: esttest.Request(t, nil, endpoint),
	}
	pair(t, w.serve(t, w.factory(), ask), estcoap.FormatCertsOnly)
	clock.Advance(est.DefaultKeepKeys)
	if out := w.serve(t, w.factory(), ask); out.Code != coap.Forbidden || !strings.Contains(string(out.Payload), "kept") {
		t.Errorf("skg after an hour = %s %q, want 4.03 with words", out.Code, out.Payload)
	}
}

func TestCrtsMultipart(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	out := w.serve(t, w.factory(), coap.Request{Method: coap.GET, Path: path("/est/crts"), Accept: multipart})
	parts, err := estcoap.DecodeMultipart(out.Payload)
	if err != nil || out.ContentFormat != multipart || len(parts) != 2 || len(out.ETag) != 8 ||
		!bytes.Equal(parts[0].Body, w.ca.Certificate().Raw) || !bytes.Equal(parts[1].Body, w.ca.Root().Raw) {
		t.Errorf("crts as 62: %d parts, %v", len(parts), err)
	}
}

// several is an authority that publishes a second root, as in a roll-over.
type several struct {
	*est.CA
	more []*x509.Certificate
}

func (s several) Published() []*x509.Certificate { return append(s.CA.Published(), s.more...) }

func TestCrtsOfSeveralRoots(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	other := esttest.NewCA(t, "Beta", &esttest.Store{}, clock.Now)
	server, err := estcoap.NewServer(estcoap.ServerOptions{CA: several{w.ca, other.Chain()}})
	if err != nil {
		t.Fatal(err)
	}
	w.server = server
	ask := coap.Request{Method: coap.GET, Path: path("/est/crts"), Accept: pkixCert}
	if out := w.serve(t, w.factory(), ask); out.Code != coap.NotAcceptable {
		t.Errorf("crts as 287 = %s, want 4.06: it would not say enough", out.Code)
	}
	ask.Accept = multipart
	parts, err := estcoap.DecodeMultipart(w.serve(t, w.factory(), ask).Payload)
	if err != nil || len(parts) != 3 || !bytes.Equal(parts[0].Body, w.ca.Certificate().Raw) {
		t.Errorf("crts as 62: %d parts, %v, want 3, the issuer first", len(parts), err)
	}
}

func TestAtt(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorldOf(t, clock.Now)
	for _, tt := range []struct {
		name string
		id   coap.Identity
		in   coap.Request
		want string
	}{
		{"factory", w.factory(), coap.Request{Method: coap.GET, Path: path("/est/att")}, "2.05"},
		{"as 285", w.factory(), coap.Request{
			Method: coap.GET, Path: path("/.well-known/est/att"), Accept: coap.FormatID(estcoap.FormatCSRAttrs),
		}, "2.05"},
		{"as 281", w.factory(), coap.Request{Method: coap.GET, Path: path("/est/att"), Accept: certsOnly}, "4.06"},
		{"POST", w.factory(), coap.Request{Method: coap.POST, Path: path("/est/att")}, "4.05"},
		{"nobody", coap.Identity{}, coap.Request{Method: coap.GET, Path: path("/est/att")}, "4.01"},
	} {
		out := w.serve(t, tt.id, tt.in)
		if out.Code.String() != tt.want {
			t.Errorf("%s: att = %s %q, want %s", tt.name, out.Code, out.Payload, tt.want)
			continue
		}
		var attributes []asn1.RawValue
		if rest, err := asn1.Unmarshal(out.Payload, &attributes); out.Code == coap.Content &&
			(err != nil || len(rest) > 0 || len(attributes) != 4 || !bytes.Contains(out.Payload, []byte(endpoint))) {
			t.Errorf("%s: %d attributes, %v", tt.name, len(attributes), err)
		}
	}
}

// A boundPeer has a channel binding.
type boundPeer struct {
	peer

	binding []byte
}

func (p boundPeer) ChannelBinding() []byte { return p.binding }

func TestChannelBinding(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorldOf(t, clock.Now)
	w.open(t)
	right := esttest.Attribute{Type: esttest.ChallengePassword, Values: []string{"AQIDBAUGBwgJCgsM"}}
	wrong := esttest.Attribute{Type: esttest.ChallengePassword, Values: []string{"AAIDBAUGBwgJCgsM"}}
	session := boundPeer{peer{w.factory()}, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}
	for _, tt := range []struct {
		name string
		from coap.Peer
		csr  []byte
		want coap.Code
	}{
		{"without", session, esttest.Request(t, w.key, endpoint), coap.Forbidden},
		{"of another session", session, esttest.Request(t, w.key, endpoint, wrong), coap.Forbidden},
		{"on a session without", peer{w.factory()}, esttest.Request(t, w.key, endpoint, right), coap.Forbidden},
		{"bound", session, esttest.Request(t, w.key, endpoint, right), coap.Changed},
	} {
		out := w.server.ServeCoAP(t.Context(), &coap.Request{
			Peer: tt.from, Method: coap.POST, Path: path("/.well-known/est/bound/sen"), ContentFormat: pkcs10, Payload: tt.csr,
		})
		if out.Code != tt.want {
			t.Errorf("%s: sen = %s %q, want %s", tt.name, out.Code, out.Payload, tt.want)
		}
	}
}

// TestApprovalByCoAP asks by the same request until people agree.
func TestApprovalByCoAP(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorldOf(t, clock.Now)
	w.open(t)
	ask := coap.Request{
		Method: coap.POST, Path: path("/.well-known/est/ask/sen"), ContentFormat: pkcs10,
		Payload: esttest.CSR(t, w.key, endpoint),
	}
	for range 2 {
		out := w.serve(t, w.factory(), ask)
		if age, ok := out.MaxAge.Seconds(); out.Code != coap.ServiceUnavailable || !ok || age != 30 {
			t.Fatalf("sen = %s, Max-Age %d", out.Code, age)
		}
	}
	list, err := w.ca.Approvals(t.Context(), est.ApprovalWaiting, est.Hash{}, 10)
	if err != nil || len(list) != 1 {
		t.Fatalf("Approvals = %v, %v", list, err)
	}
	if _, err := w.ca.Approve(t.Context(), list[0].Client, list[0].CSR, "known"); err != nil {
		t.Fatal(err)
	}
	if out := w.serve(t, w.factory(), ask); out.Code != coap.Changed {
		t.Errorf("sen once it is approved = %s %q", out.Code, out.Payload)
	}
}

func TestLinks(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorldOf(t, clock.Now)
	formats := map[string][]uint16{}
	for _, l := range w.server.Links() {
		formats[l.Target] = l.Formats
	}
	for target, want := range map[string][]uint16{
		"/est": nil, "/est/crts": {281, 287, 62}, "/est/sen": {281, 287}, "/est/sren": {281, 287}, "/est/att": {285},
		"/.well-known/est/keys/skg": {62}, "/.well-known/est/keys/skc": {62}, "/.well-known/est/ask/sen": {281, 287},
	} {
		if got, ok := formats[target]; !ok || !slices.Equal(got, want) {
			t.Errorf("%s: formats %v %v, want %v", target, got, ok, want)
		}
	}
	if _, ok := formats["/est/skg"]; ok || len(formats) != 4*5+2 {
		t.Errorf("%d links, /est/skg %v", len(formats), ok)
	}
}

// TestRefusedIsTold holds that what no authority sees can be audited.
func TestRefusedIsTold(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	var told []string
	server, err := estcoap.NewServer(estcoap.ServerOptions{
		CA: w.ca, Refused: func(r *coap.Request, code coap.Code, why string) {
			told = append(told, code.String()+" "+strings.Join(r.Path, "/")+" "+why)
		},
		Client: func(context.Context, coap.Peer) (est.Client, error) { return est.Client{}, est.ErrForbidden },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.server = server
	for _, r := range []coap.Request{
		{Method: coap.GET, Path: path("/est/sen")},
		{Method: coap.POST, Path: path("/est/sen")},
		{Method: coap.POST, Path: path("/est/sren"), ContentFormat: pkcs10},
		{Method: coap.GET, Path: path("/est/crts"), Accept: coap.FormatID(50)},
		{Method: coap.GET, Path: path("/est/fullcmc")},
	} {
		w.serve(t, w.factory(), r)
	}
	want := []string{"4.05", "4.15", "4.03", "4.06", "4.04"}
	if len(told) != len(want) {
		t.Fatalf("told %q", told)
	}
	for i, text := range told {
		if !strings.HasPrefix(text, want[i]) {
			t.Errorf("told %q, want %s", text, want[i])
		}
	}
	out := w.serve(t, w.factory(), coap.Request{
		Method: coap.POST, Path: path("/est/sen"), ContentFormat: pkcs10, Payload: esttest.CSR(t, w.key, endpoint),
	})
	if out.Code != coap.Forbidden {
		t.Errorf("sen of a client that is nobody = %s, want 4.03", out.Code)
	}
}
