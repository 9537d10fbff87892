package account

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"steward/web"
)

// A Door recognises those who come in over HTTP.
type Door struct {
	Accounts *Accounts
	Instance string           // id of this instance: cookies of two on one host must not mix
	TLS      bool             // the listener speaks TLS: cookies are Secure
	Now      func() time.Time // the clock
}

// cookie returns the name of the session's cookie.
func (d Door) cookie() string {
	if d.TLS {
		return "__Host-steward_" + d.Instance
	}
	return "steward_" + d.Instance
}

// Recognise puts the actor of a Bearer token or a session cookie into the
// request's context. A request that shows neither goes on as nobody; one whose
// credential is not good goes on as nobody too, and Require stops it where it
// matters. Only a fault of the store ends here, by fail.
func (d Door) Recognise(fail func(http.ResponseWriter, *http.Request, error), next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		actor, err := d.actor(r)
		if err != nil && !errors.Is(err, ErrCredential) {
			fail(w, r, err)
			return
		}
		ctx := web.WithStill(web.WithActor(r.Context(), actor), func(ctx context.Context) bool {
			now, err := d.actor(r.WithContext(ctx))
			return err != nil && !errors.Is(err, ErrCredential) || // a fault of the store says nothing
				err == nil && now.Role == actor.Role && now.Scope == actor.Scope
		})
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// actor prefers the token: a program that sends one means it.
func (d Door) actor(r *http.Request) (web.Actor, error) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, secret, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return web.Actor{}, ErrCredential
		}
		actor, err := d.Accounts.ByToken(r.Context(), strings.TrimSpace(secret), d.Now())
		if err == nil && !Under(r.URL.EscapedPath(), actor.Prefix) {
			return web.Actor{}, &web.Error{Is: web.ErrForbidden, Detail: "this token is for " + actor.Prefix + " only"}
		}
		return actor, err
	}
	c, err := r.Cookie(d.cookie())
	if err != nil {
		return web.Actor{}, ErrCredential
	}
	return d.Accounts.BySession(r.Context(), c.Value, d.Now())
}

// SignIn uses up the sign-in link and begins a session. It returns ErrCredential
// as Accounts does.
func (d Door) SignIn(w http.ResponseWriter, r *http.Request, link string) error {
	secret, err := d.Accounts.SignIn(r.Context(), link, VisitOf(r), d.Now())
	if err != nil {
		return err
	}
	return d.Begin(w, r, secret)
}

// VisitOf returns from where a request comes.
func VisitOf(r *http.Request) Visit { return Visit{Address: r.RemoteAddr, Agent: r.UserAgent()} }

// Begin gives the browser a new session, and ends the one that it may have had. The
// session's secret is always ours: a cookie planted before has no effect on it.
func (d Door) Begin(w http.ResponseWriter, r *http.Request, secret string) error {
	if old, err := r.Cookie(d.cookie()); err == nil && old.Value != secret {
		if err := d.Accounts.SignOut(r.Context(), old.Value, d.Now()); err != nil && !errors.Is(err, ErrCredential) {
			return err
		}
	}
	d.setCookie(w, secret, int(SessionLifetime/time.Second))
	return nil
}

// SignOut ends the browser's session.
func (d Door) SignOut(w http.ResponseWriter, r *http.Request) error {
	if c, err := r.Cookie(d.cookie()); err == nil {
		if err := d.Accounts.SignOut(r.Context(), c.Value, d.Now()); err != nil && !errors.Is(err, ErrCredential) {
			return err
		}
	}
	d.setCookie(w, "", -1)
	return nil
}

func (d Door) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // G124: Secure wherever there is TLS
		Name: d.cookie(), Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: d.TLS, SameSite: http.SameSiteStrictMode,
	})
}
