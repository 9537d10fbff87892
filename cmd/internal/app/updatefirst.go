package app

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
	"strconv"
	"strings"

	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/suit"
	"steward/suit/author"
	"steward/suit/rollout"
)

// Update before enrolment (transfer protocol §4, step 9b): a device that comes asks
// GET /update?c=<class>&s=<sequence> by its factory certificate. 2.05 is an envelope,
// 2.03 that there is nothing newer, which opens its right; 5.03 that it is to ask
// again. It is given the newest approved release for its class, whose payload it fetches
// from /update/p by the same association, or finds inside: whoever lets it be asked for
// must not put secrets there.

// updateRest is for how long a device is to wait that came too early.
const updateRest = 5 // seconds

// updateFirst answers such a device.
func (a *App) updateFirst(ctx context.Context, r *coap.Request) *coap.Response {
	who := r.Peer.Identity()
	class, sequence, ok := updateQuery(r.Query)
	switch {
	case r.Method != coap.GET:
		return &coap.Response{Code: coap.MethodNotAllowed}
	case who.Role != coap.RoleFactory:
		return &coap.Response{Code: coap.Forbidden}
	case !ok:
		return &coap.Response{Code: coap.BadRequest, Payload: []byte("c=<class>&s=<sequence>")}
	}
	a.factory.note(r.Peer)
	factory := fleet.Factory(who.Certificate)
	_, may, err := a.transfers.MayUpdate(ctx, factory)
	if err == nil && !may {
		return &coap.Response{Code: coap.ServiceUnavailable, MaxAge: coap.MaxAgeSeconds(updateRest)}
	}
	var release rollout.Release
	if err == nil {
		release, ok, err = a.newerRelease(ctx, class, sequence)
	}
	if err == nil && ok {
		return a.updates.ServeEnvelope(ctx, r, release)
	}
	if err == nil {
		err = a.transfers.UpToDate(ctx, factory)
	}
	if err != nil {
		a.log.LogAttrs(ctx, slog.LevelError, "update before enrolment", slog.String("endpoint", who.Name),
			slog.Any("error", err))
		return &coap.Response{Code: coap.ServiceUnavailable, MaxAge: coap.MaxAgeSeconds(updateRest)}
	}
	return &coap.Response{Code: coap.Valid, ETag: []byte(strconv.FormatUint(sequence, 16))}
}

// mayFetchFirst says whether a device that comes may fetch the payload of a release: as
// long as it waits for its update, and no longer. It returns rollout.ErrNotGranted.
func (a *App) mayFetchFirst(ctx context.Context, factory fleet.Factory, release string) (rollout.Grant, error) {
	arrival, may, err := a.transfers.MayUpdate(ctx, factory)
	if err != nil {
		return rollout.Grant{}, err
	}
	if !may {
		return rollout.Grant{}, rollout.ErrNotGranted
	}
	r, err := a.db.Rollout().Release(ctx, release)
	switch {
	case errors.Is(err, rollout.ErrUnknown):
		return rollout.Grant{}, rollout.ErrNotGranted
	case err != nil:
		return rollout.Grant{}, err
	case !r.Apart || r.State != rollout.ReleaseApproved:
		return rollout.Grant{}, rollout.ErrNotGranted
	}
	return rollout.Grant{Device: arrival.Device}, nil
}

// updateQuery reads the two parameters, each once: the class as a UUID, the sequence
// number in decimal.
func updateQuery(query []string) (class string, sequence uint64, ok bool) {
	values, err := url.ParseQuery(strings.Join(query, "&"))
	if err != nil || len(values) != 2 || len(values["c"]) != 1 || len(values["s"]) != 1 {
		return "", 0, false
	}
	id, err1 := author.ParseUUID(values["c"][0])
	sequence, err2 := strconv.ParseUint(values["s"][0], 10, 64)
	return id.String(), sequence, err1 == nil && err2 == nil
}

// maxScanned bounds the releases that are looked through.
const (
	scanned    = 100
	maxScanned = 10_000
)

// newerRelease returns the newest approved release for a class that we can give
// and is above a sequence number; ok is false if there is none.
func (a *App) newerRelease(ctx context.Context, class string, above uint64) (rollout.Release, bool, error) {
	found, err := a.db.Rollout().ApprovedAbove(ctx, class, above, considered)
	for _, r := range found {
		if given, err := a.updates.Gives(ctx, r); err != nil || given {
			return r, given, err
		}
	}
	return rollout.Release{}, false, err
}

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
	r, ok, err := a.releaseOf(ctx, report.Digest)
	if err == nil && ok {
		err = a.db.Rollout().AddInstalled(ctx, report.Device, []rollout.Installed{{
			Digest: report.Digest, Sequence: r.Sequence,
		}}, "device:"+string(d.Endpoint))
	}
	a.logError(ctx, "noting an update before enrolment", err)
}

// releaseOf returns the release that has a manifest; ok is false if there is none.
func (a *App) releaseOf(ctx context.Context, manifest suit.Digest) (found rollout.Release, ok bool, err error) {
	err = a.eachRelease(ctx, func(r rollout.Release) bool {
		if r.Manifest[0].Equal(manifest) || r.Manifest[1].Equal(manifest) {
			found, ok = r, true
		}
		return !ok
	})
	return found, ok, err
}
