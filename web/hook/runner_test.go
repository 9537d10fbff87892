package hook_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/web"
	"steward/web/hook"
	"steward/web/hook/hooktest"
	"steward/web/webtest"
)

func TestOptions(t *testing.T) {
	if _, err := hook.NewRunner(hook.Options{}); !errors.Is(err, hook.ErrOptions) {
		t.Errorf("NewRunner of nothing = %v", err)
	}
}

// A far is the other side: it answers each call with the next of its statuses, the
// last for ever.
type far struct {
	mu       sync.Mutex // guards the rest
	statuses []int
	header   http.Header
	calls    []call
	err      error
	slow     string // a host that takes its time
	takes    time.Duration
}

type call struct {
	at     time.Time
	header http.Header
	body   string
}

// RoundTrip implements http.RoundTripper.
func (f *far) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == f.slow {
		time.Sleep(f.takes)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	f.calls = append(f.calls, call{time.Now(), r.Header, string(body)})
	if f.err != nil {
		return nil, f.err
	}
	status := f.statuses[0]
	if len(f.statuses) > 1 {
		f.statuses = f.statuses[1:]
	}
	header := f.header
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " said"), Header: header,
		Body: io.NopCloser(strings.NewReader("words")),
	}, nil
}

// seen returns the calls so far.
func (f *far) seen() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// say has it answer otherwise from now on.
func (f *far) say(statuses ...int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses = statuses
}

// A world is a Runner with one hook, in simulated time.
type world struct {
	t      *testing.T
	far    *far
	store  *hooktest.Memory
	events *webtest.EventLog
	hooks  hook.Hooks
	id     string
	last   uint64
}

func inWorld(t *testing.T, h hook.Hook, f *far, do func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, far: f, store: &hooktest.Memory{}, events: &webtest.EventLog{}}
		r, err := hook.NewRunner(hook.Options{
			Store: w.store, Events: w.events, Client: &http.Client{Transport: f}, Source: "/here",
			Log: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		w.hooks = hook.Hooks{Store: w.store, Events: w.events, NewID: func() string { return "h" }, Wake: r.Wake}
		h.Name, h.URL = "n", "https://example.com/x?token=secret"
		made, shown, err := w.hooks.Add(t.Context(), "operator:a", h, time.Now())
		if err != nil || !strings.HasPrefix(shown, "whsec_") {
			t.Fatal(shown, err)
		}
		w.id = made.ID
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		do(w)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// happen keeps n events.
func (w *world) happen(n int) {
	w.t.Helper()
	for range n {
		w.last++
		e := web.Logged{ID: w.last, At: time.Now(), Event: web.Event{Type: "campaign", Subject: "c", Data: []byte(`{"n":1}`)}}
		if err := w.events.Append(w.t.Context(), []web.Logged{e}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.hooks.Wake()
	synctest.Wait()
}

func (w *world) hook() hook.Hook {
	w.t.Helper()
	h, err := w.hooks.Get(w.t.Context(), w.id)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

func (w *world) letters() []hook.Letter {
	w.t.Helper()
	all, err := w.hooks.Letters(w.t.Context(), w.id, 0, 1000)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func TestDelivery(t *testing.T) {
	inWorld(t, hook.Hook{}, &far{statuses: []int{200}}, func(w *world) {
		w.happen(3)
		if h := w.hook(); len(w.far.seen()) != 3 || h.Cursor != 3 || h.State != hook.Active || h.Status != 200 {
			t.Fatalf("%d calls, %+v", len(w.far.seen()), h)
		}
		c := w.far.seen()[1]
		want := `{"specversion":"1.0","id":"2","source":"/here","type":"campaign","subject":"c",` +
			`"time":"2000-01-01T00:00:00Z","datacontenttype":"application/json","data":{"n":1}}`
		if c.body != want || c.header.Get("Content-Type") != "application/cloudevents+json; charset=utf-8" {
			t.Errorf("message = %s, %v", c.body, c.header)
		}
		signature := hook.Sign(w.hook().Secret, "h.2", c.at, []byte(want))
		if c.header.Get("Webhook-Id") != "h.2" || c.header.Get("Webhook-Signature") != signature {
			t.Errorf("signed: %v, want %s", c.header, signature)
		}
	})
	inWorld(t, hook.Hook{Mode: hook.Binary, Types: []string{"campaign"}}, &far{statuses: []int{204}}, func(w *world) {
		w.happen(1)
		c := w.far.seen()[0]
		if c.body != `{"n":1}` || c.header.Get("Ce-Type") != "campaign" || c.header.Get("Ce-Id") != "1" ||
			c.header.Get("Content-Type") != "application/json" {
			t.Errorf("binary message = %s, %v", c.body, c.header)
		}
	})
	inWorld(t, hook.Hook{Types: []string{"transfer"}}, &far{statuses: []int{200}}, func(w *world) {
		w.happen(250)
		if h := w.hook(); len(w.far.seen()) != 0 || h.Cursor != 250 {
			t.Errorf("what is not wanted: %d calls, cursor %d", len(w.far.seen()), h.Cursor)
		}
	})
}

// TestRetries: pauses grow, the message stays the same and its time is new, later
// events wait, and success ends it.
func TestRetries(t *testing.T) {
	inWorld(t, hook.Hook{}, &far{statuses: []int{500, 500, 500, 200}}, func(w *world) {
		w.happen(2)
		if h := w.hook(); h.State != hook.Failing || h.Attempt != 1 || h.Words != "500 said words" {
			t.Errorf("after one failure: %+v", h)
		}
		time.Sleep(10 * time.Minute)
		if h := w.hook(); h.State != hook.Active || h.Cursor != 2 || !h.FailingSince.IsZero() || len(w.letters()) != 0 {
			t.Errorf("after it works again: %+v", h)
		}
		calls := w.far.seen()
		if len(calls) != 5 {
			t.Fatalf("%d calls, want 5", len(calls))
		}
		for i, pause := range []time.Duration{5 * time.Second, 30 * time.Second, 2 * time.Minute} {
			got := calls[i+1].at.Sub(calls[i].at)
			if got < pause*4/5 || got > pause*6/5+time.Second {
				t.Errorf("pause %d = %v, want about %v", i, got, pause)
			}
			if calls[i+1].header.Get("Webhook-Id") != "h.1" || calls[i].body != calls[i+1].body ||
				calls[i+1].header.Get("Webhook-Timestamp") == calls[i].header.Get("Webhook-Timestamp") {
				t.Errorf("attempt %d is %v", i+1, calls[i+1].header)
			}
		}
	})
}

// TestLetters: what fails for good is kept, and sent anew by somebody's wish.
func TestLetters(t *testing.T) {
	inWorld(t, hook.Hook{}, &far{statuses: []int{400, 400, 400, 200, 500, 200}}, func(w *world) {
		w.happen(2)
		time.Sleep(10 * time.Minute)
		l := w.letters()
		if h := w.hook(); len(l) != 1 || l[0].Event != 1 || l[0].State != hook.Dead || l[0].Tries != 3 || h.Cursor != 2 {
			t.Fatalf("letters %+v, hook %+v", l, h)
		}
		for _, want := range []hook.LetterState{hook.Dead, hook.Sent} { // 500, then 200
			if _, err := w.hooks.Redeliver(t.Context(), "operator:a", w.id, 1, time.Now()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if l := w.letters(); l[0].State != want {
				t.Errorf("after Redeliver: %+v, want %s", l[0], want)
			}
		}
		if _, err := w.hooks.Redeliver(t.Context(), "operator:a", w.id, 9, time.Now()); !errors.Is(err, hook.ErrNotFound) {
			t.Errorf("Redeliver of nothing = %v", err)
		}
	})
}

// TestDisabled: a day of failures, or 410, ends it with an alert; people resume it.
func TestDisabled(t *testing.T) {
	inWorld(t, hook.Hook{}, &far{statuses: []int{503}}, func(w *world) {
		w.happen(1000)
		time.Sleep(23 * time.Hour)
		if h := w.hook(); h.State != hook.Failing {
			t.Errorf("after 23 hours: %+v", h)
		}
		time.Sleep(6 * time.Hour)
		if h := w.hook(); h.State != hook.Disabled {
			t.Errorf("after 29 hours: %+v", h)
		}
		rows := w.store.Rows()
		if last := rows[len(rows)-1]; last.Action != "webhook.disable" || last.Actor != "system" {
			t.Errorf("alert = %+v", last)
		}
		for _, r := range rows {
			if strings.Contains(fmt.Sprint(r), "secret") && !strings.Contains(r.Action, "secret") {
				t.Errorf("audit row tells the query of the address: %+v", r)
			}
		}
		n := len(w.far.seen())
		w.far.say(200)
		time.Sleep(24 * time.Hour)
		if len(w.far.seen()) != n {
			t.Error("it is told though it is disabled")
		}
		if _, err := w.hooks.Tell(t.Context(), "operator:a", w.id, hook.Resume, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if h := w.hook(); h.State != hook.Active || h.Cursor != 1000 {
			t.Errorf("after Resume: %+v", h)
		}
	})
	inWorld(t, hook.Hook{}, &far{statuses: []int{410}}, func(w *world) {
		w.happen(1)
		if h := w.hook(); h.State != hook.Disabled || len(w.far.seen()) != 1 {
			t.Errorf("after 410: %+v", h)
		}
	})
}

// TestOtherFailures: redirections are not followed, addresses that are not public are
// given up at once, and a pause that is asked for is kept.
func TestOtherFailures(t *testing.T) {
	inWorld(t, hook.Hook{}, &far{statuses: []int{302}}, func(w *world) {
		w.happen(1)
		if h := w.hook(); h.State != hook.Failing || h.Words != "redirections are not followed" {
			t.Errorf("after 302: %+v", h)
		}
	})
	inWorld(t, hook.Hook{}, &far{err: hook.ErrAddress}, func(w *world) {
		w.happen(1)
		if l := w.letters(); len(l) != 1 || strings.Contains(l[0].Words, "secret") {
			t.Errorf("letters = %+v", l)
		}
	})
	f := &far{statuses: []int{429, 200}, header: http.Header{"Retry-After": {"600"}}}
	inWorld(t, hook.Hook{}, f, func(w *world) {
		w.happen(1)
		time.Sleep(9 * time.Minute)
		if len(f.seen()) != 1 {
			t.Error("Retry-After is not kept")
		}
		time.Sleep(2 * time.Minute)
		if len(f.seen()) != 2 {
			t.Error("never tried again")
		}
	})
}

// TestSlowHooksHoldNobodyUp has one side take seconds for each message: what is told to
// another waits for one turn of it, not for all that it has to hear.
func TestSlowHooksHoldNobodyUp(t *testing.T) {
	f := &far{statuses: []int{200}, slow: "slow.example.com", takes: 9 * time.Second}
	inWorld(t, hook.Hook{}, f, func(w *world) {
		w.hooks.NewID = func() string { return "slow" }
		slow := hook.Hook{Name: "slow", URL: "https://slow.example.com/"}
		if _, _, err := w.hooks.Add(t.Context(), "operator:a", slow, time.Now()); err != nil {
			t.Fatal(err)
		}
		w.happen(100)
		time.Sleep(time.Second) // the slow one is at its first
		w.happen(1)
		time.Sleep(30 * time.Second)
		if h := w.hook(); h.Cursor != 101 {
			t.Errorf("after half a minute the quick one has heard %d of 101", h.Cursor)
		}
	})
}

func TestPauseAndEdit(t *testing.T) {
	inWorld(t, hook.Hook{}, &far{statuses: []int{200}}, func(w *world) {
		tell := func(on hook.Event) error {
			_, err := w.hooks.Tell(t.Context(), "operator:a", w.id, on, time.Now())
			return err
		}
		if err := tell(hook.Pause); err != nil {
			t.Fatal(err)
		}
		if err := tell(hook.Pause); !errors.Is(err, hook.ErrConflict) {
			t.Errorf("Pause of what is paused = %v", err)
		}
		w.happen(1)
		if len(w.far.seen()) != 0 {
			t.Error("it is told though it is paused")
		}
		edited := hook.Hook{Name: "m", URL: "https://example.com/y", Types: []string{"campaign"}}
		if h, err := w.hooks.Edit(t.Context(), "operator:a", w.id, edited, time.Now()); err != nil || h.Name != "m" {
			t.Errorf("Edit = %+v, %v", h, err)
		}
		_, err := w.hooks.Edit(t.Context(), "operator:a", w.id, hook.Hook{}, time.Now())
		if !errors.Is(err, hook.ErrInvalid) {
			t.Errorf("Edit to nothing = %v", err)
		}
		before := w.hook().Secret
		if h, shown, err := w.hooks.Renew(t.Context(), "operator:a", w.id, time.Now()); err != nil || shown == "" ||
			string(h.Secret) == string(before) {
			t.Errorf("Renew = %v", err)
		}
		if err := tell(hook.Resume); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(w.far.seen()) != 1 {
			t.Errorf("%d calls after Resume", len(w.far.seen()))
		}
		if err := w.hooks.Remove(t.Context(), "operator:a", w.id, time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.hooks.Get(t.Context(), w.id); !errors.Is(err, hook.ErrNotFound) {
			t.Errorf("Get of what is gone = %v", err)
		}
	})
}
