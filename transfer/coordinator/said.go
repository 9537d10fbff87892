package coordinator

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// statusShare is the most of its time that a provider spends on asking a partner how
// far a transfer is, as one part in so many.
const statusShare = 20

// A said remembers what partners said last. A status names every device of a
// transfer: for thousands of devices that are away it is asked once, and not by each of
// them.
type said struct {
	mu   sync.Mutex
	last map[string]*saying // by transfer
}

// A saying is what a partner said of one transfer. Who holds turn may look, and ask.
type saying struct {
	turn    chan struct{}
	asked   time.Time
	good    time.Duration // for how long after asked
	devices map[string]DeviceStatus
	err     error
}

// of returns the saying of a transfer, and forgets those that nobody asks for any more.
func (s *said) of(id string, now time.Time) *saying {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.last[id]; one != nil {
		return one
	}
	for other, one := range s.last {
		select {
		case one.turn <- struct{}{}:
			if now.Sub(one.asked) > max(one.good, time.Hour) {
				delete(s.last, other)
			}
			<-one.turn
		default: // somebody asks
		}
	}
	one := &saying{turn: make(chan struct{}, 1)}
	if s.last == nil {
		s.last = map[string]*saying{}
	}
	s.last[id] = one
	return one
}

// partnerState asks the partner how far it has a device. What it said lately of the
// whole transfer is good enough, if that was asked after since.
func (c *Coordinator) partnerState(ctx context.Context, s *step, since time.Time) (DeviceStatus, error) {
	one := c.said.of(s.t.ID, time.Now())
	select {
	case one.turn <- struct{}{}:
	case <-ctx.Done():
		return DeviceStatus{}, ctx.Err()
	}
	defer func() { <-one.turn }()
	if now := time.Now(); now.Sub(one.asked) >= one.good || !one.asked.After(since) {
		one.asked = now
		c.fetchStatus(ctx, s, one)
		took := time.Since(now)
		one.good = min(max(c.o.Poll, statusShare*took), c.o.MaxPoll)
	}
	if one.err != nil {
		return DeviceStatus{}, one.err
	}
	d, ok := one.devices[s.row.Short]
	if !ok {
		return DeviceStatus{}, fmt.Errorf("%w: the partner does not know the device", ErrUnknown)
	}
	return d, nil
}

// fetchStatus asks. The caller has the turn.
func (c *Coordinator) fetchStatus(ctx context.Context, s *step, one *saying) {
	status, err := c.o.Peers.Status(ctx, s.partner, s.t.ID)
	one.err, one.devices = err, make(map[string]DeviceStatus, len(status.Devices))
	for _, d := range status.Devices {
		one.devices[d.Device] = d
	}
}
