package coordinator

import (
	"context"
	"sync"

	"steward/lwm2m/fleet"
)

// An openWork says which devices have rows that have not ended, or that have
// something pending: what any other device does is none of a coordinator's
// business, and must not cost it a query. It may name a device too many, never one
// too few.
type openWork struct {
	mu    sync.Mutex
	known bool // false until all is loaded: till then each device may have rows
	rows  map[fleet.ID]map[string]int64
	// rows holds, below a device, the keys of its rows with the version of each.
}

// open reports whether the row is one that the device's own doings may move.
func (r Row) open() bool { return !r.Ended() || len(r.Pending) > 0 }

// has reports whether the device may have open rows.
func (w *openWork) has(device fleet.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.known || w.rows[device] != nil
}

// add notes a row as of a version.
func (w *openWork) add(device fleet.ID, key string, version int64) {
	if device == "" {
		return // known by its factory certificate alone: it cannot register
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.rows == nil {
		w.rows = map[fleet.ID]map[string]int64{}
	}
	if w.rows[device] == nil {
		w.rows[device] = map[string]int64{}
	}
	w.rows[device][key] = max(version, w.rows[device][key])
}

// remove takes a row out, unless a later version of it is known.
func (w *openWork) remove(device fleet.ID, key string, version int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if known, ok := w.rows[device][key]; !ok || known > version {
		return
	}
	delete(w.rows[device], key)
	if len(w.rows[device]) == 0 {
		delete(w.rows, device)
	}
}

// announced notes the rows that a change opens, before it is stored: whatever the
// device does from then on counts.
func (w *openWork) announced(rows []Row) {
	for _, r := range rows {
		if r.open() {
			w.add(r.Device, rowKey(r.Transfer, r.Short), r.Version+1)
		}
	}
}

// settled takes the rows out that a change has closed, after it was stored.
func (w *openWork) settled(rows []Row) {
	for _, r := range rows {
		if !r.open() {
			w.remove(r.Device, rowKey(r.Transfer, r.Short), r.Version+1)
		}
	}
}

// load reads what is open. Until it succeeds every device counts as one that has
// something to do.
func (w *openWork) load(ctx context.Context, store Open) error {
	err := store.EachOpenRow(ctx, func(r Row) { w.add(r.Device, rowKey(r.Transfer, r.Short), r.Version) })
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.known = true
	return nil
}
