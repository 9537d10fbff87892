package app

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// crlValidity is the nextUpdate of a CRL; crlCache how long one is served before
// it is made anew: a revocation is on it within that time (transfer protocol §7).
const (
	crlValidity = 24 * time.Hour
	crlCache    = 5 * time.Second
)

// A crlCacheEntry keeps the CRL between requests: making one reads the inventory
// and signs, which nobody may ask for at will.
type crlCacheEntry struct {
	mu   sync.Mutex
	der  []byte
	made time.Time
}

// pkiHandler serves what relying parties need: the CRL and the CA certificates,
// in DER (RFC 5280 §4.2.1.13, RFC 2585).
func (a *App) pkiHandler() http.Handler {
	mux := http.NewServeMux()
	cache := &crlCacheEntry{}
	mux.HandleFunc("GET /crl/issuing.crl", func(w http.ResponseWriter, r *http.Request) {
		cache.mu.Lock()
		defer cache.mu.Unlock()
		if a.now().Sub(cache.made) > crlCache {
			der, err := a.pki.ca.CRL(r.Context(), crlValidity)
			if err != nil {
				a.log.LogAttrs(r.Context(), slog.LevelError, "crl", slog.Any("error", err))
				http.Error(w, "the CRL cannot be made now", http.StatusServiceUnavailable)
				return
			}
			cache.der, cache.made = der, a.now()
		}
		writeDER(w, "application/pkix-crl", cache.der)
	})
	mux.HandleFunc("GET /issuer/issuing.cer", func(w http.ResponseWriter, _ *http.Request) {
		writeDER(w, "application/pkix-cert", a.pki.ca.Certificate().Raw)
	})
	mux.HandleFunc("GET /issuer/root.cer", func(w http.ResponseWriter, _ *http.Request) {
		writeDER(w, "application/pkix-cert", a.pki.ca.Root().Raw)
	})
	return mux
}

func writeDER(w http.ResponseWriter, mediaType string, der []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(der)))
	_, _ = w.Write(der) // the client is gone: nothing to do
}
