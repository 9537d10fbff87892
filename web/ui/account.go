package ui

import (
	"net/http"
	"strconv"
	"time"

	"steward/web"
	"steward/web/account"
)

// An accountPage is what somebody has of their own: password, sessions, tokens.
type accountPage struct {
	Person      account.Person // zero for a token that belongs to nobody
	HasPassword bool
	Sessions    []account.Credential
	Tokens      []account.Credential
	Passkeys    []shownPasskey
	CanPasskey  bool       // passkeys can be used at this address
	Roles       []web.Role // that a token can have
	Secret      string     // of a token just made, shown once; "" otherwise
	For         string
}

func (u *UI) account(w http.ResponseWriter, r *http.Request) error {
	return u.showAccount(w, r, "", "")
}

func (u *UI) showAccount(w http.ResponseWriter, r *http.Request, secret, made string) error {
	actor := web.ActorFrom(r.Context())
	page := accountPage{Secret: secret, For: made}
	accounts := u.o.Door.Accounts
	var err error
	if actor.Person() {
		if page.Person, err = accounts.Person(r.Context(), actor.Name); err != nil {
			return err
		}
	}
	page.HasPassword = page.Person.Password != ""
	if page.Passkeys, err = u.passkeysOf(r, page.Person.Name); err != nil {
		return err
	}
	page.CanPasskey = u.o.Passkeys != nil
	if page.Sessions, err = accounts.Credentials(r.Context(), actor, account.Session, false, u.o.Now()); err != nil {
		return err
	}
	if page.Tokens, err = accounts.Credentials(r.Context(), actor, account.Token, false, u.o.Now()); err != nil {
		return err
	}
	for _, role := range web.Roles() {
		if actor.Role.Covers(role) {
			page.Roles = append(page.Roles, role)
		}
	}
	return u.show(w, r, http.StatusOK, "account", "", "Account", page)
}

// setPassword gives the person a password. The browser gets a new session, all
// others end.
func (u *UI) setPassword(w http.ResponseWriter, r *http.Request) error {
	secret, err := u.o.Door.Accounts.SetPassword(r.Context(), web.ActorFrom(r.Context()),
		r.PostFormValue("password"), r.PostFormValue("next"), account.VisitOf(r), u.o.Now())
	if err == nil {
		err = u.o.Door.Begin(w, r, secret)
	}
	return u.done(w, r, account.Problem(err), "/account", "Your password is set. All other sessions ended.", "/account")
}

// endCredential ends a session or a token.
func (u *UI) endCredential(w http.ResponseWriter, r *http.Request) error {
	kind, back := account.Session, "/account"
	if r.PostFormValue("kind") == string(account.Token) {
		kind = account.Token
	}
	if name := r.PostFormValue("person"); name != "" && account.CheckName(name) == nil {
		back = "/people/" + name
	}
	err := u.o.Door.Accounts.EndCredential(r.Context(), web.ActorFrom(r.Context()), kind, r.PostFormValue("id"), u.o.Now())
	return u.done(w, r, account.Problem(err), back, "The "+string(kind)+" ended.", back)
}

// makeToken makes a token and shows it. It answers with a page and not with a
// redirect, for the token must not pass through a cookie or an address of ours.
func (u *UI) makeToken(w http.ResponseWriter, r *http.Request) error {
	days, err := strconv.Atoi(r.PostFormValue("days"))
	if err != nil || days < 1 || days > 366 {
		return u.done(w, r, web.Invalid("days", "1 to 366"), "", "", "/account")
	}
	role, err := web.ParseRole(r.PostFormValue("role"))
	if err != nil {
		return u.done(w, r, account.Problem(err), "", "", "/account")
	}
	scope, err := web.ParseScope(names(r.PostFormValue("groups")))
	if err != nil {
		return u.done(w, r, account.Problem(err), "", "", "/account")
	}
	secret, c, err := u.o.Door.Accounts.MakeToken(r.Context(), web.ActorFrom(r.Context()), account.NewToken{
		Name: r.PostFormValue("name"), Role: role, Scope: scope, Prefix: r.PostFormValue("path"),
		Lifetime: time.Duration(days) * 24 * time.Hour,
	}, u.o.Now())
	if err != nil {
		return u.done(w, r, account.Problem(err), "", "", "/account")
	}
	return u.showAccount(w, r, secret, c.Name)
}
