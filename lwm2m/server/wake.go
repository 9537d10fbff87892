package server

import (
	"errors"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// defaultAwake is MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2): for so long a device in queue
// mode listens after its last message (Core 1.2.2 §6.5).
const defaultAwake = 93 * time.Second

// An AsleepError is an ErrUnreachable of a device in queue mode that does not
// listen now. It can be reached after its next message.
type AsleepError struct {
	Wake time.Time // when that is to be expected; zero: unknown
}

// Error implements error.
func (e *AsleepError) Error() string {
	if e.Wake.IsZero() {
		return "device sleeps"
	}
	return "device sleeps until about " + e.Wake.UTC().Format("2006-01-02 15:04 UTC")
}

// Is reports that target is ErrUnreachable.
func (e *AsleepError) Is(target error) bool { return target == ErrUnreachable }

// A Presence says whether a device listens.
type Presence struct {
	Registered bool
	Queue      bool      // in queue mode: it listens for a while after each of its messages
	Asleep     bool      // in queue mode, and that while is over
	Until      time.Time // the end of that while; zero: not in queue mode
	Wake       time.Time // when its next message is to be expected; zero: unknown
	Lifetime   time.Duration
}

// Presence returns that of a device as of now.
func (s *Server) Presence(device fleet.ID) Presence {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.devices[device]
	if e == nil {
		return Presence{}
	}
	p := Presence{Registered: true, Queue: e.form.queue, Lifetime: time.Duration(e.lifetime) * time.Second}
	now := time.Now()
	p.Wake = e.wake(now)
	if p.Queue {
		p.Asleep, p.Until = s.sleeps(e, now), time.Unix(int64(e.heard), 0).Add(s.o.Awake).UTC()
	}
	return p
}

// sleeps reports whether the device is in queue mode and its time to listen is
// over. The caller holds mu.
func (s *Server) sleeps(e *entry, now time.Time) bool {
	return e.form.queue && now.Sub(time.Unix(int64(e.heard), 0)) >= s.o.Awake
}

// asleep returns an *AsleepError for a device that sleeps. The caller holds mu.
func (s *Server) asleep(e *entry) error {
	now := time.Now()
	if !s.sleeps(e, now) {
		return nil
	}
	return &AsleepError{e.wake(now)}
}

// rhythmUnit is the unit of entry.rhythm: 16 bits of it are a week.
const rhythmUnit = 10 * time.Second

// hear notes a message that came at a time in Unix microseconds. It begins the time
// to listen anew, and if that was over before, tells how long the device slept. The
// caller holds mu.
func (s *Server) hear(e *entry, at int64) {
	e.found = false
	now := uint32(at / 1e6) //nolint:gosec // G115: until 2106
	if now <= e.heard {
		return
	}
	pause := time.Duration(now-e.heard) * time.Second
	if e.heard != 0 && e.form.queue && pause >= s.o.Awake {
		last := uint16(min(pause/rhythmUnit, 1<<16-1))
		if e.rhythm == 0 {
			e.rhythm = last
		}
		e.rhythm = uint16((3*uint32(e.rhythm) + uint32(last)) / 4) //nolint:gosec,mnd // G115: a mean of both; slow to change
	}
	e.heard = now
}

// Heard tells the server of a message by an association that is not about LwM2M, such
// as a block of a download or a request of EST: a device in queue mode listens after it
// as after any other. It returns the device, and whether it is in queue mode.
func (s *Server) Heard(p coap.Peer) (device fleet.ID, queue bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.peers[p]
	if e == nil {
		return "", false
	}
	s.hear(e, time.Now().UnixMicro())
	return e.device, e.form.queue
}

// unheard notes that the device did not answer: whatever it said before, it does not
// listen any more (§6.5).
func (s *Server) unheard(e *entry) {
	over := uint32(max(time.Now().Add(-s.o.Awake).Unix(), 0)) //nolint:gosec // G115: until 2106
	s.mu.Lock()
	defer s.mu.Unlock()
	e.heard = min(e.heard, over)
}

// wake returns when the next message of a device is to be expected: by the intervals
// of those before, and at the latest by its lifetime. The caller holds mu.
func (e *entry) wake(now time.Time) time.Time {
	var at time.Time
	if pause := time.Duration(e.rhythm) * rhythmUnit; pause > 0 {
		at = time.Unix(int64(e.heard), 0).Add(pause)
		if late := now.Sub(at); late > 0 {
			missed := int64(late/pause) + 1
			at = at.Add(time.Duration(missed) * pause)
		}
	}
	if e.expires != 0 {
		if end := time.UnixMicro(e.expires); at.IsZero() || end.Before(at) {
			at = end
		}
	}
	if at.IsZero() {
		return at
	}
	return at.UTC()
}

// outcome takes over what the end of an exchange says of the device's presence. An
// answer is a message as well.
func (s *Server) outcome(c *call, err error) {
	switch {
	case err == nil:
		c.heard = time.Now().UnixMicro() // taken over by finish
	case errors.Is(err, coap.ErrTimeout):
		s.unheard(c.entry)
	}
}
