package app

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"strconv"

	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/rollout"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// Update before enrolment (transfer protocol §4, step 9b): a device that comes asks
// GET /update?c=<class>&s=<sequence> by its factory certificate. 2.05 is an envelope,
// 2.03 that there is nothing newer, which opens its right; 5.03 that it is to ask
// again. It is given the release that was chosen for its transfer, else the newest
// approved one for its class, whose payload it fetches
// by the same association, or finds inside. One with secrets it is given only if it names
// the key that it enrols, k=<key>, encrypted to that key.

// updateRest is for how long a device is to wait that came too early.
const updateRest = 5 // seconds

// updateFirst answers such a device.
func (a *App) updateFirst(ctx context.Context, r *coap.Request) *coap.Response {
	who := r.Peer.Identity()
	q, ok := parseUpdateQuery(r.Query)
	switch {
	case r.Method != coap.GET:
		return &coap.Response{Code: coap.MethodNotAllowed}
	case who.Role != coap.RoleFactory:
		return &coap.Response{Code: coap.Forbidden}
	case !ok:
		return &coap.Response{Code: coap.BadRequest, Payload: []byte("c=<class>&s=<sequence>&k=<key to be enrolled>")}
	}
	a.factory.note(r.Peer)
	res, err := a.updateFor(ctx, r, q)
	if err != nil {
		a.log.LogAttrs(ctx, slog.LevelError, "update before enrolment", slog.String("endpoint", who.Name),
			slog.Any("error", err))
		return later()
	}
	return res
}

// later has a device ask again.
func later() *coap.Response {
	return &coap.Response{Code: coap.ServiceUnavailable, MaxAge: coap.MaxAgeSeconds(updateRest)}
}

// updateFor answers what a device asked.
func (a *App) updateFor(ctx context.Context, r *coap.Request, q updateQuery) (*coap.Response, error) {
	who := r.Peer.Identity()
	factory := fleet.Factory(who.Certificate)
	arrival, may, err := a.transfers.MayUpdate(ctx, factory)
	switch {
	case err != nil:
		return nil, err
	case !may:
		return later(), nil
	case q.key != nil && transfer.Hash(q.key.hash) != arrival.Key:
		a.auditor.add(audit.Row{
			Actor: "device:" + who.Name, Action: "update.refuse", Subject: string(arrival.Device),
			Reason: "another key than that of the READY receipt, by the factory certificate",
			Before: "key " + hex.EncodeToString(arrival.Key[:8]), After: "key " + hex.EncodeToString(q.key.hash[:8]),
		})
		return &coap.Response{Code: coap.Forbidden}, nil
	}
	release, ok, err := a.releaseFor(ctx, arrival, q)
	switch {
	case errors.Is(err, errWithdrawn):
		return later(), nil
	case err != nil:
		return nil, err
	case !ok:
		err = a.transfers.UpToDate(ctx, factory)
		return &coap.Response{Code: coap.Valid, ETag: []byte(strconv.FormatUint(q.sequence, 16))}, err
	case release.Sealed == nil:
		return a.updates.ServeEnvelope(ctx, r, release), nil
	case q.key == nil: // it was chosen, and nothing else will do
		return &coap.Response{Code: coap.NotAcceptable, Payload: []byte("k=<key to be enrolled>")}, nil
	}
	sealed, err := a.sealedFor(ctx, arrival, release, *q.key, "device:"+who.Name)
	if err != nil {
		return nil, err
	}
	return a.updates.ServeSealed(r, sealed), nil
}

// mayFetchFirst says whether a device that comes may fetch the payload of a release: as
// long as it waits for its update, and no longer. over says that nothing else gives it
// to somebody with a factory certificate: it has secrets, or it was granted.
func (a *App) mayFetchFirst(ctx context.Context, factory fleet.Factory, release string) (
	g rollout.Grant, over bool, err error,
) {
	r, err := a.db.Rollout().Release(ctx, release)
	switch {
	case errors.Is(err, rollout.ErrUnknown):
		return g, false, nil
	case err != nil:
		return g, false, err
	case r.Sealed != nil:
		return g, true, rollout.ErrNotGranted
	case !r.Apart || r.State != rollout.ReleaseApproved:
		return g, false, nil
	}
	arrival, may, err := a.transfers.MayUpdate(ctx, factory)
	if err != nil || !may {
		return g, false, err
	}
	if chosen, ok, err := a.chosen(ctx, arrival, r.Class); err != nil || ok && chosen.ID != r.ID {
		return g, false, err
	}
	return rollout.Grant{Device: arrival.Device}, true, nil
}

// errWithdrawn reports that what was chosen for a transfer may not be given any more.
var errWithdrawn = errors.New("the release that was chosen is withdrawn")

// chosen returns the release that was chosen for a transfer, if it is of a class.
func (a *App) chosen(ctx context.Context, arrival coordinator.Arrival, class string) (
	r rollout.Release, ok bool, err error,
) {
	if arrival.Release == "" {
		return r, false, nil
	}
	r, err = a.db.Rollout().Release(ctx, arrival.Release)
	return r, err == nil && r.Class == class, err
}

// releaseFor returns what a device is given: what was chosen for its transfer, else the
// newest. ok is false if it runs that, or there is none; the error is errWithdrawn if it
// must wait.
func (a *App) releaseFor(ctx context.Context, arrival coordinator.Arrival, q updateQuery) (
	r rollout.Release, ok bool, err error,
) {
	chosen, ok, err := a.chosen(ctx, arrival, q.class)
	switch {
	case err != nil:
		return r, false, err
	case !ok:
		return a.newerRelease(ctx, q)
	case chosen.Sequence <= q.sequence:
		return r, false, nil
	case chosen.State != rollout.ReleaseApproved:
		return r, false, errWithdrawn
	}
	return chosen, true, nil
}

// newerRelease returns the newest approved release that we can give a device; ok is
// false if there is none.
func (a *App) newerRelease(ctx context.Context, q updateQuery) (rollout.Release, bool, error) {
	found, err := a.db.Rollout().ApprovedAbove(ctx, q.class, q.sequence, considered)
	for _, r := range found {
		if r.Sealed != nil && q.key == nil {
			continue
		}
		if given, err := a.updates.Gives(ctx, r); err != nil || given {
			return r, given, err
		}
	}
	return rollout.Release{}, false, err
}

// maxScanned bounds the releases that are looked through.
const (
	scanned    = 100
	maxScanned = 10_000
)

// considered is how many releases are looked at for one that can be pushed.
const considered = 16

// eachRelease calls fn with the releases, the newest first, until it returns false.
func (a *App) eachRelease(ctx context.Context, fn func(rollout.Release) bool) error {
	before := ""
	for range maxScanned / scanned {
		page, err := a.db.Rollout().ListReleases(ctx, before, scanned)
		if err != nil {
			return err
		}
		for _, r := range page {
			if !fn(r) {
				return nil
			}
			before = r.ID
		}
		if len(page) < scanned {
			return nil
		}
	}
	return nil
}

// updatedFirst notes what a device runs that was updated before it enrolled, by the
// report of its success.
func (a *App) updatedFirst(ctx context.Context, report rollout.DeviceReport) {
	if !report.Succeeded {
		return
	}
	d, err := a.devices.Device(ctx, report.Device)
	if err != nil {
		return
	}
	if _, may, err := a.transfers.MayUpdate(ctx, d.Factory); err != nil || !may {
		return
	}
	r, ok, err := a.releaseOf(ctx, report.Device, report.Digest)
	if err == nil && ok {
		err = a.db.Rollout().AddInstalled(ctx, report.Device, []rollout.Installed{{
			Digest: report.Digest, Sequence: r.Sequence,
		}}, "device:"+string(d.Endpoint))
	}
	a.logError(ctx, "noting an update before enrolment", err)
}

// releaseOf returns the release that has a manifest; ok is false if there is none.
func (a *App) releaseOf(ctx context.Context, device fleet.ID, manifest suit.Digest) (
	found rollout.Release, ok bool, err error,
) {
	sealed, err := a.sealedTo(ctx, device, manifest)
	if err != nil {
		return found, false, err
	}
	if sealed.Release != "" {
		found, err = a.db.Rollout().Release(ctx, sealed.Release)
		return found, err == nil, err
	}
	err = a.eachRelease(ctx, func(r rollout.Release) bool {
		if r.Manifest[0].Equal(manifest) || r.Manifest[1].Equal(manifest) {
			found, ok = r, true
		}
		return !ok
	})
	return found, ok, err
}
