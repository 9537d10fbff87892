package ui

import (
	"net/http"

	"steward/web"
)

// fleetRoutes are the pages for many devices at once.
func (u *UI) fleetRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	viewer, operator := web.RoleViewer, web.RoleOperator
	return []route{
		{method: post, pattern: "/views", role: viewer, handler: u.putView},
		{method: post, pattern: "/views/{id}/remove", role: viewer, handler: u.removeView},
		{method: post, pattern: "/devices/{id}/tags", role: operator, handler: u.changeTags},
		{method: get, pattern: "/groups", role: viewer, handler: u.groups},
		{method: post, pattern: "/groups", role: operator, handler: u.putGroup},
		{method: get, pattern: "/groups/{name}", role: viewer, handler: u.group},
		{method: post, pattern: "/groups/{name}/remove", role: operator, handler: u.removeGroup},
		{method: get, pattern: "/bulk", role: viewer, handler: u.bulks},
		{method: post, pattern: "/bulk", role: operator, handler: u.startBulk, upload: true},
		{method: get, pattern: "/bulk/new", role: operator, handler: u.newBulk},
		{method: get, pattern: "/bulk/{id}", role: viewer, handler: u.bulk},
	}
}
