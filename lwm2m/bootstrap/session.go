package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// errLost reports a device that did not answer.
var errLost = errors.New("no answer")

// A session is one device between Bootstrap-Request and Bootstrap-Finish.
type session struct {
	hello

	peer   coap.Peer
	wanted Configuration
	held   held
	report Report
	cancel context.CancelFunc // once a worker has it; guarded by Server.mu
	before *session           // of the same device, not to have the last word in the report
	over   chan struct{}      // closed at the end
}

// lead takes a session to its end.
func (s *Server) lead(ctx context.Context, x *session) {
	defer close(x.over)
	defer s.forget(x)
	if x.before != nil {
		<-x.before.over
		x.before = nil
	}
	s.mu.Lock()
	if s.current[x.device] != x { // the device began anew while this one waited
		s.mu.Unlock()
		return
	}
	limited, cancel := context.WithTimeout(ctx, s.o.Budget)
	x.cancel = cancel
	s.mu.Unlock()
	defer cancel()

	var known []lwm2m.Entry
	var err error
	effect := Effect("")
	for on := Told; !x.report.State.Over(); {
		switch effect {
		case "":
			known, err = s.ask(limited, x)
			on = learnt(err, Told)
		case WriteAll:
			err = s.perform(limited, x, x.wanted.plan(x.held, known))
			on = learnt(err, Written)
		case RepairAll:
			err = s.perform(limited, x, x.wanted.repair(x.held))
			on = learnt(err, Written)
		case Finish:
			on, err = s.finish(limited, x)
		}
		if limited.Err() != nil && on == Lost && s.superseded(x) {
			on, err = Restarted, errors.New("the device began anew")
		}
		effect = s.step(ctx, x, on, err)
	}
	s.o.Log.LogAttrs(ctx, slog.LevelInfo, "bootstrap", slog.String("endpoint", string(x.endpoint)),
		slog.String("state", string(x.report.State)), slog.String("reason", x.report.Reason))
	s.o.Ended(x.report)
}

// step stores what an event makes of the session and returns what to do next.
func (s *Server) step(ctx context.Context, x *session, on Event, cause error) Effect {
	row, err := SessionTable.Step(x.report.State, on)
	if err != nil {
		row.To, cause = Failed, err
	}
	x.report.State = row.To
	if row.To.Over() {
		x.report.EndedAt = time.Now()
	}
	if cause != nil && row.To == Failed {
		x.report.Reason = cause.Error()
	}
	// The last state is stored even when the program is being stopped.
	if err := s.o.Store.Keep(context.WithoutCancel(ctx), x.report); err != nil {
		s.o.Log.LogAttrs(ctx, slog.LevelError, "storing a bootstrap", slog.Any("error", err))
	}
	if len(row.Do) == 0 {
		return ""
	}
	return row.Do[0]
}

// learnt turns the error of an exchange into an event.
func learnt(err error, good Event) Event {
	switch {
	case err == nil:
		return good
	case errors.Is(err, errLost):
		return Lost
	default:
		return Refused
	}
}

func (s *Server) superseded(x *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[x.device] != x
}

func (s *Server) forget(x *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current[x.device] == x {
		delete(s.current, x.device)
	}
}

// do makes one exchange and notes it. An answer of an error class is no error.
func (s *Server) do(ctx context.Context, x *session, what, note string, r *coap.Request) (*coap.Response, error) {
	res, err := s.o.Exchanger.Do(ctx, x.peer, r)
	if err != nil {
		x.report.add(time.Now(), what, "no answer", err.Error())
		return nil, fmt.Errorf("%w to %s: %w", errLost, what, err)
	}
	x.report.add(time.Now(), what, res.Code.String(), note)
	return res, nil
}

// ask finds out what the device holds (§6.1.7.4), and from 1.1 on the values of
// objects 1 and 2 (§6.1.7.5). A device that does not tell is taken as a client
// of 1.0 with its bootstrap account in instance 0.
func (s *Server) ask(ctx context.Context, x *session) ([]lwm2m.Entry, error) {
	res, err := s.do(ctx, x, "Discover /", "", &coap.Request{Method: coap.GET, Accept: coap.FormatID(codec.Link)})
	if err != nil {
		return nil, err
	}
	if !res.Code.IsSuccess() {
		x.held = assumed()
		return nil, nil
	}
	if x.held, err = parseHeld(string(res.Payload)); err != nil {
		return nil, fmt.Errorf("answer to Discover: %w", err)
	}
	x.report.Version = x.held.version
	if x.held.version == lwm2m.Version10 {
		return nil, nil
	}
	return s.values(ctx, x)
}

// values reads objects 1 and 2; what cannot be read will be written.
func (s *Server) values(ctx context.Context, x *session) (known []lwm2m.Entry, err error) {
	for _, object := range []uint16{serverObject, accessObject} {
		p := lwm2m.NewPath(object)
		if !x.held.any(object) {
			continue
		}
		r := &coap.Request{Method: coap.GET, Path: p.Segments()}
		if x.has {
			r.Accept = coap.FormatID(x.format)
		}
		res, err := s.do(ctx, x, "Read "+p.String(), "", r)
		if err != nil {
			return nil, err
		}
		format, ok := res.ContentFormat.ID()
		if !res.Code.IsSuccess() || !ok {
			continue
		}
		if entries, err := codec.Decode(format, p, res.Payload, s.o.Schema); err == nil {
			known = append(known, entries...)
		}
	}
	return known, nil
}

// perform deletes and writes.
func (s *Server) perform(ctx context.Context, x *session, commands []command) error {
	for _, c := range commands {
		if c.method == coap.DELETE {
			if err := s.remove(ctx, x, c.path); err != nil {
				return err
			}
			continue
		}
		if err := s.write(ctx, x, c); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes one instance; one that is not there is as wanted.
func (s *Server) remove(ctx context.Context, x *session, p lwm2m.Path) error {
	what := "Delete " + p.String()
	res, err := s.do(ctx, x, what, "", &coap.Request{Method: coap.DELETE, Path: p.Segments()})
	if err != nil {
		return err
	}
	if !res.Code.IsSuccess() && res.Code != coap.NotFound && !x.held.unknown {
		return refused(what, res)
	}
	return nil
}

// write writes one instance, in another format if the device refuses the first.
func (s *Server) write(ctx context.Context, x *session, c command) error {
	what := "Write " + c.path.String()
	last := fmt.Errorf("%w: %s", codec.ErrFormat, what)
	for _, format := range x.formats(c.path) {
		body, err := codec.Encode(format, c.path, c.entries, s.o.Schema)
		if err != nil {
			last = err
			continue
		}
		res, err := s.do(ctx, x, what, fmt.Sprintf("%d values, format %d", len(c.entries), format), &coap.Request{
			Method: coap.PUT, Path: c.path.Segments(), ContentFormat: coap.FormatID(format), Payload: body,
		})
		switch {
		case err != nil:
			return err
		case res.Code.IsSuccess():
			x.format, x.has = format, true // the rest likewise
			return nil
		}
		if last = refused(what, res); res.Code != coap.UnsupportedContentFormat {
			return last
		}
	}
	return last
}

// formats are those in which to write, the best first: what the device asked for
// or took, then what its version must have.
func (x *session) formats(p lwm2m.Path) []uint16 {
	out := codec.Choose(x.held.version, nil, p, lwm2m.KindNone)
	if x.has {
		out = append([]uint16{x.format}, out...)
	}
	return append(out, codec.TLV)
}

// finish sends Bootstrap-Finish (§6.1.7.6).
func (s *Server) finish(ctx context.Context, x *session) (Event, error) {
	s.o.Finishing(ctx, x.peer, x.device)
	res, err := s.do(ctx, x, "Finish", "", &coap.Request{Method: coap.POST, Path: []string{"bs"}})
	switch {
	case err != nil:
		return Lost, err
	case res.Code.IsSuccess():
		return Accepted, nil
	case res.Code == coap.NotAcceptable:
		return Inconsistent, errors.New("the device finds its configuration inconsistent, also after all was written anew")
	}
	return Refused, refused("Finish", res)
}

// refused says in words what a device answered.
func refused(what string, r *coap.Response) error {
	text := strings.ToValidUTF8(string(r.Payload[:min(len(r.Payload), maxDiagnostic)]), "")
	if text == "" {
		return fmt.Errorf("the device answered %s to %s", r.Code, what)
	}
	return fmt.Errorf("the device answered %s to %s: %q", r.Code, what, text)
}

const (
	accessObject  = 2
	maxDiagnostic = 200 // bytes of a device's words that are kept
)

// any reports whether the device holds an instance of object.
func (h held) any(object uint16) bool {
	for _, p := range h.instances {
		if p.Object() == object {
			return true
		}
	}
	return false
}
