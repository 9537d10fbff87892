package webtest

import (
	"context"
	"io"

	"steward/web"
)

type backupFile struct{}

// WriteTo implements io.WriterTo.
func (backupFile) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, "backup")
	return int64(n), err
}

// Close implements io.Closer.
func (backupFile) Close() error { return nil }

// Backup implements web.Upkeep.
func (f *Fake) Backup(_ context.Context, by web.Actor) (web.BackupFile, error) {
	return backupFile{}, f.note("Backup", by, "", nil)
}

// Restoration implements web.Upkeep.
func (f *Fake) Restoration(context.Context) (web.Restoration, error) {
	return web.Restoration{Restored: true, At: Noon, TakenAt: Noon, RightsClosed: 2, RightsWaiting: 1}, nil
}

// ListRestoredRights implements web.Upkeep.
func (f *Fake) ListRestoredRights(_ context.Context, p web.Page) (web.List[web.RestoredRight], error) {
	return list(f, p, web.RestoredRight{Factory: "00ff", Endpoint: f.Text})
}

// Reconcile implements web.Upkeep.
func (f *Fake) Reconcile(ctx context.Context, by web.Actor, c web.Reconciliation) (web.Restoration, error) {
	if err := f.note("Reconcile", by, "", c); err != nil {
		return web.Restoration{}, err
	}
	return f.Restoration(ctx)
}

// LogLevel implements web.Upkeep.
func (f *Fake) LogLevel(context.Context) (web.LogLevel, error) {
	return web.LogLevel{Level: "info"}, nil
}

// SetLogLevel implements web.Upkeep.
func (f *Fake) SetLogLevel(_ context.Context, by web.Actor, l web.LogLevel) (web.LogLevel, error) {
	return l, f.note("SetLogLevel", by, "", l)
}
