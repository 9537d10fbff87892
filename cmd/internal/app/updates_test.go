package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"steward/cmd/internal/app"
	"steward/cmd/internal/config"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// serving runs a provider with the HTTPS listener of updates.
func serving(t *testing.T) *app.App {
	t.Helper()
	o := config.Default()
	o.Data, o.Host, o.AllowTestRange = t.TempDir(), "127.0.0.1", true
	o.HTTP, o.CoAPS, o.Peer, o.PKI, o.Updates = "127.0.0.1:0", "127.0.0.1:0", "off", "off", "127.0.0.1:0"
	cfg, err := config.New(o)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, a.Close()); err != nil {
			t.Error(err)
		}
	})
	return a
}

// updating adds a device with an update to release R under way, and returns its
// certificate.
func updating(t *testing.T, a *app.App, name string, id fleet.ID, update bool) *tls.Certificate {
	t.Helper()
	ctx, now := t.Context(), time.Now().UTC().Truncate(time.Microsecond)
	key := esttest.Key(t)
	der, err := a.IssueOperational(ctx, name, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	d := fleet.Device{ID: id, Endpoint: lwm2m.Endpoint(name), Ownership: fleet.Owned, CreatedAt: now}
	if err := a.DB().Devices().Put(ctx, d, "test", "test"); err != nil {
		t.Fatal(err)
	}
	if update {
		c := rollout.Campaign{
			ID: "C", Release: "R", Delivery: rollout.Pull, State: rollout.CampaignWaves, CreatedAt: now, CreatedBy: "x",
			Waves: []rollout.Wave{{Size: 1, State: rollout.WaveRunning}},
		}
		jobs := []rollout.Job{{Campaign: "C", Device: id, State: rollout.Planned, Due: now, UpdatedAt: now}}
		if err := a.DB().Rollout().AddCampaign(ctx, c, jobs); err != nil {
			t.Fatal(err)
		}
		if started, _, err := a.DB().Rollout().StartJobs(ctx, c, 0, 1, now); err != nil || len(started) != 1 {
			t.Fatalf("StartJobs = %d, %v", len(started), err)
		}
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestUpdatesListener(t *testing.T) {
	a := serving(t)
	image := bytes.Repeat([]byte("image"), 100_000)
	for _, id := range []string{"R", "S"} {
		r := rollout.Release{ID: id, CreatedAt: time.Now(), State: rollout.ReleaseApproved}
		if err := a.StockRelease(t.Context(), r, rollout.Content{Pull: []byte("envelope"), Image: image}); err != nil {
			t.Fatal(err)
		}
	}
	mine, other := updating(t, a, "mine", "01D", true), updating(t, a, "other", "01E", false)
	stranger := esttest.NewDevice(t, esttest.NewFactory(t, time.Now), "mine")
	forged := &tls.Certificate{Certificate: [][]byte{stranger.DER}, PrivateKey: stranger.Key}
	for _, tt := range []struct {
		name        string
		certificate *tls.Certificate
		path, from  string
		status      int
		body        []byte
	}{
		{"envelope", mine, "/update/e/R", "", 200, []byte("envelope")},
		{"payload", mine, "/update/p/R", "", 200, image},
		{"the rest of it", mine, "/update/p/R", "bytes=300000-", 206, image[300000:]},
		{"another release", mine, "/update/p/S", "", 403, nil},
		{"another device", other, "/update/p/R", "", 403, nil},
		{"the same name by another CA", forged, "/update/p/R", "", 403, nil},
		{"no certificate", nil, "/update/p/R", "", 0, nil},
		{"the operators' pages", mine, "/api/v1/devices", "", 404, nil},
	} {
		config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true}
		if tt.certificate != nil {
			config.Certificates = []tls.Certificate{*tt.certificate}
		}
		transport := &http.Transport{TLSClientConfig: config}
		status, body := fetch(t, transport, "https://"+a.UpdatesAddr()+tt.path, tt.from)
		transport.CloseIdleConnections()
		if status != tt.status || tt.body != nil && !bytes.Equal(body, tt.body) {
			t.Errorf("%s: %d with %d bytes, want %d with %d", tt.name, status, len(body), tt.status, len(tt.body))
		}
	}
}

// fetch returns status and body; 0 if there is no answer.
func fetch(t *testing.T, transport *http.Transport, uri, from string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, uri, nil)
	if err != nil {
		t.Fatal(err)
	}
	if from != "" {
		r.Header.Set("Range", from)
	}
	res, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, body
}
