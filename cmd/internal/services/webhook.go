package services

import (
	"context"
	"errors"
	"strconv"
	"time"

	"steward/web"
	"steward/web/hook"
)

// webhooks implements web.Webhooks.
type webhooks struct{ *base }

func hookError(err error) error {
	switch {
	case errors.Is(err, hook.ErrNotFound):
		return &web.Error{Is: web.ErrNotFound, Detail: "no such webhook, or no such letter"}
	case errors.Is(err, hook.ErrInvalid):
		return &web.Error{Is: web.ErrInvalid, Detail: err.Error()}
	case errors.Is(err, hook.ErrConflict), errors.Is(err, hook.ErrFull):
		return &web.Error{Is: web.ErrConflict, Detail: err.Error()}
	default:
		return translate(err)
	}
}

func showHook(h hook.Hook) web.Webhook {
	levels := map[hook.State]web.Level{
		hook.Active: web.LevelGood, hook.Failing: web.LevelWarning, hook.Paused: web.LevelNeutral,
		hook.Disabled: web.LevelBad,
	}
	out := web.Webhook{
		ID: h.ID, Name: h.Name, URL: h.URL, Mode: string(h.Mode), Types: h.Types, Subject: h.Subject, State: string(h.State),
		Level: levels[h.State], Attempt: h.Attempt, NextAt: h.NextAt, FailingSince: h.FailingSince, Status: h.Status,
		Words: h.Words, LastAt: h.LastAt, CreatedAt: h.CreatedAt, CreatedBy: h.CreatedBy,
	}
	if h.State != hook.Failing {
		out.Attempt, out.NextAt = 0, time.Time{}
	}
	return out
}

// ListWebhooks implements web.Webhooks.
func (s *webhooks) ListWebhooks(ctx context.Context) ([]web.Webhook, error) {
	all, err := s.Webhooks.List(ctx)
	if err != nil {
		return nil, hookError(err)
	}
	out := make([]web.Webhook, 0, len(all))
	for _, h := range all {
		out = append(out, showHook(h))
	}
	return out, nil
}

// Webhook implements web.Webhooks.
func (s *webhooks) Webhook(ctx context.Context, id string) (web.Webhook, error) {
	h, err := s.Webhooks.Get(ctx, id)
	if err != nil {
		return web.Webhook{}, hookError(err)
	}
	return showHook(h), nil
}

func newHook(n web.NewWebhook) hook.Hook {
	return hook.Hook{Name: n.Name, URL: n.URL, Mode: hook.Mode(n.Mode), Types: n.Types, Subject: n.Subject}
}

// AddWebhook implements web.Webhooks.
func (s *webhooks) AddWebhook(ctx context.Context, by web.Actor, n web.NewWebhook) (web.MadeWebhook, error) {
	h, secret, err := s.Webhooks.Add(ctx, by.String(), newHook(n), s.Now())
	if err != nil {
		return web.MadeWebhook{}, hookError(err)
	}
	return web.MadeWebhook{Webhook: showHook(h), Secret: secret}, nil
}

// EditWebhook implements web.Webhooks.
func (s *webhooks) EditWebhook(
	ctx context.Context, by web.Actor, id string, n web.NewWebhook,
) (web.Webhook, error) {
	h, err := s.Webhooks.Edit(ctx, by.String(), id, newHook(n), s.Now())
	if err != nil {
		return web.Webhook{}, hookError(err)
	}
	return showHook(h), nil
}

// RemoveWebhook implements web.Webhooks.
func (s *webhooks) RemoveWebhook(ctx context.Context, by web.Actor, id string) error {
	if err := s.Webhooks.Remove(ctx, by.String(), id, s.Now()); err != nil {
		return hookError(err)
	}
	return nil
}

// CommandWebhook implements web.Webhooks.
func (s *webhooks) CommandWebhook(
	ctx context.Context, by web.Actor, id string, c web.WebhookCommand,
) (out web.MadeWebhook, err error) {
	var h hook.Hook
	switch c.Action {
	case web.WebhookPause:
		h, err = s.Webhooks.Tell(ctx, by.String(), id, hook.Pause, s.Now())
	case web.WebhookResume:
		h, err = s.Webhooks.Tell(ctx, by.String(), id, hook.Resume, s.Now())
	case web.WebhookRenew:
		h, out.Secret, err = s.Webhooks.Renew(ctx, by.String(), id, s.Now())
	default:
		return out, web.Invalid("action", "pause, resume or renew_secret")
	}
	if err != nil {
		return web.MadeWebhook{}, hookError(err)
	}
	out.Webhook = showHook(h)
	return out, nil
}

func showLetter(l hook.Letter) web.WebhookLetter {
	levels := map[hook.LetterState]web.Level{
		hook.Dead: web.LevelBad, hook.Requested: web.LevelActive, hook.Sent: web.LevelGood,
	}
	return web.WebhookLetter{
		ID: strconv.FormatUint(l.Event, 10), At: l.At, Type: l.Type, Subject: l.Subject, State: string(l.State),
		Level: levels[l.State], Words: l.Words, Tries: l.Tries,
	}
}

// eventID reads the id of an event: those of the database fit 63 bits.
func eventID(text string) (uint64, error) { return strconv.ParseUint(text, 10, 63) }

// WebhookLetters implements web.Webhooks. Its cursors are ids of events.
func (s *webhooks) WebhookLetters(
	ctx context.Context, id string, p web.Page,
) (web.List[web.WebhookLetter], error) {
	var after uint64
	if p.After != "" {
		var err error
		if after, err = eventID(p.After); err != nil {
			return web.List[web.WebhookLetter]{}, errCursor()
		}
	}
	rows, err := s.Webhooks.Letters(ctx, id, after, limit(p))
	if err != nil {
		return web.List[web.WebhookLetter]{}, hookError(err)
	}
	return paged(p, rows, func(l hook.Letter) string { return strconv.FormatUint(l.Event, 10) },
		func(l hook.Letter) (web.WebhookLetter, error) { return showLetter(l), nil })
}

// RedeliverLetter implements web.Webhooks.
func (s *webhooks) RedeliverLetter(
	ctx context.Context, by web.Actor, id, letter string,
) (web.WebhookLetter, error) {
	event, err := eventID(letter)
	if err != nil {
		return web.WebhookLetter{}, web.NotFound("letter", letter)
	}
	l, err := s.Webhooks.Redeliver(ctx, by.String(), id, event, s.Now())
	if err != nil {
		return web.WebhookLetter{}, hookError(err)
	}
	return showLetter(l), nil
}

// deafNotices tell of webhooks that nobody tells anything any more.
func (s *overviews) deafNotices(ctx context.Context) (out []web.Notice, err error) {
	if s.Webhooks.Store == nil {
		return nil, nil
	}
	all, err := s.Webhooks.List(ctx)
	if err != nil {
		return nil, hookError(err)
	}
	for _, h := range all {
		if h.State == hook.Disabled {
			out = append(out, web.Notice{
				Level: web.LevelBad, Link: "/webhooks/" + h.ID,
				Text: "The webhook " + h.Name + " failed for too long and is told nothing any more.",
			})
		}
	}
	return out, nil
}
