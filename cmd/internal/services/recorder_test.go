package services_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/services"
	"steward/lwm2m"
	"steward/lwm2m/server"
	"steward/web"
	"steward/web/webtest"
)

// recorded runs do with a hub whose events are kept, and returns those that were.
func recorded(t *testing.T, do func(h *services.Hub, r *services.Recorder)) (all []web.Logged) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := &webtest.EventLog{}
		r := services.NewRecorder(log, slog.New(slog.DiscardHandler))
		h := services.NewHub(&web.Stream{})
		h.Record(r)
		do(h, r)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
		var err error
		if all, err = log.After(t.Context(), 0, 100_000); err != nil {
			t.Error(err)
		}
	})
	return all
}

func TestRecorder(t *testing.T) {
	happened := func(kind server.Happening, at time.Time) server.Event {
		e := server.Event{Kind: kind, Device: "d", At: at}
		if kind == server.Notified {
			e.Entries = []lwm2m.Entry{{Path: lwm2m.NewPath(3, 0, 9), Value: lwm2m.Integer(1)}}
		}
		return e
	}
	all := recorded(t, func(h *services.Hub, r *services.Recorder) {
		now := time.Now()
		h.Device(happened(server.Registered, now))
		h.Device(happened(server.Updated, now))
		h.Device(happened(server.Notified, now))
		h.Campaign("c")
		r.KeepValues(true)
		h.Device(happened(server.Notified, now))
	})
	var types strings.Builder
	for _, e := range all {
		types.WriteString(e.Type + " ")
	}
	if types.String() != "device.state campaign device.value " {
		t.Errorf("kept %s", types.String())
	}
	all = recorded(t, func(h *services.Hub, _ *services.Recorder) {
		now := time.Now()
		for range 1000 {
			h.Device(happened(server.Registered, now))
		}
		h.Device(happened(server.Registered, now.Add(time.Second)))
	})
	if len(all) != 501 {
		t.Errorf("%d of a storm kept, want 500 and one of the next second", len(all))
	}
	all = recorded(t, func(h *services.Hub, _ *services.Recorder) {
		for range 5000 {
			h.Campaign("c")
		}
	})
	if n := len(all); n != 4096 || all[n-1].Type != web.EventGap {
		t.Errorf("%d kept of what came at once, the last %+v", n, all[n-1])
	}
}
