package processtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"slices"

	"steward/suit/process"
)

// Sources is a Fetcher that serves payloads from memory by URI.
type Sources struct {
	Payloads map[string][]byte
	// Schemes are the URI schemes implemented; none named means all.
	Schemes []string
	// BreakAfter breaks the connection after that many bytes of each Fetch; zero
	// means never.
	BreakAfter int
	// Offsets lists the offsets asked for.
	Offsets []uint64
}

// Fetch implements process.Fetcher. A payload that is nil stands for a server
// that cannot be reached.
func (s *Sources) Fetch(_ context.Context, uri string, offset uint64) (io.ReadCloser, error) {
	u, err := url.Parse(uri)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", process.ErrURI, err)
	}
	if len(s.Schemes) > 0 && !slices.Contains(s.Schemes, u.Scheme) {
		return nil, fmt.Errorf("%w: %q", process.ErrScheme, u.Scheme)
	}
	payload, ok := s.Payloads[uri]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %q is not known", process.ErrURI, uri)
	case payload == nil:
		return nil, process.ErrConnection
	}
	s.Offsets = append(s.Offsets, offset)
	rest := payload[min(offset, uint64(len(payload))):]
	if s.BreakAfter == 0 || s.BreakAfter >= len(rest) {
		return io.NopCloser(bytes.NewReader(rest)), nil
	}
	return io.NopCloser(io.MultiReader(bytes.NewReader(rest[:s.BreakAfter]), broken{})), nil
}

// broken is the end of a connection that breaks.
type broken struct{}

// Read implements io.Reader.
func (broken) Read([]byte) (int, error) { return 0, process.ErrConnection }
