package web

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// A Told is an event as it stands in an event stream.
type Told struct {
	Name string // ""; browsers call that message
	Data []byte // without a newline
}

// Serve answers r with the events that match as an event stream (HTML, "Server-
// sent events") of CloudEvents, until the client goes away, stay ends, or the rights of
// the client do, which is looked at with each keep-alive. One who
// sends Last-Event-ID gets first what happened since: from memory and the log, or an
// EventGap where that is not kept any more. It returns ErrUnavailable when too many
// watch, and ErrTooMany when one does too often.
func (s *Stream) Serve(w http.ResponseWriter, r *http.Request, stay time.Duration, match func(Event) bool) error {
	return s.ServeAs(w, r, stay, match, func(_ context.Context, e Logged) ([]Told, error) {
		body, err := e.CloudEvent(s.Source)
		return []Told{{Data: body}}, err
	})
}

// write writes one event, if the client may see it.
func (f follower) write(e Logged) error {
	if f.stream.Sees != nil && e.Type != EventGap && !f.stream.Sees(f.ctx, e.Event) {
		return nil
	}
	all, err := f.render(f.ctx, e)
	if err != nil {
		return err
	}
	f.patience()
	for _, told := range all {
		name := ""
		if told.Name != "" {
			name = "event: " + told.Name + "\n"
		}
		if _, err := fmt.Fprintf(f.w, "id: %d\n%sdata: %s\n\n", e.ID, name, told.Data); err != nil {
			return err
		}
	}
	return nil
}
