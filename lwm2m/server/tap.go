package server

import (
	"context"
	"time"

	"steward/lwm2m/coap"
)

// An Exchange is one request to a device and how it ended. Nothing of it may be
// changed.
type Exchange struct {
	Request  *coap.Request
	Response *coap.Response // nil: there was none
	Err      error
	Began    time.Time
	Took     time.Duration
}

// A Tap is told of the exchanges of an operation.
type Tap struct {
	// Acknowledged is called when the device has a request, and its answer follows
	// later (RFC 7252 §5.2.2). It must not block.
	Acknowledged func()
	// Exchanged is called after each exchange.
	Exchanged func(Exchange)
}

type tapKey struct{}

// WithTap returns a context whose operations tell t of their exchanges.
func WithTap(ctx context.Context, t *Tap) context.Context { return context.WithValue(ctx, tapKey{}, t) }

// tapped is the Exchanger that tells the Tap of its context.
type tapped struct{ inner Exchanger }

// Do implements Exchanger.
func (x tapped) Do(ctx context.Context, p coap.Peer, r *coap.Request) (*coap.Response, error) {
	t, ok := ctx.Value(tapKey{}).(*Tap)
	if !ok {
		return x.inner.Do(ctx, p, r)
	}
	began := time.Now()
	r.Acknowledged = t.Acknowledged
	res, err := x.inner.Do(ctx, p, r)
	t.Exchanged(Exchange{r, res, err, began, time.Since(began)})
	return res, err
}

// Observe implements Exchanger.
func (x tapped) Observe(ctx context.Context, p coap.Peer, r *coap.Request, notify func(*coap.Response)) (
	*coap.Response, *coap.Observation, error,
) {
	t, ok := ctx.Value(tapKey{}).(*Tap)
	if !ok {
		return x.inner.Observe(ctx, p, r, notify)
	}
	began := time.Now()
	r.Acknowledged = t.Acknowledged
	res, o, err := x.inner.Observe(ctx, p, r, notify)
	t.Exchanged(Exchange{r, res, err, began, time.Since(began)})
	return res, o, err
}
