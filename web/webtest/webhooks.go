package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) webhook() web.Webhook {
	return web.Webhook{
		ID: ID, Name: f.Text, URL: f.Text, Mode: "structured", Types: []string{f.Text}, Subject: f.Text, State: "failing",
		Level: web.LevelWarning, Attempt: 2, NextAt: Noon, FailingSince: Noon, Status: 500, Words: f.Text, LastAt: Noon,
		CreatedAt: Noon, CreatedBy: f.Text,
	}
}

func (f *Fake) letter() web.WebhookLetter {
	return web.WebhookLetter{
		ID: ID, At: Noon, Type: f.Text, Subject: f.Text, State: "dead", Level: web.LevelBad, Words: f.Text, Tries: 8,
	}
}

// ListWebhooks implements web.Webhooks.
func (f *Fake) ListWebhooks(context.Context) ([]web.Webhook, error) {
	if f.Empty {
		return nil, nil
	}
	return []web.Webhook{f.webhook()}, nil
}

// Webhook implements web.Webhooks.
func (f *Fake) Webhook(_ context.Context, id string) (web.Webhook, error) {
	return f.webhook(), f.known(id)
}

// AddWebhook implements web.Webhooks.
func (f *Fake) AddWebhook(_ context.Context, by web.Actor, n web.NewWebhook) (web.MadeWebhook, error) {
	return web.MadeWebhook{Webhook: f.webhook(), Secret: "whsec_" + f.Text}, f.note("AddWebhook", by, "", n)
}

// EditWebhook implements web.Webhooks.
func (f *Fake) EditWebhook(_ context.Context, by web.Actor, id string, n web.NewWebhook) (web.Webhook, error) {
	return f.webhook(), f.note("EditWebhook", by, id, n)
}

// RemoveWebhook implements web.Webhooks.
func (f *Fake) RemoveWebhook(_ context.Context, by web.Actor, id string) error {
	return f.note("RemoveWebhook", by, id, nil)
}

// CommandWebhook implements web.Webhooks.
func (f *Fake) CommandWebhook(
	_ context.Context, by web.Actor, id string, c web.WebhookCommand,
) (web.MadeWebhook, error) {
	return web.MadeWebhook{Webhook: f.webhook()}, f.note("CommandWebhook", by, id, c)
}

// WebhookLetters implements web.Webhooks.
func (f *Fake) WebhookLetters(_ context.Context, id string, p web.Page) (web.List[web.WebhookLetter], error) {
	if err := f.known(id); err != nil {
		return web.List[web.WebhookLetter]{}, err
	}
	return list(f, p, f.letter())
}

// RedeliverLetter implements web.Webhooks.
func (f *Fake) RedeliverLetter(_ context.Context, by web.Actor, id, letter string) (web.WebhookLetter, error) {
	return f.letter(), f.note("RedeliverLetter", by, id, letter)
}
