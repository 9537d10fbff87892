package ui

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"steward/web"
	"steward/web/account"
)

// A peoplePage lists who may sign in.
type peoplePage struct {
	People []account.Person
	Roles  []web.Role
	Next   string // address of the next page; "" on the last
	madeLink
}

// A madeLink is a one-time link just made, which is shown once.
type madeLink struct {
	Link   string // "" for none
	For    string
	Expiry time.Time
}

func (u *UI) people(w http.ResponseWriter, r *http.Request) error {
	return u.showPeople(w, r, madeLink{})
}

func (u *UI) showPeople(w http.ResponseWriter, r *http.Request, made madeLink) error {
	const size = web.DefaultPageSize
	found, err := u.o.Door.Accounts.ListPeople(r.Context(), r.URL.Query().Get("page_token"), size+1)
	if err != nil {
		return err
	}
	page := peoplePage{People: found, Roles: web.Roles(), madeLink: made}
	if len(found) > size {
		page.People = found[:size]
		page.Next = "/people?page_token=" + url.QueryEscape(found[size-1].Name)
	}
	return u.show(w, r, http.StatusOK, "people", "people", "People", page)
}

// A personPage is one of them.
type personPage struct {
	account.Person

	Roles    []web.Role
	Sessions []account.Credential
	Tokens   []account.Credential
	Audit    []web.AuditRow
	madeLink
}

// Has reports whether the person has the role.
func (p personPage) Has(role web.Role) bool {
	return slices.Contains(strings.Split(string(p.Role), "+"), string(role))
}

// HasPassword reports whether they can sign in by one.
func (p personPage) HasPassword() bool { return p.Password != "" }

// Groups shows the scope.
func (p personPage) Groups() string { return strings.Join(p.Scope.Groups(), ", ") }

func (u *UI) person(w http.ResponseWriter, r *http.Request) error {
	return u.showPerson(w, r, web.Param(r, "name"), madeLink{})
}

func (u *UI) showPerson(w http.ResponseWriter, r *http.Request, name string, made madeLink) error {
	p, err := u.o.Door.Accounts.Person(r.Context(), name)
	if err != nil {
		return account.Problem(err)
	}
	page := personPage{Person: p, Roles: web.Roles(), madeLink: made}
	if page.Sessions, err = u.credentialsOf(r, account.Session, p.Name); err != nil {
		return err
	}
	if page.Tokens, err = u.credentialsOf(r, account.Token, p.Name); err != nil {
		return err
	}
	const rows = 20
	log, err := u.s.Activity.ListAudit(r.Context(), web.AuditFilter{Subject: p.Name}, web.Page{Size: rows})
	if err != nil {
		return err
	}
	page.Audit = log.Items
	return u.show(w, r, http.StatusOK, "person", "people", p.Name, page)
}

// credentialsOf returns the sessions or tokens of a person.
func (u *UI) credentialsOf(r *http.Request, kind account.Kind, name string) ([]account.Credential, error) {
	all, err := u.o.Door.Accounts.Credentials(r.Context(), web.ActorFrom(r.Context()), kind, true, u.o.Now())
	return slices.DeleteFunc(all, func(c account.Credential) bool { return c.Owner != name }), err
}

// personForm reads what forms say of a person.
func personForm(r *http.Request) (role web.Role, scope web.Scope, err error) {
	if err := r.ParseForm(); err != nil {
		return "", "", err
	}
	if role, err = web.ParseRole(strings.Join(r.PostForm["role"], "+")); err != nil {
		return "", "", account.Problem(err)
	}
	if scope, err = web.ParseScope(names(r.PostFormValue("groups"))); err != nil {
		return "", "", account.Problem(err)
	}
	return role, scope, nil
}

// names splits what somebody typed at its commas.
func names(text string) (out []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// addPerson makes a person and a sign-in link, and shows it. It answers with a page
// and not with a redirect, for the link must not pass through a cookie or an address
// of ours.
func (u *UI) addPerson(w http.ResponseWriter, r *http.Request) error {
	role, scope, err := personForm(r)
	if err != nil {
		return u.done(w, r, err, "", "", "/people")
	}
	now, name := u.o.Now(), r.PostFormValue("name")
	secret, err := u.o.Door.Accounts.AddPerson(r.Context(), web.ActorFrom(r.Context()), account.NewPerson{
		Name: name, Display: r.PostFormValue("display"), Role: role, Scope: scope,
	}, now)
	if err != nil {
		return u.done(w, r, account.Problem(err), "", "", "/people")
	}
	return u.showPeople(w, r, u.linkMade(r, name, secret, now))
}

func (u *UI) linkMade(r *http.Request, name, secret string, now time.Time) madeLink {
	return madeLink{Link: u.base(r) + "/sign-in?link=" + secret, For: name, Expiry: now.Add(account.LinkLifetime)}
}

func (u *UI) editPerson(w http.ResponseWriter, r *http.Request) error {
	name, display := web.Param(r, "name"), r.PostFormValue("display")
	back := "/people/" + url.PathEscape(name)
	role, scope, err := personForm(r)
	if err == nil {
		_, err = u.o.Door.Accounts.Edit(r.Context(), web.ActorFrom(r.Context()), name, account.Edit{
			Display: &display, Role: &role, Scope: &scope, Reason: r.PostFormValue("reason"),
		}, u.o.Now())
	}
	return u.done(w, r, account.Problem(err), back, name+" is changed.", back)
}

func (u *UI) commandPerson(w http.ResponseWriter, r *http.Request) error {
	name, action, now := web.Param(r, "name"), account.Action(r.PostFormValue("action")), u.o.Now()
	back := "/people/" + url.PathEscape(name)
	secret, _, err := u.o.Door.Accounts.Command(r.Context(), web.ActorFrom(r.Context()), name, action,
		r.PostFormValue("reason"), now)
	if err != nil || secret == "" {
		return u.done(w, r, account.Problem(err), back, "Done: "+words(action)+".", back)
	}
	return u.showPerson(w, r, name, u.linkMade(r, name, secret, now))
}
