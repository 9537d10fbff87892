package once

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"time"

	"steward/web"
)

// Replayed is the header of an answer that was given before.
const Replayed = "Idempotency-Replayed"

// ErrOptions reports Options that lack something.
var ErrOptions = errors.New("once: incomplete options")

// Options says how a Keeper works.
type Options struct {
	Store Store            // required
	Run   string           // names this process; required
	Now   func() time.Time // the clock; required
	Log   *slog.Logger     // required
}

// A Keeper answers repeated requests with what was answered before.
type Keeper struct{ o Options }

// New returns a Keeper. It returns ErrOptions when something required is missing.
func New(o Options) (*Keeper, error) {
	if o.Store == nil || o.Run == "" || o.Now == nil || o.Log == nil {
		return nil, ErrOptions
	}
	return &Keeper{o}, nil
}

// Wrap returns h for requests that may have an Idempotency-Key. The caller must be
// known by then, and the body bounded.
func (k *Keeper) Wrap(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		text, ok, err := keyText(r)
		if err != nil || !ok {
			if err != nil {
				return err
			}
			return h(w, r)
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		actor := web.ActorFrom(r.Context())
		caller := string(actor.Via) + ":" + actor.String()
		mine := Reply{
			Key: Key(digest(caller, text)), Caller: caller, Run: k.o.Run, State: Running, At: k.o.Now(),
			Request: Digest(digest(r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Get("Content-Type"), string(body))),
		}
		there, begun, err := k.o.Store.Begin(r.Context(), mine)
		if errors.Is(err, ErrFull) {
			return &web.Error{Is: web.ErrTooMany, Detail: err.Error()}
		}
		if err != nil {
			return err
		}
		if !begun {
			return replay(w, there, mine)
		}
		return k.work(w, r, h, mine)
	}
}

// work has h work for the first request of its key, and keeps what it answers.
func (k *Keeper) work(w http.ResponseWriter, r *http.Request, h web.Handler, mine Reply) (err error) {
	ctx, answer, finished := r.Context(), &answer{ResponseWriter: w}, false
	defer func() {
		if !finished { // it panics: nobody knows what it did but the store
			answer.status = http.StatusInternalServerError
			k.finish(ctx, answer, mine)
		}
	}()
	web.JSON(k.o.Log, h).ServeHTTP(answer, r.WithContext(With(ctx, mine.Key)))
	finished = true
	k.finish(ctx, answer, mine)
	return nil
}

// finish keeps an answer. The client has it by then, or went away: it is kept for
// when they come back.
func (k *Keeper) finish(ctx context.Context, a *answer, mine Reply) {
	mine.State, mine.Status, mine.Header, mine.Body = Done, a.status, kept(a.Header()), a.body.Bytes()
	if a.tooLong {
		mine.State, mine.Body = Unkept, nil
	}
	if err := k.o.Store.Finish(context.WithoutCancel(ctx), mine); err != nil {
		k.o.Log.LogAttrs(ctx, slog.LevelError, "answer not kept", slog.String("caller", mine.Caller),
			slog.String("trace_id", web.TraceID(ctx)), slog.Any("error", err))
	}
}

// replay answers a repeated request.
func replay(w http.ResponseWriter, there, mine Reply) error {
	switch {
	case there.Request != mine.Request:
		return &web.Error{Is: web.ErrKeyReused, Detail: "this Idempotency-Key was sent with another request"}
	case there.State == Done:
		maps.Copy(w.Header(), there.Header)
		w.Header().Set(Replayed, "true")
		w.WriteHeader(there.Status)
		_, _ = w.Write(there.Body) // an error is a client that went away
		return nil
	case there.State == Unkept:
		return &web.Error{Is: web.ErrReplyLost, Detail: "it was done; the answer was too long to be kept"}
	case there.Run == mine.Run:
		return &web.Error{Is: web.ErrConflict, Detail: "the first request with this Idempotency-Key is still under way"}
	default:
		return &web.Error{Is: web.ErrReplyLost, Detail: "it was begun, and the server stopped before it answered: " +
			"look how far it came"}
	}
}

// keyText returns the key of a request, bare or as the string of a structured field
// (draft-ietf-httpapi-idempotency-key-header §2.1), and whether there is one.
func keyText(r *http.Request) (string, bool, error) {
	all := r.Header.Values("Idempotency-Key")
	if len(all) == 0 {
		return "", false, nil
	}
	text := all[0]
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	graphic := func(c rune) bool { return c > ' ' && c <= '~' && c != '"' && c != '\\' && c != ',' }
	odd := strings.ContainsFunc(text, func(c rune) bool { return !graphic(c) })
	if len(all) > 1 || text == "" || len(text) > MaxKey || odd {
		return "", false, web.Invalid("Idempotency-Key", "one key of 1 to 255 letters, digits and punctuation")
	}
	return text, true, nil
}

// digest hashes parts so that no other parts have the same hash.
func digest(parts ...string) (sum [sha256.Size]byte) {
	h := sha256.New()
	for _, p := range parts {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p)))) // never fails
		_, _ = io.WriteString(h, p)
	}
	h.Sum(sum[:0])
	return sum
}

// kept returns the headers that belong to the answer rather than to its way.
func kept(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range []string{"Content-Type", "Location", "Link", "Etag", "Cache-Control"} {
		if values := h.Values(name); len(values) > 0 {
			out[name] = values
		}
	}
	return out
}

// An answer is what is answered, with a copy of it.
type answer struct {
	http.ResponseWriter

	status  int
	tooLong bool
	body    bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK) // no effect if there was one
	if a.body.Len()+len(b) > MaxAnswer {
		a.tooLong = true
	} else {
		_, _ = a.body.Write(b) // never fails
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController set deadlines.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
