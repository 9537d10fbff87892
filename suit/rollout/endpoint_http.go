package rollout

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"steward/lwm2m/coap"
)

// MediaEnvelope is the media type of envelopes (draft-ietf-suit-manifest-37 §12).
const MediaEnvelope = "application/suit-envelope+cose"

// maxDownloads bounds the HTTP downloads of all devices at once.
const maxDownloads = 256

// HTTP returns the handler of the same resources by HTTP: GET and HEAD with ranges
// (RFC 9110 §14) and entity tags. identify says who asks.
func (e *Endpoint) HTTP(identify func(*http.Request) (coap.Identity, error)) http.Handler {
	slots := make(chan struct{}, maxDownloads)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			busy(w, time.Second)
			return
		}
		who, err := identify(r)
		if err != nil {
			http.Error(w, "a certificate of a device is needed", http.StatusForbidden)
			return
		}
		e.download(w, r, who)
	})
}

func busy(w http.ResponseWriter, again time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(int(again/time.Second)+1))
	http.Error(w, "too many downloads", http.StatusServiceUnavailable)
}

// download serves one request of a device.
func (e *Endpoint) download(w http.ResponseWriter, r *http.Request, who coap.Identity) {
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
	p, grant, err := e.open(r.Context(), path, who)
	switch {
	case errors.Is(err, ErrUnknown):
		http.NotFound(w, r)
		return
	case errors.Is(err, ErrNotGranted):
		http.Error(w, ErrNotGranted.Error(), http.StatusForbidden)
		return
	case err != nil:
		e.Log.LogAttrs(r.Context(), slog.LevelError, "serving an update", slog.Any("error", err))
		http.Error(w, "it cannot be read now", http.StatusInternalServerError)
		return
	}
	media := "application/octet-stream"
	switch parts[path[1]] {
	case PartPull:
		media = MediaEnvelope
	case PartText:
		media = "application/cbor"
	case PartPush, PartImage, PartCipher, PartKey:
	}
	header := w.Header()
	header.Set("Content-Type", media)
	header.Set("ETag", `"`+hex.EncodeToString(p.ETag[:])+`"`)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "private, no-store")
	extend := http.NewResponseController(w)
	defer func() { _ = extend.SetWriteDeadline(time.Time{}) }() // the next request has its own time
	http.ServeContent(w, r, "", time.Time{}, &stream{
		ctx: r.Context(), payload: p, budgets: e.Budgets, grant: grant, extend: extend,
	})
}

// A stream reads a payload for one HTTP download, at the pace of the budgets.
type stream struct {
	ctx     context.Context //nolint:containedctx // io.Reader has none; it lives as long as the request
	payload *Payload
	budgets *Budgets
	grant   Grant
	at      int
	extend  *http.ResponseController
}

const (
	// maxPiece is what a stream reads at once, so that a small budget lets no burst
	// through.
	maxPiece = 16 << 10
	// pieceTime is how long a device may take for a piece before it is given up.
	pieceTime = 30 * time.Second
)

// Read implements io.Reader.
func (s *stream) Read(b []byte) (int, error) {
	if s.at >= s.payload.Length {
		return 0, io.EOF
	}
	b = b[:min(len(b), maxPiece, s.payload.Length-s.at)]
	for {
		again, ok, err := s.budgets.Take(s.ctx, s.grant.Campaign, s.grant.BytesPerSecond, len(b))
		if err != nil {
			return 0, err
		}
		if ok {
			break
		}
		if err := pause(s.ctx, again); err != nil {
			return 0, err
		}
	}
	// Who takes nothing holds nothing: the deadline moves on with each piece only.
	_ = s.extend.SetWriteDeadline(time.Now().Add(pieceTime)) // not all writers have one
	n, err := s.payload.Read(s.ctx, b, s.at)
	s.at += n
	return n, err
}

// Seek implements io.Seeker.
func (s *stream) Seek(offset int64, whence int) (int64, error) {
	base := map[int]int{io.SeekStart: 0, io.SeekCurrent: s.at, io.SeekEnd: s.payload.Length}
	at := int64(base[whence]) + offset
	if at < 0 || at > int64(s.payload.Length) {
		return 0, fmt.Errorf("%w: offset %d", ErrUnknown, at)
	}
	s.at = int(at)
	return at, nil
}
