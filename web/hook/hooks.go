package hook

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
)

// Hooks are the hooks of a provider as people change them.
type Hooks struct {
	Store  Store
	Events web.EventLog
	NewID  func() string
	Wake   func() // tells the Runner
}

// List returns all.
func (s Hooks) List(ctx context.Context) ([]Hook, error) { return s.Store.Hooks(ctx) }

// Get returns one, or ErrNotFound.
func (s Hooks) Get(ctx context.Context, id string) (Hook, error) { return find(ctx, s.Store, id) }

// Add stores a new hook, which is told what happens from now on, and returns it with
// its secret as it is shown once.
func (s Hooks) Add(ctx context.Context, by string, h Hook, now time.Time) (Hook, string, error) {
	if h.Mode == "" {
		h.Mode = Structured
	}
	if err := h.Check(); err != nil {
		return Hook{}, "", err
	}
	_, newest, err := s.Events.Bounds(ctx)
	if err != nil {
		return Hook{}, "", err
	}
	secret, shown := NewSecret()
	h.ID, h.Secret, h.State, h.Cursor, h.CreatedAt, h.CreatedBy = s.NewID(), secret, Active, newest, now, by
	row := audit.Row{Actor: by, Action: "webhook.add", Subject: h.ID, After: h.words(), At: now}
	if err := s.Store.Put(ctx, h, row); err != nil {
		return Hook{}, "", err
	}
	s.Wake()
	h.Version = 1
	return h, shown, nil
}

// words are what an audit row says of a hook. An address may hold a secret in its
// query.
func (h Hook) words() string { return h.Name + " " + shownURL(h.URL) }

// shownURL is an address without its query.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	u.RawQuery = ""
	return u.String()
}

// change reads a hook, has do change it, and stores it.
func (s Hooks) change(ctx context.Context, id string, do func(h *Hook) (audit.Row, error)) (Hook, error) {
	for range conflicts { // an attempt may change it meanwhile
		h, err := s.Get(ctx, id)
		if err != nil {
			return Hook{}, err
		}
		row, err := do(&h)
		if err != nil {
			return Hook{}, err
		}
		if err = s.Store.Put(ctx, h, row); err == nil {
			s.Wake()
			h.Version++
			return h, nil
		}
		if !errors.Is(err, ErrConflict) {
			return Hook{}, err
		}
	}
	return Hook{}, ErrConflict
}

// Edit changes what people say of a hook.
func (s Hooks) Edit(ctx context.Context, by, id string, to Hook, now time.Time) (Hook, error) {
	return s.change(ctx, id, func(h *Hook) (audit.Row, error) {
		row := audit.Row{Actor: by, Action: "webhook.edit", Subject: id, Before: h.words(), At: now}
		h.Name, h.URL, h.Types, h.Subject = to.Name, to.URL, to.Types, to.Subject
		if h.Mode = to.Mode; h.Mode == "" {
			h.Mode = Structured
		}
		row.After = h.words()
		return row, h.Check()
	})
}

// Tell pauses or resumes a hook.
func (s Hooks) Tell(ctx context.Context, by, id string, on Event, now time.Time) (Hook, error) {
	return s.change(ctx, id, func(h *Hook) (audit.Row, error) {
		step, err := Table.Step(h.State, on)
		if err != nil {
			return audit.Row{}, fmt.Errorf("%w: it is %s", ErrConflict, h.State)
		}
		row := audit.Row{
			Actor: by, Action: "webhook." + string(on), Subject: id, Before: string(h.State), After: string(step.To), At: now,
		}
		h.State, h.Attempt, h.NextAt, h.FailingSince = step.To, 0, time.Time{}, time.Time{}
		return row, nil
	})
}

// Renew gives a hook another secret and returns it as it is shown once.
func (s Hooks) Renew(ctx context.Context, by, id string, now time.Time) (Hook, string, error) {
	secret, shown := NewSecret()
	h, err := s.change(ctx, id, func(h *Hook) (audit.Row, error) {
		h.Secret = secret
		return audit.Row{Actor: by, Action: "webhook.renew_secret", Subject: id, At: now}, nil
	})
	return h, shown, err
}

// Remove deletes a hook and its letters.
func (s Hooks) Remove(ctx context.Context, by, id string, now time.Time) error {
	h, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	return s.Store.Remove(ctx, id, audit.Row{Actor: by, Action: "webhook.remove", Subject: id, Before: h.words(), At: now})
}

// Letters returns letters of a hook whose events come after one, at most limit.
func (s Hooks) Letters(ctx context.Context, id string, after uint64, limit int) ([]Letter, error) {
	if _, err := s.Get(ctx, id); err != nil {
		return nil, err
	}
	return s.Store.Letters(ctx, id, "", after, limit)
}

// Redeliver has a letter sent anew.
func (s Hooks) Redeliver(ctx context.Context, by, id string, event uint64, now time.Time) (Letter, error) {
	l, err := s.Store.Letter(ctx, id, event)
	if err != nil {
		return Letter{}, err
	}
	step, err := LetterTable.Step(l.State, Redeliver)
	if err != nil {
		return Letter{}, fmt.Errorf("%w: the letter is %s", ErrConflict, l.State)
	}
	l.State = step.To
	row := audit.Row{
		Actor: by, Action: "webhook.redeliver", Subject: id, After: fmt.Sprintf("%d %s", l.Event, l.Type), At: now,
	}
	if err := s.Store.PutLetter(ctx, l, row); err != nil {
		return Letter{}, err
	}
	s.Wake()
	return l, nil
}
