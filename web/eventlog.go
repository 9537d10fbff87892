package web

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// Bounds of the kept events.
const (
	EventsKept  = 7 * 24 * time.Hour // an event is kept
	MaxEvents   = 200_000            // are kept, about 200 bytes each
	replayPart  = 500                // read at once for one who comes back
	maxReplayed = 10_000             // events on one connection; the next continues
)

// EventGap tells who comes back that events between are not kept any more. Its data
// is a GapEvent.
const EventGap = "events.gap"

// A GapEvent says between which ids events may be missing.
type GapEvent struct {
	After  uint64 `json:"after"`
	Before uint64 `json:"before"`
}

// A Logged is an event with its place among all.
type Logged struct {
	Event

	ID uint64 // ascending; some are left out
	At time.Time
}

// An EventLog keeps events over the end of the process. Implementations are safe for
// concurrent use.
type EventLog interface {
	// Append keeps events, whose ids are above all that are kept.
	Append(ctx context.Context, events []Logged) error
	// After returns at most limit events with greater ids, in order.
	After(ctx context.Context, id uint64, limit int) ([]Logged, error)
	// Bounds returns the ids of the oldest and the newest; zeros if there is none.
	Bounds(ctx context.Context) (oldest, newest uint64, err error)
	// Prune forgets events before a time, and the oldest beyond keep.
	Prune(ctx context.Context, before time.Time, keep int) error
}

// CloudEvent returns e as the JSON of a CloudEvent (CloudEvents 1.0.2 §3, JSON format
// §2), compact, so that it has no newline. source names where it happened.
func (e Logged) CloudEvent(source string) ([]byte, error) {
	return json.Marshal(struct {
		Version string          `json:"specversion"`
		ID      string          `json:"id"`
		Source  string          `json:"source"`
		Type    string          `json:"type"`
		Subject string          `json:"subject,omitempty"`
		Time    time.Time       `json:"time"`
		Kind    string          `json:"datacontenttype,omitempty"`
		Data    json.RawMessage `json:"data,omitempty"`
	}{"1.0", strconv.FormatUint(e.ID, 10), source, e.Type, e.Subject, e.At.UTC(), e.kind(), e.Data})
}

func (e Logged) kind() string {
	if len(e.Data) == 0 {
		return ""
	}
	return "application/json"
}

// lastEventID returns what a client has seen last, and whether it says so: by the
// header, or a query for the first time that a browser connects.
func lastEventID(r *http.Request) (uint64, bool) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.URL.Query().Get("last_event_id")
	}
	id, err := strconv.ParseUint(text, 10, 64)
	return id, err == nil
}

// A replay reads what one who comes back has missed, from the log as far as the
// events in memory do not reach back.
type replay struct {
	log    EventLog
	until  uint64 // the first event in memory
	newest uint64 // of all events
}

// each calls do for the kept events after id, and first for a gap if there may be one.
// It reports whether that was all.
func (p replay) each(ctx context.Context, id uint64, do func(Logged) error) (complete bool, err error) {
	oldest, _, err := p.log.Bounds(ctx)
	if err != nil {
		return false, err
	}
	if oldest == 0 || oldest > p.until {
		oldest = p.until
	}
	if id+1 < oldest {
		if err := do(gap(id, oldest)); err != nil {
			return false, err
		}
		id = oldest - 1
	}
	for range maxReplayed / replayPart {
		if id, complete, err = p.part(ctx, id, do); err != nil || complete {
			return complete, err
		}
	}
	return false, nil
}

// part calls do for some events after id and returns the last, and whether those were
// all that are not in memory.
func (p replay) part(ctx context.Context, id uint64, do func(Logged) error) (last uint64, all bool, err error) {
	events, err := p.log.After(ctx, id, replayPart)
	if err != nil {
		return id, false, err
	}
	for _, e := range events {
		if e.ID >= p.until {
			return id, true, nil
		}
		if err := do(e); err != nil {
			return id, false, err
		}
		id = e.ID
	}
	return id, len(events) < replayPart, nil
}

// gap is the event that says that others are missing. Who comes back from it begins
// with the first that is kept.
func gap(after, before uint64) Logged {
	data, _ := json.Marshal(GapEvent{after, before}) // numbers can be written
	now := time.Now()                                //nolint:forbidigo // it is told now
	return Logged{Event: Event{Type: EventGap, Data: data}, ID: before - 1, At: now}
}
