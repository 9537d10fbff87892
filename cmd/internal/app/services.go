package app

import "steward/web"

// services are what dashboard and REST API show.
func (a *App) services() web.Services { return web.Services{} }
