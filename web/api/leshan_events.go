package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"steward/web"
	"steward/web/compat/leshan"
)

// leshanEvents tells what happens as Leshan's EventServlet does: of all devices, or of
// the one whose endpoint is ep, which need not be known yet.
func (a *API) leshanEvents(w http.ResponseWriter, r *http.Request) error {
	endpoint, subject := r.URL.Query().Get("ep"), ""
	if endpoint != "" {
		d, err := a.s.Devices.Device(r.Context(), "ep:"+endpoint)
		if err != nil && !errors.Is(err, web.ErrNotFound) {
			return err
		}
		subject = d.ID
		if err != nil {
			subject = ""
		}
	}
	match := func(e web.Event) bool {
		return (subject == "" || e.Subject == subject) && (e.Type == web.EventDevice || e.Type == web.EventValue)
	}
	return a.o.Stream.ServeAs(w, r, streamStay, match, func(ctx context.Context, e web.Logged) ([]web.Told, error) {
		d, err := a.s.Devices.Device(ctx, e.Subject)
		if errors.Is(err, web.ErrNotFound) || err == nil && endpoint != "" && d.Endpoint != endpoint {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return told(leshan.Events(e.Event, d))
	})
}

func told(events []leshan.Event) ([]web.Told, error) {
	out := make([]web.Told, 0, len(events))
	for _, e := range events {
		data, err := json.Marshal(e.Data)
		if err != nil {
			return nil, err
		}
		out = append(out, web.Told{Name: e.Name, Data: data})
	}
	return out, nil
}
