// Package app is the composition root: it builds one provider out of its parts
// and runs them. What is wired to what can be read here and nowhere else.
package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/cmd/internal/revokelog"
	"steward/cmd/internal/services"
	"steward/cmd/internal/signlog"
	"steward/cmd/internal/sqlite"
	"steward/cmd/internal/trace"
	"steward/est"
	"steward/est/attest"
	"steward/est/attest/rounds"
	"steward/est/enrol"
	"steward/lwm2m/bootstrap"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
	"steward/lwm2m/server"
	"steward/lwm2m/transport"
	"steward/objects"
	"steward/objects/registry"
	"steward/suit/rollout"
	"steward/transfer/coordinator"
	"steward/web"
	"steward/web/hook"
)

// An App is one provider: one process, one data directory.
type App struct {
	cfg config.Config
	log *slog.Logger

	dir     *directory
	db      *sqlite.DB
	signs   *signlog.Log
	journal *revokelog.Log
	devices fleet.Store
	keys    sqlite.Credentials // pre-shared keys of devices
	replies sqlite.Replies     // to requests that may be sent again
	ring    *keys.Ring
	pki     *pki
	// upstream makes the certificates of devices; nil: our own issuer does.
	upstream est.Upstream
	auditor  *auditor
	faults   *faults

	registry  *registry.Registry
	engine    *coap.Engine
	traces    *trace.Recorder
	server    *server.Server
	queue     *queue.Queue
	bootstrap *bootstrap.Server
	rollout   *rollout.Runner
	updates   *rollout.Endpoint
	courier   *rollout.Courier
	reporter  *rollout.Reporter
	transfers *coordinator.Coordinator
	enrolment *enrol.Runner
	verifier  *attest.Verifier
	rounds    *rounds.Runner
	factory   *factoryPeers
	rekeys    *rekeys
	led       led
	coaps     *transport.Listener
	coap      *transport.Listener // nil: none
	streams   streams
	web       *webListeners
	hub       *services.Hub
	recorder  *services.Recorder
	auditTail *services.AuditTail
	rates     *services.Rates
	teller    *hook.Runner
	webhooks  hook.Hooks
	bulk      *services.Bulk
	groups    web.Groups // of devices
	ran       bool       // Run has closed the sockets

	registrations atomic.Uint64 // since the start

	revocations *revocations   // whose sessions are to be dropped
	returned    chan coap.Peer // restored associations that have spoken
	readiness   readiness
	publication *publication
	backingUp   sync.Mutex // held while a backup is put together and written
	movingAudit sync.Mutex // held while audit rows go to files, or are copied
}

// New opens the data directory, making at the first start what is missing, and
// binds the sockets. Nothing is served before Run. It returns ErrLocked if
// another process has the directory.
func New(ctx context.Context, cfg config.Config, log *slog.Logger) (a *App, err error) {
	a = &App{cfg: cfg, log: log, factory: newFactoryPeers(), revocations: newRevocations()}
	a.returned = make(chan coap.Peer, maxReturned)
	a.web = &webListeners{stream: &web.Stream{}}
	a.hub = services.NewHub(a.web.stream)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
			a = nil
		}
	}()
	if a.dir, err = openDirectory(cfg.Data); err != nil {
		return a, err
	}
	if a.db, err = sqlite.Open(ctx, a.dir.file(fileDB)); err != nil {
		return a, err
	}
	if a.signs, err = signlog.Open(a.dir.file(dirRefreshes)); err != nil {
		return a, err
	}
	a.devices = a.db.Devices()
	if err = a.keepEvents(ctx); err != nil {
		return a, err
	}
	seal, err := a.openKeys()
	if err != nil {
		return a, err
	}
	a.auditor = newAuditor(a.db, log)
	a.faults = newFaults(a.devices, a.db, log, a.now)
	a.registry = registry.Default().With(objects.AdvancedFirmwareDefinition())
	if cfg.HandOver {
		a.registry = a.registry.With(objects.Definitions(cfg.IDs)...)
	}
	if err = services.LoadDefinitions(ctx, a.db, a.registry); err != nil {
		return a, err
	}
	if err = a.openJournal(); err != nil {
		return a, err
	}
	if err = a.openCA(ctx, seal); err != nil {
		return a, err
	}
	if err = a.buildUpdates(ctx); err != nil {
		return a, err
	}
	if err = a.buildDeviceSide(ctx); err != nil {
		return a, err
	}
	return a, a.buildWebSide(ctx)
}

// openKeys opens the ring of keys, and what is kept sealed by one of them.
func (a *App) openKeys() (seal *keys.Sealer, err error) {
	if a.ring, err = openRing(a.dir, a.cfg.Keys); err != nil {
		return nil, err
	}
	if seal, err = a.ring.Sealer(); err != nil {
		return nil, err
	}
	a.keys, a.replies = a.db.Credentials(seal), a.db.Replies(seal)
	return seal, a.buildWebhooks(seal)
}

// buildDeviceSide makes everything that devices speak to.
func (a *App) buildDeviceSide(ctx context.Context) (err error) {
	handler := &endpoint{parts: map[surface]coap.Handler{}, auditor: a.auditor, log: a.log, heard: a.heard}
	a.traces = trace.New(trace.Options{
		Device: func(p coap.Peer) (fleet.ID, bool) { return a.server.Device(p) }, Schema: a.registry,
		Published: a.hub.Trace, Now: a.now, Keep: a.cfg.Kept.Trace,
	})
	a.engine = coap.New(coap.Options{
		Handler: handler, Quick: handler.quick, Params: coap.Params{AckTimeout: a.cfg.AckTimeout}, Log: a.log,
		Closed: a.closed, MaxBody: maxDeviceBody, Trace: a.traces.Datagram,
	})
	var kept errgroup.Group // what there was before: both take a while where devices are many
	kept.Go(func() error { return a.loadRegistrations(ctx) })
	kept.Go(a.listen)
	if err := kept.Wait(); err != nil {
		return err
	}
	if err = a.buildQueue(ctx); err != nil {
		return err
	}
	if err = a.buildBootstrap(); err != nil {
		return err
	}
	enrolment, err := a.newESTCoAPS()
	if err != nil {
		return err
	}
	renewal, err := a.lateRenewal(a.watchEnrolment(enrolment))
	if err != nil {
		return err
	}
	if err = a.buildAttestation(); err != nil {
		return err
	}
	handler.parts = map[surface]coap.Handler{
		surfaceAttest:    a.attestation(),
		surfaceLwM2M:     a.server,
		surfaceBootstrap: a.bootstrap,
		surfaceEST:       renewal,
		surfaceUpdate:    coap.HandlerFunc(a.serveUpdates),
		surfaceDiscovery: discovery(enrolment),
		surfaceStatus:    a.publication,
		surfacePublished: a.publication,
	}
	handler.lwm2m = a.server.Quick
	if a.courier, err = a.newCourier(); err != nil {
		return err
	}
	a.rollout, err = rollout.NewRunner(rollout.RunnerOptions{
		Store: a.db.Rollout(), Devices: newUpdateDevices(a.server), Log: a.log, Poll: min(a.cfg.Poll, 2*time.Second),
		Deliverer: a.courier,
		Changed:   a.updated, Moved: a.hub.Campaign,
		People: a.approvers(web.RoleOperator),
	})
	if err != nil {
		return err
	}
	if err = a.buildEnrolment(); err != nil {
		return err
	}
	a.server.Subscribe(a.watch)
	return a.buildTransfers(ctx)
}

// maxDeviceBody bounds what a device may send in one body: a big object tree.
const maxDeviceBody = 1 << 20

// CoAPSURI is what devices are told to connect to: "coaps://host:port".
func (a *App) CoAPSURI() string {
	if a.cfg.PublicCoAPS != "" {
		return "coaps://" + a.cfg.PublicCoAPS
	}
	return "coaps://" + hostPort(a.cfg.Host, a.coaps.Addr())
}

// hostPort joins the configured host name with the port that was bound.
func hostPort(host string, bound netip.AddrPort) string {
	return net.JoinHostPort(host, formatText(bound.Port()))
}

// closed is told of each association that ended.
func (a *App) closed(p coap.Peer) {
	a.server.Closed(p)
	a.factory.closed(p)
	a.led.closed(p)
}

// revoked drops the live sessions of a certificate at once. It is called within
// the CA's call, so it hands the work on.
func (a *App) revoked(h est.Hash) { a.revocations.add(h) }

func (a *App) now() time.Time { return time.Now() }

// logError logs an error that nobody else can be told of.
func (a *App) logError(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		a.log.LogAttrs(ctx, slog.LevelError, "background", slog.String("what", what), slog.Any("error", err))
	}
}

// Run serves until ctx ends or a part fails. The sockets come up last and go
// down first.
func (a *App) Run(ctx context.Context) error {
	a.ran = true
	below, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	parts, inner := errgroup.WithContext(below)
	for _, run := range a.runners() {
		parts.Go(func() error { return run(inner) })
	}
	sockets, outer := errgroup.WithContext(ctx)
	sockets.Go(func() error { return a.coaps.Run(outer) })
	if a.coap != nil {
		sockets.Go(func() error { return a.coap.Run(outer) })
	}
	for _, l := range a.streams.all() {
		sockets.Go(func() error { return l.Run(outer) })
	}
	a.web.run(outer, sockets)
	sockets.Go(func() error {
		select {
		case <-inner.Done():
			return errPartEnded
		case <-outer.Done():
			return nil
		}
	})
	err := sockets.Wait()
	stop()
	if partErr := parts.Wait(); partErr != nil {
		return partErr
	}
	if errors.Is(err, errPartEnded) || errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// errPartEnded brings the sockets down when a part below them failed.
var errPartEnded = errors.New("a part of the server ended")

// runners are the parts that must outlive the sockets.
func (a *App) runners() []func(context.Context) error {
	all := []func(context.Context) error{
		a.engine.Run, a.server.Run, a.queue.Run, a.bootstrap.Run, a.rollout.Run, a.reporter.Run, a.auditor.Run, a.background,
		a.verifyAudit, a.welcome, a.keepSeries, a.faults.Run, a.enrolment.Run, a.forward,
		a.bulk.Run, a.rekeys.run, a.recorder.Run, a.auditTail.Run, a.rates.Run, a.archiveAudit, a.teller.Run, a.watchStorage,
	}
	if a.cfg.HandOver { // else open transfers wait for the ids of their objects
		all = append(all, a.transfers.Run, a.rounds.Run)
	}
	return all
}
