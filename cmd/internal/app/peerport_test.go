package app_test

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/transfer/coordinator"
	"steward/web"
)

// TestPeerPort has the system choose the port of partners: the identity file names that
// one, and our certificate is shown there.
func TestPeerPort(t *testing.T) {
	p := newProvider(t, "Alpha", func(o *config.Options) { o.Peer = "127.0.0.1:0" })
	p.start()
	defer p.stop()
	if err := app.Grant(t.Context(), p.app, web.RoleAdmin, "secret"); err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, p.app.DashboardURL()+"/api/v1/identity", nil)
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	app.Dashboard(p.app).ServeHTTP(w, r)
	identity, err := coordinator.ParseIdentity(w.Body.Bytes())
	if err != nil {
		t.Fatalf("identity: %d, %v", w.Code, err)
	}
	u, err := url.Parse(identity.PeerURI)
	if err != nil || u.Port() == "0" {
		t.Fatalf("the identity file names %s, %v", identity.PeerURI, err)
	}
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}}
	conn, err := d.DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	secure, _ := conn.(*tls.Conn)
	if shown := secure.ConnectionState().PeerCertificates[0]; !bytes.Contains([]byte(identity.TLS),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: shown.Raw})) {
		t.Errorf("at %s is %s", u.Host, shown.Subject)
	}
}
