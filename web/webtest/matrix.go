package webtest

import (
	"fmt"
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
	row := fmt.Sprintf("| `%s` | %s |", pattern, method)
	for _, role := range append([]web.Role{web.RoleNone}, web.Roles()...) {
		mark := "–"
		if allowed(role) {
			mark = "yes"
		}
		row += " " + mark + " |"
	}
	m.rows = append(m.rows, row)
}

// Markdown returns the table.
func (m *Matrix) Markdown() string {
	slices.Sort(m.rows)
	head := "| route | method | anybody |"
	for _, role := range web.Roles() {
		head += " " + string(role) + " |"
	}
	rule := strings.Repeat("|---", strings.Count(head, "|")-1) + "|"
	return "# " + m.Title + "\n\nMade by TestRights, which asks each route of the router as each role.\n\n" + head + "\n" +
		rule + "\n" + strings.Join(m.rows, "\n") + "\n"
}
