package web

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// Limits of what a client may send.
const (
	MaxForm   = 64 << 10 // forms and JSON of commands
	MaxUpload = 16 << 20 // firmware images and envelopes; devices take far smaller ones
	// bodyTimeout is for the whole body: the largest comes at 140 KB/s.
	bodyTimeout = 2 * time.Minute
)

// StackOptions says how requests are wrapped.
type StackOptions struct {
	Log  *slog.Logger     // required
	Now  func() time.Time // required: the clock, for durations in the access log
	TLS  bool             // the listener speaks TLS: adds Strict-Transport-Security
	Deny denial           // answers what never reaches a handler; nil: as a problem document
}

// A denial answers err.
type denial = func(w http.ResponseWriter, r *http.Request, err error)

// OwnSite refuses, as Stack does for what changes something, a request that another
// site makes a browser send: for a GET that has an effect, such as asking a device.
func OwnSite(r *http.Request) error {
	asked := r.Clone(r.Context())
	asked.Method = http.MethodPost
	if err := http.NewCrossOriginProtection().Check(asked); err != nil {
		return errCrossOrigin
	}
	return nil
}

// Stack wraps next in all that every request goes through, outermost first:
// trace id, access log, recovery, security headers, a time limit for the body,
// refusal of requests that another site makes a browser send.
func Stack(o StackOptions, next http.Handler) http.Handler {
	deny := o.Deny
	if deny == nil {
		deny = func(w http.ResponseWriter, r *http.Request, err error) { WriteProblem(w, ProblemOf(r, err)) }
	}
	csrf := http.NewCrossOriginProtection()
	csrf.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		LogError(r, o.Log, errCrossOrigin)
		deny(w, r, errCrossOrigin)
	}))
	h := timedBodies(o.Now, csrf.Handler(next))
	h = securityHeaders(o.TLS, h)
	h = recovered(o.Log, deny, h)
	return Trace(accessLog(o.Log, o.Now, h))
}

// contentPolicy allows what we serve ourselves and nothing else: no inline
// script or style, no foreign origin, no frame around us.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func securityHeaders(tls bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer") // sign-in links stand in the address
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		if tls {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// timedBodies gives each body bodyTimeout to arrive: a server with a read timeout
// would end long answers too.
func timedBodies(now func() time.Time, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			conn := http.NewResponseController(w)
			if err := conn.SetReadDeadline(now().Add(bodyTimeout)); err == nil { // else: no connection, a test
				r.Body = timedBody{r.Body, conn}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// A timedBody takes the time limit away at its end, for the connection is watched
// on while the request is worked on.
type timedBody struct {
	io.ReadCloser

	conn *http.ResponseController
}

// Read implements io.Reader.
func (b timedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if errors.Is(err, io.EOF) {
		_ = b.conn.SetReadDeadline(time.Time{}) // it could be set before
	}
	return n, err
}

// recovered turns a panic of a handler into an answer and a log line.
func recovered(log *slog.Logger, deny denial, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // the value that net/http documents
				panic(p)
			}
			log.LogAttrs(ctx, slog.LevelError, "handler panicked", slog.String("path", r.URL.Path),
				slog.String("trace_id", TraceID(ctx)), slog.String("panic", fmt.Sprint(p)),
				slog.String("stack", string(debug.Stack())))
			if rec, ok := w.(*recorder); ok && rec.status != 0 {
				panic(http.ErrAbortHandler) // half an answer is out: cut the connection
			}
			deny(w, r, errPanic)
		}()
		next.ServeHTTP(w, r)
	})
}

// LimitBody bounds what h can read of the request's body to n bytes.
func LimitBody(n int64, h Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, n)
		return h(w, r)
	}
}

// accessLog writes one line per request. It names the path only: queries hold
// sign-in links.
func accessLog(log *slog.Logger, now func() time.Time, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begin, ctx := now(), r.Context()
		rec := &recorder{ResponseWriter: w}
		defer func() {
			log.LogAttrs(ctx, slog.LevelDebug, "http request", slog.String("method", r.Method),
				slog.String("path", r.URL.Path), slog.Int("status", rec.status), slog.Int64("bytes", rec.bytes),
				slog.Duration("took", now().Sub(begin)), slog.String("remote", r.RemoteAddr),
				slog.String("trace_id", w.Header().Get("X-Request-Id")))
		}()
		next.ServeHTTP(rec, r)
	})
}

// A recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter

	status int // 0: nothing yet
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController flush and set deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
