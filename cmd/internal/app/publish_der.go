package app

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// For how long caches may serve what we publish without asking again. A revocation
// must not hide in them for longer.
const (
	crlFresh  = 5 * time.Minute
	ocspFresh = 5 * time.Minute
	certFresh = 24 * time.Hour
)

// A published body, and what caches are told about it.
type published struct {
	mediaType  string
	der        []byte
	tag        string        // entity tag
	made, next time.Time     // thisUpdate and nextUpdate; zero: it has none
	fresh      time.Duration // zero: nobody may keep it
}

// serveDER answers a GET or HEAD with cache headers (RFC 5019 §6.2, RFC 9111), and
// 304 to who has the same.
func serveDER(w http.ResponseWriter, r *http.Request, p published, now time.Time) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	if p.fresh == 0 {
		h.Set("Cache-Control", "no-store")
	} else {
		fresh := p.fresh
		if !p.next.IsZero() {
			fresh = max(min(fresh, p.next.Sub(now)), 0)
			h.Set("Last-Modified", p.made.UTC().Format(http.TimeFormat))
			h.Set("Expires", now.Add(fresh).UTC().Format(http.TimeFormat))
		}
		h.Set("Cache-Control", fmt.Sprintf("max-age=%d, public, no-transform, must-revalidate", int(fresh.Seconds())))
		etag := `"` + p.tag + `"`
		h.Set("ETag", etag)
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	h.Set("Content-Type", p.mediaType)
	h.Set("Content-Length", strconv.Itoa(len(p.der)))
	_, _ = w.Write(p.der) // the client is gone: nothing to do
}
