package api

import (
	"net/http"
	"strings"
)

// Unguarded returns the changes that have neither a guard nor a row in guards.
func Unguarded(a *API) (faults []string) {
	for _, r := range a.routes() {
		pattern := strings.TrimPrefix(r.pattern, Prefix)
		if r.method == http.MethodGet || r.method == http.MethodPost {
			continue
		}
		if _, ok := guards[r.method+" "+pattern]; !ok && !Guarded(a, r.method, pattern) {
			faults = append(faults, r.method+" "+pattern+" has neither a GET nor a row in guards")
		}
	}
	return faults
}

// Guarded reports whether If-Match counts for a route.
func Guarded(a *API, method, pattern string) bool {
	if method == http.MethodGet {
		return false
	}
	g := guardOf(method, pattern)
	for _, r := range a.routes() {
		if r.method == http.MethodGet && r.pattern == Prefix+g.of && g.of != "" {
			return true
		}
	}
	return false
}
