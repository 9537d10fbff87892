package app

import (
	"steward/cmd/internal/sqlite"
	"steward/web/hook"
)

// buildWebhooks makes what tells others by HTTP what happens.
func (a *App) buildWebhooks(seal sqlite.Sealer) (err error) {
	store := a.db.Webhooks(seal)
	a.teller, err = hook.NewRunner(hook.Options{
		Store: store, Events: a.db.Events(), Fresh: a.recorder.Fresh(), Client: hook.Guard{Allow: a.cfg.WebhookNets}.Client(),
		Source: a.eventSource(), Values: a.recorder.KeepValues, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.webhooks = hook.Hooks{Store: store, Events: a.db.Events(), NewID: newULID, Wake: a.teller.Wake}
	return nil
}
