package app

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"steward/cmd/internal/services"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/coap"
	"steward/lwm2m/queue"
	"steward/lwm2m/server"
	"steward/suit/cose"
	"steward/suit/rollout"
	"steward/web"
	"steward/web/once"
	"steward/web/scope"
)

// services makes what dashboard and REST API show and command.
func (a *App) services(ctx context.Context) (web.Services, error) {
	id := sum(a.pki.suit.cert.Raw)
	signer, err := cose.NewSigner(a.pki.suit.key, cose.ES256, id[:keyIDLength])
	if err != nil {
		return web.Services{}, fmt.Errorf("suit signer: %w", err)
	}
	reports, err := a.reportSigner(ctx)
	if err != nil {
		return web.Services{}, err
	}
	all, err := services.New(services.Options{
		DB: a.db, Server: a.server, CA: a.pki.ca, Rollout: a.rollout, Coordinator: a.transfers,
		Registry: a.registry, Queue: a.queue, Enrolment: a.enrolment, SUITSigner: signer, ReportSigner: reports,
		UpdateURI: func(release string) string { return rollout.PayloadURI(a.CoAPSURI(), release) },
		EnrollURI: a.EnrollURI(),
		Name:      a.cfg.Name, NewID: newULID, Now: a.now, Events: a.hub, Rates: a.rates,
		Keys: a.keys, References: a.references, Traces: a.traces, Webhooks: a.webhooks,
		KeyChanged: a.keyChanged, Naming: a.cfg.Naming,
		Approvers: a.approvers(web.RoleRelease),
		Attest:    a.attestNow, Retire: a.retireNow, Rounds: a.roundsRunning(),
	})
	all.Settings, all.Publication, all.Upkeep = a, a.publication, a.upkeep()
	a.groups = all.Groups
	if err != nil {
		return all, err
	}
	if !a.cfg.HandOver {
		all.Transfers, all.Partners = services.HandOverOff(all)
	}
	a.bulk, err = services.NewBulk(ctx, services.BulkOptions{ // last: it works by all others
		Services: scope.Services(all), DB: a.db, Schema: a.registry, NewID: newULID, Now: a.now, Events: a.hub,
		Approvers: a.approvers(web.RoleSecurity),
	})
	all.Bulks = a.bulk
	return all, err
}

// buildQueue makes what performs operations on devices, and holds them for those
// that sleep.
func (a *App) buildQueue(ctx context.Context) (err error) {
	performer := services.NewPerformer(services.Options{
		DB: a.db, Server: a.server, Registry: a.registry, Now: a.now,
	})
	a.queue, err = queue.New(ctx, queue.Options{
		Store: a.db.Operations(), Devices: a.server, Perform: performer.Perform, Changed: a.hub.Operation,
		NewID: newULID, Log: a.log, Keep: a.cfg.Kept.Operations,
	})
	return err
}

// heard is told of what devices ask of others than the LwM2M server: one in queue mode
// listens now, so what waits for it may go.
func (a *App) heard(p coap.Peer) {
	if device, queue := a.server.Heard(p); queue {
		a.queue.Wake(device)
	}
}

// keyIDLength is that of key identifiers in COSE headers: a hint for the look-up.
const keyIDLength = 8

// watch passes on what devices do.
func (a *App) watch(e server.Event) {
	a.hub.Device(e)
	if e.Kind == server.Registered {
		a.registrations.Add(1)
	}
	switch e.Kind {
	case server.Faulty:
		a.faults.add(e)
	case server.Sent:
		a.wake(e)
		a.reporter.Sent(e.Device, e.Entries)
		a.rekeys.sent(e)
	case server.Registered, server.Updated, server.Notified:
		a.wake(e)
		a.rollout.Wake(e.Device)
		if a.cfg.HandOver {
			a.transfers.Wake(e.Device)
		}
	default:
	}
}

// background does what callbacks must not wait for, and housekeeping.
func (a *App) background(ctx context.Context) error {
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	for {
		select {
		case <-a.revocations.wake:
			a.dropRevoked()
		case <-tick.C:
			_, err := a.pki.ca.Sweep(ctx)
			a.logError(ctx, "sweeping renewed certificates", err)
			_, err = services.WarnOfEnds(ctx, services.Options{DB: a.db, Now: a.now})
			a.logError(ctx, "looking for certificates that end", err)
			a.logError(ctx, "keeping statuses of certificates", a.publication.keep(ctx))
			a.logError(ctx, "forgetting keys made for devices", a.pki.ca.ForgetKeys(ctx))
			a.logError(ctx, "pruning credentials", a.web.accounts.Prune(ctx, a.now()))
			a.logError(ctx, "forgetting what nobody needs", a.db.Forget(ctx, a.now()))
			before := a.now().Add(-cmp.Or(a.cfg.Kept.Events, web.EventsKept))
			a.logError(ctx, "forgetting events", a.db.Events().Prune(ctx, before, web.MaxEvents))
			a.logError(ctx, "forgetting replies", a.replies.Prune(ctx, a.now().Add(-once.Lifetime)))
		case <-ctx.Done():
			return nil
		}
	}
}

// verifyAudit checks once what was written before this start: a million rows take
// some seconds, which nobody waits for.
func (a *App) verifyAudit(ctx context.Context) error {
	n, err := a.db.VerifyAudit(ctx)
	if err != nil {
		a.logError(ctx, "verifying the audit chain", err)
		return nil // it is for people to judge, and no reason to leave devices alone
	}
	a.log.LogAttrs(ctx, slog.LevelDebug, "audit chain verified", slog.Int64("rows", n))
	return nil
}

// watchStorage looks whether there is space again after nothing could be stored, and
// tells people of both, until ctx ends.
func (a *App) watchStorage(ctx context.Context) error {
	tick := time.NewTicker(storageCheck)
	defer tick.Stop()
	ill := false
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		err := a.db.Storage()
		if err != nil {
			err = a.db.Probe(ctx)
		}
		if (err != nil) == ill || ctx.Err() != nil {
			continue
		}
		ill = err != nil
		if ill {
			a.log.LogAttrs(ctx, slog.LevelError, "nothing can be stored: new work is refused", slog.Any("error", err))
		} else {
			a.log.LogAttrs(ctx, slog.LevelWarn, "the database can be written again")
		}
	}
}

// storageCheck is how often a disk that was full is looked at.
const storageCheck = time.Second

// keepSeries writes values over time that wait, and removes those whose time is
// over, until ctx ends.
func (a *App) keepSeries(ctx context.Context) error {
	flush, prune := time.NewTicker(sqlite.FlushEvery), time.NewTicker(pruneEvery)
	defer flush.Stop()
	defer prune.Stop()
	series, bounds := a.db.Series(), sqlite.SeriesBounds{Days: a.cfg.Kept.ValueDays}
	for {
		select {
		case <-flush.C:
			a.logError(ctx, "keeping values over time", series.Flush(context.WithoutCancel(ctx)))
		case <-prune.C:
			a.logError(ctx, "removing old values", series.Prune(ctx, a.now(), bounds))
		case <-ctx.Done():
			return series.Flush(context.WithoutCancel(ctx))
		}
	}
}

// pruneEvery is how often values over time are cleared away.
const pruneEvery = 10 * time.Minute

// housekeeping is how often expired things are cleared away.
const housekeeping = time.Minute
