package api

import (
	"net/http"

	"steward/web"
)

// An operationView is what was asked of a device as it stands in JSON.
type operationView struct {
	web.DeviceOperation

	Values []valueView `json:"values"`
	Links  string      `json:"links,omitempty"`   // link-format (RFC 6690)
	Create string      `json:"created,omitempty"` // path of the new instance
}

func viewOperation(o web.DeviceOperation) operationView {
	view := operationView{DeviceOperation: o, Values: viewValues(o.Outcome.Values), Links: o.Outcome.Links}
	if o.Kind == web.OpCreate {
		view.Create = o.Outcome.Path
	}
	return view
}

func (a *API) operations(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[operationView], error) {
		all, err := a.s.Operations.ListOperations(r.Context(), web.Param(r, "id"), p)
		out := web.List[operationView]{Items: make([]operationView, 0, len(all.Items)), Next: all.Next}
		for _, o := range all.Items {
			out.Items = append(out.Items, viewOperation(o))
		}
		return out, err
	})
}

func (a *API) operationOf(w http.ResponseWriter, r *http.Request) error {
	o, err := a.s.Operations.DeviceOperation(r.Context(), web.Param(r, "id"), web.Param(r, "operation"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, viewOperation(o))
}

// cancelOperation takes one back.
func (a *API) cancelOperation(w http.ResponseWriter, r *http.Request) error {
	o, err := a.s.Operations.CancelOperation(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"),
		web.Param(r, "operation"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, viewOperation(o))
}
