package ui

import (
	"net/http"

	"steward/web"
)

// fleetRoutes are the pages for many devices at once.
func (u *UI) fleetRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	viewer, operator := web.RoleViewer, web.RoleOperator
	either := web.AnyOf(operator, web.RoleSecurity)
	return []route{
		{method: post, pattern: "/views", role: viewer, handler: u.putView},
		{method: post, pattern: "/views/{id}/remove", role: viewer, handler: u.removeView},
		{method: post, pattern: "/devices/{id}/tags", role: operator, handler: u.changeTags},
		{method: get, pattern: "/devices/{id}/security", role: viewer, handler: u.deviceSecurity},
		{method: get, pattern: "/devices/{id}/timeline", role: viewer, handler: u.timeline},
		{method: get, pattern: "/devices/{id}/firmware", role: viewer, handler: u.firmware},
		{method: get, pattern: "/devices/{id}/settings", role: viewer, handler: u.deviceSettings},
		{method: post, pattern: "/devices/{id}/retire", role: web.RoleSecurity, handler: u.retire},
		{method: post, pattern: "/devices/{id}/erase", role: web.RoleAdmin, handler: u.erase},
		{method: get, pattern: "/settings", role: viewer, handler: u.settings},
		{method: get, pattern: "/find", role: viewer, handler: u.find},
		{method: get, pattern: "/groups", role: viewer, handler: u.groups},
		{method: post, pattern: "/groups", role: operator, handler: u.putGroup},
		{method: get, pattern: "/groups/{name}", role: viewer, handler: u.group},
		{method: post, pattern: "/groups/{name}/remove", role: operator, handler: u.removeGroup},
		{method: get, pattern: "/bulk", role: viewer, handler: u.bulks},
		{method: get, pattern: "/onboard", role: viewer, handler: u.onboard},
		{method: post, pattern: "/onboard", role: operator, handler: u.admitOne},
		{method: get, pattern: "/onboard/list", role: viewer, handler: u.onboardList},
		{method: post, pattern: "/onboard/list", role: operator, handler: u.takeList, upload: true},
		{method: get, pattern: "/onboard/scan", role: viewer, handler: u.scanForm},
		{method: post, pattern: "/onboard/scan", role: operator, handler: u.scan},
		{method: get, pattern: "/onboard/labels", role: viewer, handler: u.labels},
		{method: post, pattern: "/bulk", role: either, handler: u.startBulk, upload: true},
		{method: get, pattern: "/bulk/new", role: either, handler: u.newBulk},
		{method: get, pattern: "/bulk/{id}", role: viewer, handler: u.bulk},
		{method: post, pattern: "/bulk/{id}/commands", role: either, handler: u.decideBulk},
	}
}
