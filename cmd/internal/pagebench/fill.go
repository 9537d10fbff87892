package pagebench

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/queue"
	"steward/lwm2m/server"
)

// inFlight is how many changes are on their way to the database at once: they share
// commits.
const inFlight = 512

// Shares of the fleet, in so many devices one.
const (
	everyExpected = 20
	everyLeft     = 25
	everyAway     = 10
	everyNoSec    = 200
	sites         = 100 // tags that devices have
	readings      = 4   // values over time of each of them
)

// fill writes what a provider has after some years, by the stores that the server
// writes with.
func (r *run) fill(ctx context.Context) error {
	db, err := sqlite.Open(ctx, filepath.Join(r.o.Data, "steward.db"))
	if err != nil {
		return err
	}
	f := &filler{run: r, db: db, now: time.Now().UTC().Truncate(time.Microsecond)}
	for _, part := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"devices", f.devices},
		{"values", f.values},
		{"operations", f.operations},
		{"certificates", f.certificates},
		{"groups", f.groups},
		{"campaigns", f.campaigns},
		{"transfers", f.transfers},
		{"events", f.events},
	} {
		begun := time.Now()
		if err = part.do(ctx); err != nil {
			err = fmt.Errorf("%s: %w", part.name, err)
			break
		}
		r.say("filled %s in %.0f s", part.name, time.Since(begun).Seconds())
	}
	if closed := db.Close(); err == nil {
		err = closed
	}
	return err
}

// A filler is a run that fills.
type filler struct {
	*run

	db  *sqlite.DB
	now time.Time
}

// each does something for 0 to n-1, many at once.
func each(ctx context.Context, n int, do func(context.Context, int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(inFlight)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return do(ctx, i) })
	}
	return g.Wait()
}

// deviceID is the id of a device by its number; ids of other things have another
// letter.
func deviceID(i int) fleet.ID { return fleet.ID(id('D', i)) }

// id looks like a ULID.
func id(kind byte, i int) string { return fmt.Sprintf("01J%cBENCH%017d", kind, i) }

func endpoint(i int) lwm2m.Endpoint {
	return lwm2m.Endpoint(fmt.Sprintf("urn:dev:ops:32473-meter-%07d", i))
}

func factoryOf(i int) fleet.Factory { return sha256.Sum256([]byte(endpoint(i))) }

func ownershipOf(i int) fleet.Ownership {
	switch {
	case i%everyExpected == 1:
		return fleet.Expected
	case i%everyLeft == 2:
		return fleet.Left
	default:
		return fleet.Owned
	}
}

func (f *filler) devices(ctx context.Context) error {
	return each(ctx, f.o.Devices, func(ctx context.Context, i int) error {
		d := fleet.Device{
			ID: deviceID(i), Factory: factoryOf(i), Endpoint: endpoint(i), Ownership: ownershipOf(i),
			NoSec: i%everyNoSec == 3, Tags: []string{fmt.Sprintf("site-%02d", i%sites), "meters"}, CreatedAt: f.now,
		}
		if err := f.db.Devices().Put(ctx, d, "system", "imported"); err != nil || d.Ownership == fleet.Expected {
			return err
		}
		reg := registration(d, i, f.now)
		if err := f.db.Server().Register(ctx, reg); err != nil {
			return err
		}
		if d.Ownership == fleet.Left || i%everyAway == 4 {
			return f.db.Server().Remove(ctx, reg, "system", "it did not update its registration")
		}
		return nil
	})
}

func registration(d fleet.Device, i int, now time.Time) server.Registration {
	const year = 365 * 24 * time.Hour
	var location server.Location
	binary.BigEndian.PutUint64(location[:], uint64(i)) //nolint:gosec // not negative
	r := server.Registration{
		ID: location.String(), Device: d.ID, Endpoint: d.Endpoint, Version: "1.1", Lifetime: year,
		Binding: "U", Queue: i%2 == 0, Formats: []uint16{11542, 112, 110}, Address: "192.0.2.1:5684",
		RegisteredAt: now, UpdatedAt: now, ExpiresAt: now.Add(year),
	}
	for _, o := range []uint16{1, 3, 4, 5, 3303} { //nolint:mnd // what a meter has
		r.Objects = append(r.Objects, server.ObjectLink{Path: lwm2m.NewPath(o, 0)})
	}
	return r
}

// values are those of the Device object and a temperature over time.
func (f *filler) values(ctx context.Context) error {
	err := each(ctx, f.o.Devices, func(ctx context.Context, i int) error {
		if ownershipOf(i) == fleet.Expected {
			return nil
		}
		var all []server.Report
		add := func(p lwm2m.Path, v lwm2m.Value, at time.Time) {
			all = append(all, server.Report{
				Device: deviceID(i), From: server.FromSend, Entry: lwm2m.Entry{Path: p, Value: v}, At: at,
			})
		}
		for resource, text := range map[uint16]string{0: "Example Works", 1: "M-1", 3: "2.4.1"} {
			add(lwm2m.NewPath(3, 0, resource), lwm2m.String(text), f.now)
		}
		for k := range readings {
			at := f.now.Add(time.Duration(k-readings) * time.Hour)
			add(lwm2m.NewPath(3303, 0, 5700), lwm2m.Float(20+float64(i%10+k)), at)
		}
		return f.db.Server().Record(ctx, all)
	})
	if err != nil {
		return err
	}
	return f.much(ctx)
}

// much is the history of one device that tells much.
func (f *filler) much(ctx context.Context) error {
	const samples, batch = 20_000, 500
	var all []server.Report
	for k := range min(samples, f.o.Events) {
		all = append(all, server.Report{
			Device: deviceID(0), From: server.FromSend, Past: true, At: f.now.Add(-time.Duration(k) * 2 * time.Minute),
			Entry: lwm2m.Entry{Path: lwm2m.NewPath(3303, 0, 5700), Value: lwm2m.Float(float64(k % 40))},
		})
		if len(all) == batch {
			if err := f.db.Server().Record(ctx, all); err != nil {
				return err
			}
			all = all[:0]
		}
	}
	return f.db.Server().Record(ctx, all)
}

// operations are some that are over of each fifth device.
func (f *filler) operations(ctx context.Context) error {
	const every, most = 5, 10
	return each(ctx, f.o.Devices/every*most, func(ctx context.Context, i int) error {
		device, k := i/most*every, i%most
		at := f.now.Add(-time.Duration(k) * time.Minute)
		_, err := f.db.Operations().Add(ctx, queue.Operation{
			ID: id('P', i), Device: deviceID(device), Kind: "read", Path: "/3/0/9",
			Body:  []byte(`{"op":"read","path":"/3/0/9"}`),
			Actor: "operator:bench", State: queue.Done, Tries: 1, Version: 1,
			Result: []byte(`{"outcome":{}}`), CreatedAt: at, SentAt: at, EndedAt: at, ExpiresAt: at.Add(time.Hour),
		}, nil)
		return err
	})
}

// events are rows of the audit: most of devices at random, many of one of them, and
// few of what is looked for.
func (f *filler) events(ctx context.Context) error {
	const batch = 1000
	for first := 0; first < f.o.Events; first += batch {
		err := f.db.Update(ctx, func(tx *sqlite.Tx) error {
			for i := first; i < min(first+batch, f.o.Events); i++ {
				if err := tx.Audit(f.event(i)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// event is one of the rows.
func (f *filler) event(i int) audit.Row {
	const everyFirst, everyPerson, rare = 50, 3, 20 // rare: so many in all
	actions := []string{
		"registration.register", "registration.update", "operation.read", "observation.want", "handshake.refuse",
	}
	device := i * 7919 % f.o.Devices
	if i%everyFirst == 0 {
		device = 0
	}
	row := audit.Row{
		Actor: "device:" + string(endpoint(device)), Action: actions[i%len(actions)], Subject: string(deviceID(device)),
		Reason: "measured", After: "registered", At: f.now.Add(time.Duration(i-f.o.Events) * time.Second),
	}
	if i%everyPerson == 0 {
		row.Actor = "operator:bench"
	}
	if i%(f.o.Events/rare+1) == 0 {
		row.Action, row.Actor = "partner.add", "operator:rare"
	}
	return row
}
