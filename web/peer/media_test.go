package peer_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"steward/transfer/coordinator"
	"steward/web/peer"
)

// TestMediaTypes: a call names its version or none; what is not spoken is refused in
// words before anything is done.
func TestMediaTypes(t *testing.T) {
	const v = "application/vnd.steward.transfer+"
	own := certificate(t)
	for _, tt := range []struct {
		name, path, content, accept string
		want                        int
		answer                      string
	}{
		{"plain", "/ab/devices/cd/close", "application/cbor", "", 200, "application/cose"},
		{"version 1, plain answer", "/ab/devices/cd/close", v + "cbor;version=1", "", 200, "application/cose"},
		{"both ways", "/ab/devices/cd/close", v + `cbor; version="1"`, v + "cose;version=1", 200, v + "cose;version=1"},
		{"no version", "/ab/devices/cd/close", v + "cbor", v + "cose", 200, v + "cose;version=1"},
		{"anything", "", "application/json", "*/*", 200, "application/cbor"},
		{"one of many", "", v + "json", "text/html, application/cbor;q=0.5, " + v + "cbor", 200, v + "cbor;version=1"},
		{"plain is preferred", "", "application/json", "application/cbor, " + v + "cbor;q=0.5", 200, "application/cbor"},
		{"version 2", "/ab/devices/cd/close", v + "cbor;version=2", "", 415, ""},
		{"another form", "/ab/devices/cd/close", v + "json;version=1", "", 415, ""},
		{"none", "/ab/devices/cd/close", "", "", 415, ""},
		{"answers of version 2", "", "application/json", v + "cbor;version=2", 406, ""},
		{"answers as pages", "", "application/json", "text/html", 406, ""},
		{"refused in words", "", "application/json", "application/cbor;q=0, " + v + "cbor;q=0", 406, ""},
		{"no answer to speak of", "/ab/offer", "application/cose", "text/html", 204, ""},
	} {
		f := &fake{pinned: coordinator.SPKI(own.Leaf)}
		if tt.answer != "" {
			f.reply = coordinator.Reply{ContentType: "application/x", Body: []byte("answer")}
		}
		w := ask(t, f, http.MethodPost, tt.path, tt.content, tt.accept, own)
		if w.Code != tt.want || tt.answer != "" && w.Header().Get("Content-Type") != tt.answer ||
			(f.calls > 0) != (tt.want < 300) {
			t.Errorf("%s: %d %q %s, %d calls", tt.name, w.Code, w.Header().Get("Content-Type"), w.Body, f.calls)
		}
		if tt.want > 400 && !strings.Contains(w.Body.String(), v) || tt.want == 415 && w.Header().Get("Accept") == "" {
			t.Errorf("%s: %s does not say what is spoken", tt.name, w.Body)
		}
	}
	for path, kind := range map[string]string{"/ab": "json", "/ab/devices/cd/right": "cose"} {
		f := &fake{pinned: coordinator.SPKI(own.Leaf)}
		w := ask(t, f, http.MethodGet, path, "", v+kind+";version=1", own)
		if got := w.Header().Get("Content-Type"); w.Code != 200 || got != v+kind+";version=1" {
			t.Errorf("GET %s: %d %s", path, w.Code, got)
		}
		if w := ask(t, f, http.MethodGet, path, "", "text/html", own); w.Code != 406 || f.calls != 1 {
			t.Errorf("GET %s as a page: %d, %d calls", path, w.Code, f.calls)
		}
	}
}

func ask(t *testing.T, f *fake, method, path, content, accept string, own tls.Certificate) *httptest.ResponseRecorder {
	t.Helper()
	api, err := peer.New(peer.Options{Coordinator: f, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, peer.Prefix+"/transfers"+path, strings.NewReader("b"))
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{own.Leaf}}
	for name, value := range map[string]string{"Content-Type": content, "Accept": accept} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	w := httptest.NewRecorder()
	api.Routes().ServeHTTP(w, r)
	return w
}
