package trial

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"steward/cmd/internal/sim"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// A Fault is a way to answer wrongly.
type Fault string

// The faults.
const (
	FaultFormat  Fault = "wrong-format" // another format than asked for
	FaultGarbage Fault = "garbage"      // a body that its format does not allow
	FaultLate    Fault = "late"         // after Options.FaultTime
	FaultSilent  Fault = "silent"       // acknowledged, never answered
	FaultError   Fault = "error"        // 5.00
	FaultTwice   Fault = "duplicate"    // each datagram twice, the same message id
)

var faults = []Fault{FaultFormat, FaultGarbage, FaultLate, FaultSilent, FaultError, FaultTwice}

// ParseFaults reads a list of faults joined by commas; "" is none. It returns
// ErrOptions.
func ParseFaults(list string) ([]Fault, error) {
	var out []Fault
	for name := range strings.SplitSeq(list, ",") {
		if name == "" {
			continue
		}
		if !slices.Contains(faults, Fault(name)) {
			return nil, fmt.Errorf("%w: no fault %q, but %v", ErrOptions, name, faults)
		}
		out = append(out, Fault(name))
	}
	return out, nil
}

// ServeCoAP answers a request of a server, as well as the options allow.
func (l *life) ServeCoAP(ctx context.Context, r *coap.Request) *coap.Response {
	o := &l.d.o
	if o.Slow > 0 && !wait(ctx, o.Slow) {
		return nil
	}
	if len(o.Faults) == 0 {
		return l.answer(ctx, r)
	}
	fault := o.Faults[rand.IntN(len(o.Faults))] //nolint:gosec // hides nothing
	if fault != FaultTwice {
		l.d.event(sim.Event{Kind: sim.Misbehaving, Detail: string(fault)})
	}
	switch fault {
	case FaultLate:
		if !wait(ctx, o.FaultTime) {
			return nil
		}
	case FaultSilent:
		<-ctx.Done()
		return nil
	case FaultError:
		return &coap.Response{Code: coap.InternalServerError}
	case FaultFormat:
		other := *r
		other.Accept = coap.FormatID(codec.TLV)
		if id, _ := r.Accept.ID(); id == codec.TLV {
			other.Accept = coap.FormatID(codec.SenMLJSON)
		}
		r = &other
	case FaultGarbage, FaultTwice:
	}
	response := l.answer(ctx, r)
	if fault == FaultGarbage && response != nil {
		response.Payload = []byte{0xff, 0x00, 0xff}
	}
	return response
}

// answer finds whose object it is: the device's own, or that of an end device
// behind it.
func (l *life) answer(ctx context.Context, r *coap.Request) *coap.Response {
	c := l.cl
	if prefix := l.whose(r); prefix != "" {
		c = l.behind[prefix]
		c.Attach(r.Peer, client.Account{Server: 1})
		if len(r.Path) == 0 {
			composite := *r
			composite.Path = []string{prefix}
			r = &composite
		}
	}
	response := c.ServeCoAP(ctx, r)
	if f := l.afterwards(); f != nil && response != nil {
		response.Sent = f
	}
	return response
}
