package webtest

import (
	"context"

	"steward/web"
)

// ChangeTags implements web.Devices.
func (f *Fake) ChangeTags(_ context.Context, by web.Actor, id string, c web.TagChange) (web.Device, error) {
	return f.device(), f.note("ChangeTags", by, id, c)
}

// EraseDevice implements web.Devices.
func (f *Fake) EraseDevice(_ context.Context, by web.Actor, id, endpoint, why string) error {
	return f.note("EraseDevice", by, id, endpoint+": "+why)
}

// RetireDevice implements web.Devices.
func (f *Fake) RetireDevice(_ context.Context, by web.Actor, id string, r web.Retirement) (web.Device, error) {
	return f.device(), f.note("RetireDevice", by, id, r)
}

func (f *Fake) bulk() web.Bulk {
	return web.Bulk{
		ID: ID, Action: web.BulkTag, What: f.Text, Reason: f.Text, By: f.Text, State: "running", Level: web.LevelActive,
		Total: 5, Done: 2, Failed: 1, CreatedAt: Noon, EndedAt: Noon,
	}
}

// PreviewBulk implements web.Bulks.
func (f *Fake) PreviewBulk(_ context.Context, _ web.Actor, b web.NewBulk) (web.BulkPreview, error) {
	if f.Err != nil {
		return web.BulkPreview{}, f.Err
	}
	n := len(b.Devices)
	if n == 0 {
		n = listSize
	}
	return web.BulkPreview{
		Total: n, States: web.Counts{"online": n}, First: []web.Device{f.device()}, What: f.Text,
	}, nil
}

// StartBulk implements web.Bulks.
func (f *Fake) StartBulk(_ context.Context, by web.Actor, b web.NewBulk) (web.Bulk, error) {
	return f.bulk(), f.note("StartBulk", by, "", b)
}

// DecideBulk implements web.Bulks.
func (f *Fake) DecideBulk(_ context.Context, by web.Actor, id string, d web.BulkDecision) (web.Bulk, error) {
	return f.bulk(), f.note("DecideBulk", by, id, d)
}

// ListBulks implements web.Bulks.
func (f *Fake) ListBulks(_ context.Context, p web.Page) (web.List[web.Bulk], error) {
	return list(f, p, f.bulk())
}

// Bulk implements web.Bulks.
func (f *Fake) Bulk(_ context.Context, id string) (web.Bulk, error) { return f.bulk(), f.known(id) }

// BulkResults implements web.Bulks.
func (f *Fake) BulkResults(
	_ context.Context, id string, _ web.BulkFilter, p web.Page,
) (web.List[web.BulkResult], error) {
	if err := f.known(id); err != nil {
		return web.List[web.BulkResult]{}, err
	}
	return list(f, p, web.BulkResult{
		Device: ID, Endpoint: f.Text, State: "failed", Detail: f.Text, Operation: f.Text, Progress: f.Text,
	})
}

func (f *Fake) view() web.SavedView {
	return web.SavedView{
		ID: ID, Name: f.Text, Query: "tag=x&columns=model", Shared: true, CreatedAt: Noon, CreatedBy: f.Text,
	}
}

// Views implements web.Views.
func (f *Fake) Views(context.Context, web.Actor) ([]web.SavedView, error) {
	if f.Empty {
		return nil, nil
	}
	return []web.SavedView{f.view()}, nil
}

// PutView implements web.Views.
func (f *Fake) PutView(_ context.Context, by web.Actor, v web.SavedView) (web.SavedView, error) {
	return f.view(), f.note("PutView", by, "", v)
}

// RemoveView implements web.Views.
func (f *Fake) RemoveView(_ context.Context, by web.Actor, id string) error {
	return f.note("RemoveView", by, id, nil)
}
