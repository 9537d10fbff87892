package ui

import (
	"errors"
	"net/http"

	"steward/web"
	"steward/web/account"
	"steward/web/oidc"
)

// oidcCallback is where the provider of identities sends people back to.
const oidcCallback = "/sign-in/oidc/callback"

// oidcCookie binds a sign-in to the browser that began it. It comes with a request
// from another site, so it is Lax. With TLS no other host of the domain can plant one: who
// did would have somebody sign in as another than they think.
func (u *UI) oidcCookie() (name, path string) {
	name = "steward_oidc_" + u.o.Door.Instance
	if u.o.Door.TLS {
		return "__Host-" + name, "/"
	}
	return name, "/sign-in/oidc"
}

func (u *UI) setOIDC(w http.ResponseWriter, state string, maxAge int) {
	name, path := u.oidcCookie()
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // G124: Secure wherever there is TLS
		Name: name, Value: state, Path: path, MaxAge: maxAge,
		HttpOnly: true, Secure: u.o.Door.TLS, SameSite: http.SameSiteLaxMode,
	})
}

// beginOIDC sends the browser to the provider of identities.
func (u *UI) beginOIDC(w http.ResponseWriter, r *http.Request) error {
	if u.o.OIDC == nil {
		return web.NotFound("provider", "of identities")
	}
	address, state, err := u.o.OIDC.Begin(r.Context())
	if err != nil {
		return err
	}
	const seconds = 600
	u.setOIDC(w, state, seconds)
	http.Redirect(w, r, address, http.StatusSeeOther)
	return nil
}

// signInOIDC lets in whom the provider of identities vouches for. It answers with a
// page that goes on by itself: a browser sends the session's cookie, which is Strict,
// not with a redirect from another site.
func (u *UI) signInOIDC(w http.ResponseWriter, r *http.Request) error {
	if u.o.OIDC == nil {
		return web.NotFound("provider", "of identities")
	}
	name, _ := u.oidcCookie()
	state := ""
	if c, err := r.Cookie(name); err == nil {
		state = c.Value
	}
	u.setOIDC(w, "", -1)
	secret, err := u.o.OIDC.Finish(r.Context(), r.URL.Query(), state, account.VisitOf(r))
	for _, refusal := range []error{oidc.ErrState, oidc.ErrRefused, oidc.ErrNoRole, account.ErrCredential} {
		if errors.Is(err, refusal) {
			web.LogError(r, u.o.Log, err)
			return u.showSignIn(w, r, http.StatusForbidden, signInPage{Fault: upperFirst(refusal.Error()) + "."})
		}
	}
	if err != nil {
		return account.Problem(err)
	}
	if err := u.o.Door.Begin(w, r, secret); err != nil {
		return err
	}
	w.Header().Set("Refresh", "0; url=/")
	return u.show(w, r, http.StatusOK, "signed_in", "", "Signed in", nil)
}
