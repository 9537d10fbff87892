package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"steward/web"
)

// A guard says by which thing's ETag a change is guarded against the changes of
// others that its caller has not seen (RFC 9110 §13.1.1).
type guard struct {
	of       string // pattern of its GET, below Prefix
	optional bool   // If-Match counts where it is sent, and need not be
}

// guards are those that do not follow from the pattern: see guardOf.
var guards = map[string]guard{
	"PUT /partners/{id}/limits":          {of: "/partners/{id}"},
	"PUT /partners/{id}/state":           {of: "/partners/{id}"},
	"POST /releases/{id}/commands":       {of: "/releases/{id}"},
	"POST /ca/certificates/{id}/revoke":  {of: "/ca/certificates/{id}", optional: true},
	"POST /ca/upstream/{id}/certificate": {of: "/ca/upstream/{id}", optional: true},
	"POST /campaigns/{id}/abort":         {of: "/campaigns/{id}", optional: true},
	// A decision names the request that it is about.
	"POST /ca/requests/{id}/commands": {},
	// What a device holds is not ours to tag.
	"PUT /devices/{id}/lwm2m/*":    {},
	"DELETE /devices/{id}/lwm2m/*": {},

	"PUT " + LeshanPrefix + "/api/clients/{endpoint}/*": {},
	// A trace changes with every message; beginning it anew prolongs it.
	"PUT /devices/{id}/trace":    {},
	"DELETE /devices/{id}/trace": {},
	// A filter is small, and stored anew whole.
	"DELETE /views/{id}": {},
	// Whoever sets it says all there is.
	"PUT /log-level": {},
	// It never changes, and is withdrawn for good.
	"DELETE /ca/passwords/{id}": {},
	// Neither changes but by its use, and both end for good.
	"DELETE /sessions/{id}": {},
	"DELETE /tokens/{id}":   {},
}

// guardOf returns the guard of a route. What guards does not have is guarded by the
// GET of the same pattern; commands, by that of what they are given to, and only if
// they have an If-Match: the tables refuse what the present state does not allow.
func guardOf(method, pattern string) guard {
	if g, ok := guards[method+" "+pattern]; ok {
		return g
	}
	switch method {
	case http.MethodPut, http.MethodPatch, http.MethodDelete:
		return guard{of: pattern}
	default:
		of, commands := strings.CutSuffix(pattern, "/commands")
		if !commands {
			of = ""
		}
		return guard{of: of, optional: true}
	}
}

// guarded lets h change something only if what the caller has seen of it is still
// so. Those who change things of a kind come one after the other. current is its GET.
func (a *API) guarded(g guard, current, h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if len(r.Header.Values("If-Match"))+len(r.Header.Values("If-None-Match")) == 0 {
			if g.optional {
				return h(w, r)
			}
			return g.refusal(w, r, web.ErrPreconditionRequired, "send If-Match with the ETag of "+fill(g.of, r)+
				", or If-None-Match: * where there is none yet")
		}
		body, err := io.ReadAll(r.Body) // who sends slowly keeps nobody waiting
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		unlock, err := a.changing.lock(r.Context(), g.of) // one thing may have several names
		if err != nil {
			return err
		}
		defer unlock()
		ok, err := a.holds(current, r)
		if err != nil {
			return err
		}
		if !ok {
			return g.refusal(w, r, web.ErrPrecondition, "read "+fill(g.of, r)+" again: somebody changed it")
		}
		return a.change(w, r, current, h)
	}
}

// refusal is the answer to who has to read the thing first, and where it is.
func (g guard) refusal(w http.ResponseWriter, r *http.Request, is error, detail string) error {
	w.Header().Set("Link", "<"+fill(g.of, r)+`>; rel="related"`)
	return &web.Error{Is: is, Detail: detail}
}

// change has h change something, and answers with the tag that it has then.
func (a *API) change(w http.ResponseWriter, r *http.Request, current, h web.Handler) error {
	held := &heldAnswer{ResponseWriter: w, holds: func(status int, _ http.Header) bool { return status/100 == 2 }}
	if err := h(held, r); err != nil {
		return err
	}
	if tag, err := a.tagNow(current, r); err == nil && tag != "" {
		w.Header().Set("ETag", tag)
	}
	held.release()
	return nil
}

// holds reports whether the conditions of a request are met by what current answers.
func (a *API) holds(current web.Handler, r *http.Request) (bool, error) {
	tag, err := a.tagNow(current, r)
	if err != nil {
		return false, err
	}
	must, mustNot, exists := r.Header.Values("If-Match"), r.Header.Values("If-None-Match"), tag != ""
	if len(must) > 0 && (!exists || !match(must, tag, false)) {
		return false, nil
	}
	return !exists || !match(mustNot, tag, true), nil
}

// tagNow returns the tag of what current answers, "" if there is no such thing.
func (a *API) tagNow(current web.Handler, r *http.Request) (string, error) {
	w := &heldAnswer{ResponseWriter: nowhere{header: http.Header{}}, holds: func(int, http.Header) bool { return true }}
	read := r.Clone(r.Context())
	read.Method, read.Body = http.MethodGet, http.NoBody
	read.URL.RawQuery = ""
	read.Header = http.Header{}
	err := current(w, read)
	if status, _ := web.Status(err); err != nil && status == http.StatusNotFound {
		return "", nil
	}
	return tagOf(w.body.Bytes()), err
}

// nowhere is where an answer goes that only we read.
type nowhere struct{ header http.Header }

func (n nowhere) Header() http.Header       { return n.header }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) WriteHeader(int)             {}

// fill returns the path that pattern has with the parameters of r.
func fill(pattern string, r *http.Request) string {
	var parts []string
	for part := range strings.SplitSeq(pattern, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			part = url.PathEscape(web.Param(r, strings.TrimSuffix(name, "}")))
		}
		parts = append(parts, part)
	}
	return Prefix + strings.Join(parts, "/")
}

// locks are held while the things of their names change.
type locks struct {
	mu   sync.Mutex // guards held
	held map[string]chan struct{}
}

// lock waits until nobody else has the lock called name, at most for ctx.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	for {
		l.mu.Lock()
		busy, ok := l.held[name]
		if !ok {
			if l.held == nil {
				l.held = map[string]chan struct{}{}
			}
			done := make(chan struct{})
			l.held[name] = done
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, name)
				l.mu.Unlock()
				close(done)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
