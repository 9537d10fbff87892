package api

import (
	"net/http"
	"strings"
	"time"

	"steward/web"
	"steward/web/account"
)

// peopleRoutes are those of people, their sessions and tokens.
func (a *API) peopleRoutes() []route {
	const get, put, post, del = http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete
	viewer, admin := web.RoleViewer, web.RoleAdmin
	return []route{
		{method: get, pattern: "/people", role: admin, handler: a.people},
		{method: post, pattern: "/people", role: admin, handler: a.addPerson},
		{method: get, pattern: "/people/{name}", role: admin, handler: a.person},
		{method: put, pattern: "/people/{name}", role: admin, handler: a.editPerson},
		{method: post, pattern: "/people/{name}/commands", role: admin, handler: a.commandPerson},
		{method: get, pattern: "/sessions", role: viewer, handler: a.credentials(account.Session)},
		{method: del, pattern: "/sessions/{id}", role: viewer, handler: a.endCredential(account.Session)},
		{method: get, pattern: "/tokens", role: viewer, handler: a.credentials(account.Token)},
		{method: post, pattern: "/tokens", role: viewer, handler: a.makeToken},
		{method: del, pattern: "/tokens/{id}", role: viewer, handler: a.endCredential(account.Token)},
	}
}

type personView struct {
	Name       string        `json:"name"`
	Display    string        `json:"display,omitempty"`
	Role       web.Role      `json:"role"`
	Groups     web.Scope     `json:"groups"`
	State      account.State `json:"state"`
	Password   bool          `json:"password"`
	Renew      bool          `json:"renew"`
	External   bool          `json:"external"`
	CreatedAt  time.Time     `json:"created_at"`
	SignedInAt time.Time     `json:"signed_in_at,omitzero"`
}

func showPerson(p account.Person) personView {
	return personView{
		Name: p.Name, Display: p.Display, Role: p.Role, Groups: p.Scope, State: p.State, Password: p.Password != "",
		Renew: p.Renew, External: p.Subject != "", CreatedAt: p.CreatedAt, SignedInAt: p.SignedInAt,
	}
}

func (a *API) people(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[personView], error) {
		found, err := a.o.Door.Accounts.ListPeople(r.Context(), p.After, p.Size+1)
		if err != nil {
			return web.List[personView]{}, err
		}
		var out web.List[personView]
		for i, person := range found {
			if i == p.Size {
				out.Next = out.Items[i-1].Name
				break
			}
			out.Items = append(out.Items, showPerson(person))
		}
		return out, nil
	})
}

func (a *API) person(w http.ResponseWriter, r *http.Request) error {
	p, err := a.o.Door.Accounts.Person(r.Context(), web.Param(r, "name"))
	if err != nil {
		return account.Problem(err)
	}
	return web.WriteJSON(w, http.StatusOK, showPerson(p))
}

type personIn struct {
	Name    string    `json:"name"`
	Display string    `json:"display"`
	Role    string    `json:"role"`
	Groups  web.Scope `json:"groups"`
	Reason  string    `json:"reason"`
}

// signInAddress is where a link leads.
func (a *API) signInAddress(secret string) string {
	return strings.TrimSuffix(a.o.BaseURL, "/") + "/sign-in?link=" + secret
}

// addPerson answers with a link, which is shown once.
func (a *API) addPerson(w http.ResponseWriter, r *http.Request) error {
	var in personIn
	if err := readBody(r, &in); err != nil {
		return err
	}
	role, err := web.ParseRole(in.Role)
	if err != nil {
		return account.Problem(err)
	}
	now := a.o.Now()
	secret, err := a.o.Door.Accounts.AddPerson(r.Context(), web.ActorFrom(r.Context()), account.NewPerson{
		Name: in.Name, Display: in.Display, Role: role, Scope: in.Groups,
	}, now)
	if err != nil {
		return account.Problem(err)
	}
	return created(w, "/people/"+in.Name, linkView{
		URL: a.signInAddress(secret), Name: in.Name, Role: role, ExpiresAt: now.Add(account.LinkLifetime),
	})
}

func (a *API) editPerson(w http.ResponseWriter, r *http.Request) error {
	var in personIn
	if err := readNamed(r, &in, "name", &in.Name); err != nil {
		return err
	}
	role, err := web.ParseRole(in.Role)
	if err != nil {
		return account.Problem(err)
	}
	p, err := a.o.Door.Accounts.Edit(r.Context(), web.ActorFrom(r.Context()), in.Name, account.Edit{
		Display: &in.Display, Role: &role, Scope: &in.Groups, Reason: in.Reason,
	}, a.o.Now())
	if err != nil {
		return account.Problem(err)
	}
	return web.WriteJSON(w, http.StatusOK, showPerson(p))
}

type personCommand struct {
	Action account.Action `json:"action"`
	Reason string         `json:"reason"`
}

type commandedView struct {
	Person    personView `json:"person"`
	URL       string     `json:"url,omitempty"`
	ExpiresAt time.Time  `json:"expires_at,omitzero"`
}

func (a *API) commandPerson(w http.ResponseWriter, r *http.Request) error {
	var in personCommand
	if err := readBody(r, &in); err != nil {
		return err
	}
	now := a.o.Now()
	secret, p, err := a.o.Door.Accounts.Command(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "name"),
		in.Action, in.Reason, now)
	if err != nil {
		return account.Problem(err)
	}
	out := commandedView{Person: showPerson(p)}
	if secret != "" {
		out.URL, out.ExpiresAt = a.signInAddress(secret), now.Add(account.LinkLifetime)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

type credentialView struct {
	ID        string         `json:"id"`
	Owner     string         `json:"owner"` // "" for a token of nobody
	Name      string         `json:"name"`
	Role      web.Role       `json:"role"`
	Groups    web.Scope      `json:"groups"`
	Path      string         `json:"path,omitempty"`
	Method    account.Method `json:"method,omitempty"`
	Address   string         `json:"address,omitempty"`
	Agent     string         `json:"agent,omitempty"`
	CreatedAt time.Time      `json:"created_at"`
	SeenAt    time.Time      `json:"seen_at"`
	ExpiresAt time.Time      `json:"expires_at,omitzero"`
	Own       bool           `json:"own"` // by which the caller comes
}

func showCredential(c account.Credential, actor web.Actor) credentialView {
	return credentialView{
		ID: c.Hash.ID(), Owner: c.Owner, Name: c.Name, Role: c.Role, Groups: c.Scope, Path: c.Prefix, Method: c.Method,
		Address: c.Visit.Address, Agent: c.Visit.Agent, CreatedAt: c.CreatedAt, SeenAt: c.SeenAt, ExpiresAt: c.ExpiresAt,
		Own: c.Hash.ID() == actor.Credential,
	}
}

type credentialsView struct {
	Items web.Array[credentialView] `json:"items"`
}

// credentials lists sessions or tokens: one's own, and everybody's for an
// administrator who says all=true.
func (a *API) credentials(kind account.Kind) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		actor := web.ActorFrom(r.Context())
		all, err := web.ParseFlag(r.URL.Query(), "all")
		if err != nil {
			return err
		}
		found, err := a.o.Door.Accounts.Credentials(r.Context(), actor, kind, all, a.o.Now())
		if err != nil {
			return err
		}
		var out credentialsView
		for _, c := range found {
			out.Items = append(out.Items, showCredential(c, actor))
		}
		return web.WriteJSON(w, http.StatusOK, out)
	}
}

func (a *API) endCredential(kind account.Kind) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := a.o.Door.Accounts.EndCredential(r.Context(), web.ActorFrom(r.Context()), kind, web.Param(r, "id"), a.o.Now())
		if err != nil {
			return account.Problem(err)
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

type tokenIn struct {
	Name    string    `json:"name"`
	Role    string    `json:"role"`
	Groups  web.Scope `json:"groups"`
	Path    string    `json:"path"`
	Seconds int64     `json:"lifetime_seconds"`
}

type madeToken struct {
	credentialView

	Token string `json:"token"`
}

// makeToken answers with the secret: nobody may keep the answer.
func (a *API) makeToken(w http.ResponseWriter, r *http.Request) error {
	var in tokenIn
	if err := readBody(r, &in); err != nil {
		return err
	}
	var role web.Role
	if in.Role != "" {
		var err error
		if role, err = web.ParseRole(in.Role); err != nil {
			return account.Problem(err)
		}
	}
	if in.Seconds < 0 || in.Seconds > int64(account.MaxLifetime/time.Second) {
		return web.Invalid("lifetime_seconds", "at most a year")
	}
	actor := web.ActorFrom(r.Context())
	secret, c, err := a.o.Door.Accounts.MakeToken(r.Context(), actor, account.NewToken{
		Name: in.Name, Role: role, Scope: in.Groups, Prefix: in.Path, Lifetime: time.Duration(in.Seconds) * time.Second,
	}, a.o.Now())
	if err != nil {
		return account.Problem(err)
	}
	return created(w, "/tokens/"+c.Hash.ID(), madeToken{showCredential(c, actor), secret})
}
