package ui

import (
	"net/http"
	"net/url"
	"strings"

	"steward/web"
)

// webhookRoutes are the pages of those who are told by HTTP what happens.
func (u *UI) webhookRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	admin := web.RoleAdmin
	return []route{
		{method: get, pattern: "/webhooks", role: admin, handler: u.webhooks},
		{method: post, pattern: "/webhooks", role: admin, handler: u.addWebhook},
		{method: get, pattern: "/webhooks/{id}", role: admin, handler: u.webhook},
		{method: post, pattern: "/webhooks/{id}", role: admin, handler: u.editWebhook},
		{method: post, pattern: "/webhooks/{id}/commands", role: admin, handler: u.commandWebhook},
		{method: post, pattern: "/webhooks/{id}/remove", role: admin, handler: u.removeWebhook},
		{method: post, pattern: "/webhooks/{id}/letters/{letter}", role: admin, handler: u.redeliver},
	}
}

// A webhooksPage lists webhooks. Made is one that was made just now, with its secret,
// or got another: it is never shown again.
type webhooksPage struct {
	Webhooks []web.Webhook
	Made     *web.MadeWebhook
}

func (u *UI) webhooks(w http.ResponseWriter, r *http.Request) error { return u.showWebhooks(w, r, nil) }

func (u *UI) showWebhooks(w http.ResponseWriter, r *http.Request, made *web.MadeWebhook) error {
	all, err := u.s.Webhooks.ListWebhooks(r.Context())
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "webhooks", "activity", "Webhooks", webhooksPage{all, made})
}

func webhookForm(r *http.Request) web.NewWebhook {
	return web.NewWebhook{
		Name: strings.TrimSpace(r.PostFormValue("name")), URL: strings.TrimSpace(r.PostFormValue("url")),
		Mode: r.PostFormValue("mode"), Types: strings.Fields(r.PostFormValue("types")),
		Subject: strings.TrimSpace(r.PostFormValue("subject")),
	}
}

func (u *UI) addWebhook(w http.ResponseWriter, r *http.Request) error {
	made, err := u.s.Webhooks.AddWebhook(r.Context(), web.ActorFrom(r.Context()), webhookForm(r))
	if err != nil {
		return u.done(w, r, err, "/webhooks", "", "/webhooks")
	}
	return u.showWebhooks(w, r, &made)
}

// A webhookPage is one webhook with what could not be told to it.
type webhookPage struct {
	Webhook web.Webhook
	Letters []web.WebhookLetter
	Next    string // address of the next part; "" on the last
}

func (u *UI) webhook(w http.ResponseWriter, r *http.Request) error {
	h, err := u.s.Webhooks.Webhook(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	letters, err := u.s.Webhooks.WebhookLetters(r.Context(), h.ID, p)
	if err != nil {
		return err
	}
	page := webhookPage{h, letters.Items, web.NextURL(r.URL, letters.Next)}
	return u.show(w, r, http.StatusOK, "webhook", "activity", h.Name, page)
}

func webhookPath(r *http.Request) string { return "/webhooks/" + url.PathEscape(web.Param(r, "id")) }

func (u *UI) editWebhook(w http.ResponseWriter, r *http.Request) error {
	_, err := u.s.Webhooks.EditWebhook(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"), webhookForm(r))
	return u.done(w, r, err, webhookPath(r), "The webhook is changed.", webhookPath(r))
}

func (u *UI) commandWebhook(w http.ResponseWriter, r *http.Request) error {
	made, err := u.s.Webhooks.CommandWebhook(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"),
		web.WebhookCommand{Action: web.WebhookAction(r.PostFormValue("action"))})
	if err == nil && made.Secret != "" {
		return u.showWebhooks(w, r, &made)
	}
	return u.done(w, r, err, webhookPath(r), "The webhook is "+made.State+".", webhookPath(r))
}

func (u *UI) removeWebhook(w http.ResponseWriter, r *http.Request) error {
	err := u.s.Webhooks.RemoveWebhook(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"))
	return u.done(w, r, err, "/webhooks", "The webhook is removed.", webhookPath(r))
}

func (u *UI) redeliver(w http.ResponseWriter, r *http.Request) error {
	_, err := u.s.Webhooks.RedeliverLetter(r.Context(), web.ActorFrom(r.Context()), web.Param(r, "id"),
		web.Param(r, "letter"))
	return u.done(w, r, err, webhookPath(r), "It is sent anew.", webhookPath(r))
}
