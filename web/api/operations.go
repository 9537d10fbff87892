package api

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/web"
)

// How long a call waits for a device.
const (
	defaultWait = 30 * time.Second
	maxWait     = 120 * time.Second // beyond it, proxies cut the connection
)

// wait reads "Prefer: wait=10" and "Prefer: respond-async" (RFC 7240 §4.1, §4.3), and
// whether there is either: then an operation goes on when nobody waits any longer.
func wait(r *http.Request) (patience time.Duration, async bool) {
	patience = defaultWait
	for _, field := range r.Header.Values("Prefer") {
		for part := range strings.SplitSeq(field, ",") {
			part = strings.TrimSpace(part)
			if part == "respond-async" && !async {
				patience, async = 0, true
			}
			text, ok := strings.CutPrefix(part, "wait=")
			if n, err := strconv.Atoi(text); ok && err == nil && n >= 0 {
				patience, async = min(time.Duration(n)*time.Second, maxWait), true
			}
		}
	}
	return patience, async
}

// An operationIn is an operation as it stands in JSON.
type operationIn struct {
	Op        web.OperationKind `json:"op"`
	Path      string            `json:"path"`
	Value     json.RawMessage   `json:"value"`     // write, update of one resource
	Values    []valueIn         `json:"values"`    // write, update, create of several
	Arguments string            `json:"arguments"` // execute

	Paths      []string `json:"paths"`      // composite operations
	Attributes []string `json:"attributes"` // write_attributes, observe, observe_composite: "pmin=10"
	Depth      *int     `json:"depth"`      // discover

	TTL *int `json:"ttl"` // seconds that it may wait for the device
}

type valueIn struct {
	Path  string          `json:"path"`
	Kind  string          `json:"kind"` // "": by the object's definition
	Value json.RawMessage `json:"value"`
}

// An outcomeView is what a device answered.
type outcomeView struct {
	Op     web.OperationKind `json:"op"`
	Path   string            `json:"path"`
	Source string            `json:"source"` // device, cache
	Values []valueView       `json:"values"`
	Links  string            `json:"links,omitempty"`   // link-format (RFC 6690)
	Create string            `json:"created,omitempty"` // path of the new instance
}

// A valueView is one value as it stands in JSON.
type valueView struct {
	Path     string    `json:"path"`
	Name     string    `json:"name,omitempty"`
	Kind     string    `json:"kind"`
	Value    any       `json:"value"`
	Units    string    `json:"units,omitempty"`
	At       time.Time `json:"at,omitzero"`
	Observed bool      `json:"observed"`
}

func viewValues(values []web.Value) []valueView {
	out := make([]valueView, 0, len(values))
	for _, v := range values {
		out = append(out, valueView{
			Path: v.Path.String(), Name: v.Name, Kind: v.Value.Kind().String(), Value: web.EncodeValue(v.Value),
			Units: v.Units, At: v.At, Observed: v.Observed,
		})
	}
	return out
}

func (a *API) operate(w http.ResponseWriter, r *http.Request) error {
	var in operationIn
	if err := readBody(r, &in); err != nil {
		return err
	}
	if in.Path == "" && isComposite(in.Op) {
		in.Path = "/"
	}
	path, err := lwm2m.ParseNode(in.Path)
	if err != nil {
		return web.Invalid("path", err.Error())
	}
	if in.Op == web.OpWriteComposite && path == (lwm2m.Path{}) {
		path = rootOf(in.Values)
	}
	op, err := a.operation(path, in)
	if err != nil {
		return err
	}
	return a.run(w, r, op)
}

// rootOf returns the root of the device that values are of: the first says which, of
// those behind a gateway.
func rootOf(values []valueIn) lwm2m.Path {
	if len(values) == 0 {
		return lwm2m.Path{}
	}
	first, _ := lwm2m.ParseNode(values[0].Path) // what is no path is refused with the rest
	return lwm2m.Path{}.Under(first)
}

// operation checks what a client asks for.
func (a *API) operation(path lwm2m.Path, in operationIn) (web.Operation, error) {
	op := web.Operation{Kind: in.Op, Path: path, Arguments: in.Arguments}
	if in.TTL != nil {
		if *in.TTL < 1 || *in.TTL > int(web.MaxTTL/time.Second) {
			return op, web.Invalid("ttl", "1 to "+strconv.Itoa(int(web.MaxTTL/time.Second))+" seconds")
		}
		op.TTL = time.Duration(*in.TTL) * time.Second
	}
	switch in.Op {
	case web.OpRead, web.OpDelete, web.OpDiscover, web.OpObserve, web.OpCancelObserve, web.OpExecute,
		web.OpWriteAttributes, web.OpReadComposite, web.OpObserveComposite, web.OpCancelComposite:
		if len(in.Value) > 0 || len(in.Values) > 0 {
			return op, web.Invalid("value", "not with "+string(in.Op))
		}
	case web.OpWrite, web.OpUpdate, web.OpCreate, web.OpWriteComposite:
		entries, err := a.entries(path, in)
		if err != nil {
			return op, err
		}
		if len(entries) == 0 && in.Op != web.OpCreate {
			return op, web.Invalid("value", "missing")
		}
		op.Entries = entries
	default:
		return op, web.Invalid("op", "no such operation")
	}
	if in.Arguments != "" && in.Op != web.OpExecute {
		return op, web.Invalid("arguments", "only with execute")
	}
	return moreOf(op, in)
}

// entries reads the values of a write, each at or below path.
func (a *API) entries(path lwm2m.Path, in operationIn) ([]lwm2m.Entry, error) {
	values := in.Values
	if len(in.Value) > 0 {
		values = append(values, valueIn{Path: path.String(), Value: in.Value})
	}
	out := make([]lwm2m.Entry, 0, len(values))
	for _, v := range values {
		at, err := lwm2m.ParseNode(v.Path)
		if err != nil || !path.Contains(at) || at.Len() < 3 {
			return nil, web.Invalid("path", v.Path+" is no resource at or below "+path.String())
		}
		if in.Op == web.OpWriteComposite && at.Len() == lwm2m.MaxDepth && string(v.Value) == "null" {
			out = append(out, lwm2m.Entry{Path: at}) // deletes the resource instance
			continue
		}
		kind := lwm2m.KindOf(a.o.Schema, at)
		if v.Kind != "" {
			if kind, err = parseKind(v.Kind); err != nil {
				return nil, err
			}
		}
		value, err := web.DecodeValue(kind, v.Value)
		if err != nil {
			return nil, err
		}
		out = append(out, lwm2m.Entry{Path: at, Value: value})
	}
	return out, nil
}

func parseKind(name string) (lwm2m.Kind, error) {
	for k := lwm2m.KindString; k <= lwm2m.KindCorelnk; k++ {
		if k.String() == name {
			return k, nil
		}
	}
	return lwm2m.KindNone, web.Invalid("kind", "no such type")
}

// run asks the device and answers with its outcome.
func (a *API) run(w http.ResponseWriter, r *http.Request, op web.Operation) error {
	patience, async := wait(r)
	op.Async = async
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	o, err := a.s.Operations.Do(ctx, web.ActorFrom(r.Context()), web.Param(r, "id"), op)
	if err != nil {
		return err
	}
	if o.Pending != nil {
		w.Header().Set("Location", Prefix+"/devices/"+url.PathEscape(o.Pending.Device)+"/operations/"+o.Pending.ID)
		return web.WriteJSON(w, http.StatusAccepted, viewOperation(*o.Pending))
	}
	view := outcomeView{
		Op: op.Kind, Path: op.Path.String(), Source: "device", Values: viewValues(o.Values), Links: o.Links,
	}
	if op.Kind == web.OpCreate {
		view.Create = o.Path
	}
	return web.WriteJSON(w, http.StatusOK, view)
}

// node reads the LwM2M path at the end of the request's path.
func node(r *http.Request) (lwm2m.Path, error) {
	p, err := lwm2m.ParseNode("/" + strings.TrimSuffix(web.Param(r, "*"), "/"))
	if err != nil {
		return lwm2m.Path{}, web.Invalid("path", err.Error())
	}
	return p, nil
}

// readNode reads a node, by default what was heard last. To ask the device
// itself is an operator's command.
func (a *API) readNode(w http.ResponseWriter, r *http.Request) error {
	p, err := node(r)
	if err != nil {
		return err
	}
	switch r.URL.Query().Get("source") {
	case "", "cache":
	case "device":
		return web.Require(web.RoleOperator, func(w http.ResponseWriter, r *http.Request) error {
			if err := web.OwnSite(r); err != nil {
				return err
			}
			return a.run(w, r, web.Operation{Kind: web.OpRead, Path: p})
		})(w, r)
	default:
		return web.Invalid("source", "cache or device")
	}
	values, err := a.s.Devices.Values(r.Context(), web.Param(r, "id"), p)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, outcomeView{
		Op: web.OpRead, Path: p.String(), Source: "cache", Values: viewValues(values),
	})
}

// A nodeIn is the body of a write to a node.
type nodeIn struct {
	Value     json.RawMessage `json:"value"`
	Values    []valueIn       `json:"values"`
	Arguments string          `json:"arguments"`
	TTL       *int            `json:"ttl"`
}

func (a *API) onNode(w http.ResponseWriter, r *http.Request, kind func(lwm2m.Path) web.OperationKind) error {
	p, err := node(r)
	if err != nil {
		return err
	}
	var in nodeIn
	if r.ContentLength != 0 {
		if err := readBody(r, &in); err != nil {
			return err
		}
	}
	op, err := a.operation(p, operationIn{
		Op: kind(p), Value: in.Value, Values: in.Values, Arguments: in.Arguments, TTL: in.TTL,
	})
	if err != nil {
		return err
	}
	return a.run(w, r, op)
}

func (a *API) writeNode(w http.ResponseWriter, r *http.Request) error {
	return a.onNode(w, r, func(lwm2m.Path) web.OperationKind { return web.OpWrite })
}

// postNode creates below an object, updates an instance and executes a resource.
func (a *API) postNode(w http.ResponseWriter, r *http.Request) error {
	return a.onNode(w, r, func(p lwm2m.Path) web.OperationKind {
		switch p.Len() {
		case 1:
			return web.OpCreate
		case 2:
			return web.OpUpdate
		case 3:
			return web.OpExecute
		default:
			return ""
		}
	})
}

func (a *API) deleteNode(w http.ResponseWriter, r *http.Request) error {
	return a.onNode(w, r, func(lwm2m.Path) web.OperationKind { return web.OpDelete })
}
