package api

import (
	"cmp"
	"net/http"
	"strings"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
	"steward/web/account"
)

func (a *API) live(w http.ResponseWriter, _ *http.Request) error {
	return web.WriteJSON(w, http.StatusOK, statusView{"alive"})
}

type statusView struct {
	Status string `json:"status"`
}

// ready says whether devices and people can be served. The reason is for the
// log: the route is open to anybody.
func (a *API) ready(w http.ResponseWriter, r *http.Request) error {
	if err := a.o.Ready(r.Context()); err != nil {
		return &web.Error{Is: web.ErrUnavailable, Detail: "not ready", Cause: err}
	}
	return web.WriteJSON(w, http.StatusOK, statusView{"ready"})
}

func (a *API) metrics(w http.ResponseWriter, r *http.Request) error {
	if !web.ActorFrom(r.Context()).Scope.All() {
		return &web.Error{Is: web.ErrForbidden, Detail: "metrics count all devices"}
	}
	a.o.Metrics.ServeHTTP(w, r)
	return nil
}

func (a *API) openapi(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(openapi) // an error is a client that went away
	return nil
}

// openapi30 is the contract for generators that do not know OpenAPI 3.1.
func (a *API) openapi30(w http.ResponseWriter, _ *http.Request) error {
	text, err := a.contract.JSON30()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(text) // an error is a client that went away
	return nil
}

// problem explains a code of a problem document: its type URL leads here.
func (a *API) problem(w http.ResponseWriter, r *http.Request) error {
	code := web.Param(r, "code")
	meaning, ok := web.Meaning(code)
	if !ok {
		return web.NotFound("problem", code)
	}
	return web.WriteJSON(w, http.StatusOK, problemView{code, meaning})
}

type problemView struct {
	Code    string `json:"code"`
	Meaning string `json:"meaning"`
}

func (a *API) me(w http.ResponseWriter, r *http.Request) error {
	return web.WriteJSON(w, http.StatusOK, web.ActorFrom(r.Context()))
}

type newLink struct {
	Name string `json:"name"`
	Role string `json:"role"`
}

type linkView struct {
	URL       string    `json:"url"`
	Name      string    `json:"name"`
	Role      web.Role  `json:"role"`
	ExpiresAt time.Time `json:"expires_at"`
}

// invite makes a one-time sign-in link.
func (a *API) invite(w http.ResponseWriter, r *http.Request) error {
	var in newLink
	if err := readBody(r, &in); err != nil {
		return err
	}
	role, err := web.ParseRole(in.Role)
	if err != nil {
		return account.Problem(err)
	}
	now := a.o.Now()
	secret, err := a.o.Door.Accounts.Invite(r.Context(), web.ActorFrom(r.Context()), in.Name, role, now)
	if err != nil {
		return account.Problem(err)
	}
	return web.WriteJSON(w, http.StatusCreated, linkView{
		URL: a.signInAddress(secret), Name: in.Name, Role: role, ExpiresAt: now.Add(account.LinkLifetime),
	})
}

func (a *API) overview(w http.ResponseWriter, r *http.Request) error {
	o, err := a.s.Overview.Overview(r.Context(), a.o.Now())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, o)
}

func (a *API) audit(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	f := web.AuditFilter{Subject: q.Get("subject"), Actor: q.Get("actor"), Action: q.Get("action")}
	return listed(w, r, func(p web.Page) (web.List[web.AuditRow], error) {
		return a.s.Activity.ListAudit(r.Context(), f, p)
	})
}

// auditTypes are the media types of exports.
func auditTypes() map[audit.Format]string {
	return map[audit.Format]string{audit.NDJSON: "application/x-ndjson", audit.CSV: "text/csv; charset=utf-8"}
}

// exportAudit writes the whole chain while it reads it.
func (a *API) exportAudit(w http.ResponseWriter, r *http.Request) error {
	format := audit.Format(cmp.Or(r.URL.Query().Get("format"), string(audit.NDJSON)))
	kind, ok := auditTypes()[format]
	if !ok {
		return web.Invalid("format", "ndjson or csv")
	}
	rows, err := a.s.Activity.AuditChain(r.Context(), 0)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", kind)
	web.Attach(w.Header(), "audit."+string(format))
	w.Header().Set("Cache-Control", "no-store")
	out, err := audit.NewWriter(w, format)
	for err == nil && len(rows) > 0 {
		if err = out.Write(rows); err == nil {
			rows, err = a.s.Activity.AuditChain(r.Context(), rows[len(rows)-1].ID)
		}
	}
	if err != nil { // half of it is out: nobody may take that for the whole
		web.LogError(r, a.o.Log, err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// streamStay ends each stream after a while, so that a token that was replaced
// meanwhile is noticed when the client comes back.
const streamStay = 15 * time.Minute

func (a *API) events(w http.ResponseWriter, r *http.Request) error {
	subject, kind := r.URL.Query().Get("subject"), r.URL.Query().Get("type")
	return a.o.Stream.Serve(w, r, streamStay, func(e web.Event) bool {
		return (subject == "" || e.Subject == subject) && strings.HasPrefix(e.Type, kind)
	})
}
