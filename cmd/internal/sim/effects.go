package sim

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"time"

	"steward/cmd/internal/keys"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/objects"
	"steward/transfer"
)

// holdLimit is how long effects wait for an answer to leave.
const holdLimit = 2 * time.Second

// ServeCoAP implements coap.Handler. An Execute may end the association that it
// came by, so its answer leaves first.
func (l *life) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	ctx = context.WithValue(ctx, requestKey{}, true)
	if r.Method != coap.POST || len(r.Path) != 3 {
		return l.cl.ServeCoAP(ctx, r)
	}
	l.held.Add(1)
	release := sync.OnceFunc(func() {
		l.held.Add(-1)
		l.poke()
	})
	response := l.cl.ServeCoAP(ctx, r)
	if response == nil {
		release()
		return nil
	}
	limit := time.AfterFunc(holdLimit, release)
	response.Sent = func() {
		limit.Stop()
		release()
	}
	return response
}

// effects performs what is pending and returns the activity that the device is
// left with, if any.
func (l *life) effects(ctx context.Context) (waiting *transfer.Effect) {
	for ctx.Err() == nil && l.held.Load() == 0 && l.failure() == nil && !l.restarting() {
		l.mu.Lock()
		e, ok := l.tr.Next()
		l.mu.Unlock()
		if !ok {
			return nil
		}
		if e.Waits {
			return &e
		}
		if e.Do == transfer.DoReport && !l.jittered() {
			return nil
		}
		if err := l.perform(ctx, &e); err != nil {
			return nil
		}
		if err := l.with(func(tr *transfer.Device) error { return tr.Done(e.Do) }); err != nil {
			return nil
		}
		l.retryAt, l.failures = time.Time{}, 0
		if e.Do == transfer.DoReboot {
			l.reboot()
		}
	}
	return nil
}

// perform carries out one effect. Its only errors are those of the memory, which
// end this life; everything else is best effort.
func (l *life) perform(ctx context.Context, e *transfer.Effect) error {
	switch e.Do {
	case transfer.DoNotify:
		return l.notify()
	case transfer.DoDeregister:
		return l.leave(ctx)
	case transfer.DoWipeTransport:
		l.links.closeAll(l.cl)
		l.account.clear()
		if err := l.put(map[string][]byte{csrKey: nil}); err != nil {
			return err
		}
		return l.compact()
	case transfer.DoWipeApplication:
		erased := l.wipeApplication(e.Reset)
		if l.current() == transfer.InFall { // what the new provider installed goes too
			maps.Copy(erased, l.rolledBack())
		}
		if err := l.put(erased); err != nil {
			return err
		}
		l.fw.reload()
		return l.compact()
	case transfer.DoReboot:
		err := l.compact()
		if err == nil {
			l.d.event(l.about(Event{Kind: Wiped}))
		}
		return err
	case transfer.DoReport:
		l.report(ctx, e)
		return nil
	default: // DoServe: the main loop registers by itself
		l.links.closeAll(l.cl)
		return l.compact()
	}
}

// notify tells observers of the Transfer object. In COMMITTED nobody may read it.
func (l *life) notify() error {
	state := l.current()
	if state == transfer.Committed {
		return nil
	}
	base := lwm2m.NewPath(l.d.b.IDs().Transfer, 0)
	l.cl.Changed(base.Child(objects.TransferState), base.Child(objects.TransferReceipt),
		base.Child(objects.TransferEpoch), base.Child(objects.TransferError))
	if state.AtRest() { // keys were forgotten
		if err := l.put(l.forgotten()); err != nil {
			return err
		}
		l.d.meters.save()
		return l.compact()
	}
	return nil
}

// leave de-registers and keeps the old keys aside where that was asked for.
func (l *life) leave(ctx context.Context) error {
	if l.o.KeepOldKeys {
		l.keepKeys(ctx)
	}
	m := l.links.management()
	if m == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 4*l.o.AckTimeout)
	defer cancel()
	if err := l.cl.Deregister(ctx, m.conn); err != nil {
		l.o.Log.LogAttrs(ctx, slog.LevelInfo, "de-register", slog.String("endpoint", l.d.b.Endpoint), slog.Any("reason", err))
	}
	l.links.drop(m, l.cl)
	return nil
}

// keepKeys copies the operational key and certificate to a file, so that a
// demonstration can try them after the wipe.
func (l *life) keepKeys(ctx context.Context) {
	l.mu.Lock()
	key, certificate, ok := l.tr.Operational()
	l.mu.Unlock()
	if !ok {
		return
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})...)
	if err := keys.WriteFile(l.o.oldKeysFile(l.d.b), text); err != nil {
		l.o.Log.LogAttrs(ctx, slog.LevelWarn, "old keys not kept", slog.Any("reason", err))
	}
}

// wipeApplication returns what a reset erases beside the transfer's own state:
// in any case what the former provider staged, and data unless the profile keeps
// it; from the reference image on also the image. Sequence numbers stay, so that
// no reset opens the way to older images.
func (l *life) wipeApplication(reset transfer.Reset) map[string][]byte {
	erased := map[string][]byte{}
	for _, key := range l.nv.Keys() {
		switch {
		case strings.HasPrefix(key, firmwarePrefix), strings.HasPrefix(key, stagingPrefix),
			strings.HasPrefix(key, dataPrefix) && reset != transfer.ResetKeepApplication,
			strings.HasPrefix(key, contentPrefix) && reset >= transfer.ResetReference,
			key == renewBeforeKey, key == gotKey: // of the former provider's certificates
			erased[key] = nil
		}
	}
	return erased
}

// jittered reports whether the device has waited long enough before it asks its
// former provider, so that many that fall back do not come at once.
func (l *life) jittered() bool {
	now := time.Now()
	if l.reportAt.IsZero() {
		l.reportAt = now.Add(l.o.retry().FallbackJitter(dice()))
	}
	l.retryAt = l.reportAt
	return !now.Before(l.reportAt)
}

// report opens an association to the former provider, by which it can read the
// receipt; an enrolment there cannot succeed before.
func (l *life) report(ctx context.Context, e *transfer.Effect) {
	l.reportAt = time.Time{}
	if e.URI == "" {
		return
	}
	if _, err := l.factoryLink(ctx, e.URI, e.Anchors, false); err != nil {
		l.d.event(l.about(Event{Kind: Retrying, Detail: "report", Error: err.Error()}))
	}
}

// tell translates a change of state into an event.
func (l *life) tell(before transfer.DeviceState, s transfer.Status) {
	kinds := map[transfer.DeviceState]Kind{
		transfer.Ready: Ready, transfer.Committed: Committed, transfer.Enrolling: Enrolling, transfer.Done: Done,
		transfer.Finalised: Finalised, transfer.InFall: FallingBack, transfer.FellBack: FellBack,
		transfer.Expired: Expired,
	}
	kind, ok := kinds[s.State]
	if !ok {
		return
	}
	e := Event{Kind: kind, State: string(s.State), Epoch: s.Epoch, Detail: "from " + string(before)}
	if host, err := transfer.HostOf(l.tr.Home().ServerURI); err == nil {
		e.Server = host
	}
	l.d.event(e)
}

// about adds to an event where the device stands.
func (l *life) about(e Event) Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.tr.Status()
	e.State, e.Epoch = string(s.State), s.Epoch
	if host, err := transfer.HostOf(l.tr.Home().ServerURI); err == nil && e.Server == "" {
		e.Server = host
	}
	e.Version, e.Sequence = l.fw.running()
	return e
}
