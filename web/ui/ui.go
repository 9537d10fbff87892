// Package ui is the dashboard: pages rendered here, which work without script,
// and forms that are posted and answered by a redirect.
package ui

import (
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"

	"steward/objects/registry"
	"steward/web"
	"steward/web/account"
	"steward/web/contract"
	"steward/web/oidc"
	"steward/web/passkey"
)

//go:embed templates/*.html
var templates embed.FS

// ErrOptions reports Options that lack something.
var ErrOptions = errors.New("ui: incomplete options")

// Options says what the dashboard shows and to whom.
type Options struct {
	Services web.Services
	Door     account.Door
	Stream   *web.Stream        // live events; required
	Registry *registry.Registry // names of objects and resources; required
	Provider string             // this provider's name, on every page
	Version  string             // of the program
	BaseURL  string             // of this dashboard, for links: "http://127.0.0.1:8080"
	Passkeys *passkey.Keys      // nil: none can be used at this address
	OIDC     *oidc.Provider     // nil: none
	OIDCName string             // of the provider of identities, on the sign-in page
	Contract *contract.Document // of the REST API; nil: it is not shown
	Now      func() time.Time   // the clock; required
	Log      *slog.Logger       // required
}

// A UI is the dashboard.
type UI struct {
	o      Options
	s      web.Services
	pages  *web.Pages
	static *assets
}

// New checks the options and parses all pages. It returns ErrOptions when
// something required is missing.
func New(o Options) (*UI, error) {
	if o.Stream == nil || o.Registry == nil || o.Now == nil || o.Log == nil || o.Door.Accounts == nil {
		return nil, ErrOptions
	}
	files, err := fs.Sub(templates, "templates")
	if err != nil {
		return nil, err
	}
	pages, err := web.LoadPages(files, functions())
	if err != nil {
		return nil, err
	}
	static, err := loadAssets()
	if err != nil {
		return nil, err
	}
	return &UI{o: o, s: o.Services.Complete(), pages: pages, static: static}, nil
}

// Routes returns the router of all pages.
func (u *UI) Routes() chi.Router {
	r := chi.NewRouter()
	r.Use(func(next http.Handler) http.Handler { return u.o.Door.Recognise(u.Fail, next) })
	refuse := func(err error) http.HandlerFunc { // strangers do not learn what there is
		return u.open(web.Require(web.RoleViewer, func(http.ResponseWriter, *http.Request) error { return err }))
	}
	r.NotFound(refuse(web.ErrNotFound))
	r.MethodNotAllowed(refuse(web.ErrMethod))
	r.Get("/static/{file}", u.open(u.asset))
	r.Get("/sign-in", u.open(u.signInForm))
	r.Get("/sign-in/oidc", u.open(u.beginOIDC))
	r.Get(oidcCallback, u.open(u.signInOIDC))
	for pattern, h := range map[string]web.Handler{
		"/sign-in": u.signIn, "/sign-in/password": u.signInPassword, "/sign-out": u.signOut,
		"/sign-in/passkey/begin": u.beginPasskey, "/sign-in/passkey": u.signInPasskey,
	} {
		r.Post(pattern, u.open(web.LimitBody(web.MaxForm, h)))
	}
	for _, route := range u.allRoutes() {
		limit := int64(web.MaxForm)
		if route.upload {
			limit = web.MaxUpload
		}
		r.Method(route.method, route.pattern, u.open(web.Require(route.role, web.LimitBody(limit, route.handler))))
	}
	return r
}

type route struct {
	method, pattern string
	role            web.Role
	handler         web.Handler
	upload          bool // takes a large body
}

// routes lists the pages that need somebody to be signed in.
func (u *UI) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	viewer, operator, release, admin := web.RoleViewer, web.RoleOperator, web.RoleRelease, web.RoleAdmin
	security := web.RoleSecurity
	return []route{
		{method: get, pattern: "/", role: viewer, handler: u.overview},
		{method: get, pattern: "/events", role: viewer, handler: u.events},
		{method: get, pattern: "/account", role: viewer, handler: u.account},
		{method: get, pattern: "/devices", role: viewer, handler: u.devices},
		{method: post, pattern: "/factories", role: security, handler: u.addFactory},
		{method: get, pattern: "/devices/{id}", role: viewer, handler: u.device},
		{method: post, pattern: "/devices/{id}/operations", role: operator, handler: u.operate},
		{method: get, pattern: "/devices/{id}/queue", role: viewer, handler: u.queue},
		{
			method: post, pattern: "/devices/{id}/operations/{operation}/cancel", role: operator,
			handler: u.cancelOperation,
		},
		{method: post, pattern: "/devices/{id}/keys", role: security, handler: u.setDeviceKey},
		{method: get, pattern: "/observations", role: viewer, handler: u.observations},
		{method: post, pattern: "/observations", role: operator, handler: u.putTemplate},
		{method: post, pattern: "/observations/remove", role: operator, handler: u.removeTemplate},
		{method: get, pattern: "/bootstrap", role: viewer, handler: u.profiles},
		{method: post, pattern: "/bootstrap", role: security, handler: u.putProfile},
		{method: post, pattern: "/bootstrap/remove", role: security, handler: u.removeProfile},
		{method: get, pattern: "/certificates", role: viewer, handler: u.certificates},
		{method: get, pattern: "/certificates/ca.pem", role: viewer, handler: u.authoritiesPEM},
		{method: get, pattern: "/certificates/{id}", role: viewer, handler: u.certificate},
		{method: post, pattern: "/certificates/{id}/revoke", role: security, handler: u.revoke},
		{method: get, pattern: "/updates", role: viewer, handler: u.updates},
		{method: post, pattern: "/updates/releases", role: release, handler: u.addRelease, upload: true},
		{method: get, pattern: "/updates/releases/{id}", role: viewer, handler: u.release},
		{method: post, pattern: "/updates/releases/{id}/commands", role: release, handler: u.decideRelease},
		{method: get, pattern: "/updates/releases/{id}/bill.json", role: viewer, handler: u.bill},
		{method: post, pattern: "/updates/releases/{id}/bill", role: release, handler: u.setBill, upload: true},
		{method: get, pattern: "/updates/releases/{id}/parts", role: viewer, handler: u.parts},
		{method: get, pattern: "/updates/vulnerabilities", role: viewer, handler: u.vulnerabilities},
		{method: post, pattern: "/updates/vulnerabilities", role: release, handler: u.importVulnerabilities, upload: true},
		{method: post, pattern: "/updates/vulnerabilities/{id}/remove", role: release, handler: u.removeVulnerabilities},
		{method: get, pattern: "/updates/new", role: operator, handler: u.newCampaign},
		{method: post, pattern: "/updates", role: operator, handler: u.createCampaign, upload: true},
		{method: get, pattern: "/updates/{id}", role: viewer, handler: u.campaign},
		{method: get, pattern: "/updates/preview", role: operator, handler: u.blankCampaign},
		{method: post, pattern: "/updates/preview", role: operator, handler: u.previewCampaign, upload: true},
		{method: post, pattern: "/updates/{id}/commands", role: operator, handler: u.commandCampaign},
		{method: get, pattern: "/updates/{id}/report", role: viewer, handler: u.campaignReport},
		{method: get, pattern: "/transfers", role: viewer, handler: u.transfers},
		{method: get, pattern: "/transfers/new", role: operator, handler: u.newTransfer},
		{method: post, pattern: "/transfers", role: operator, handler: u.draftTransfer},
		{method: get, pattern: "/transfers/{id}", role: viewer, handler: u.transfer},
		{method: get, pattern: "/transfers/{id}/record", role: viewer, handler: u.transferRecord},
		{method: post, pattern: "/transfers/{id}/commands", role: operator, handler: u.commandTransfer},
		{method: get, pattern: "/transfers/{id}/devices/{device}", role: viewer, handler: u.receipts},
		{method: get, pattern: "/partners", role: viewer, handler: u.partners},
		{method: post, pattern: "/partners", role: admin, handler: u.addPartner},
		{method: get, pattern: "/partners/identity.json", role: viewer, handler: u.identity},
		{method: get, pattern: "/partners/{id}", role: viewer, handler: u.partner},
		{method: post, pattern: "/partners/{id}/limits", role: admin, handler: u.setPartnerLimits},
		{method: post, pattern: "/partners/{id}/state", role: admin, handler: u.setPartnerState},
		{method: get, pattern: "/activity", role: viewer, handler: u.activity},
	}
}

// dataRoutes are the pages of values over time, traces, renewals, requests and definitions.
func (u *UI) dataRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	viewer, operator, admin := web.RoleViewer, web.RoleOperator, web.RoleAdmin
	return []route{
		{method: get, pattern: "/devices/{id}/charts", role: viewer, handler: u.charts},
		{method: post, pattern: "/devices/{id}/charts", role: admin, handler: u.setRetention},
		{method: get, pattern: "/devices/{id}/trace", role: viewer, handler: u.trace},
		{method: post, pattern: "/devices/{id}/trace", role: operator, handler: u.setTrace},
		{method: get, pattern: "/renewals", role: viewer, handler: u.renewals},
		{method: get, pattern: "/attestation", role: viewer, handler: u.attestations},
		{method: post, pattern: "/attestation", role: admin, handler: u.setAttestationRule},
		{method: get, pattern: "/requests", role: viewer, handler: u.requests},
		{method: post, pattern: "/requests/{id}", role: web.AnyOf(operator, web.RoleSecurity), handler: u.decideRequest},
		{method: post, pattern: "/devices/{id}/enrolment", role: operator, handler: u.orderEnrolment},
		{method: post, pattern: "/devices/{id}/attestation", role: operator, handler: u.attest},
		{method: get, pattern: "/objects", role: viewer, handler: u.definitions},
		{method: post, pattern: "/objects", role: admin, handler: u.addDefinitions, upload: true},
		{method: post, pattern: "/objects/remove", role: admin, handler: u.removeDefinition},
	}
}

// peopleRoutes are the pages of people and of what they have.
func (u *UI) peopleRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	viewer, admin := web.RoleViewer, web.RoleAdmin
	return []route{
		{method: post, pattern: "/account/password", role: viewer, handler: u.setPassword},
		{method: post, pattern: "/account/passkeys/begin", role: viewer, handler: u.beginAddPasskey},
		{method: post, pattern: "/account/passkeys", role: viewer, handler: u.addPasskey},
		{method: post, pattern: "/account/passkeys/change", role: viewer, handler: u.changePasskey},
		{method: post, pattern: "/account/tokens", role: viewer, handler: u.makeToken},
		{method: post, pattern: "/account/end", role: viewer, handler: u.endCredential},
		{method: get, pattern: "/people", role: admin, handler: u.people},
		{method: post, pattern: "/people", role: admin, handler: u.addPerson},
		{method: get, pattern: "/people/{name}", role: admin, handler: u.person},
		{method: post, pattern: "/people/{name}", role: admin, handler: u.editPerson},
		{method: post, pattern: "/people/{name}/commands", role: admin, handler: u.commandPerson},
	}
}

// open turns h into an http.HandlerFunc for anybody, with errors as pages.
func (u *UI) open(h web.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			u.Fail(w, r, err)
		}
	}
}

// A view is what every template gets.
type view struct {
	Title    string
	Section  string // entry of the rail that is current
	Provider string
	Version  string
	Assets   string // changes with every change of the static files
	Actor    web.Actor
	Flash    *flash
	Now      time.Time
	Page     any // the page's own struct
}

// Can reports whether the person may do what needs role.
func (v view) Can(role web.Role) bool { return v.Actor.Role.Includes(role) }

// show answers with the page called name.
func (u *UI) show(w http.ResponseWriter, r *http.Request, status int, name, section, title string, page any) error {
	return u.pages.Render(w, status, name, view{
		Title: title, Section: section, Provider: u.o.Provider, Version: u.o.Version, Assets: u.static.version,
		Actor: web.ActorFrom(r.Context()), Flash: u.takeFlash(w, r), Now: u.o.Now(), Page: page,
	})
}

// An errorPage says what went wrong.
type errorPage struct{ Problem web.Problem }

// Fail answers err as a page. Somebody who is not signed in is led to where one
// signs in.
func (u *UI) Fail(w http.ResponseWriter, r *http.Request, err error) {
	web.LogError(r, u.o.Log, err)
	if errors.Is(err, web.ErrSignedOut) && r.Method == http.MethodGet && r.Header.Get("Accept") != "text/event-stream" {
		http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
		return
	}
	p := web.ProblemOf(r, err)
	p.Detail = upperFirst(p.Detail)
	if err := u.show(w, r, p.Status, "error", "", p.Title, errorPage{p}); err != nil {
		web.LogError(r, u.o.Log, err)
		http.Error(w, http.StatusText(p.Status), p.Status)
	}
}
