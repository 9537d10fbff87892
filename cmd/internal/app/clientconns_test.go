package app_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/est"
	"steward/suit/rollout"
)

// TestRevokedDownloadEnds: what a device reads by HTTPS ends with its certificate, in
// the middle of an answer that was granted.
func TestRevokedDownloadEnds(t *testing.T) {
	a := serving(t)
	image := bytes.Repeat([]byte("image"), 5<<20)
	r := rollout.Release{ID: "R", CreatedAt: time.Now(), State: rollout.ReleaseApproved}
	if err := a.StockRelease(t.Context(), r, rollout.Content{Pull: []byte("envelope"), Image: image}); err != nil {
		t.Fatal(err)
	}
	mine := updating(t, a, "mine", "01D", true)
	d := tls.Dialer{Config: &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, Certificates: []tls.Certificate{*mine},
	}}
	conn, err := d.DialContext(t.Context(), "tcp", a.UpdatesAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprintf(conn, "GET /update/p/R HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, 1000)
	if _, err := io.ReadFull(conn, head); err != nil || !bytes.HasPrefix(head, []byte("HTTP/1.1 200")) {
		t.Fatalf("%.60q, %v", head, err)
	}
	hash := app.Sum(mine.Certificate[0])
	if err := a.CA().Revoke(t.Context(), hash, est.KeyCompromise, "test"); err != nil {
		t.Fatal(err)
	}
	for a.ClientConns() > 0 {
		select {
		case <-t.Context().Done():
			t.Fatal("still connected")
		case <-time.After(time.Millisecond):
		}
	}
	if n, _ := io.Copy(io.Discard, conn); n > int64(len(image)-len(head)) { // what lay in buffers still comes
		t.Errorf("read %d bytes more of %d", n, len(image))
	}
}
