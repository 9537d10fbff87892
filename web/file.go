package web

import (
	"mime"
	"net/http"
)

// Attach says that the answer with header h is a file to be kept under name, and
// never shown as a page.
func Attach(h http.Header, name string) {
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	h.Set("X-Content-Type-Options", "nosniff")
}

// WriteFile answers raw, of media type kind, as a file to be kept under name.
func WriteFile(w http.ResponseWriter, kind, name string, raw []byte) error {
	w.Header().Set("Content-Type", kind)
	Attach(w.Header(), name)
	_, _ = w.Write(raw) // an error is a client that went away
	return nil
}
