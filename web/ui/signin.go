package ui

import (
	"errors"
	"net/http"

	"steward/web"
	"steward/web/account"
)

// A signInPage asks who somebody is: to confirm a one-time link, else by password,
// passkey or the provider of identities.
type signInPage struct {
	Link  string // secret to post; "" without a good link
	Name  string // of the link's person, or as it was typed
	Role  web.Role
	Renew bool   // the password was right and must be replaced
	Fault string // why the last try failed; "" for none
	Base  string // address of this dashboard

	Passkeys bool   // can be used here
	OIDC     string // name of the provider of identities; "": none
}

const wrongSignIn = "The name or the password is wrong, or nobody may sign in by them."

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
			page.Fault, status = staleLink, http.StatusForbidden
		default:
			return err
		}
	}
	return u.showSignIn(w, r, status, page)
}

const staleLink = "This sign-in link was used already, or its ten minutes are over."

func (u *UI) showSignIn(w http.ResponseWriter, r *http.Request, status int, page signInPage) error {
	page.Base, page.Passkeys = u.base(r), u.o.Passkeys != nil
	if u.o.OIDC != nil {
		page.OIDC = u.o.OIDCName
	}
	return u.show(w, r, status, "sign_in", "", "Sign in", page)
}

// signIn uses the link up.
func (u *UI) signIn(w http.ResponseWriter, r *http.Request) error {
	err := u.o.Door.SignIn(w, r, r.PostFormValue("link"))
	if errors.Is(err, account.ErrCredential) {
		return u.showSignIn(w, r, http.StatusForbidden, signInPage{Fault: staleLink})
	}
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// signInPassword lets in who knows a password. One that must be replaced is asked
// for again, with the next.
func (u *UI) signInPassword(w http.ResponseWriter, r *http.Request) error {
	name, password, next := r.PostFormValue("name"), r.PostFormValue("password"), r.PostFormValue("next")
	visit, now := account.VisitOf(r), u.o.Now()
	var secret string
	var err error
	if next == "" {
		secret, err = u.o.Door.Accounts.SignInPassword(r.Context(), name, password, visit, now)
	} else {
		secret, err = u.o.Door.Accounts.RenewPassword(r.Context(), name, password, next, visit, now)
	}
	var bad *account.PasswordError
	switch {
	case err == nil:
	case errors.Is(err, account.ErrRenew):
		return u.showSignIn(w, r, http.StatusForbidden, signInPage{
			Name: name, Renew: true, Fault: "Your password must be replaced.",
		})
	case errors.As(err, &bad):
		return u.showSignIn(w, r, http.StatusUnprocessableEntity, signInPage{
			Name: name, Renew: true, Fault: "The new password: " + bad.Detail + ".",
		})
	case errors.Is(err, account.ErrCredential):
		return u.showSignIn(w, r, http.StatusForbidden, signInPage{Name: name, Fault: wrongSignIn, Renew: next != ""})
	default:
		return account.Problem(err)
	}
	if err := u.o.Door.Begin(w, r, secret); err != nil {
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
