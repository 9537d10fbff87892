package web

import "context"

func (missing) ListWebhooks(context.Context) ([]Webhook, error) { return nil, ErrNotBuilt }

func (missing) Webhook(context.Context, string) (Webhook, error) { return Webhook{}, ErrNotBuilt }

func (missing) AddWebhook(context.Context, Actor, NewWebhook) (MadeWebhook, error) {
	return MadeWebhook{}, ErrNotBuilt
}

func (missing) EditWebhook(context.Context, Actor, string, NewWebhook) (Webhook, error) {
	return Webhook{}, ErrNotBuilt
}

func (missing) RemoveWebhook(context.Context, Actor, string) error { return ErrNotBuilt }

func (missing) CommandWebhook(context.Context, Actor, string, WebhookCommand) (MadeWebhook, error) {
	return MadeWebhook{}, ErrNotBuilt
}

func (missing) WebhookLetters(context.Context, string, Page) (List[WebhookLetter], error) {
	return List[WebhookLetter]{}, ErrNotBuilt
}

func (missing) RedeliverLetter(context.Context, Actor, string, string) (WebhookLetter, error) {
	return WebhookLetter{}, ErrNotBuilt
}
