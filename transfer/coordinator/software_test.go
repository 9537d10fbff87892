package coordinator_test

import (
	"context"
	"slices"
	"sync"

	"steward/lwm2m/fleet"
	"steward/transfer"
)

// software is what devices run, and what their providers know of that.
type software struct {
	mu    sync.Mutex
	runs  map[string][]transfer.Installed // by endpoint; absent: the world's
	known map[string][]transfer.Installed
}

// later is what devices run after an update.
func later() []transfer.Installed {
	return []transfer.Installed{{
		Digest: transfer.NewCertHash(transfer.HashOf([]byte("later manifest"))), Sequence: 3,
	}}
}

// updates says what a device runs from now on; known, that its provider knows.
func (w *world) updates(d *device, runs []transfer.Installed, known bool) {
	w.software.mu.Lock()
	defer w.software.mu.Unlock()
	w.software.runs[d.Endpoint] = runs
	if known {
		w.software.known[d.Endpoint] = runs
	}
}

// updated lets the devices run something else than before.
func (w *world) updated() {
	for _, d := range w.devices {
		w.updates(d, later(), true)
	}
}

// runs returns what a device runs; known, what its provider knows of that.
func (w *world) runs(endpoint string, known bool) []transfer.Installed {
	w.software.mu.Lock()
	defer w.software.mu.Unlock()
	of := w.software.runs
	if known {
		of = w.software.known
	}
	if i, ok := of[endpoint]; ok {
		return slices.Clone(i)
	}
	return w.installed
}

// manifests is the Manifests of both providers.
func (p *provider) manifests(_ context.Context, id fleet.ID) (out []transfer.ManifestRef, _ error) {
	for _, d := range p.world.devices {
		if d.id(p) != id {
			continue
		}
		for _, i := range p.world.runs(d.Endpoint, true) {
			out = append(out, transfer.ManifestRef{Digest: i.Digest, Sequence: i.Sequence})
		}
	}
	return out, nil
}
