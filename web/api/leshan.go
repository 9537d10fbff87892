package api

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/web"
	"steward/web/compat/leshan"
)

// LeshanPrefix is where what programs for Eclipse Leshan's demo server use begins.
const LeshanPrefix = "/compat/leshan"

// How long a call waits for a device, if it does not say otherwise.
const leshanWait = 5 * time.Second

// maxLeshanClients are in one answer, for which each is looked up; a Link leads on.
const maxLeshanClients = 1000

// errLeshan is the answer to what of Leshan's API is not here.
var errLeshan = &web.Error{
	Is: web.ErrNotBuilt, Detail: "of Leshan's API there are clients, reading, writing a resource, execute, " +
		"objectspecs and event; the API of this server is below " + Prefix,
}

func (a *API) leshanRoutes() []route {
	const get, clients = http.MethodGet, LeshanPrefix + "/api/clients"
	const node = clients + "/{endpoint}/*"
	viewer, operator := web.RoleViewer, web.RoleOperator
	return []route{
		{method: get, pattern: clients, role: viewer, handler: a.leshanClients},
		{method: get, pattern: clients + "/{endpoint}", role: viewer, handler: inLeshan(a.leshanClient)},
		{method: get, pattern: node, role: operator, handler: inLeshan(a.leshanRead)},
		{method: http.MethodPut, pattern: node, role: operator, handler: inLeshan(a.leshanWrite)},
		{method: http.MethodPost, pattern: node, role: operator, handler: inLeshan(a.leshanExecute)},
		{
			method: get, pattern: LeshanPrefix + "/api/objectspecs/{endpoint}", role: viewer,
			handler: inLeshan(a.leshanModels),
		},
		{method: get, pattern: LeshanPrefix + "/api/event", role: viewer, handler: a.leshanEvents},
	}
}

// inLeshan answers with the statuses and in the words of Leshan where it has some.
func inLeshan(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		switch {
		case errors.Is(err, web.ErrNotFound), errors.Is(err, web.ErrUnreachable):
			return plain(w, http.StatusBadRequest, "no registered client with id '"+web.Param(r, "endpoint")+"'")
		case errors.Is(err, web.ErrInvalid), errors.Is(err, web.ErrMediaType):
			return plain(w, http.StatusBadRequest, "Invalid request: "+err.Error())
		case errors.Is(err, web.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
			return plain(w, http.StatusGatewayTimeout, "Request timeout")
		default:
			return err
		}
	}
}

func plain(w http.ResponseWriter, status int, text string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text) // an error is a client that went away
	return nil
}

// leshanClients lists what is registered.
func (a *API) leshanClients(w http.ResponseWriter, r *http.Request) error {
	p := web.Page{Size: web.MaxPageSize, After: r.URL.Query().Get("page_token")}
	out := []leshan.Registration{}
	for len(out) < maxLeshanClients {
		part, err := a.s.Devices.ListDevices(r.Context(), web.DeviceFilter{State: web.DeviceOnline}, p)
		if err != nil {
			return err
		}
		for _, d := range part.Items {
			detail, err := a.s.Devices.Device(r.Context(), d.ID)
			switch {
			case errors.Is(err, web.ErrNotFound): // it was taken away meanwhile
			case err != nil:
				return err
			case detail.Registration != nil:
				out = append(out, leshan.NewRegistration(detail))
			}
		}
		if p.After = part.Next; p.After == "" {
			break
		}
	}
	if next := web.NextURL(r.URL, p.After); next != "" {
		w.Header().Set("Link", "<"+next+`>; rel="next"`)
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// leshanDevice returns the device of the address. One that is not registered is not
// found: Leshan knows no other.
func (a *API) leshanDevice(r *http.Request) (web.DeviceDetail, error) {
	endpoint := web.Param(r, "endpoint")
	d, err := a.s.Devices.Device(r.Context(), "ep:"+endpoint)
	if err == nil && d.Registration == nil {
		err = web.NotFound("registration of", endpoint)
	}
	return d, err
}

func (a *API) leshanClient(w http.ResponseWriter, r *http.Request) error {
	d, err := a.leshanDevice(r)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, leshan.NewRegistration(d))
}

func (a *API) leshanModels(w http.ResponseWriter, r *http.Request) error {
	d, err := a.leshanDevice(r)
	if err != nil {
		return err
	}
	if a.o.Registry == nil {
		return web.ErrNotBuilt
	}
	return web.WriteJSON(w, http.StatusOK, leshan.Models(d.Objects, a.o.Registry))
}

// leshanPath reads the node at the end of the address. What is no number is an
// operation of Leshan's that is not here, such as discover, observe and composite.
func leshanPath(r *http.Request) (lwm2m.Path, error) {
	text := strings.TrimSuffix(web.Param(r, "*"), "/")
	for part := range strings.SplitSeq(text, "/") {
		switch part {
		case "composite", "discover", "observe", "attributes":
			return lwm2m.Path{}, errLeshan
		}
	}
	p, err := lwm2m.ParsePath("/" + text)
	if err != nil {
		return p, web.Invalid("path", err.Error())
	}
	return p, nil
}

func (a *API) leshanRead(w http.ResponseWriter, r *http.Request) error {
	p, err := leshanPath(r)
	if err != nil {
		return err
	}
	if err := web.OwnSite(r); err != nil {
		return err
	}
	return a.leshanDo(w, r, web.Operation{Kind: web.OpRead, Path: p}, "2.05")
}

func (a *API) leshanWrite(w http.ResponseWriter, r *http.Request) error {
	p, err := leshanPath(r)
	if err != nil {
		return err
	}
	if p.Len() != 3 { //nolint:mnd // object, instance, resource
		return errLeshan
	}
	v, err := a.leshanValue(r, p)
	if err != nil {
		return err
	}
	op := web.Operation{Kind: web.OpWrite, Path: p, Entries: []lwm2m.Entry{{Path: p, Value: v}}}
	if r.URL.Query().Get("replace") == "false" {
		op.Kind = web.OpUpdate
	}
	return a.leshanDo(w, r, op, "2.04")
}

// leshanValue reads the value of a write: as Leshan's JSON, or as text, which is of
// the type that the resource has by its definition.
func (a *API) leshanValue(r *http.Request, p lwm2m.Path) (lwm2m.Value, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && kind != "text/plain" {
		return lwm2m.Value{}, &web.Error{Is: web.ErrMediaType, Detail: "send application/json or text/plain"}
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return lwm2m.Value{}, err
	}
	if kind == "application/json" {
		return leshan.ReadNode(p, body)
	}
	return web.ParseInput(lwm2m.KindOf(a.o.Schema, p), string(body))
}

func (a *API) leshanExecute(w http.ResponseWriter, r *http.Request) error {
	p, err := leshanPath(r)
	if err != nil {
		return err
	}
	if p.Len() != 3 { //nolint:mnd // object, instance, resource
		return errLeshan
	}
	arguments, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return a.leshanDo(w, r, web.Operation{Kind: web.OpExecute, Path: p, Arguments: string(arguments)}, "2.04")
}

// leshanDo asks the device, and answers with what it said. What it refused is an
// answer too. code is that of success.
func (a *API) leshanDo(w http.ResponseWriter, r *http.Request, op web.Operation, code string) error {
	q := r.URL.Query()
	if format := q.Get("format"); format != "" && !leshan.IsFormat(format) {
		return web.Invalid("format", "no such content format")
	}
	d, err := a.leshanDevice(r)
	if err != nil {
		return err
	}
	patience := leshanWait
	if n, err := strconv.Atoi(q.Get("timeout")); err == nil && n > 0 {
		patience = min(time.Duration(min(n, int(maxWait/time.Second)))*time.Second, maxWait)
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	o, err := a.s.Operations.Do(ctx, web.ActorFrom(r.Context()), d.ID, op)
	if refused := (*web.Error)(nil); errors.As(err, &refused) && refused.CoAP != "" {
		return web.WriteJSON(w, http.StatusOK, leshan.NewResponse(refused.CoAP, refused.Detail))
	}
	if err != nil {
		return err
	}
	if o.Pending != nil {
		return web.WriteJSON(w, http.StatusOK, leshan.Delayed{
			Endpoint: d.Endpoint, Path: op.Path.String(), Request: o.Pending.ID, Delayed: true,
		})
	}
	answer := leshan.NewResponse(code, "")
	if op.Kind == web.OpRead {
		answer.Content = leshan.NewNode(op.Path, o.Values, a.o.Schema)
	}
	return web.WriteJSON(w, http.StatusOK, answer)
}
