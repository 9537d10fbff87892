package sim_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/lwm2m"
	"steward/lwm2m/server"
)

// TestFleet runs a few devices in one process; as many as STEWARD_FLEET says where
// somebody wants to know how it scales.
func TestFleet(t *testing.T) {
	t.Parallel()
	size := 10
	if n, err := strconv.Atoi(os.Getenv("STEWARD_FLEET")); err == nil {
		size = n
	}
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	fleet := &sim.Fleet{Options: options(t.TempDir())}
	fleet.Options.Battery = 30 * time.Second
	for i := range size {
		fleet.Bundles = append(fleet.Bundles, f.device(fmt.Sprintf("dev-%d", i), alpha))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	began, before := time.Now(), runtime.NumGoroutine()
	go func() { done <- fleet.Run(ctx) }()
	for range size {
		alpha.await(server.Registered, lwm2m.Path{})
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	t.Logf("%d devices in %v: %d goroutines, %d MiB heap, %d MiB stacks", size, time.Since(began),
		runtime.NumGoroutine()-before, memory.HeapInuse>>20, memory.StackInuse>>20)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestFleetRefusesDevicesOfNobody(t *testing.T) {
	t.Parallel()
	alpha, f := newProvider(t, "alpha"), newFactory(t)
	b := f.device("dev", alpha)
	b.Provider = nil
	fleet := &sim.Fleet{Bundles: []*bundle.Bundle{b}, Options: sim.Options{StateDir: t.TempDir()}}
	if err := fleet.Run(t.Context()); !errors.Is(err, sim.ErrOptions) {
		t.Errorf("Run = %v, want %v", err, sim.ErrOptions)
	}
	if _, err := sim.New(f.device("other", alpha), sim.Options{}); !errors.Is(err, sim.ErrOptions) {
		t.Errorf("New without a directory = %v, want %v", err, sim.ErrOptions)
	}
}
