package services

import (
	"context"
	"errors"
	"time"

	"steward/est"
	"steward/web"
)

// passwords implements web.OneTimePasswords.
type passwords struct{ *base }

// ListPasswords implements web.OneTimePasswords. Its cursors are ids.
func (s *passwords) ListPasswords(ctx context.Context, p web.Page) (web.List[web.OneTimePassword], error) {
	rows, err := s.CA.ListPasswords(ctx, p.After, limit(p))
	if err != nil {
		return web.List[web.OneTimePassword]{}, translate(err)
	}
	return paged(p, rows, func(r est.Password) string { return r.ID },
		func(r est.Password) (web.OneTimePassword, error) { return s.show(r), nil })
}

// show returns a password without its hash.
func (s *passwords) show(p est.Password) web.OneTimePassword {
	out := web.OneTimePassword{
		ID: p.ID, Name: p.Name, Uses: p.Total, Left: p.Left, State: web.PasswordCondition(p.State), ExpiresAt: p.ExpiresAt,
		CreatedAt: p.CreatedAt, CreatedBy: p.CreatedBy,
	}
	if p.State == est.PasswordOpen && !s.Now().Before(p.ExpiresAt) {
		out.State = web.PasswordExpired
	}
	return out
}

// MakePassword implements web.OneTimePasswords.
func (s *passwords) MakePassword(
	ctx context.Context, by web.Actor, n web.NewOneTimePassword,
) (web.MadePassword, error) {
	if err := checkText("name", n.Name, est.MaxName*4); err != nil {
		return web.MadePassword{}, err
	}
	if n.Seconds < 0 || n.Seconds > maxPasswordSeconds {
		return web.MadePassword{}, web.Invalid("seconds", "0 to 2592000")
	}
	p, secret, err := s.CA.As(by.String()).MakePassword(ctx, est.NewPassword{
		Name: n.Name, Uses: n.Uses, Lifetime: time.Duration(n.Seconds) * time.Second,
	})
	if errors.Is(err, est.ErrPasswordOptions) {
		return web.MadePassword{}, web.Invalid("name", err.Error())
	}
	if err != nil {
		return web.MadePassword{}, translate(err)
	}
	return web.MadePassword{OneTimePassword: s.show(p), Secret: secret}, nil
}

// maxPasswordSeconds is 30 days.
const maxPasswordSeconds = 30 * 24 * 60 * 60

// WithdrawPassword implements web.OneTimePasswords.
func (s *passwords) WithdrawPassword(ctx context.Context, by web.Actor, id string) (web.OneTimePassword, error) {
	p, err := s.CA.As(by.String()).WithdrawPassword(ctx, id)
	if errors.Is(err, est.ErrUnknown) {
		return web.OneTimePassword{}, notFound("password", id)
	}
	return s.show(p), translate(err)
}
