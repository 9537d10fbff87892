package server

import (
	"context"
	"errors"
	"maps"
	"slices"

	"steward/lwm2m/fleet"
)

// An ObservationState says how a wanted observation stands at the device.
type ObservationState string

// The states of observations.
const (
	Established ObservationState = "established"
	Waiting     ObservationState = "waiting" // the device cannot be reached, sleeps or has not answered yet
	Refused     ObservationState = "refused" // the device does not notify, or ended it; asked again later
	Absent      ObservationState = "absent"  // a template wants it, and the device has no such object
	Unwanted    ObservationState = "unwanted"
)

// An ObservationReport is one observation that is wanted of a device, or that it has
// and nobody wants.
type ObservationReport struct {
	Wish

	State  ObservationState
	Reason string // why it is refused
}

// Observations compares what is to be observed of a device with what is.
func (s *Server) Observations(ctx context.Context, device fleet.ID) ([]ObservationReport, error) {
	wishes, err := s.wanted(ctx, device)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.devices[device]
	out := make([]ObservationReport, 0, len(wishes))
	for _, w := range wishes {
		r := ObservationReport{Wish: w, State: Waiting}
		if e != nil {
			r.State, r.Reason = s.stateOf(e, w)
		}
		out = append(out, r)
	}
	if e == nil {
		return out, nil
	}
	for w := e.watches; w != nil; w = w.next {
		t := w.what.Value()
		if !slices.ContainsFunc(wishes, func(x Wish) bool { return x.bare() == t.bare() }) {
			out = append(out, ObservationReport{Wish: Wish{Target: t}, State: Unwanted})
		}
	}
	return out, nil
}

// stateOf returns how a wish stands at a registered device. The caller holds mu.
func (s *Server) stateOf(e *entry, w Wish) (ObservationState, string) {
	if have := e.watching(w.bare()); have != nil && have.observation != nil && have.what.Value() == w.Target {
		return Established, ""
	}
	for _, r := range s.refusals[e.device] {
		if r.target == w.bare() {
			return Refused, r.reason
		}
	}
	if !w.concerns(e.form.objects) {
		return Absent, ""
	}
	return Waiting, ""
}

// concerns reports whether a wish can be had of a device with these objects. What is
// wanted of the device itself is asked for in any case.
func (w Wish) concerns(objects []ObjectLink) bool {
	return w.Template == "" || slices.ContainsFunc(objects, func(o ObjectLink) bool {
		for _, p := range w.Paths() {
			if p.Gateway() != "" {
				return gateway(objects)
			}
			if p.Len() == 0 || p.Object() == o.Path.Object() {
				return true
			}
		}
		return false
	})
}

// A refusal is an observation that a device decided not to have.
type refusal struct {
	target Target // bare
	reason string
}

// maxRefusals bounds those that are remembered of a device.
const maxRefusals = 64

// blame remembers why an observation is refused, until it is established, the device
// registers anew or is gone.
func (s *Server) blame(c *call, t Target, err error) {
	if err != nil && !final(err) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgive(c.entry.device, t.bare())
	current := s.devices[c.entry.device] == c.entry && c.entry.session == c.session
	if err == nil || !current {
		return
	}
	reason := err.Error()
	if refused, ok := errors.AsType[*ResponseError](err); ok {
		reason = refused.Error()
	}
	s.reproach(c.entry.device, t.bare(), reason)
}

// reproach remembers why t is not observed. The caller holds mu.
func (s *Server) reproach(device fleet.ID, t Target, reason string) {
	if len(s.refusals[device]) < maxRefusals {
		s.refusals[device] = append(s.refusals[device], refusal{t, reason})
	}
}

// forgive forgets the refusal of t. The caller holds mu.
func (s *Server) forgive(device fleet.ID, t Target) {
	left, some := s.refusals[device]
	if !some {
		return
	}
	left = slices.DeleteFunc(left, func(r refusal) bool { return r.target == t })
	if s.refusals[device] = left; len(left) == 0 {
		delete(s.refusals, device)
	}
}

// reconsiderAtOnce is how many devices are looked at under one hold of the lock.
const reconsiderAtOnce = 1024

// Reconsider compares what is to be observed of devices with what is, after templates
// or tags of devices have changed: what is missing is established, what nobody wants
// any more is cancelled. Without a device it is all of them.
func (s *Server) Reconsider(devices ...fleet.ID) {
	s.mu.Lock()
	s.wants++
	if len(devices) == 0 {
		devices = slices.AppendSeq(make([]fleet.ID, 0, len(s.devices)), maps.Keys(s.devices))
	}
	s.mu.Unlock()
	for part := range slices.Chunk(devices, reconsiderAtOnce) {
		s.mu.Lock()
		for _, d := range part {
			if e := s.devices[d]; e != nil {
				e.unwanted, e.tries = false, 0
				s.enqueue(e)
			}
		}
		s.mu.Unlock()
	}
}
