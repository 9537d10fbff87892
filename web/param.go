package web

import (
	"net/http"
	"net/url"

	"github.com/go-chi/chi/v5"
)

// Param returns the part of the request's path that the route calls name,
// unescaped: the router leaves it as sent when it had escapes.
func Param(r *http.Request, name string) string {
	raw := chi.URLParam(r, name)
	if r.URL.RawPath == "" {
		return raw
	}
	if text, err := url.PathUnescape(raw); err == nil {
		return text
	}
	return raw
}
