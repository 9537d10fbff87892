package server_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/server"
)

// asleep fails unless an operation is, or is not, refused because the device sleeps.
func asleep(t *testing.T, x *world, what string, want bool) {
	t.Helper()
	x.taken()
	_, err := x.Read(t.Context(), "alpha", path("/3/0/9"))
	var sleeps *server.AsleepError
	got := errors.As(err, &sleeps)
	if got != want || x.Presence("alpha").Asleep != want || got != (len(x.taken()) == 0) {
		t.Errorf("%s: asleep %t, want %t: %v", what, got, want, err)
	}
	if got && !errors.Is(err, server.ErrUnreachable) {
		t.Errorf("%s: %v is no ErrUnreachable", what, err)
	}
}

// Core 1.2.2 §6.5; 1.1-int-109.
func TestWakeWindow(t *testing.T) {
	text := func(n string) *coap.Response {
		return &coap.Response{Code: coap.Content, ContentFormat: coap.FormatID(codec.Text), Payload: []byte(n)}
	}
	for name, speak := range map[string]func(x *world, at string){
		"Update":   func(x *world, at string) { x.serve(alpha, coap.POST, at, "", 0, "") },
		"Register": func(x *world, _ string) { x.register(alpha, "ep=alpha&b=U&Q&lwm2m=1.1&lt=3600", usual) },
		"Send": func(x *world, _ string) {
			x.serve(alpha, coap.POST, "dp", "", codec.SenMLJSON, `[{"n":"/3/0/9","v":1}]`)
		},
		"answer": func(x *world, _ string) {
			x.serve(alpha, coap.POST, "dp", "", codec.SenMLJSON, `[{"n":"/3/0/9","v":1}]`)
			time.Sleep(50 * time.Second)
			if _, err := x.Read(x.t.Context(), "alpha", path("/3/0/9")); err != nil {
				x.t.Error(err)
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			x := newWorld(t)
			x.answer(text("1"), nil)
			at := x.register(alpha, "ep=alpha&b=U&Q&lwm2m=1.1&lt=3600", usual)
			asleep(t, x, name+": registered", false)
			time.Sleep(92 * time.Second)
			asleep(t, x, name+": within the window", false) // and begins it anew
			time.Sleep(92 * time.Second)
			asleep(t, x, name+": window of the answer", false)
			time.Sleep(93 * time.Second)
			asleep(t, x, name+": window over", true)
			speak(x, at)
			asleep(t, x, name, false)
			time.Sleep(92 * time.Second)
			asleep(t, x, name+": new window", false)
			time.Sleep(93 * time.Second)
			x.answer(nil, coap.ErrTimeout)
			speak2 := x.registration()
			x.serve(alpha, coap.POST, "rd/"+speak2.ID, "", 0, "")
			if _, err := x.Read(t.Context(), "alpha", path("/3/0/9")); !errors.Is(err, coap.ErrTimeout) {
				t.Errorf("silent: %v", err)
			}
			x.answer(text("1"), nil)
			asleep(t, x, name+": after silence", true) // Leshan sleeping_if_timeout
		})
	}
}

func TestUpdateEndsQueueMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t)
		at := x.register(alpha, "ep=alpha&b=U&Q&lwm2m=1.1&lt=3600", usual)
		x.serve(alpha, coap.POST, at, "b=U", 0, "")
		time.Sleep(200 * time.Second)
		asleep(t, x, "no queue mode any more", false)
		if p := x.Presence("alpha"); p.Queue || !p.Until.IsZero() || !p.Registered {
			t.Errorf("presence = %+v", p)
		}
		x.serve(alpha, coap.POST, at, "b=U&Q", 0, "")
		time.Sleep(200 * time.Second)
		asleep(t, x, "queue mode again", true)
	})
	if p := newWorld(t).Presence("alpha"); p != (server.Presence{}) {
		t.Errorf("nobody: %+v", p)
	}
}

func TestWakePrediction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t)
		at := x.register(alpha, "ep=alpha&b=U&Q&lwm2m=1.1&lt=86400", usual)
		if want := time.Now().Add(24 * time.Hour); !x.Presence("alpha").Wake.Equal(want.UTC()) {
			t.Errorf("by lifetime: %s, want %s", x.Presence("alpha").Wake, want)
		}
		for range 3 {
			time.Sleep(10 * time.Minute)
			x.serve(alpha, coap.POST, at, "", 0, "")
		}
		want := time.Now().Add(10 * time.Minute)
		if got := x.Presence("alpha").Wake; !got.Equal(want.UTC()) {
			t.Errorf("by intervals: %s, want %s", got, want)
		}
		time.Sleep(25 * time.Minute) // it missed two
		want = want.Add(20 * time.Minute)
		if got := x.Presence("alpha").Wake; !got.Equal(want.UTC()) {
			t.Errorf("late: %s, want %s", got, want)
		}
		_, err := x.Read(t.Context(), "alpha", path("/3/0/9"))
		if err == nil || !strings.Contains(err.Error(), "sleeps until about "+want.UTC().Format("2006-01-02 15:04")) {
			t.Errorf("%v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&b=U&Q&lwm2m=1.1&lt=0", usual)
		time.Sleep(time.Hour)
		_, err := x.Read(t.Context(), "alpha", path("/3/0/9"))
		if err == nil || err.Error() != "device sleeps" {
			t.Errorf("for ever: %v", err)
		}
	})
}

// A sleeping device is not told that it is observed no more: its next notification
// is reset.
func TestCancelWhileAsleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&b=U&Q&lwm2m=1.1&lt=0", usual)
		time.Sleep(100 * time.Second)
		if err := x.Observe(t.Context(), "alpha", path("/3/0/9"), "test"); !errors.Is(err, server.ErrUnreachable) {
			t.Errorf("Observe = %v", err)
		}
		if err := x.CancelObserve(t.Context(), "alpha", path("/3/0/9"), "test"); err != nil {
			t.Errorf("CancelObserve = %v", err)
		}
		if got := x.taken(); len(got) != 0 {
			t.Errorf("sent %+v", got)
		}
	})
}

func TestTap(t *testing.T) {
	x := newWorld(t)
	x.register(alpha, "ep=alpha", usual)
	x.exchanger.answer = func(_ context.Context, r *coap.Request) (*coap.Response, error) {
		r.Acknowledged()
		return &coap.Response{Code: coap.MethodNotAllowed}, nil
	}
	var acknowledged int
	var seen []server.Exchange
	ctx := server.WithTap(t.Context(), &server.Tap{
		Acknowledged: func() { acknowledged++ },
		Exchanged:    func(e server.Exchange) { seen = append(seen, e) },
	})
	for name, do := range map[string]func() error{
		"Execute": func() error { return x.Execute(ctx, "alpha", path("/3/0/4"), "") },
		"Write": func() error {
			return x.Write(ctx, "alpha", path("/1/0/1"), []lwm2m.Entry{entry("/1/0/1", lwm2m.Integer(5))}, server.Replace)
		},
		"Observe": func() error { return x.Observe(ctx, "alpha", path("/3/0/9"), "test") },
	} {
		seen, acknowledged = nil, 0
		var refused *server.ResponseError
		if err := do(); !errors.As(err, &refused) || len(seen) != 1 || acknowledged != 1 ||
			seen[0].Response.Code != coap.MethodNotAllowed || seen[0].Began.IsZero() {
			t.Errorf("%s: %v, %d exchanges, %d acknowledged", name, err, len(seen), acknowledged)
		}
	}
}

// How often a device wakes is known after a restart.
func TestRhythmReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, log := newLogged(t)
		stop := x.running()
		at := x.register(alpha, "ep=alpha&b=U&Q&lwm2m=1.1&lt=86400", usual)
		for range 3 {
			time.Sleep(10 * time.Minute)
			x.serve(alpha, coap.POST, at, "", 0, "")
		}
		want := x.Presence("alpha").Wake
		stop()
		if got := x.over(log).Presence("alpha").Wake; !got.Equal(want) {
			t.Errorf("after a restart %s, want %s", got, want)
		}
	})
}

// A device that fetches a block, or asks something else of us, listens afterwards.
func TestHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newWorld(t)
		x.register(alpha, "ep=alpha&b=U&Q&lwm2m=1.1&lt=0", usual)
		for range 3 {
			time.Sleep(80 * time.Second)
			if device, queue := x.Heard(alpha); device != "alpha" || !queue {
				t.Errorf("heard %q, %v", device, queue)
			}
		}
		time.Sleep(80 * time.Second)
		if x.Presence("alpha").Asleep {
			t.Error("it sleeps during a download")
		}
		if device, _ := x.Heard(peerOf("stranger")); device != "" {
			t.Errorf("a stranger is %q", device)
		}
	})
}
