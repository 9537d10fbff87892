package api

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"

	"steward/web"
)

func (a *API) seriesRoutes() []route {
	const get, put, del = http.MethodGet, http.MethodPut, http.MethodDelete
	return []route{
		{method: get, pattern: "/devices/{id}/series", role: web.RoleViewer, handler: a.seriesOf},
		{method: get, pattern: "/devices/{id}/series/*", role: web.RoleViewer, handler: a.samples},
		{method: get, pattern: "/series-rules", role: web.RoleViewer, handler: a.seriesRules},
		{method: get, pattern: "/series-rules/{object}/{resource}", role: web.RoleViewer, handler: a.seriesRule},
		{method: put, pattern: "/series-rules/{object}/{resource}", role: web.RoleAdmin, handler: a.putSeriesRule},
		{method: del, pattern: "/series-rules/{object}/{resource}", role: web.RoleAdmin, handler: a.removeSeriesRule},
	}
}

type seriesView struct {
	Items web.Array[web.SeriesInfo] `json:"items"`
}

func (a *API) seriesOf(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, func(ctx context.Context, id string) (seriesView, error) {
		all, err := a.s.Series.SeriesOf(ctx, id)
		return seriesView{all}, err
	})
}

// samples answers values over time as JSON, CSV or lines of JSON.
func (a *API) samples(w http.ResponseWriter, r *http.Request) error {
	q, err := web.ParseSeriesQuery("/"+web.Param(r, "*"), r.URL.Query())
	if err != nil {
		return err
	}
	format := r.URL.Query().Get("format")
	if format != "" && format != "json" && format != "csv" && format != "ndjson" {
		return web.Invalid("format", "json, csv or ndjson")
	}
	s, err := a.s.Series.Samples(r.Context(), web.Param(r, "id"), q)
	if err != nil {
		return err
	}
	switch format {
	case "csv":
		return document(w, "text/csv; charset=utf-8", "series.csv", s.WriteCSV)
	case "ndjson":
		return document(w, "application/x-ndjson", "series.ndjson", s.WriteNDJSON)
	default:
		return web.WriteJSON(w, http.StatusOK, s)
	}
}

// document answers a file to be kept.
func document(w http.ResponseWriter, kind, name string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	return web.WriteFile(w, kind, name, b.Bytes())
}

func (a *API) seriesRules(w http.ResponseWriter, r *http.Request) error {
	rules, err := a.s.Series.SeriesRules(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, rules)
}

// ruleOf returns which resource a rule is of.
func ruleOf(r *http.Request) (object, resource uint16, err error) {
	o, err := strconv.ParseUint(web.Param(r, "object"), 10, 16)
	if err != nil {
		return 0, 0, web.Invalid("object", "not the number of an object")
	}
	n, err := strconv.ParseUint(web.Param(r, "resource"), 10, 16)
	if err != nil {
		return 0, 0, web.Invalid("resource", "not the number of a resource")
	}
	return uint16(o), uint16(n), nil
}

type ruleIn struct {
	Days *int `json:"days"`
}

func (a *API) putSeriesRule(w http.ResponseWriter, r *http.Request) error {
	object, resource, err := ruleOf(r)
	if err != nil {
		return err
	}
	var in ruleIn
	if err := readBody(r, &in); err != nil {
		return err
	}
	if in.Days == nil {
		return web.Invalid("days", "missing")
	}
	rule, err := a.s.Series.PutSeriesRule(r.Context(), web.ActorFrom(r.Context()), web.SeriesRule{
		Object: object, Resource: resource, Days: *in.Days,
	})
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, rule)
}

func (a *API) removeSeriesRule(w http.ResponseWriter, r *http.Request) error {
	object, resource, err := ruleOf(r)
	if err != nil {
		return err
	}
	if err := a.s.Series.RemoveSeriesRule(r.Context(), web.ActorFrom(r.Context()), object, resource); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) seriesRule(w http.ResponseWriter, r *http.Request) error {
	object, resource, err := ruleOf(r)
	if err != nil {
		return err
	}
	rules, err := a.s.Series.SeriesRules(r.Context())
	if err != nil {
		return err
	}
	id := web.Param(r, "object") + "/" + web.Param(r, "resource")
	return among(w, rules.Items, "rule of", id, func(x web.SeriesRule) bool {
		return x.Object == object && x.Resource == resource
	})
}
