package sim

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// defaultAwake is MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2), for which a device in queue mode
// listens at least (Core 1.2.2 §6.5).
const defaultAwake = 93 * time.Second

// A radio is what the datagrams of a device pass: it loses some, and in queue mode hears
// nothing once it is off.
type radio struct {
	loss  float64
	awake time.Duration // it stays on after traffic; 0: it is never off

	mu    sync.Mutex
	until time.Time // it is on
}

func newRadio(o *Options) *radio {
	r := &radio{loss: o.Loss}
	if o.Queue {
		r.awake = o.Awake
	}
	return r
}

// lost decides of each datagram that is sent or arrives. Sending turns the radio on.
func (r *radio) lost(sent bool) bool {
	return r.off(sent) || r.loss > 0 && rand.Float64() < r.loss //nolint:gosec // G404: a bad link, no secret
}

// off reports whether a datagram arrives when nobody listens.
func (r *radio) off(sent bool) bool {
	if r.awake == 0 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if !sent && !now.Before(r.until) {
		return true
	}
	r.until = now.Add(r.awake)
	return false
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
