package api

import (
	"net/http"
	"slices"

	"steward/web"
)

func (a *API) transfers(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	open, err := web.ParseFlag(q, "open")
	if err != nil {
		return err
	}
	f := web.TransferFilter{Direction: web.Direction(q.Get("direction")), Partner: q.Get("partner"), Open: open}
	return listed(w, r, func(p web.Page) (web.List[web.Transfer], error) {
		return a.s.Transfers.ListTransfers(r.Context(), f, p)
	})
}

func (a *API) transfer(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Transfers.Transfer)
}

func (a *API) draftTransfer(w http.ResponseWriter, r *http.Request) error {
	var in web.NewTransfer
	if err := readBody(r, &in); err != nil {
		return err
	}
	if len(in.Devices) == 0 {
		return web.Invalid("devices", "name at least one")
	}
	t, err := a.s.Transfers.Draft(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return created(w, "/transfers/"+t.ID, t)
}

func (a *API) rows(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.TransferRow], error) {
		return a.s.Transfers.Rows(r.Context(), web.Param(r, "id"), p)
	})
}

func (a *API) transferRecord(w http.ResponseWriter, r *http.Request) error {
	raw, err := a.s.Records.TransferRecord(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	return web.WriteFile(w, "application/cbor-seq", "transfer.record", raw)
}

type receiptsView struct {
	Items web.Array[web.Receipt] `json:"items"`
}

func (a *API) receipts(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Transfers.Receipts(r.Context(), web.Param(r, "id"), web.Param(r, "device"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, receiptsView{all})
}

// commandTransfer gives a transfer an event. What the route lets an operator
// reach may still need an administrator.
func (a *API) commandTransfer(w http.ResponseWriter, r *http.Request) error {
	var in web.TransferCommand
	if err := readBody(r, &in); err != nil {
		return err
	}
	if !slices.Contains(web.TransferActions(), in.Action) {
		return web.Invalid("action", "no such action")
	}
	return web.Require(in.Action.RoleFor(), func(w http.ResponseWriter, r *http.Request) error {
		t, err := a.s.Transfers.Command(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
		if err != nil {
			return err
		}
		return web.WriteJSON(w, http.StatusOK, t)
	})(w, r)
}

func (a *API) partners(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.Partner], error) {
		return a.s.Partners.ListPartners(r.Context(), p)
	})
}

func (a *API) partner(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Partners.Partner)
}

func (a *API) addPartner(w http.ResponseWriter, r *http.Request) error {
	var in web.NewPartner
	if err := readBody(r, &in); err != nil {
		return err
	}
	p, err := a.s.Partners.AddPartner(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return created(w, "/partners/"+p.ID, p)
}

func (a *API) setPartnerState(w http.ResponseWriter, r *http.Request) error {
	var in web.PartnerChange
	if err := readBody(r, &in); err != nil {
		return err
	}
	if in.State != web.PartnerActive && in.State != web.PartnerSuspended && (in.State != "" || in.Verifier == nil) {
		return web.Invalid("state", "active or suspended")
	}
	p, err := a.s.Partners.SetPartnerState(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, p)
}

func (a *API) setPartnerLimits(w http.ResponseWriter, r *http.Request) error {
	var in web.PartnerLimits
	if err := readBody(r, &in); err != nil {
		return err
	}
	p, err := a.s.Partners.SetPartnerLimits(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, p)
}

func (a *API) identity(w http.ResponseWriter, r *http.Request) error {
	body, err := a.s.Partners.Identity(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, body)
}
