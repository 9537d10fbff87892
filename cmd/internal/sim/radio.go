package sim

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// DefaultAwake is MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2), for which a device in queue mode
// listens at least (Core 1.2.2 §6.5).
const DefaultAwake = 93 * time.Second

// A Radio is off when nothing was sent or heard for a while, as that of a device in queue
// mode. It may be used by several goroutines.
type Radio struct {
	Awake time.Duration // it stays on after traffic; 0: it is never off

	mu    sync.Mutex
	until time.Time // it is on
}

// Off reports whether a datagram arrives when nobody listens. Sending turns the radio on.
func (r *Radio) Off(sent bool) bool {
	if r.Awake == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if !sent && !now.Before(r.until) {
		return true
	}
	r.until = now.Add(r.Awake)
	return false
}

// An ether is what the datagrams of a device pass: it loses some, and those that its radio
// does not hear.
type ether struct {
	Radio

	loss float64
}

func newEther(o *Options) *ether {
	e := &ether{loss: o.Loss}
	if o.Queue {
		e.Awake = o.Awake
	}
	return e
}

// lost decides of each datagram that is sent or arrives.
func (e *ether) lost(sent bool) bool {
	return e.Off(sent) || e.loss > 0 && rand.Float64() < e.loss //nolint:gosec // G404: a bad link, no secret
}

// checkRadio returns ErrOptions for a link that cannot be had.
func (o *Options) checkRadio() error {
	stream := o.Transport != "" && o.Transport != TransportUDP
	if o.Loss < 0 || o.Loss >= 1 || o.Loss > 0 && stream {
		return fmt.Errorf("%w: loss %v by %s: a share below 1, by udp", ErrOptions, o.Loss, o.Transport)
	}
	if o.Queue && stream {
		return fmt.Errorf("%w: queue mode by %s: it is over udp", ErrOptions, o.Transport)
	}
	return nil
}
