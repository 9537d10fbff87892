package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) password() web.OneTimePassword {
	return web.OneTimePassword{
		ID: ID, Name: f.Text, Uses: 3, Left: 2, State: web.PasswordOpen, ExpiresAt: Noon, CreatedAt: Noon, CreatedBy: f.Text,
	}
}

// ListPasswords implements web.OneTimePasswords.
func (f *Fake) ListPasswords(_ context.Context, p web.Page) (web.List[web.OneTimePassword], error) {
	return list(f, p, f.password())
}

// MakePassword implements web.OneTimePasswords.
func (f *Fake) MakePassword(_ context.Context, by web.Actor, n web.NewOneTimePassword) (web.MadePassword, error) {
	return web.MadePassword{OneTimePassword: f.password(), Secret: f.Text}, f.note("MakePassword", by, "", n)
}

// WithdrawPassword implements web.OneTimePasswords.
func (f *Fake) WithdrawPassword(_ context.Context, by web.Actor, id string) (web.OneTimePassword, error) {
	return f.password(), f.note("WithdrawPassword", by, id, nil)
}
