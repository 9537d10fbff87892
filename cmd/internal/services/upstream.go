package services

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/web"
)

// upstreamRequests implements web.UpstreamRequests.
type upstreamRequests struct{ *base }

// ListUpstream implements web.UpstreamRequests. Its cursors are ids.
func (s *upstreamRequests) ListUpstream(
	ctx context.Context, state string, p web.Page,
) (web.List[web.UpstreamRequest], error) {
	known := []est.ErrandState{
		"", est.ErrandWaiting, est.ErrandReady, est.ErrandIssued, est.ErrandRefused, est.ErrandWithdrawn,
	}
	if !slices.Contains(known, est.ErrandState(state)) {
		return web.List[web.UpstreamRequest]{}, web.Invalid("state", "waiting, ready, issued, refused or withdrawn")
	}
	rows, err := s.CA.ListErrands(ctx, est.ErrandQuery{State: est.ErrandState(state), Before: p.After, Limit: limit(p)})
	if err != nil {
		return web.List[web.UpstreamRequest]{}, translate(err)
	}
	return paged(p, rows, func(e est.Errand) string { return e.ID },
		func(e est.Errand) (web.UpstreamRequest, error) { return showErrand(e), nil })
}

func showErrand(e est.Errand) web.UpstreamRequest {
	out := web.UpstreamRequest{
		ID: e.ID, Name: e.Name, State: string(e.State), SPKI: hex.EncodeToString(e.SPKI[:]), Tries: e.Tries,
		Reason: printable(e.Reason), CreatedAt: e.CreatedAt, ChangedAt: e.ChangedAt,
	}
	if e.State == est.ErrandWaiting {
		out.NextAt = e.NextAt
	}
	return out
}

// UpstreamRequest implements web.UpstreamRequests.
func (s *upstreamRequests) UpstreamRequest(ctx context.Context, id string) (web.UpstreamRequestDetail, error) {
	e, err := s.CA.Errand(ctx, id)
	if err != nil {
		return web.UpstreamRequestDetail{}, s.lost(id, err)
	}
	out := web.UpstreamRequestDetail{
		UpstreamRequest: showErrand(e),
		Request:         string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: e.Request})),
	}
	certs, err := x509.ParseCertificates(e.Answer)
	if err != nil {
		return web.UpstreamRequestDetail{}, translate(err)
	}
	for _, c := range certs {
		out.Answer += string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	}
	return out, nil
}

// lost translates the error of a look-up.
func (s *upstreamRequests) lost(id string, err error) error {
	if errors.Is(err, est.ErrUnknown) {
		return notFound("request", id)
	}
	return translate(err)
}

// maxImported bounds the certificates of an answer.
const maxImported = 8

// ImportUpstream implements web.UpstreamRequests.
func (s *upstreamRequests) ImportUpstream(
	ctx context.Context, by web.Actor, id, text string,
) (web.UpstreamRequest, error) {
	certs, err := readPEM(text)
	if err != nil {
		return web.UpstreamRequest{}, err
	}
	e, err := s.CA.As(by.String()).ImportAnswer(ctx, id, certs)
	if errors.Is(err, est.ErrUpstream) || errors.Is(err, est.ErrKey) || errors.Is(err, est.ErrPending) {
		return web.UpstreamRequest{}, web.Invalid("certificate", printable(err.Error()))
	}
	if err != nil {
		return web.UpstreamRequest{}, s.lost(id, err)
	}
	return showErrand(e), nil
}

// readPEM reads certificates, each in a block of its own or together in PKCS#7.
func readPEM(text string) (out []*x509.Certificate, err error) {
	bad := web.Invalid("certificate", "up to 8 certificates in PEM, or a certs-only PKCS#7 message in PEM")
	rest := []byte(strings.TrimSpace(text))
	for len(rest) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		var certs []*x509.Certificate
		switch block.Type {
		case "CERTIFICATE":
			certs, err = x509.ParseCertificates(block.Bytes)
		case "PKCS7":
			certs, err = estcoap.DecodeCertsOnly(block.Bytes)
		default:
			return nil, bad
		}
		if out = append(out, certs...); err != nil || len(out) > maxImported {
			return nil, bad
		}
	}
	if len(out) == 0 {
		return nil, bad
	}
	return out, nil
}

// DecideUpstream implements web.UpstreamRequests.
func (s *upstreamRequests) DecideUpstream(
	ctx context.Context, by web.Actor, id string, d web.UpstreamDecision,
) (web.UpstreamRequest, error) {
	events := map[web.UpstreamAction]est.ErrandEvent{
		web.UpstreamRefuse: est.ErrandRefuse, web.UpstreamWithdraw: est.ErrandWithdraw, web.UpstreamRetry: est.ErrandRetry,
	}
	on, known := events[d.Action]
	if !known {
		return web.UpstreamRequest{}, web.Invalid("action", "refuse, withdraw or retry")
	}
	if err := checkText("reason", d.Reason, maxReason); err != nil {
		return web.UpstreamRequest{}, err
	}
	e, err := s.CA.As(by.String()).DecideErrand(ctx, id, on, d.Reason)
	if err != nil {
		return web.UpstreamRequest{}, s.lost(id, err)
	}
	return showErrand(e), nil
}

// slowUpstream is how long a device may wait for an external CA before people are
// told, and maxNoticed how many are counted.
const (
	slowUpstream = 10 * time.Minute
	maxNoticed   = 200
)

// waitNotices tells of devices that wait for a certificate.
func (s *overviews) waitNotices(ctx context.Context) ([]web.Notice, error) {
	people, err := s.requestNotices(ctx)
	if err != nil {
		return nil, err
	}
	outside, err := s.upstreamNotices(ctx)
	return append(people, outside...), err
}

// upstreamNotices tells of devices that wait long for an external CA.
func (s *overviews) upstreamNotices(ctx context.Context) ([]web.Notice, error) {
	rows, err := s.CA.ListErrands(ctx, est.ErrandQuery{State: est.ErrandWaiting, Limit: maxNoticed})
	if err != nil {
		return nil, translate(err)
	}
	rows = slices.DeleteFunc(rows, func(e est.Errand) bool { return s.Now().Sub(e.CreatedAt) < slowUpstream })
	if len(rows) == 0 {
		return nil, nil
	}
	return []web.Notice{{
		Level: web.LevelWarning,
		Text: count(len(rows), "device waits", "devices wait") + " for a certificate of the external CA: " +
			printable(rows[0].Reason) + ".",
	}}, nil
}
