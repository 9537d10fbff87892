package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"strings"
)

// Trace gives each request a trace id, that of a W3C traceparent if the client
// sent one, and returns it in the header X-Request-Id.
func Trace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, ok := parseTraceparent(r.Header.Get("Traceparent"))
		if !ok {
			id = newTraceID()
		}
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), traceKey, id)))
	})
}

// TraceID returns the id of the request that ctx belongs to, "" outside one.
func TraceID(ctx context.Context) string {
	id, _ := ctx.Value(traceKey).(string)
	return id
}

const traceBytes = 16 // W3C Trace Context §3.2.2.3

func newTraceID() string {
	var b [traceBytes]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return hex.EncodeToString(b[:])
}

// parseTraceparent returns the trace-id of "00-<trace-id>-<parent-id>-<flags>" (W3C
// Trace Context §3.2). Later versions may have more after it; "ff" is none.
func parseTraceparent(header string) (string, bool) {
	parts := strings.Split(header, "-")
	if len(parts) < 4 || parts[0] == "ff" || parts[0] == "00" && len(parts) != 4 {
		return "", false
	}
	for i, length := range []int{2, 2 * traceBytes, 2 * parentBytes, 2} {
		if _, err := hex.DecodeString(parts[i]); err != nil || len(parts[i]) != length ||
			strings.ToLower(parts[i]) != parts[i] {
			return "", false
		}
	}
	if strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return "", false
	}
	return parts[1], true
}

const parentBytes = 8 // W3C Trace Context §3.2.2.4
