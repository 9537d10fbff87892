// Package api is the REST API under /api/v1, the health and metrics routes beside it,
// and what programs for Eclipse Leshan's demo server use, under /compat/leshan.
// openapi.yaml is its contract: a test compares it with the router.
package api

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"steward/lwm2m"
	"steward/objects/registry"
	"steward/web"
	"steward/web/account"
	"steward/web/contract"
	"steward/web/once"
)

//go:embed openapi.yaml
var openapi []byte

// ErrOptions reports Options that lack something.
var ErrOptions = errors.New("api: incomplete options")

// Options says what the API serves and to whom.
type Options struct {
	Services web.Services
	Door     account.Door
	Once     *once.Keeper                // of answers to what is sent again; required
	Stream   *web.Stream                 // live events; required
	Schema   lwm2m.Schema                // types of resources in writes; nil knows none
	Registry *registry.Registry          // of object definitions; nil: there are none
	BaseURL  string                      // of the dashboard, in sign-in links
	Rate     int                         // requests a second of one caller; 0: 200, below 0: no limit
	Ready    func(context.Context) error // says why we are not ready; nil is always ready
	Metrics  http.Handler                // nil: no metrics
	Now      func() time.Time            // the clock; required
	Log      *slog.Logger                // required
}

// An API is the REST API.
type API struct {
	o Options
	s web.Services

	contract *contract.Document
	meter    meter
	changing locks // of the things that are changed
}

// New checks the options. It returns ErrOptions when something required is missing.
func New(o Options) (*API, error) {
	if o.Stream == nil || o.Now == nil || o.Log == nil || o.Door.Accounts == nil || o.Once == nil {
		return nil, ErrOptions
	}
	if o.Ready == nil {
		o.Ready = func(context.Context) error { return nil }
	}
	if o.Metrics == nil {
		o.Metrics = web.JSON(o.Log, func(http.ResponseWriter, *http.Request) error { return web.ErrNotBuilt })
	}
	doc, err := Contract()
	if err != nil {
		return nil, err
	}
	a := &API{o: o, s: o.Services.Complete(), contract: doc}
	switch {
	case o.Rate == 0:
		a.meter.rate = defaultRate
	case o.Rate > 0:
		a.meter.rate = float64(o.Rate)
	}
	return a, nil
}

type route struct {
	method, pattern string
	role            web.Role // RoleNone: anybody
	handler         web.Handler
	upload          bool // takes a large body: an image, a list of thousands of devices
}

// Prefix is where the API begins.
const Prefix = "/api/v1"

// Routes returns the router of the API, health and metrics.
func (a *API) Routes() chi.Router {
	r := chi.NewRouter()
	fail := func(w http.ResponseWriter, r *http.Request, err error) {
		web.LogError(r, a.o.Log, err)
		web.WriteProblem(w, web.ProblemOf(r, err))
	}
	r.Use(func(next http.Handler) http.Handler { return a.o.Door.Recognise(fail, next) })
	r.Use(a.metered)
	refuse := func(err error) http.HandlerFunc { // strangers do not learn what there is
		h := web.Require(web.RoleViewer, func(http.ResponseWriter, *http.Request) error { return err })
		return web.JSON(a.o.Log, h).ServeHTTP
	}
	known := func(no error) http.HandlerFunc {
		ours, leshans := refuse(no), refuse(errLeshan)
		return func(w http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, LeshanPrefix+"/") {
				leshans(w, r)
				return
			}
			ours(w, r)
		}
	}
	r.NotFound(known(web.ErrNotFound))
	r.MethodNotAllowed(known(web.ErrMethod))
	all := a.routes()
	for _, route := range all {
		h, limit := a.conditional(route, all), int64(web.MaxForm)
		if route.upload {
			limit = web.MaxUpload * 4 / 3 // base64
		}
		if route.method == http.MethodPost {
			h = a.o.Once.Wrap(h)
		}
		if route.role != web.RoleNone {
			h = web.Require(route.role, h)
		}
		r.Method(route.method, route.pattern, web.JSON(a.o.Log, web.LimitBody(limit, h)))
	}
	return r
}

// conditional returns the handler of a route with what conditions do to it.
func (a *API) conditional(r route, all []route) web.Handler {
	pattern, below := strings.CutPrefix(r.pattern, Prefix)
	if !below {
		return r.handler
	}
	if r.method == http.MethodGet {
		h := r.handler
		if columns := columnsOf(a.contract, r.method, r.pattern); columns != nil {
			h = listing(columns, h)
		}
		return tagged(h)
	}
	g := guardOf(r.method, pattern)
	i := slices.IndexFunc(all, func(o route) bool { return o.method == http.MethodGet && o.pattern == Prefix+g.of })
	if g.of == "" || i < 0 {
		return r.handler
	}
	return a.guarded(g, all[i].handler, r.handler)
}

func (a *API) routes() []route {
	routes := []route{
		{method: http.MethodGet, pattern: "/livez", handler: a.live},
		{method: http.MethodGet, pattern: "/readyz", handler: a.ready},
		{method: http.MethodGet, pattern: "/metrics", role: web.RoleViewer, handler: a.metrics},
	}
	for _, group := range [][]route{
		a.commonRoutes(), a.deviceRoutes(), a.groupRoutes(), a.bulkRoutes(), a.observationRoutes(),
		a.seriesRoutes(), a.traceRoutes(), a.definitionRoutes(),
		a.bootstrapRoutes(), a.certificateRoutes(), a.passwordRoutes(), a.upstreamRoutes(), a.requestRoutes(),
		a.publicationRoutes(),
		a.enrolmentRoutes(), a.attestationRoutes(), a.attestationRoundRoutes(), a.updateRoutes(),
		a.transferRoutes(), a.mandateRoutes(), a.webhookRoutes(), a.peopleRoutes(), a.upkeepRoutes(),
	} {
		for _, r := range group {
			r.pattern = Prefix + r.pattern
			routes = append(routes, r)
		}
	}
	return append(routes, a.leshanRoutes()...)
}

func (a *API) commonRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{method: get, pattern: "/openapi.yaml", role: web.RoleViewer, handler: a.openapi},
		{method: get, pattern: "/openapi-3.0.json", role: web.RoleViewer, handler: a.openapi30},
		{method: get, pattern: "/problems/{code}", role: web.RoleViewer, handler: a.problem},
		{method: get, pattern: "/me", role: web.RoleViewer, handler: a.me},
		{method: post, pattern: "/sign-in-links", role: web.RoleAdmin, handler: a.invite},
		{method: get, pattern: "/overview", role: web.RoleViewer, handler: a.overview},
		{method: get, pattern: "/audit", role: web.RoleViewer, handler: a.audit},
		{method: get, pattern: "/audit/export", role: web.RoleViewer, handler: a.exportAudit},
		{method: get, pattern: "/events", role: web.RoleViewer, handler: a.events},
	}
}

func (a *API) deviceRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	viewer, operator := web.RoleViewer, web.RoleOperator
	return []route{
		{method: get, pattern: "/devices", role: viewer, handler: a.devices},
		{method: post, pattern: "/devices", role: operator, handler: a.importDevice},
		{method: get, pattern: "/devices/{id}", role: viewer, handler: a.device},
		{method: post, pattern: "/devices/{id}/operations", role: operator, handler: a.operate},
		{method: get, pattern: "/devices/{id}/operations", role: viewer, handler: a.operations},
		{method: get, pattern: "/devices/{id}/operations/{operation}", role: viewer, handler: a.operationOf},
		{
			method: http.MethodDelete, pattern: "/devices/{id}/operations/{operation}", role: operator,
			handler: a.cancelOperation,
		},
		{method: get, pattern: "/devices/{id}/lwm2m/*", role: viewer, handler: a.readNode},
		{method: http.MethodPut, pattern: "/devices/{id}/lwm2m/*", role: operator, handler: a.writeNode},
		{method: post, pattern: "/devices/{id}/lwm2m/*", role: operator, handler: a.postNode},
		{method: http.MethodDelete, pattern: "/devices/{id}/lwm2m/*", role: operator, handler: a.deleteNode},
		{method: get, pattern: "/factory-authorities", role: viewer, handler: a.factories},
		{method: post, pattern: "/factory-authorities", role: web.RoleSecurity, handler: a.addFactory},
		{method: get, pattern: "/device-settings", role: viewer, handler: a.deviceSettings},
		{method: get, pattern: "/retention", role: viewer, handler: a.retention},
	}
}

func (a *API) updateRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	viewer, operator, release := web.RoleViewer, web.RoleOperator, web.RoleRelease
	return []route{
		{method: get, pattern: "/releases", role: viewer, handler: a.releases},
		{method: post, pattern: "/releases", role: release, handler: a.addRelease, upload: true},
		{method: get, pattern: "/releases/{id}", role: viewer, handler: a.release},
		{method: post, pattern: "/releases/{id}/commands", role: release, handler: a.decideRelease},
		{method: get, pattern: "/releases/{id}/bill", role: viewer, handler: a.bill},
		{method: http.MethodPut, pattern: "/releases/{id}/bill", role: release, handler: a.setBill, upload: true},
		{method: get, pattern: "/releases/{id}/parts", role: viewer, handler: a.parts},
		{method: get, pattern: "/releases/{id}/findings", role: viewer, handler: a.findings},
		{method: get, pattern: "/vulnerabilities", role: viewer, handler: a.vulnerabilities},
		{method: get, pattern: "/vulnerability-lists", role: viewer, handler: a.vulnerabilityLists},
		{method: post, pattern: "/vulnerability-lists", role: release, handler: a.importVulnerabilities, upload: true},
		{method: get, pattern: "/vulnerability-lists/{id}", role: web.RoleViewer, handler: a.vulnerabilityList},
		{method: http.MethodDelete, pattern: "/vulnerability-lists/{id}", role: release, handler: a.removeVulnerabilities},
		{method: get, pattern: "/campaigns", role: viewer, handler: a.campaigns},
		{method: post, pattern: "/campaigns", role: operator, handler: a.createCampaign, upload: true},
		{method: post, pattern: "/campaigns/preview", role: operator, handler: a.previewCampaign, upload: true},
		{method: get, pattern: "/campaigns/{id}", role: viewer, handler: a.campaign},
		{method: get, pattern: "/campaigns/{id}/jobs", role: viewer, handler: a.jobs},
		{method: get, pattern: "/campaigns/{id}/report", role: viewer, handler: a.campaignReport},
		{method: post, pattern: "/campaigns/{id}/commands", role: operator, handler: a.commandCampaign},
		{method: post, pattern: "/campaigns/{id}/abort", role: operator, handler: a.abortCampaign},
	}
}

func (a *API) transferRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	viewer, operator, admin := web.RoleViewer, web.RoleOperator, web.RoleAdmin
	return []route{
		{method: get, pattern: "/transfers", role: viewer, handler: a.transfers},
		{method: post, pattern: "/transfers", role: operator, handler: a.draftTransfer, upload: true},
		{method: get, pattern: "/transfers/{id}", role: viewer, handler: a.transfer},
		{method: get, pattern: "/transfers/{id}/rows", role: viewer, handler: a.rows},
		{method: get, pattern: "/transfers/{id}/record", role: viewer, handler: a.transferRecord},
		{method: get, pattern: "/transfers/{id}/rows/{device}/receipts", role: viewer, handler: a.receipts},
		{method: post, pattern: "/transfers/{id}/commands", role: operator, handler: a.commandTransfer},
		{method: get, pattern: "/partners", role: viewer, handler: a.partners},
		{method: post, pattern: "/partners", role: admin, handler: a.addPartner},
		{method: get, pattern: "/partners/{id}", role: viewer, handler: a.partner},
		{method: http.MethodPut, pattern: "/partners/{id}/limits", role: admin, handler: a.setPartnerLimits},
		{method: http.MethodPut, pattern: "/partners/{id}/state", role: admin, handler: a.setPartnerState},
		{method: get, pattern: "/identity", role: viewer, handler: a.identity},
	}
}
