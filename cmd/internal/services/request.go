package services

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"steward/est"
	"steward/web"
)

// certificateRequests implements web.CertificateRequests.
type certificateRequests struct{ *base }

// ListCertificateRequests implements web.CertificateRequests. Its cursors are ids.
func (s *certificateRequests) ListCertificateRequests(
	ctx context.Context, state string, p web.Page,
) (web.List[web.CertificateRequest], error) {
	known := []est.ApprovalState{
		"", est.ApprovalWaiting, est.ApprovalApproved, est.ApprovalRefused, est.ApprovalUsed,
	}
	if !slices.Contains(known, est.ApprovalState(state)) {
		return web.List[web.CertificateRequest]{}, web.Invalid("state", "waiting, approved, refused or used")
	}
	var after est.Hash
	if p.After != "" {
		var err error
		if after, err = readHash(p.After); err != nil {
			return web.List[web.CertificateRequest]{}, web.Invalid("page_token", "not one of ours")
		}
	}
	rows, err := s.CA.Approvals(ctx, est.ApprovalState(state), after, limit(p))
	if err != nil {
		return web.List[web.CertificateRequest]{}, translate(err)
	}
	return paged(p, rows, func(a est.Approval) string { return hex.EncodeToString(a.Client[:]) },
		func(a est.Approval) (web.CertificateRequest, error) { return showApproval(a), nil })
}

func showApproval(a est.Approval) web.CertificateRequest {
	out := web.CertificateRequest{
		ID: hex.EncodeToString(a.Client[:]), Request: hex.EncodeToString(a.CSR[:]), Name: a.Endpoint, Profile: a.Profile,
		State: string(a.State), AskedAt: a.AskedAt, DecidedAt: a.DecidedAt, By: a.By, Reason: printable(a.Why),
	}
	if a.SPKI != (est.Hash{}) {
		out.SPKI = hex.EncodeToString(a.SPKI[:])
	}
	return out
}

var errHash = errors.New("no SHA-256 in hex")

func readHash(text string) (out est.Hash, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(out) {
		return out, errHash
	}
	return est.Hash(b), nil
}

// DecideCertificateRequest implements web.CertificateRequests.
func (s *certificateRequests) DecideCertificateRequest(
	ctx context.Context, by web.Actor, id string, d web.RequestDecision,
) (web.CertificateRequest, error) {
	if d.Action != web.RequestApprove && d.Action != web.RequestRefuse {
		return web.CertificateRequest{}, web.Invalid("action", "approve or refuse")
	}
	client, err := readHash(id)
	if err != nil {
		return web.CertificateRequest{}, notFound("request", id)
	}
	csr, err := readHash(d.Request)
	if err != nil {
		return web.CertificateRequest{}, web.Invalid("request", "the hex SHA-256 of the request that is decided about")
	}
	if err := checkText("reason", d.Reason, maxReason); err != nil {
		return web.CertificateRequest{}, err
	}
	ca := s.CA.As(by.String())
	decide := ca.Approve
	if d.Action == web.RequestRefuse {
		decide = ca.Refuse
	}
	a, err := decide(ctx, client, csr, d.Reason)
	if errors.Is(err, est.ErrUnknown) {
		return web.CertificateRequest{}, notFound("request", d.Request)
	}
	if err != nil {
		return web.CertificateRequest{}, translate(err)
	}
	return showApproval(a), nil
}

// requestNotices tells of requests that wait for people.
func (s *overviews) requestNotices(ctx context.Context) ([]web.Notice, error) {
	rows, err := s.CA.Approvals(ctx, est.ApprovalWaiting, est.Hash{}, est.MaxPage)
	if err != nil || len(rows) == 0 {
		return nil, translate(err)
	}
	return []web.Notice{{
		Level: web.LevelWarning, Link: "/requests",
		Text: count(len(rows), "device waits", "devices wait") + " for the approval of a certificate.",
	}}, nil
}
