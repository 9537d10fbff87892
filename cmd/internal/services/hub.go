package services

import (
	"cmp"
	"encoding/json"
	"sync"
	"time"

	"steward/est/attest/rounds"
	"steward/est/enrol"
	"steward/lwm2m/queue"
	"steward/lwm2m/server"
	"steward/suit/rollout"
	"steward/transfer/coordinator"
	"steward/web"
)

// A Hub passes what happens in a provider to those who watch its dashboard or
// its REST API. Its methods never block.
type Hub struct {
	stream   *web.Stream
	recorder *Recorder // nil: events are not kept

	mu      sync.Mutex // guards the rest
	second  time.Time  // in which updates and records were counted
	passed  int
	records int
}

// Record has events kept by r. It is called before any of the others.
func (h *Hub) Record(r *Recorder) { h.recorder = r }

// NewHub returns a Hub that publishes on stream.
func NewHub(stream *web.Stream) *Hub { return &Hub{stream: stream} }

// maxUpdates bounds the signs of life that are published a second: beyond it no eye
// follows, and those who watch would be cut off as too slow.
const maxUpdates = 50

// passes reports whether a sign of life at that time is to be published.
func (h *Hub) passes(at time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count(at)
	h.passed++
	return h.passed <= maxUpdates
}

// count begins to count anew in each second. The caller holds mu.
func (h *Hub) count(at time.Time) {
	if at.Sub(h.second) >= time.Second || at.Before(h.second) {
		h.second, h.passed, h.records = at, 0, 0
	}
}

// keeps reports whether an event of a device at that time is kept though nobody
// watches: changes of state are, values only if somebody wants them, signs of life
// never.
func (h *Hub) keeps(e server.Event) bool {
	if h.recorder == nil || e.Kind == server.Updated ||
		(e.Kind == server.Notified || e.Kind == server.Sent) && !h.recorder.values.Load() {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count(e.At)
	h.records++
	return h.records <= maxRecords
}

// maxValues bounds the values of one message of a device that are published one
// by one; those who watch a device with more read them again.
const maxValues = 128

// happening is the data of an EventDevice.
type happening struct {
	Kind server.Happening `json:"kind"`
	Path string           `json:"path,omitempty"`
}

// Device publishes what happened to a device; server.Subscribe calls it. Where
// nobody watches it does nothing.
func (h *Hub) Device(e server.Event) {
	kept := h.keeps(e)
	if !kept && (!h.stream.Watched(time.Now()) || e.Kind == server.Updated && !h.passes(e.At)) {
		return
	}
	switch e.Kind {
	case server.Notified, server.Sent:
		h.values(e, kept)
		if len(e.Entries) <= maxValues {
			return
		}
	default:
	}
	data := happening{Kind: e.Kind}
	if e.Path.Len() > 0 {
		data.Path = e.Path.String()
	}
	h.publishKept(kept, web.EventDevice, string(e.Device), data)
}

func (h *Hub) values(e server.Event, kept bool) {
	for _, v := range e.Entries[:min(len(e.Entries), maxValues)] {
		h.publishKept(kept, web.EventValue, string(e.Device), web.ValueEvent{
			Path: v.Path.String(), Text: v.Value.String(), Kind: v.Value.Kind().String(), Sent: e.Kind == server.Sent, At: e.At,
		})
	}
}

// Operation publishes that an operation on a device moved.
func (h *Hub) Operation(o queue.Operation) {
	h.publish(web.EventOperation, string(o.Device), struct {
		ID    string      `json:"id"`
		State queue.State `json:"state"`
	}{o.ID, o.State})
}

// Job publishes that a job of a campaign moved; it is what
// rollout.RunnerOptions.Changed wants.
func (h *Hub) Job(j rollout.Job) {
	h.publish(web.EventCampaign, j.Campaign, struct {
		Device string           `json:"device"`
		State  rollout.JobState `json:"state"`
	}{string(j.Device), j.State})
}

// Campaign publishes that a campaign itself changed.
func (h *Hub) Campaign(id string) { h.publish(web.EventCampaign, id, struct{}{}) }

// Transfer publishes that a transfer, or a device of it, changed; it is what
// coordinator.Options.Changed wants.
func (h *Hub) Transfer(e coordinator.Event) {
	h.publish(web.EventTransfer, e.Transfer, struct {
		Device string `json:"device,omitempty"`
		State  string `json:"state"`
	}{string(e.Device), e.State})
}

// Enrolment publishes that the renewal of a device's certificate moved; it is what
// enrol.RunnerOptions.Changed wants. Where nobody watches it does nothing.
func (h *Hub) Enrolment(e enrol.Enrolment) {
	if h.recorder == nil && !h.stream.Watched(time.Now()) {
		return
	}
	h.publish(web.EventDevice, string(e.Device), struct {
		Kind  string      `json:"kind"`
		State enrol.State `json:"state"`
	}{"enrolment", e.State})
}

// Attestation publishes that a device turned bad, or is good again; it is what
// rounds.Options.Told wants.
func (h *Hub) Attestation(r rounds.Round, alert bool) {
	h.publish(web.EventDevice, string(r.Device), struct {
		Kind   string       `json:"kind"`
		State  rounds.State `json:"state"`
		Alert  bool         `json:"alert"`
		Reason string       `json:"reason"`
	}{"attestation", r.State, alert, cmp.Or(r.Why, r.Reason)})
}

func (h *Hub) publish(kind, subject string, data any) { h.publishKept(true, kind, subject, data) }

func (h *Hub) publishKept(kept bool, kind, subject string, data any) {
	raw, err := json.Marshal(data)
	if err != nil {
		raw = nil // the event itself says enough
	}
	e := h.stream.Publish(web.Event{Type: kind, Subject: subject, Data: raw})
	if kept && h.recorder != nil {
		h.recorder.add(e)
	}
}
