package app

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"steward/cmd/internal/config"
	"steward/cmd/internal/keys"
	"steward/web"
	"steward/web/account"
	"steward/web/oidc"
	"steward/web/passkey"
)

// passkeys are nil where browsers make none for the dashboard's address.
func (a *App) passkeys(ctx context.Context) (*passkey.Keys, error) {
	k, err := passkey.New(passkey.Options{BaseURL: a.DashboardURL(), Name: a.cfg.Name, Accounts: a.web.accounts})
	if errors.Is(err, passkey.ErrHost) {
		a.log.LogAttrs(ctx, slog.LevelDebug, "no passkeys", slog.String("reason", err.Error()))
		return nil, nil //nolint:nilnil // none is no error
	}
	return k, err
}

// identities is nil without a provider of identities.
func (a *App) identities() (*oidc.Provider, error) {
	o := a.cfg.People.OIDC
	if o.Issuer == "" {
		return nil, nil //nolint:nilnil // none is no error
	}
	var secret []byte
	if o.SecretFile != "" {
		var err error
		if secret, err = keys.ReadSecret(o.SecretFile); err != nil {
			return nil, err
		}
	}
	roles := map[string]web.Role{}
	for word, role := range o.Roles {
		parsed, err := web.ParseRole(role)
		if err != nil {
			return nil, err
		}
		roles[word] = parsed
	}
	return oidc.New(oidc.Options{
		Issuer: o.Issuer, ClientID: o.ClientID, Secret: strings.TrimSpace(string(secret)),
		Redirect: a.DashboardURL() + "/sign-in/oidc/callback", Claim: o.Claim, Roles: roles, Domains: o.Domains,
		Now: a.now, Accounts: a.web.accounts,
	})
}

// approvers counts who could approve what needs role, as the settings want it: two
// where another person must in any case, one where nobody must.
func (a *App) approvers(role web.Role) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		const another = 2
		switch a.cfg.People.FourEyes {
		case config.FourEyesAlways:
			return another, nil
		case config.FourEyesOff:
			return 1, nil
		default:
			return a.db.Accounts().Approvers(ctx, role, a.now())
		}
	}
}

// newAccounts makes who may come in.
func (a *App) newAccounts() *account.Accounts {
	return account.New(account.Options{Stores: a.db.Accounts(), Refusals: a.auditor})
}
