package ui

import (
	"errors"
	"net/http"
	"time"

	"steward/web"
	"steward/web/account"
)

// A signInPage asks to confirm a sign-in link, or says how to get one.
type signInPage struct {
	Link    string // secret to post; "" without a good link
	Name    string
	Role    web.Role
	Refused bool   // a link was shown, but is not good
	Base    string // address of this dashboard
}

// signInForm shows who would sign in. It does not use the link up: programs
// that preview links fetch them too.
func (u *UI) signInForm(w http.ResponseWriter, r *http.Request) error {
	page := signInPage{Base: u.base(r)}
	status := http.StatusOK
	if link := r.URL.Query().Get("link"); link != "" {
		c, err := u.o.Door.Accounts.CheckLink(r.Context(), link, u.o.Now())
		switch {
		case err == nil:
			page.Link, page.Name, page.Role = link, c.Name, c.Role
		case errors.Is(err, account.ErrCredential):
			page.Refused, status = true, http.StatusForbidden
		default:
			return err
		}
	}
	return u.show(w, r, status, "sign_in", "", "Sign in", page)
}

// signIn uses the link up.
func (u *UI) signIn(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, web.MaxForm)
	err := u.o.Door.SignIn(w, r, r.PostFormValue("link"))
	if errors.Is(err, account.ErrCredential) {
		return u.show(w, r, http.StatusForbidden, "sign_in", "", "Sign in", signInPage{Refused: true, Base: u.base(r)})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (u *UI) signOut(w http.ResponseWriter, r *http.Request) error {
	if err := u.o.Door.SignOut(w, r); err != nil {
		return err
	}
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
	return nil
}

// An accountPage says who one is and lets administrators invite others.
type accountPage struct {
	Roles  []web.Role
	Link   string // a link just made, shown once; "" otherwise
	For    string
	Expiry time.Time
}

func (u *UI) account(w http.ResponseWriter, r *http.Request) error {
	return u.show(w, r, http.StatusOK, "account", "", "Account", accountPage{Roles: roles()})
}

func roles() []web.Role {
	return []web.Role{web.RoleViewer, web.RoleOperator, web.RoleRelease, web.RoleAdmin}
}

// invite makes a sign-in link and shows it. It answers with a page and not with
// a redirect, for the link must not pass through a cookie or an address of ours.
func (u *UI) invite(w http.ResponseWriter, r *http.Request) error {
	name := r.PostFormValue("name")
	role, err := web.ParseRole(r.PostFormValue("role"))
	if err != nil {
		return web.Invalid("role", "viewer, operator or admin")
	}
	now := u.o.Now()
	secret, err := u.o.Door.Accounts.Invite(r.Context(), web.ActorFrom(r.Context()).String(), name, role, now)
	if errors.Is(err, account.ErrName) {
		return u.done(w, r, web.Invalid("name", "letters, digits and . _ @ - only"), "", "", "/account")
	}
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "account", "", "Account", accountPage{
		Roles: roles(), Link: u.base(r) + "/sign-in?link=" + secret, For: name, Expiry: now.Add(account.LinkLifetime),
	})
}

// base returns the address of this dashboard as configured, or else as the
// browser named it.
func (u *UI) base(r *http.Request) string {
	switch {
	case u.o.BaseURL != "":
		return u.o.BaseURL
	case u.o.Door.TLS:
		return "https://" + r.Host
	default:
		return "http://" + r.Host
	}
}
