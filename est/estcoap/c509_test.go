package estcoap_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/c509"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/coap"
)

// formats are of the range for experiments (RFC 7252 §12.3).
var formats = estcoap.C509Formats{Request: 65001, Certificate: 65002, Chain: 65003, Template: 65004}

// newC509World is newWorld with a server that speaks C509.
func newC509World(t *testing.T, now func() time.Time) *world {
	t.Helper()
	w := newWorld(t, now)
	var err error
	if w.server, err = estcoap.NewServer(estcoap.ServerOptions{CA: w.ca, C509: formats}); err != nil {
		t.Fatal(err)
	}
	return w
}

// requests returns a request in DER, re-encoded and signed natively.
func requests(t *testing.T, name string) (der, short, native []byte) {
	t.Helper()
	key := esttest.Key(t)
	der, err := est.NewCSR(key, name)
	if err != nil {
		t.Fatal(err)
	}
	if short, err = (c509.Options{}).RequestFromDER(der); err != nil {
		t.Fatal(err)
	}
	if native, err = (c509.Options{}).SignRequest(der, key); err != nil {
		t.Fatal(err)
	}
	return der, short, native
}

// TestC509Enrols asks by each encoding for each, and finds one certificate.
func TestC509Enrols(t *testing.T) {
	clock := esttest.NewClock()
	for _, form := range []string{"DER", "type 3", "type 2"} {
		t.Run(form, func(t *testing.T) {
			w := newC509World(t, clock.Now)
			w.open(t)
			der, short, native := requests(t, endpoint)
			body := map[string][]byte{"DER": der, "type 3": short, "type 2": native}[form]
			content := coap.FormatID(formats.Request)
			if form == "DER" {
				content = pkcs10
			}
			ask := func(accept coap.Format) *coap.Response {
				return w.serve(t, w.factory(), coap.Request{
					Method: coap.POST, Path: path("/est/sen"), ContentFormat: content, Accept: accept, Payload: body,
				})
			}
			plain := ask(pkixCert)
			if plain.Code != coap.Changed {
				t.Fatalf("sen = %s %q", plain.Code, plain.Payload)
			}
			out := ask(coap.FormatID(formats.Certificate))
			back, err := c509.ToDER(out.Payload)
			if err != nil || !bytes.Equal(back, plain.Payload) || out.ContentFormat != coap.FormatID(formats.Certificate) {
				t.Errorf("sen as C509 = %s %s %x, %v, want %x", out.Code, out.ContentFormat, out.Payload, err, plain.Payload)
			}
			silent := ask(coap.Format{})
			if want := form != "DER"; (silent.ContentFormat == out.ContentFormat) != want {
				t.Errorf("without Accept: %s, C509 expected: %v", silent.ContentFormat, want)
			}
			if form == "type 3" { // the same request, told by its hash
				body, content = der, pkcs10
				if again := ask(pkixCert); !bytes.Equal(again.Payload, plain.Payload) {
					t.Error("the request in DER got another certificate")
				}
			}
		})
	}
}

func TestC509Chain(t *testing.T) {
	clock := esttest.NewClock()
	w := newC509World(t, clock.Now)
	accept := coap.FormatID(formats.Chain)
	out := w.serve(t, w.factory(), coap.Request{Method: coap.GET, Path: path("/est/crts"), Accept: accept})
	chain, err := c509.ParseChain(out.Payload)
	if err != nil || len(chain) != 2 || out.ContentFormat != accept || len(out.ETag) == 0 {
		t.Fatalf("crts = %s %s, %d certificates, %v", out.Code, out.ContentFormat, len(chain), err)
	}
	for i, cert := range w.ca.Published() {
		if !bytes.Equal(chain[i].DER, cert.Raw) {
			t.Errorf("certificate %d is not the published one", i)
		}
	}
	for _, l := range w.server.Links() {
		if strings.HasSuffix(l.Target, "/sen") && l.Formats[len(l.Formats)-1] != formats.Certificate {
			t.Errorf("%s offers %v", l.Target, l.Formats)
		}
	}
}

func TestC509Template(t *testing.T) {
	clock := esttest.NewClock()
	w := newC509World(t, clock.Now)
	accept := coap.FormatID(formats.Template)
	out := w.serve(t, w.factory(), coap.Request{Method: coap.GET, Path: path("/est/att"), Accept: accept})
	template, err := c509.ParseTemplate(out.Payload)
	if err != nil || out.ContentFormat != accept || len(out.ETag) == 0 {
		t.Fatalf("att = %s %s %x, %v", out.Code, out.ContentFormat, out.Payload, err)
	}
	if len(template.Subject) != 1 || !bytes.Contains(template.Subject[0].Value, []byte(endpoint)) ||
		len(template.Keys) == 0 || len(template.Keys) != len(template.Signatures) || len(template.Extensions) != 2 {
		t.Errorf("template %+v", template)
	}
	plain := w.serve(t, w.factory(), coap.Request{Method: coap.GET, Path: path("/est/att")})
	if plain.ContentFormat != coap.FormatID(estcoap.FormatCSRAttrs) {
		t.Errorf("without Accept: %s", plain.ContentFormat)
	}
	off := newWorld(t, clock.Now)
	if out := off.serve(t, off.factory(), coap.Request{
		Method: coap.GET, Path: path("/est/att"), Accept: accept,
	}); out.Code != coap.NotAcceptable {
		t.Errorf("not offered: %s, want 4.06", out.Code)
	}
}

// TestC509Refuses has requests that get what RFC 9148 §4.6 names, and no certificate.
func TestC509Refuses(t *testing.T) {
	clock := esttest.NewClock()
	_, short, native := requests(t, endpoint)
	_, other, _ := requests(t, "another")
	huge := make([]byte, est.MaxCSR+1)
	forge := func(b []byte) []byte { return append(bytes.Clone(b[:len(b)-1]), b[len(b)-1]^1) }
	tests := []struct {
		name string
		off  bool
		path string
		body []byte
		by   [2]uint16 // format, accept
		want coap.Code
	}{
		{"not offered", true, "/est/sen", short, [2]uint16{formats.Request, 281}, coap.UnsupportedContentFormat},
		{"answer not offered", true, "/est/sen", short, [2]uint16{286, formats.Certificate}, coap.NotAcceptable},
		{"chain not offered", true, "/est/crts", nil, [2]uint16{0, formats.Chain}, coap.NotAcceptable},
		{"a chain of sen", false, "/est/sen", short, [2]uint16{formats.Request, formats.Chain}, coap.NotAcceptable},
		{"a certificate of crts", false, "/est/crts", nil, [2]uint16{0, formats.Certificate}, coap.NotAcceptable},
		{"C509 said to be DER", false, "/est/sen", short, [2]uint16{286, 287}, coap.BadRequest},
		{"empty", false, "/est/sen", nil, [2]uint16{formats.Request, 287}, coap.BadRequest},
		{"cut short", false, "/est/sen", short[:50], [2]uint16{formats.Request, 287}, coap.BadRequest},
		{"signature of nobody", false, "/est/sen", forge(short), [2]uint16{formats.Request, 287}, coap.BadRequest},
		{"native signature of nobody", false, "/est/sen", forge(native), [2]uint16{formats.Request, 287}, coap.BadRequest},
		{"too large", false, "/est/sen", huge, [2]uint16{formats.Request, 287}, coap.RequestEntityTooLarge},
		{"another's name", false, "/est/sen", other, [2]uint16{formats.Request, 287}, coap.Forbidden},
		{"a key to be made", false, "/est/skc", short, [2]uint16{formats.Request, 62}, coap.UnsupportedContentFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newC509World(t, clock.Now)
			if tt.off {
				w = newWorld(t, clock.Now)
			}
			w.open(t)
			r := coap.Request{Method: coap.POST, Path: path(tt.path), Accept: coap.FormatID(tt.by[1]), Payload: tt.body}
			if r.ContentFormat = coap.FormatID(tt.by[0]); tt.by[0] == 0 {
				r.Method, r.ContentFormat = coap.GET, coap.Format{}
			}
			if out := w.serve(t, w.factory(), r); out.Code != tt.want {
				t.Errorf("%s %q, want %s", out.Code, out.Payload, tt.want)
			}
			issued, err := w.ca.List(t.Context(), est.Query{Kind: est.KindOperational})
			if err != nil || len(issued) != 0 {
				t.Errorf("%d certificates were issued, %v", len(issued), err)
			}
		})
	}
}

// TestC509Life is TestLife in C509, over small blocks, with a native request at the end.
func TestC509Life(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newC509World(t, time.Now)
		w.open(t)
		speak := func(o *estcoap.ClientOptions) { o.C509 = formats }
		var cert *x509.Certificate
		joined(t, w, w.factory(), 64, true, func(ctx context.Context, c *estcoap.Client) {
			chain, err := c.Cacerts(ctx)
			if err != nil || len(chain) != 2 {
				t.Fatalf("Cacerts = %d, %v", len(chain), err)
			}
			if cert, err = c.Enrol(ctx, esttest.CSR(t, w.key, endpoint)); err != nil {
				t.Fatalf("Enrol: %v", err)
			}
			if err := cert.CheckSignatureFrom(chain[0]); err != nil {
				t.Error(err)
			}
		}, speak)
		client, err := w.ca.Identify(t.Context(), [][]byte{cert.Raw})
		if err != nil {
			t.Fatal(err)
		}
		_, _, native := requests(t, endpoint)
		id := coap.Identity{Role: coap.RoleOperational, Name: endpoint, Certificate: client.Certificate}
		joined(t, w, id, 64, false, func(ctx context.Context, c *estcoap.Client) {
			if _, err := c.Reenrol(ctx, native); err != nil {
				t.Errorf("Reenrol: %v", err)
			}
		}, speak)
		joined(t, w, id, 64, false, func(ctx context.Context, c *estcoap.Client) {
			if _, err := c.Reenrol(ctx, native); !errors.Is(err, estcoap.ErrOptions) {
				t.Errorf("Reenrol of a client without C509: %v, want ErrOptions", err)
			}
		})
	})
}

// TestC509ClientIsStrict has answers that are not what was asked for.
func TestC509ClientIsStrict(t *testing.T) {
	clock := esttest.NewClock()
	w := newWorld(t, clock.Now)
	short, err := c509.FromDER(w.ca.Published()[0].Raw)
	if err != nil {
		t.Fatal(err)
	}
	typed := bytes.Clone(short)
	typed[1] = byte(c509.Native)
	for _, tt := range []struct {
		name   string
		format uint16
		body   []byte
	}{
		{"not CBOR", formats.Certificate, []byte{0xff}},
		{"a native certificate", formats.Certificate, typed},
		{"of another key", formats.Certificate, short},
		{"a chain cut short", formats.Chain, c509.Chain(short)[:40]},
		{"another format", 65009, short},
	} {
		answer := doer{out: &coap.Response{Code: coap.Changed, ContentFormat: coap.FormatID(tt.format), Payload: tt.body}}
		c, err := estcoap.NewClient(estcoap.ClientOptions{Engine: answer, Peer: peer{}, C509: formats})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Enrol(t.Context(), esttest.CSR(t, w.key, endpoint)); !errors.Is(err, estcoap.ErrAnswer) {
			t.Errorf("%s: Enrol = %v, want ErrAnswer", tt.name, err)
		}
	}
}

func TestParseC509Formats(t *testing.T) {
	three := formats
	three.Template = 0
	for text, want := range map[string]estcoap.C509Formats{
		"65001, 65002,65003": three, "65001,65002,65003,65004": formats, "": {},
	} {
		got, err := estcoap.ParseC509Formats(text)
		if err != nil || got != want {
			t.Errorf("ParseC509Formats(%q) = %v, %v, want %v", text, got, err, want)
		}
		back, err := got.MarshalText()
		if err != nil || string(back) != strings.ReplaceAll(text, " ", "") {
			t.Errorf("MarshalText() = %q, %v, want %q", back, err, text)
		}
	}
	for _, text := range []string{
		"65001", "1,2,3,4,5", "1,2,3,0", "x,2,3", "1,2,65536", "-1,2,3", "5,5,6", "286,2,3", "1,0,3",
	} {
		if got, err := estcoap.ParseC509Formats(text); !errors.Is(err, estcoap.ErrOptions) {
			t.Errorf("ParseC509Formats(%q) = %v, %v, want ErrOptions", text, got, err)
		}
	}
}
