package api

import (
	"net/http"

	"steward/web"
)

func (a *API) webhookRoutes() []route {
	const get, post, put, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete
	admin := web.RoleAdmin
	return []route{
		{method: get, pattern: "/webhooks", role: admin, handler: a.webhooks},
		{method: post, pattern: "/webhooks", role: admin, handler: a.addWebhook},
		{method: get, pattern: "/webhooks/{id}", role: admin, handler: a.webhook},
		{method: put, pattern: "/webhooks/{id}", role: admin, handler: a.editWebhook},
		{method: del, pattern: "/webhooks/{id}", role: admin, handler: a.removeWebhook},
		{method: post, pattern: "/webhooks/{id}/commands", role: admin, handler: a.commandWebhook},
		{method: get, pattern: "/webhooks/{id}/letters", role: admin, handler: a.letters},
		{method: post, pattern: "/webhooks/{id}/letters/{letter}/redeliver", role: admin, handler: a.redeliver},
	}
}

type webhooksView struct {
	Items web.Array[web.Webhook] `json:"items"`
}

func (a *API) webhooks(w http.ResponseWriter, r *http.Request) error {
	all, err := a.s.Webhooks.ListWebhooks(r.Context())
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, webhooksView{all})
}

func (a *API) webhook(w http.ResponseWriter, r *http.Request) error {
	return one(w, r, a.s.Webhooks.Webhook)
}

func (a *API) addWebhook(w http.ResponseWriter, r *http.Request) error {
	var in web.NewWebhook
	if err := readBody(r, &in); err != nil {
		return err
	}
	h, err := a.s.Webhooks.AddWebhook(r.Context(), web.ActorFrom(r.Context()), in)
	if err != nil {
		return err
	}
	return created(w, "/webhooks/"+h.ID, h)
}

func (a *API) editWebhook(w http.ResponseWriter, r *http.Request) error {
	var in web.NewWebhook
	if err := readBody(r, &in); err != nil {
		return err
	}
	h, err := a.s.Webhooks.EditWebhook(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, h)
}

func (a *API) removeWebhook(w http.ResponseWriter, r *http.Request) error {
	err := a.s.Webhooks.RemoveWebhook(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"))
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) commandWebhook(w http.ResponseWriter, r *http.Request) error {
	var in web.WebhookCommand
	if err := readBody(r, &in); err != nil {
		return err
	}
	h, err := a.s.Webhooks.CommandWebhook(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), in)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, h)
}

func (a *API) letters(w http.ResponseWriter, r *http.Request) error {
	return listed(w, r, func(p web.Page) (web.List[web.WebhookLetter], error) {
		return a.s.Webhooks.WebhookLetters(r.Context(), web.Param(r, "id"), p)
	})
}

func (a *API) redeliver(w http.ResponseWriter, r *http.Request) error {
	l, err := a.s.Webhooks.RedeliverLetter(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"),
		web.Param(r, "letter"))
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, l)
}
