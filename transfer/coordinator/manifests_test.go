package coordinator_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// TestManifestsSurviveAHandOver checks that the next provider is told what devices
// run, under their ids there.
func TestManifestsSurviveAHandOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		var mu sync.Mutex
		brought := map[fleet.ID][]transfer.ManifestRef{}
		w.beta.change = func(o *coordinator.Options) {
			o.Brought = func(_ context.Context, id fleet.ID, refs []transfer.ManifestRef, actor string) error {
				mu.Lock()
				defer mu.Unlock()
				if actor != "peer:Alpha" {
					t.Errorf("told by %s", actor)
				}
				brought[id] = refs
				return nil
			}
		}
		w.beta.open(t)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(5 * time.Minute)
		w.moved(t, id)
		rows, err := w.beta.store.ListRows(t.Context(), id, "", 100)
		check(t, err)
		mu.Lock()
		defer mu.Unlock()
		for _, r := range rows {
			refs := brought[r.Device]
			if len(refs) != len(w.installed) || refs[0].Sequence != w.installed[0].Sequence ||
				!bytes.Equal(refs[0].Digest.Value, w.installed[0].Digest.Value) {
				t.Errorf("%s came with %+v, want %+v", r.Endpoint, refs, w.installed)
			}
		}
	})
}
