package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"steward/web"
)

func (a *API) traceRoutes() []route {
	const get, put, del = http.MethodGet, http.MethodPut, http.MethodDelete
	return []route{
		{method: get, pattern: "/devices/{id}/trace", role: web.RoleViewer, handler: a.trace},
		{method: put, pattern: "/devices/{id}/trace", role: web.RoleOperator, handler: a.startTrace},
		{method: del, pattern: "/devices/{id}/trace", role: web.RoleOperator, handler: a.stopTrace},
		{method: get, pattern: "/devices/{id}/trace/file", role: web.RoleViewer, handler: a.traceFile},
	}
}

func (a *API) trace(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, func(ctx context.Context, id string) (web.DeviceTrace, error) {
		t, err := a.s.Traces.Trace(ctx, id)
		return t.Matching(r.URL.Query().Get("q")), err
	})
}

type traceIn struct {
	Seconds int `json:"seconds"`
}

// maxTraceSeconds is above what a trace may last, and below overflow.
const maxTraceSeconds = 1 << 20

func (a *API) startTrace(w http.ResponseWriter, r *http.Request) error {
	var in traceIn
	if err := readBody(r, &in); err != nil {
		return err
	}
	if in.Seconds < 1 || in.Seconds > maxTraceSeconds {
		return web.Invalid("seconds", "not a number of seconds that makes sense")
	}
	t, err := a.s.Traces.StartTrace(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"),
		time.Duration(in.Seconds)*time.Second)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, t)
}

func (a *API) stopTrace(w http.ResponseWriter, r *http.Request) error {
	t, err := a.s.Traces.StopTrace(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, t)
}

// traceFile answers a trace as text, or as a capture for network tools.
func (a *API) traceFile(w http.ResponseWriter, r *http.Request) error {
	format, kind, name := r.URL.Query().Get("format"), "text/plain; charset=utf-8", "trace.txt"
	if format == "" {
		format = "text"
	}
	if format == "pcap" {
		kind, name = "application/vnd.tcpdump.pcap", "trace.pcap"
	}
	b, err := a.s.Traces.TraceFile(r.Context(), web.Param(r, "id"), format)
	if err != nil {
		return err
	}
	return document(w, kind, name, func(to io.Writer) error {
		_, err := to.Write(b)
		return err
	})
}
