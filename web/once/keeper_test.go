package once_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"steward/web"
	"steward/web/once"
	"steward/web/once/oncetest"
)

func TestMemory(t *testing.T) {
	oncetest.TestStore(t, func(*testing.T) (once.Store, func(context.Context) error) {
		m := &oncetest.Memory{}
		return m, m.Apply
	})
}

func TestOptions(t *testing.T) {
	if _, err := once.New(once.Options{}); !errors.Is(err, once.ErrOptions) {
		t.Errorf("New of nothing = %v", err)
	}
}

// A site is a handler under a Keeper.
type site struct {
	t     *testing.T
	store *oncetest.Memory
	calls int
	do    web.Handler
	run   string
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, store: &oncetest.Memory{}, run: "one"}
	s.do = func(w http.ResponseWriter, r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		w.Header().Set("Location", "/made")
		return web.WriteJSON(w, http.StatusCreated, string(body))
	}
	return s
}

// post sends one request with a key.
func (s *site) post(key, actor, target, body string) *httptest.ResponseRecorder {
	s.t.Helper()
	log := slog.New(slog.DiscardHandler)
	k, err := once.New(once.Options{
		Store: s.store, Run: s.run, Log: log, Now: func() time.Time { return time.Unix(1000, 0).UTC() },
	})
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(s.t.Context(), http.MethodPost, target, strings.NewReader(body))
	r = r.WithContext(web.WithActor(r.Context(), web.Actor{Name: actor, Via: web.ViaToken}))
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	web.JSON(log, k.Wrap(func(w http.ResponseWriter, r *http.Request) error {
		s.calls++
		return s.do(w, r)
	})).ServeHTTP(w, r)
	return w
}

func (s *site) want(name string, w *httptest.ResponseRecorder, status, calls int, replayed bool) {
	s.t.Helper()
	if w.Code != status || s.calls != calls || (w.Header().Get(once.Replayed) == "true") != replayed {
		s.t.Errorf("%s = %d after %d calls, replayed %q; want %d, %d, %v\n%s", name, w.Code, s.calls,
			w.Header().Get(once.Replayed), status, calls, replayed, w.Body)
	}
}

func TestSameKey(t *testing.T) {
	s := newSite(t)
	first := s.post("k", "a", "/x", "1")
	s.want("first", first, 201, 1, false)
	again := s.post("k", "a", "/x", "1")
	s.want("again", again, 201, 1, true)
	if again.Body.String() != first.Body.String() || again.Header().Get("Location") != "/made" {
		t.Errorf("again = %s, %v", again.Body, again.Header())
	}
	s.want("as a string of a structured field", s.post(`"k"`, "a", "/x", "1"), 201, 1, true)
	s.want("another body", s.post("k", "a", "/x", "2"), 422, 1, false)
	s.want("another target", s.post("k", "a", "/y", "1"), 422, 1, false)
	s.want("another query", s.post("k", "a", "/x?a", "1"), 422, 1, false)
	s.want("somebody else", s.post("k", "b", "/x", "1"), 201, 2, false)
	s.want("no key", s.post("", "a", "/x", "1"), 201, 3, false)
	s.want("no key again", s.post("", "a", "/x", "1"), 201, 4, false)
	for _, bad := range []string{`""`, "a b", "a,b", `a"b`, "ü", strings.Repeat("k", once.MaxKey+1)} {
		s.want(bad, s.post(bad, "a", "/x", "1"), 422, 4, false)
	}
}

func TestRefusalFreesTheKey(t *testing.T) {
	s := newSite(t)
	works := s.do
	s.do = func(http.ResponseWriter, *http.Request) error { return web.ErrConflict }
	s.want("refused", s.post("k", "a", "/x", "1"), 409, 1, false)
	s.do = works
	s.want("then done", s.post("k", "a", "/x", "2"), 201, 2, false)
}

// TestChangeKeepsTheKey: an error after something was changed is answered again.
func TestChangeKeepsTheKey(t *testing.T) {
	s := newSite(t)
	s.do = func(_ http.ResponseWriter, r *http.Request) error {
		return errors.Join(s.store.Apply(r.Context()), web.ErrTimeout)
	}
	s.want("first", s.post("k", "a", "/x", "1"), 504, 1, false)
	s.want("again", s.post("k", "a", "/x", "1"), 504, 1, true)
}

func TestUnderWay(t *testing.T) {
	s := newSite(t)
	works := s.do
	s.do = func(w http.ResponseWriter, r *http.Request) error {
		s.want("meanwhile", s.post("k", "a", "/x", "1"), 409, 1, false)
		return works(w, r)
	}
	s.want("first", s.post("k", "a", "/x", "1"), 201, 1, false)
}

// TestCrash has the process end before and after something was changed.
func TestCrash(t *testing.T) {
	for name, row := range map[string]struct {
		changes bool
		status  int
		calls   int
	}{"before": {false, 201, 2}, "after": {true, 409, 1}} {
		s := newSite(t)
		works := s.do
		var crashed once.Reply
		s.do = func(_ http.ResponseWriter, r *http.Request) error {
			if row.changes {
				if err := s.store.Apply(r.Context()); err != nil {
					return err
				}
			}
			key, _ := once.KeyOf(r.Context())
			crashed, _, _ = s.store.Begin(r.Context(), once.Reply{Key: key, Run: "one"})
			return web.ErrUnavailable
		}
		s.post("k", "a", "/x", "1")
		// What the process left behind when it ended there.
		s.store = &oncetest.Memory{}
		if _, _, err := s.store.Begin(t.Context(), crashed); err != nil {
			t.Fatal(err)
		}
		s.do, s.run = works, "two"
		w := s.post("k", "a", "/x", "1")
		s.want(name, w, row.status, row.calls, false)
		if row.changes && !strings.Contains(w.Body.String(), `"answer_lost"`) {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

func TestPanicIsNoAnswer(t *testing.T) {
	s := newSite(t)
	works := s.do
	s.do = func(http.ResponseWriter, *http.Request) error { panic("x") }
	func() {
		defer func() { _ = recover() }()
		s.post("k", "a", "/x", "1")
	}()
	s.do = works
	s.want("after a panic that changed nothing", s.post("k", "a", "/x", "1"), 201, 2, false)
}

func TestLongAnswerIsNotKept(t *testing.T) {
	s := newSite(t)
	s.do = func(w http.ResponseWriter, _ *http.Request) error {
		return web.WriteJSON(w, http.StatusOK, strings.Repeat("x", once.MaxAnswer))
	}
	w := s.post("k", "a", "/x", "1")
	s.want("first", w, 200, 1, false)
	if w.Body.Len() < once.MaxAnswer {
		t.Errorf("answer has %d bytes", w.Body.Len())
	}
	s.want("again", s.post("k", "a", "/x", "1"), 409, 1, false)
}
