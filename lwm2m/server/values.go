package server

import (
	"context"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// maxKept is the length in bytes of the longest value that is kept: more than
// people look at. Firmware and certificate stores are longer.
const maxKept = 4096

// record keeps the last known values of a device, and returns when they are stored.
func (s *Server) record(ctx context.Context, device fleet.ID, from Source, entries []lwm2m.Entry) error {
	reports := s.reports(device, from, entries)
	if len(reports) == 0 {
		return nil
	}
	return s.o.Store.Record(ctx, reports)
}

// recordSoon keeps the values of an observation, for which nobody waits.
func (s *Server) recordSoon(ctx context.Context, device fleet.ID, entries []lwm2m.Entry) error {
	reports := s.reports(device, FromNotify, entries)
	if len(reports) == 0 || s.recorder.add(reports) {
		return nil
	}
	return s.o.Store.Record(ctx, reports)
}

func (s *Server) reports(device fleet.ID, from Source, entries []lwm2m.Entry) []Report {
	kept := s.kept(from, entries)
	now := time.Now()
	out := make([]Report, 0, len(kept))
	past := 0
	for i, e := range kept {
		r := Report{Device: device, From: from, Entry: e, At: now, Past: i > 0 && kept[i-1].Path == e.Path}
		if r.Past {
			if e.Time.IsZero() || e.Time.Equal(kept[i-1].Time) || past == maxHistory {
				continue
			}
			past++
		}
		out = append(out, r)
	}
	return out
}

// maxHistory bounds the values of one message that a newer one of it replaces:
// more would keep others from the Store.
const maxHistory = 2048

// kept returns what of entries may be kept, those of one path together and the
// newest first: nothing long, nothing that cannot be read, such as keys and
// packages, and of what we wrote only what the schema knows that it can be read.
func (s *Server) kept(from Source, entries []lwm2m.Entry) []lwm2m.Entry {
	out := make([]lwm2m.Entry, 0, len(entries))
	for _, e := range entries {
		info, known := s.o.Schema.Resource(e.Path.Object(), e.Path.ID(2))
		readable := info.Operations.Has(lwm2m.OpRead)
		if known && !readable || !known && from == FromWrite || e.Value == (lwm2m.Value{}) || size(e.Value) > maxKept {
			continue
		}
		out = append(out, e)
	}
	if len(out) < 2 { //nolint:mnd // nothing to sort
		return out
	}
	// Stable: of two without a time the first one counts (§6.4.6, historical data).
	slices.SortStableFunc(out, func(a, b lwm2m.Entry) int {
		if c := a.Path.Compare(b.Path); c != 0 {
			return c
		}
		return newestFirst(a.Time, b.Time)
	})
	return out
}

// newestFirst orders times of measurement; the zero time is now.
func newestFirst(a, b time.Time) int {
	switch {
	case a.Equal(b):
		return 0
	case a.IsZero():
		return -1
	case b.IsZero():
		return 1
	}
	return b.Compare(a)
}

func size(v lwm2m.Value) int {
	if v.Kind() == lwm2m.KindOpaque {
		return len(v.Bytes())
	}
	return len(v.Text())
}
