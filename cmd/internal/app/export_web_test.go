package app

import (
	"context"
	"net/http"

	"steward/web"
)

// Dashboard returns what answers at the operators' listener.
func Dashboard(a *App) http.Handler { return a.web.servers[0].server.Handler }

// Grant makes secret a token with a role.
func Grant(ctx context.Context, a *App, role web.Role, secret string) error {
	return a.web.accounts.SetToken(ctx, "test-"+string(role), role, secret, a.now())
}
