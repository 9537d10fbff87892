package server

import (
	"context"
	"errors"
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// begin establishes w.
func (s *Server) begin(ctx context.Context, c *call, w *watch, begun *attempt) {
	defer close(begun.done)
	o, res, err := s.ask(ctx, c, w)
	if res != nil { // values count even if no more will follow
		s.values(ctx, c.registration, w.what.Value(), res)
	}
	s.mu.Lock()
	switch {
	case !w.gone && err == nil:
		w.observation = o
	case !w.gone:
		w.entry.unwatch(w)
	case err == nil: // the session ended or p was cancelled meanwhile
		err = ErrEnded
	}
	w.attempt = nil
	s.mu.Unlock()
	s.blame(c, w.what.Value(), err)
	begun.err = err
	if err != nil && o != nil {
		o.Forget()
	}
}

// ask sends the Observe in the formats that suit the device, with its attributes:
// on the request from 1.2 on, before it otherwise, or if the device refuses that.
func (s *Server) ask(ctx context.Context, c *call, w *watch) (*coap.Observation, *coap.Response, error) {
	t := w.what.Value()
	query := t.Options()
	if len(query) > 0 && c.registration.Version != lwm2m.Version12 {
		if err := s.attach(ctx, c, t); err != nil {
			return nil, nil, err
		}
		query = nil
	}
	o, res, err := s.askWith(ctx, c, w, query)
	if len(query) > 0 && isCode(err, coap.BadRequest) {
		if err := s.attach(ctx, c, t); err != nil {
			return nil, nil, err
		}
		o, res, err = s.askWith(ctx, c, w, nil)
	}
	if err == nil && o == nil {
		err = ErrNotObserved
	}
	if err != nil {
		err = fmt.Errorf("observe %s: %w", t, err)
	}
	return o, res, err
}

func (s *Server) askWith(ctx context.Context, c *call, w *watch, query []string,
) (o *coap.Observation, res *coap.Response, err error) {
	send := func(r *coap.Request) (*coap.Response, error) {
		r.Observe, r.Query = coap.ObserveRegister, query
		res, got, err := s.o.Exchanger.Observe(ctx, c.peer, r, w.notified)
		s.outcome(c, err)
		if err != nil {
			return nil, why(ctx, err)
		}
		o = got
		if s.disowned(c, res) {
			return nil, ErrUnreachable
		}
		return res, success(res)
	}
	t := w.what.Value()
	if t.Composite() {
		res, err = s.fetch(c, t.Paths(), send)
		return o, res, err
	}
	res, err = inFormats(s.readable(c, t.node), func(f uint16) (*coap.Response, error) {
		r := c.request(coap.GET, t.node)
		r.Accept = coap.FormatID(f)
		return send(r)
	})
	return o, res, err
}

// attach writes the attributes of t to its nodes (§6.3.4).
func (s *Server) attach(ctx context.Context, c *call, t Target) error {
	for _, p := range t.Paths() {
		if p.Len() == 0 {
			continue // attributes of the root there are none
		}
		r := c.request(coap.PUT, p)
		r.Query = t.Options()
		if _, err := s.do(ctx, c, r); err != nil {
			return fmt.Errorf("attributes of %s: %w", t, err)
		}
	}
	return nil
}

// isCode reports whether err is an answer of a device with the code.
func isCode(err error, code coap.Code) bool {
	var refused *ResponseError
	return errors.As(err, &refused) && refused.Code == code
}
