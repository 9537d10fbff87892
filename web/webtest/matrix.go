package webtest

import (
	"slices"
	"strings"

	"steward/web"
)

// A Matrix is who was let in where, for documents.
type Matrix struct {
	Title string
	rows  []string
}

// Add notes a route and the roles that were let in.
func (m *Matrix) Add(method, pattern string, allowed func(web.Role) bool) {
	cells := []string{"`" + pattern + "`", method}
	for _, role := range append([]web.Role{web.RoleNone}, web.Roles()...) {
		mark := "–"
		if allowed(role) {
			mark = "yes"
		}
		cells = append(cells, mark)
	}
	m.rows = append(m.rows, line(cells))
}

// line returns a line of the table.
func line(cells []string) string { return "| " + strings.Join(cells, " | ") + " |" }

// Markdown returns the table.
func (m *Matrix) Markdown() string {
	slices.Sort(m.rows)
	names := []string{"route", "method", "anybody"}
	for _, role := range web.Roles() {
		names = append(names, string(role))
	}
	head, rule := line(names), strings.Repeat("|---", len(names))+"|"
	return "# " + m.Title + "\n\nMade by TestRights, which asks each route of the router as each role.\n\n" + head + "\n" +
		rule + "\n" + strings.Join(m.rows, "\n") + "\n"
}
