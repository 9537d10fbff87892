package api

import "net/http"

// Patterns lists the patterns of all that GET answers below Prefix, in the order of
// the routes, for what looks at all of them.
func Patterns() []string {
	var out []string
	for _, r := range new(API).routes() {
		if r.method == http.MethodGet {
			out = append(out, r.pattern)
		}
	}
	return out
}
