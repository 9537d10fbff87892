package api

import (
	"net/http"
	"strings"
)

// Patterns lists the patterns of all that GET answers, in the order of the routes, for
// what looks at all of them; but not what is there for programs of others.
func Patterns() []string {
	var out []string
	for _, r := range new(API).routes() {
		if r.method == http.MethodGet && !strings.HasPrefix(r.pattern, LeshanPrefix) {
			out = append(out, r.pattern)
		}
	}
	return out
}
