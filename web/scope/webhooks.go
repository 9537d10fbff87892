package scope

import (
	"context"

	"steward/web"
)

// webhooks are of the whole provider: what they are told is about all devices.
type webhooks struct{ *bounds }

// ListWebhooks implements web.Webhooks.
func (s webhooks) ListWebhooks(ctx context.Context) ([]web.Webhook, error) {
	if err := all(ctx); err != nil {
		return nil, err
	}
	return s.Webhooks.ListWebhooks(ctx)
}

// Webhook implements web.Webhooks.
func (s webhooks) Webhook(ctx context.Context, id string) (web.Webhook, error) {
	if err := all(ctx); err != nil {
		return web.Webhook{}, err
	}
	return s.Webhooks.Webhook(ctx, id)
}

// AddWebhook implements web.Webhooks.
func (s webhooks) AddWebhook(ctx context.Context, by web.Actor, n web.NewWebhook) (web.MadeWebhook, error) {
	if err := all(ctx); err != nil {
		return web.MadeWebhook{}, err
	}
	return s.Webhooks.AddWebhook(ctx, by, n)
}

// EditWebhook implements web.Webhooks.
func (s webhooks) EditWebhook(ctx context.Context, by web.Actor, id string, n web.NewWebhook) (web.Webhook, error) {
	if err := all(ctx); err != nil {
		return web.Webhook{}, err
	}
	return s.Webhooks.EditWebhook(ctx, by, id, n)
}

// RemoveWebhook implements web.Webhooks.
func (s webhooks) RemoveWebhook(ctx context.Context, by web.Actor, id string) error {
	if err := all(ctx); err != nil {
		return err
	}
	return s.Webhooks.RemoveWebhook(ctx, by, id)
}

// CommandWebhook implements web.Webhooks.
func (s webhooks) CommandWebhook(
	ctx context.Context, by web.Actor, id string, c web.WebhookCommand,
) (web.MadeWebhook, error) {
	if err := all(ctx); err != nil {
		return web.MadeWebhook{}, err
	}
	return s.Webhooks.CommandWebhook(ctx, by, id, c)
}

// WebhookLetters implements web.Webhooks.
func (s webhooks) WebhookLetters(ctx context.Context, id string, p web.Page) (web.List[web.WebhookLetter], error) {
	if err := all(ctx); err != nil {
		return web.List[web.WebhookLetter]{}, err
	}
	return s.Webhooks.WebhookLetters(ctx, id, p)
}

// RedeliverLetter implements web.Webhooks.
func (s webhooks) RedeliverLetter(ctx context.Context, by web.Actor, id, letter string) (web.WebhookLetter, error) {
	if err := all(ctx); err != nil {
		return web.WebhookLetter{}, err
	}
	return s.Webhooks.RedeliverLetter(ctx, by, id, letter)
}
