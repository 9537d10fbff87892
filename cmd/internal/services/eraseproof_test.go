package services_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/services"
	"steward/cmd/internal/sqlite"
	"steward/lwm2m/fleet"
	"steward/web"
)

// TestErasureKnownOrInferred: what a device has signed is known, what it has only answered
// is inferred, and silence is neither.
func TestErasureKnownOrInferred(t *testing.T) {
	for name, tt := range map[string]struct {
		record []byte
		err    error
		level  string
		said   string
	}{
		"signed":       {[]byte("receipt"), nil, web.ErasureKnown, "it has signed that its data are erased"},
		"does not":     {nil, fmt.Errorf("%w: 4.04", services.ErrDeviceRefused), web.ErasureNot, "no receipt"},
		"silent":       {nil, services.ErrDeviceSilent, web.ErasureNot, "not erased"},
		"out of order": {nil, errors.New("disk"), web.ErasureNot, "not erased"},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			w := newWorld(t)
			w.options.Retire = func(context.Context, fleet.ID, fleet.Factory) ([]byte, error) {
				asked++
				return tt.record, tt.err
			}
			w.build(t, w.options)
			w.trust(t)
			d, _ := w.enrolled(t, "meter-1")
			got, err := w.Devices.RetireDevice(t.Context(), alice, d.ID, web.Retirement{Reason: "old", Erase: true})
			if err != nil || got.State != web.DeviceLeft || asked != 1 {
				t.Fatalf("RetireDevice = %+v, %v; asked %d times", got, err, asked)
			}
			detail, err := w.Devices.Device(t.Context(), d.ID)
			check(t, err)
			e := detail.Erasure
			if e == nil || e.Level != tt.level || !strings.Contains(e.Said, tt.said) || string(e.Record) != string(tt.record) {
				t.Errorf("erasure = %+v, want %s", e, tt.level)
			}
		})
	}
	w := newWorld(t)
	w.trust(t)
	d, _ := w.enrolled(t, "meter-1")
	_, err := w.Devices.RetireDevice(t.Context(), alice, d.ID, web.Retirement{Reason: "old"})
	check(t, err)
	if detail, err := w.Devices.Device(t.Context(), d.ID); err != nil || detail.Erasure != nil {
		t.Errorf("a device that was told nothing: %+v, %v", detail.Erasure, err)
	}
}

// TestErasureCutOff: the receipt of a retiring that was cut off is kept when it is asked
// for once more, of a device that is silent by then.
func TestErasureCutOff(t *testing.T) {
	for name, tt := range map[string]struct {
		at    time.Duration // of the receipt
		level string
	}{
		"not here since":              {time.Hour, web.ErasureKnown},
		"it has come since it signed": {-time.Hour, web.ErasureNot},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.options.Retire = func(context.Context, fleet.ID, fleet.Factory) ([]byte, error) {
				return nil, services.ErrDeviceSilent
			}
			w.build(t, w.options)
			w.trust(t)
			d, _ := w.enrolled(t, "meter-1")
			w.registered(t, fleet.Device{ID: fleet.ID(d.ID), Endpoint: "meter-1"}, time.Hour)
			line, err := w.Devices.Device(t.Context(), d.ID)
			check(t, err)
			check(t, w.db.Devices().PutRetirement(t.Context(), fleet.ID(d.ID), sqlite.Retirement{
				At: line.LastSeen.Add(tt.at), Said: "then", Level: web.ErasureKnown, Record: []byte("receipt"),
			}))
			_, err = w.Devices.RetireDevice(t.Context(), alice, d.ID, web.Retirement{Reason: "old", Erase: true})
			check(t, err)
			if got, err := w.Devices.Device(t.Context(), d.ID); err != nil || got.Erasure.Level != tt.level {
				t.Errorf("erasure = %+v, %v; want %s", got.Erasure, err, tt.level)
			}
		})
	}
}
