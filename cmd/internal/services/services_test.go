package services_test

import (
	"context"
	"crypto"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/cmd/internal/services"
	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
	"steward/lwm2m/server"
	"steward/objects/registry"
	"steward/suit/cose"
	"steward/suit/rollout"
	"steward/web"
)

var alice = web.Actor{Name: "alice", Role: web.RoleAdmin}

// exchanger answers for all devices.
type exchanger struct {
	do      func(*coap.Request) (*coap.Response, error)
	observe func(*coap.Request) (*coap.Response, error)
}

func (x *exchanger) Do(_ context.Context, _ coap.Peer, r *coap.Request) (*coap.Response, error) {
	return x.do(r)
}

func (x *exchanger) Observe(
	_ context.Context, _ coap.Peer, r *coap.Request, _ func(*coap.Response),
) (*coap.Response, *coap.Observation, error) {
	res, err := x.observe(r)
	return res, nil, err
}

// world is one provider without sockets.
type world struct {
	web.Services

	db      *sqlite.DB
	server  *server.Server
	ca      *est.CA
	factory *est.CA
	clock   *esttest.Clock
	peers   *exchanger
	stream  *web.Stream
	key     crypto.Signer // of the SUIT signer
	options services.Options

	mu      sync.Mutex
	ids     int
	dropped []est.Hash
}

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "steward.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{db: db, clock: esttest.NewClock(), peers: &exchanger{}, stream: &web.Stream{}}
	w.ca = esttest.NewCA(t, "Alpha", db.Inventory(), w.clock.Now, func(o *est.Options) { o.Origins = db.Inventory() })
	w.factory = esttest.NewFactory(t, w.clock.Now)
	w.server, err = server.New(t.Context(), server.Options{
		Store: db.Server(), Exchanger: w.peers, Schema: registry.Default(),
		Identify: func(ctx context.Context, _ coap.Identity, ep lwm2m.Endpoint) (fleet.ID, error) {
			d, err := db.Devices().ByEndpoint(ctx, ep)
			return d.ID, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	runner, err := rollout.NewRunner(rollout.RunnerOptions{
		Store: db.Rollout(), Devices: noDevices{}, URI: func(string) string { return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.key = esttest.Key(t)
	signer, err := cose.NewSigner(w.key, 0, []byte("suit"))
	if err != nil {
		t.Fatal(err)
	}
	w.options = services.Options{
		DB: db, Server: w.server, CA: w.ca, Rollout: runner, Registry: registry.Default(), SUITSigner: signer,
		ReportSigner: signer, EnrollURI: "coaps://127.0.0.1:5684",
		UpdateURI: func(id string) string { return rollout.PayloadURI("coaps://127.0.0.1:5684", id) },
		Name:      "Alpha", NewID: w.newID, Now: w.clock.Now, Events: services.NewHub(w.stream),
		References: stored,
		Dropped:    func(h est.Hash, _ fleet.ID) { w.dropped = append(w.dropped, h) },
	}
	w.options.Queue, err = queue.New(t.Context(), queue.Options{
		Store: db.Operations(), Devices: w.server, Perform: services.NewPerformer(w.options).Perform, NewID: w.newID,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.build(t, w.options)
	return w
}

func (w *world) build(t *testing.T, o services.Options) {
	t.Helper()
	var err error
	if w.Services, err = services.New(o); err != nil {
		t.Fatal(err)
	}
	w.Services = w.Complete()
}

func (w *world) newID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids++
	return fmt.Sprintf("01J%023d", w.ids)
}

type noDevices struct{ rollout.Devices }

// add stores a device.
func (w *world) add(t *testing.T, d fleet.Device) fleet.Device {
	t.Helper()
	if d.ID == "" {
		d.ID = fleet.ID(w.newID())
	}
	if d.Ownership == "" {
		d.Ownership = fleet.Owned
	}
	d.CreatedAt = w.clock.Now()
	if err := w.db.Devices().Put(t.Context(), d, "test", ""); err != nil {
		t.Fatal(err)
	}
	return d
}

// registered stores a registration of d, which nobody can reach. A lifetime of 0
// is for ever.
func (w *world) registered(t *testing.T, d fleet.Device, lifetime time.Duration) {
	t.Helper()
	now := w.clock.Now()
	var ends time.Time
	if lifetime > 0 {
		ends = now.Add(lifetime)
	}
	err := w.db.Server().Register(t.Context(), server.Registration{
		ID: "loc-" + string(d.ID), Device: d.ID, Endpoint: d.Endpoint, Version: lwm2m.Version11, Lifetime: lifetime,
		Binding: "U", Address: "192.0.2.1:5683", RegisteredAt: now, UpdatedAt: now, ExpiresAt: ends,
		Objects: []server.ObjectLink{
			{Path: lwm2m.NewPath(3, 0)},
			{Path: lwm2m.NewPath(3303), Version: "1.1"},
			{Path: lwm2m.NewPath(3303, 1)},
			{Path: lwm2m.NewPath(3303, 0)},
			{Path: lwm2m.NewPath(33333, 0)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

type peer struct{ name string }

func (p *peer) Send([]byte) error { return nil }
func (p *peer) Identity() coap.Identity {
	return coap.Identity{Role: coap.RoleOperational, Name: p.name}
}
func (p *peer) String() string { return p.name }

// online registers d through the server, which can reach it from then on.
func (w *world) online(t *testing.T, d fleet.Device) {
	t.Helper()
	res := w.server.ServeCoAP(t.Context(), &coap.Request{
		Peer: newPeer(string(d.Endpoint)), Method: coap.POST, Path: []string{"rd"},
		Query: []string{"ep=" + string(d.Endpoint), "lt=300", "lwm2m=1.1", "b=U"}, ContentFormat: coap.FormatID(40),
		Payload: []byte("</3/0>,</1/0>"),
	})
	if res.Code != coap.Created {
		t.Fatalf("Register: %s %s", res.Code, res.Payload)
	}
	res.Sent() // the device has its answer
}

// audited returns the newest audit row with the action.
func (w *world) audited(t *testing.T, action string) audit.Record {
	t.Helper()
	rows, err := w.db.View().AuditRows(t.Context(), sqlite.AuditQuery{Action: action, Limit: 1})
	if err != nil || len(rows) == 0 {
		t.Fatalf("no audit row %s: %v", action, err)
	}
	return rows[0]
}

// wantError checks that err is of web's vocabulary and the right one.
func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", what, err, want)
	}
	if _, code := web.Status(err); err != nil && code == "internal" {
		t.Errorf("%s: %v is not of web's vocabulary", what, err)
	}
}

func TestNew(t *testing.T) {
	if _, err := services.New(services.Options{}); !errors.Is(err, services.ErrOptions) {
		t.Errorf("New of nothing = %v", err)
	}
	w := newWorld(t)
	_, err := w.Transfers.Transfer(t.Context(), "x")
	wantError(t, "Transfer without a coordinator", err, web.ErrNotBuilt)
}

// hostile are ids that nothing has.
var hostile = []string{
	"", "x", "ep:", "ep:nobody", "' OR 1=1 --", "../../etc/passwd", "%00", "a\x00b", "\xff\xfe",
	"<script>alert(1)</script>",
	strings.Repeat("9", 64), strings.Repeat("A", 100000), "ep:" + strings.Repeat("é", 5000),
}

func TestHostileIDs(t *testing.T) {
	w := newWorld(t)
	w.add(t, fleet.Device{Endpoint: "d"})
	ctx := t.Context()
	for _, id := range hostile {
		_, err := w.Devices.Device(ctx, id)
		wantError(t, "Device", err, web.ErrNotFound)
		if len(err.Error()) > 1000 || strings.ContainsRune(err.Error(), 0) {
			t.Errorf("Device(%.20q) shows %.60q", id, err)
		}
		_, err = w.Devices.Values(ctx, id, lwm2m.Path{})
		wantError(t, "Values", err, web.ErrNotFound)
		_, err = w.Operations.Do(ctx, alice, id, web.Operation{Kind: web.OpRead, Path: lwm2m.NewPath(3)})
		wantError(t, "Do", err, web.ErrNotFound)
		_, err = w.Certificates.Certificate(ctx, id)
		wantError(t, "Certificate", err, web.ErrNotFound)
		_, err = w.Certificates.Revoke(ctx, alice, id, web.Revocation{Reason: web.ReasonCessation})
		wantError(t, "Revoke", err, web.ErrNotFound)
		_, err = w.Releases.Release(ctx, id)
		wantError(t, "Release", err, web.ErrNotFound)
		_, err = w.Campaigns.Campaign(ctx, id)
		wantError(t, "Campaign", err, web.ErrNotFound)
		_, err = w.Campaigns.Jobs(ctx, id, web.JobFilter{}, web.Page{})
		wantError(t, "Jobs", err, web.ErrNotFound)
		_, err = w.Campaigns.CommandCampaign(ctx, alice, id, web.CampaignCommand{Action: web.CampaignAbort})
		wantError(t, "CommandCampaign", err, web.ErrNotFound)
		if id == "" {
			continue // no cursor and no filter
		}
		page := web.Page{Size: 10, After: id}
		_, err = w.Devices.ListDevices(ctx, web.DeviceFilter{}, page)
		wantError(t, "ListDevices", err, web.ErrInvalid)
		_, err = w.Certificates.ListCertificates(ctx, web.CertificateFilter{}, page)
		wantError(t, "ListCertificates", err, web.ErrInvalid)
		_, err = w.Certificates.ListCertificates(ctx, web.CertificateFilter{Device: id}, web.Page{})
		wantError(t, "ListCertificates of a device", err, web.ErrNotFound)
		list, err := w.Devices.ListDevices(ctx, web.DeviceFilter{Text: id, Tag: id, Campaign: id}, web.Page{})
		if err != nil || len(list.Items) != 0 {
			t.Errorf("ListDevices(%.20q) = %d, %v", id, len(list.Items), err)
		}
		rows, err := w.Activity.ListAudit(ctx, web.AuditFilter{Subject: id, Actor: id, Action: id}, web.Page{})
		if err != nil || len(rows.Items) != 0 {
			t.Errorf("ListAudit(%.20q) = %d, %v", id, len(rows.Items), err)
		}
		if _, err := w.Releases.ListReleases(ctx, page); err != nil {
			t.Errorf("ListReleases(%.20q) = %v", id, err)
		}
	}
	_, err := w.Activity.ListAudit(ctx, web.AuditFilter{}, web.Page{After: "-1"})
	wantError(t, "ListAudit", err, web.ErrInvalid)
}

func TestClosedDatabase(t *testing.T) {
	w := newWorld(t)
	if err := w.db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := w.Devices.ListDevices(t.Context(), web.DeviceFilter{}, web.Page{})
	wantError(t, "ListDevices", err, web.ErrUnavailable)
	_, err = w.Overview.Overview(t.Context(), w.clock.Now())
	wantError(t, "Overview", err, web.ErrUnavailable)
	_, err = w.Activity.ListAudit(t.Context(), web.AuditFilter{}, web.Page{})
	wantError(t, "ListAudit", err, web.ErrUnavailable)
}

func hash(b []byte) est.Hash { return sha256.Sum256(b) }
