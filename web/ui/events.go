package ui

import (
	"net/http"
	"strings"
	"time"

	"steward/web"
)

// streamStay ends each stream after a while, so that a session that ended
// meanwhile is noticed when the browser comes back.
const streamStay = 5 * time.Minute

// events streams what happens to one subject, or everything of one type.
func (u *UI) events(w http.ResponseWriter, r *http.Request) error {
	subject, kind := r.URL.Query().Get("subject"), r.URL.Query().Get("type")
	return u.o.Stream.Serve(w, r, streamStay, func(e web.Event) bool {
		return (subject == "" || e.Subject == subject) && strings.HasPrefix(e.Type, kind)
	})
}
