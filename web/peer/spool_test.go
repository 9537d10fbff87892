package peer_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web/peer"
)

// slow is a body of which a part comes, and then nothing for too long.
type slow struct{ io.Reader }

func (s slow) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded)
	}
	return n, err
}

// TestLargeBodies: a large body reaches the coordinator whole or not at all, and leaves
// nothing behind.
func TestLargeBodies(t *testing.T) {
	own := certificate(t)
	whole := bytes.Repeat([]byte("a"), transfer.MaxBatch)
	for _, tt := range []struct {
		name   string
		body   io.Reader
		length int64 // below 0: not said
		want   int
		code   string
	}{
		{"the longest", bytes.NewReader(whole), transfer.MaxBatch, 204, ""},
		{"the longest, its length not said", bytes.NewReader(whole), -1, 204, ""},
		{"too long, and says so", strings.NewReader("unread"), transfer.MaxBatch + 1, 413, "too_large"},
		{"too long, and does not", io.MultiReader(bytes.NewReader(whole), strings.NewReader("b")), -1, 413, "too_large"},
		{"cut short", io.MultiReader(strings.NewReader("half"), cut{}), 8, 400, "cut"},
		{"too slow", slow{strings.NewReader("half")}, 8, 408, "slow"},
	} {
		f := &fake{pinned: coordinator.SPKI(own.Leaf)}
		dir := t.TempDir()
		api, err := peer.New(peer.Options{Coordinator: f, Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, peer.Prefix+"/transfers", tt.body)
		r.ContentLength = tt.length
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{own.Leaf}}
		r.Header.Set("Content-Type", coordinator.TypeSubmission)
		w := httptest.NewRecorder()
		api.Routes().ServeHTTP(w, r)
		if w.Code != tt.want || !strings.Contains(w.Body.String(), tt.code) || (f.calls > 0) != (tt.want == 204) {
			t.Errorf("%s: %d %s, %d calls; want %d %s", tt.name, w.Code, w.Body, f.calls, tt.want, tt.code)
		}
		if tt.want == 204 && !bytes.Equal(f.call.Body, whole) {
			t.Errorf("%s: %d bytes reach the coordinator", tt.name, len(f.call.Body))
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: %v remain, %v", tt.name, left, err)
		}
	}
}

// cut ends as a connection that breaks.
type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
