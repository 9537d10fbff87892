package app_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"golang.org/x/crypto/ocsp"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/est/esttest"
)

// BenchmarkOCSPOverHTTP asks about one certificate: the handler alone by POST and
// GET, with a nonce that costs a signature, and over connections on this machine.
func BenchmarkOCSPOverHTTP(b *testing.B) {
	o := config.Default()
	o.Data, o.HTTP, o.CoAPS, o.Peer, o.PKI = b.TempDir(), "127.0.0.1:0", "127.0.0.1:0", "off", "off"
	cfg, err := config.New(o)
	if err != nil {
		b.Fatal(err)
	}
	a, err := app.New(b.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = a.Close() })
	issued, err := a.CA().IssueServer(b.Context(), "a.example", esttest.Key(b).Public())
	if err != nil {
		b.Fatal(err)
	}
	cert, err := ocsp.CreateRequest(parse(b, issued.DER), a.CA().Certificate(), nil)
	if err != nil {
		b.Fatal(err)
	}
	h := a.PKIHandler()
	rate := func(b *testing.B) {
		b.Helper()
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
	}
	ask := func(b *testing.B, r *http.Request) {
		b.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Body.Len() < 200 {
			b.Fatal(w.Code, w.Body.Len())
		}
	}
	target := "/ocsp/" + url.PathEscape(base64.StdEncoding.EncodeToString(cert))
	b.Run("post", func(b *testing.B) {
		for range b.N {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/ocsp", bytes.NewReader(cert))
			r.Header.Set("Content-Type", ocspType)
			ask(b, r)
		}
		rate(b)
	})
	b.Run("get", func(b *testing.B) {
		for range b.N {
			ask(b, httptest.NewRequestWithContext(b.Context(), http.MethodGet, target, nil))
		}
		rate(b)
	})
	b.Run("connections", func(b *testing.B) {
		s := httptest.NewServer(h)
		defer s.Close()
		c := s.Client()
		c.Transport.(*http.Transport).MaxIdleConnsPerHost = 16
		b.SetParallelism(4)
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				res, err := c.Get(s.URL + target)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
		rate(b)
	})
}
