package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"mime"
	"net/http"
	"strings"

	"steward/web"
)

// etagBytes of the hash make a tag: two representations do not share it by chance.
const etagBytes = 16

// tagOf returns the strong entity tag of a representation (RFC 9110 §8.8.3): it
// changes with every byte of it, and with nothing else.
func tagOf(representation []byte) string {
	h := sha256.Sum256(representation)
	return `"` + base64.RawURLEncoding.EncodeToString(h[:etagBytes]) + `"`
}

// tagged gives each answer of h that is one document an ETag, and answers 304
// where If-None-Match has it already.
func tagged(h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		held := &heldAnswer{ResponseWriter: w, holds: isDocument}
		if err := h(held, r); err != nil {
			return err
		}
		if !held.holding {
			return nil
		}
		tag := tagOf(held.body.Bytes())
		w.Header().Set("ETag", tag)
		if match(r.Header.Values("If-None-Match"), tag, true) {
			for _, name := range []string{"Content-Type", "Content-Length"} {
				w.Header().Del(name)
			}
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
		held.release()
		return nil
	}
}

// isDocument reports whether an answer is a whole document, which may have a tag:
// streams and exports go out while they are made.
func isDocument(status int, h http.Header) bool {
	if status != http.StatusOK {
		return false
	}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json") || kind == "application/yaml")
}

// A heldAnswer keeps an answer back if holds says so, and passes it on otherwise.
type heldAnswer struct {
	http.ResponseWriter

	holds   func(status int, h http.Header) bool
	status  int // 0: nothing yet
	holding bool
	body    bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (a *heldAnswer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	a.status = status
	if a.holding = a.holds(status, a.Header()); !a.holding {
		a.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (a *heldAnswer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK) // no effect if there was one
	if a.holding {
		return a.body.Write(b)
	}
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush and set deadlines.
func (a *heldAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// release sends what was held back.
func (a *heldAnswer) release() {
	if !a.holding {
		return
	}
	a.holding = false
	a.ResponseWriter.WriteHeader(a.status)
	// The status is sent: an error now can only be a client that went away.
	_, _ = a.ResponseWriter.Write(a.body.Bytes())
}

// match reports whether a condition names tag. A weak tag in it is as good as a
// strong one only where weak says so (RFC 9110 §8.8.3.2).
func match(fields []string, tag string, weak bool) bool {
	for _, field := range fields {
		for part := range strings.SplitSeq(field, ",") {
			part = strings.TrimSpace(part)
			if weak {
				part = strings.TrimPrefix(part, "W/")
			}
			if part == "*" || part == tag {
				return true
			}
		}
	}
	return false
}
