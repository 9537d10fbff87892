package bench

import (
	"fmt"

	"steward/lwm2m/transport"
)

// A latency is what the server itself says about its answers: from the kernel's
// receive stamp of a request until the kernel had the answer.
type latency struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
}

// histogram returns the server's latencies since its start.
func (c *controller) histogram() (*transport.Latency, error) {
	if c.sockets != nil {
		if l := c.sockets().Latency; l != nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("%w: nobody stamps", errCommand)
}

func (c *controller) setMark() (err error) {
	c.mark, err = c.histogram()
	return err
}

// latency returns that since the mark.
func (c *controller) latency() (latency, error) {
	l, err := c.histogram()
	if err != nil || c.mark == nil {
		return latency{}, err
	}
	l = l.Since(c.mark)
	const half, most = 0.5, 0.99
	return latency{l.Count(), milliseconds(l.Quantile(half)), milliseconds(l.Quantile(most))}, nil
}

// stamped runs do and returns the server's latencies meanwhile, if it is ours.
func (r *run) stamped(do func()) (l latency, err error) {
	c, ours := r.server.(*child)
	if !ours {
		do()
		return l, nil
	}
	var none bool
	if err := c.ask(&none, commandMark); err != nil {
		return l, err
	}
	do()
	err = c.ask(&l, commandTell)
	return l, err
}
