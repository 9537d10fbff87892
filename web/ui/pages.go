package ui

import (
	"net/http"
	"slices"
)

// Pages lists the patterns of all that GET shows to people who are signed in, as
// "/devices/{id}", in the order of the routes. It is for what looks at all of them:
// a page that is added is looked at without anybody's doing.
func Pages() []string {
	var out []string
	for _, r := range new(UI).allRoutes() {
		if r.method == http.MethodGet {
			out = append(out, r.pattern)
		}
	}
	return out
}

// allRoutes lists what needs somebody to be signed in.
func (u *UI) allRoutes() []route {
	return slices.Concat(u.routes(), u.dataRoutes(), u.peopleRoutes(), u.fleetRoutes(), u.webhookRoutes(),
		u.explorerRoutes(), u.mandateRoutes(), u.reportRoutes())
}
