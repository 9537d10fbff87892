package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) upstream() web.UpstreamRequest {
	return web.UpstreamRequest{
		ID: ID, Name: f.Text, State: "waiting", SPKI: f.Text, Tries: 2, NextAt: Noon, Reason: f.Text, CreatedAt: Noon,
		ChangedAt: Noon,
	}
}

// ListUpstream implements web.UpstreamRequests.
func (f *Fake) ListUpstream(_ context.Context, _ string, p web.Page) (web.List[web.UpstreamRequest], error) {
	return list(f, p, f.upstream())
}

// UpstreamRequest implements web.UpstreamRequests.
func (f *Fake) UpstreamRequest(_ context.Context, id string) (web.UpstreamRequestDetail, error) {
	return web.UpstreamRequestDetail{UpstreamRequest: f.upstream(), Request: f.Text, Answer: f.Text}, f.known(id)
}

// ImportUpstream implements web.UpstreamRequests.
func (f *Fake) ImportUpstream(_ context.Context, by web.Actor, id, pem string) (web.UpstreamRequest, error) {
	return f.upstream(), f.note("ImportUpstream", by, id, pem)
}

// DecideUpstream implements web.UpstreamRequests.
func (f *Fake) DecideUpstream(
	_ context.Context, by web.Actor, id string, d web.UpstreamDecision,
) (web.UpstreamRequest, error) {
	return f.upstream(), f.note("DecideUpstream", by, id, d)
}
