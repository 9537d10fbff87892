package scope

import (
	"context"

	"steward/lwm2m/audit"
	"steward/web"
)

// bulks passes on what is to be done: that goes by services which are bounded
// themselves.
type bulks struct{ *bounds }

// PreviewBulk implements web.Bulks.
func (s bulks) PreviewBulk(ctx context.Context, by web.Actor, b web.NewBulk) (web.BulkPreview, error) {
	if err := signedIn(ctx); err != nil {
		return web.BulkPreview{}, err
	}
	return s.Bulks.PreviewBulk(ctx, by, b)
}

// StartBulk implements web.Bulks.
func (s bulks) StartBulk(ctx context.Context, by web.Actor, b web.NewBulk) (web.Bulk, error) {
	if err := signedIn(ctx); err != nil {
		return web.Bulk{}, err
	}
	return s.Bulks.StartBulk(ctx, by, b)
}

// DecideBulk implements web.Bulks. It reaches devices that who asked sees: those
// decide who see all, and who asked takes it back.
func (s bulks) DecideBulk(ctx context.Context, by web.Actor, id string, d web.BulkDecision) (web.Bulk, error) {
	if _, err := s.Bulk(ctx, id); err != nil {
		return web.Bulk{}, err
	}
	return s.Bulks.DecideBulk(ctx, by, id, d)
}

// own reports whether the actor began b.
func own(ctx context.Context, b web.Bulk) bool {
	return audit.SamePerson(b.By, web.ActorFrom(ctx).String())
}

// ListBulks implements web.Bulks: those who do not see all devices see their own.
func (s bulks) ListBulks(ctx context.Context, p web.Page) (web.List[web.Bulk], error) {
	return sift(ctx, p, func(p web.Page) (web.List[web.Bulk], error) {
		return s.Bulks.ListBulks(ctx, p)
	}, func(b web.Bulk) (bool, error) { return own(ctx, b), nil })
}

// Bulk implements web.Bulks.
func (s bulks) Bulk(ctx context.Context, id string) (web.Bulk, error) {
	if err := signedIn(ctx); err != nil {
		return web.Bulk{}, err
	}
	b, err := s.Bulks.Bulk(ctx, id)
	if err == nil && !web.ActorFrom(ctx).Scope.All() && !own(ctx, b) {
		return web.Bulk{}, web.NotFound("bulk action", id)
	}
	return b, err
}

// BulkResults implements web.Bulks.
func (s bulks) BulkResults(
	ctx context.Context, id string, f web.BulkFilter, p web.Page,
) (web.List[web.BulkResult], error) {
	if _, err := s.Bulk(ctx, id); err != nil {
		return web.List[web.BulkResult]{}, err
	}
	return s.Bulks.BulkResults(ctx, id, f, p)
}

type views struct{ *bounds }

// Views implements web.Views: a view is a question, not its answer.
func (s views) Views(ctx context.Context, of web.Actor) ([]web.SavedView, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.bounds.Views.Views(ctx, of)
}

// PutView implements web.Views. Those that everybody sees are kept by who sees all.
func (s views) PutView(ctx context.Context, by web.Actor, v web.SavedView) (web.SavedView, error) {
	if err := signedIn(ctx); err != nil {
		return web.SavedView{}, err
	}
	if v.Shared {
		if err := all(ctx); err != nil {
			return web.SavedView{}, err
		}
	}
	return s.bounds.Views.PutView(ctx, by, v)
}

// RemoveView implements web.Views.
func (s views) RemoveView(ctx context.Context, by web.Actor, id string) error {
	actor := web.ActorFrom(ctx)
	if err := signedIn(ctx); err != nil || actor.Scope.All() {
		if err != nil {
			return err
		}
		return s.bounds.Views.RemoveView(ctx, by, id)
	}
	found, err := s.bounds.Views.Views(ctx, actor)
	if err != nil {
		return err
	}
	for _, v := range found {
		if v.ID == id && v.Shared {
			return errBeyond
		}
	}
	return s.bounds.Views.RemoveView(ctx, by, id)
}

type upkeep struct{ *bounds }

// Backup implements web.Upkeep.
func (s upkeep) Backup(ctx context.Context, by web.Actor) (web.BackupFile, error) {
	if err := all(ctx); err != nil {
		return nil, err
	}
	return s.Upkeep.Backup(ctx, by)
}

// Restoration implements web.Upkeep.
func (s upkeep) Restoration(ctx context.Context) (web.Restoration, error) {
	if err := all(ctx); err != nil {
		return web.Restoration{}, err
	}
	return s.Upkeep.Restoration(ctx)
}

// ListRestoredRights implements web.Upkeep.
func (s upkeep) ListRestoredRights(ctx context.Context, p web.Page) (web.List[web.RestoredRight], error) {
	if err := all(ctx); err != nil {
		return web.List[web.RestoredRight]{}, err
	}
	return s.Upkeep.ListRestoredRights(ctx, p)
}

// Reconcile implements web.Upkeep.
func (s upkeep) Reconcile(ctx context.Context, by web.Actor, c web.Reconciliation) (web.Restoration, error) {
	if err := all(ctx); err != nil {
		return web.Restoration{}, err
	}
	return s.Upkeep.Reconcile(ctx, by, c)
}

// LogLevel implements web.Upkeep.
func (s upkeep) LogLevel(ctx context.Context) (web.LogLevel, error) {
	if err := all(ctx); err != nil {
		return web.LogLevel{}, err
	}
	return s.Upkeep.LogLevel(ctx)
}

// SetLogLevel implements web.Upkeep.
func (s upkeep) SetLogLevel(ctx context.Context, by web.Actor, l web.LogLevel) (web.LogLevel, error) {
	if err := all(ctx); err != nil {
		return web.LogLevel{}, err
	}
	return s.Upkeep.SetLogLevel(ctx, by, l)
}
