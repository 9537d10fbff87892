package app

import (
	"context"
	"log/slog"

	"steward/cmd/internal/services"
	"steward/lwm2m/audit"
	"steward/web"
)

// upkeep implements web.Upkeep.
type upkeep struct {
	services.Reconciler

	a *App
}

func (a *App) upkeep() upkeep {
	return upkeep{services.Reconciler{DB: a.db, CA: a.pki.ca, Now: a.now}, a}
}

// Backup implements web.Upkeep.
func (u upkeep) Backup(ctx context.Context, by web.Actor) (web.BackupFile, error) {
	return u.a.Backup(ctx, by)
}

// LogLevel implements web.Upkeep.
func (u upkeep) LogLevel(context.Context) (web.LogLevel, error) {
	if u.a.cfg.LogLevel == nil {
		return web.LogLevel{}, web.ErrNotBuilt
	}
	return web.LogLevel{Level: levelName(u.a.cfg.LogLevel.Level())}, nil
}

// SetLogLevel implements web.Upkeep.
func (u upkeep) SetLogLevel(ctx context.Context, by web.Actor, l web.LogLevel) (web.LogLevel, error) {
	level := u.a.cfg.LogLevel
	if level == nil {
		return web.LogLevel{}, web.ErrNotBuilt
	}
	to, ok := logLevels[l.Level]
	if !ok {
		return web.LogLevel{}, web.Invalid("level", "debug, info, warn or error")
	}
	before := levelName(level.Level())
	err := u.a.db.Audit(ctx, audit.Row{
		Actor: by.String(), Action: "provider.log_level", Subject: "provider", Before: before, After: l.Level, At: u.a.now(),
	})
	if err != nil {
		return web.LogLevel{}, err
	}
	level.Set(to)
	return l, nil
}

// logLevels are what can be asked for.
var logLevels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError,
}

// levelName returns the name of the level that logs as much as l.
func levelName(l slog.Level) string {
	for _, name := range []string{"debug", "info", "warn"} {
		if l <= logLevels[name] {
			return name
		}
	}
	return "error"
}
