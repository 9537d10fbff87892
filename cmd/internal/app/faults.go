package app

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

const (
	// maxFaultsWaiting bounds the faults that wait to be written.
	maxFaultsWaiting = 256
	// maxFaultsOfDevice is how many kinds of faults of one device are written a day:
	// more of them tell people nothing new.
	maxFaultsOfDevice = 8
	// maxFaults bounds those of all devices together, a day.
	maxFaults = 10_000
	// maxFaultText bounds the words of one, in characters.
	maxFaultText = 300
)

// faults writes to the timelines of devices what was wrong in what they sent, in
// words. The same of the same device is written once a day.
type faults struct {
	devices fleet.Store
	db      audit.Log
	log     *slog.Logger
	waiting chan server.Event
	now     func() time.Time

	// What was written this day; belongs to Run.
	day   int64
	told  map[fleet.ID][]string
	total int
}

func newFaults(devices fleet.Store, db audit.Log, log *slog.Logger, now func() time.Time) *faults {
	return &faults{devices: devices, db: db, log: log, waiting: make(chan server.Event, maxFaultsWaiting), now: now}
}

// add queues a fault. It does not block: where there are many, some are left out.
func (f *faults) add(e server.Event) {
	select {
	case f.waiting <- e:
	default:
	}
}

// Run writes faults until ctx ends.
func (f *faults) Run(ctx context.Context) error {
	for {
		select {
		case e := <-f.waiting:
			if err := f.write(context.WithoutCancel(ctx), e); err != nil {
				f.log.LogAttrs(ctx, slog.LevelError, "fault of a device not written", slog.Any("error", err))
			}
		case <-ctx.Done():
			return nil
		}
	}
}

func (f *faults) write(ctx context.Context, e server.Event) error {
	if day := f.now().Unix() / (24 * 60 * 60); f.told == nil || day != f.day {
		f.day, f.told, f.total = day, map[fleet.ID][]string{}, 0
	}
	if f.total >= maxFaults {
		return nil
	}
	if e.Device == "" {
		d, err := f.devices.ByEndpoint(ctx, e.Endpoint)
		if err != nil || e.Claimed && !d.NoSec {
			return nil //nolint:nilerr // a stranger has no timeline, nor has who only says that it is a device
		}
		e.Device, e.Endpoint = d.ID, d.Endpoint
	}
	words := faultWords(e.Reason)
	kind, _, _ := strings.Cut(words, " (") // not what the device could vary
	known := f.told[e.Device]
	if slices.Contains(known, kind) {
		return nil
	}
	if len(known) >= maxFaultsOfDevice {
		return nil
	}
	f.told[e.Device] = append(known, kind)
	f.total++
	actor := "device:" + string(e.Endpoint)
	if e.Claimed {
		actor = "unproved:" + string(e.Endpoint)
	}
	return f.db.Audit(ctx, audit.Row{
		Actor: actor, Action: "device.fault", Subject: string(e.Device), Reason: words, At: f.now(),
	})
}

// faultWords returns text with what a device sent, for people.
func faultWords(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > maxFaultText {
			b.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	return b.String()
}
