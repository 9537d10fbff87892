package sim

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"steward/cmd/internal/bundle"
	"steward/lwm2m"
	"steward/objects"
)

// Fleet runs many devices in one process.
type Fleet struct {
	Bundles []*bundle.Bundle
	// Options are those of every device.
	Options Options
	// Starting is how many devices may be on their way to the first registration
	// at once; zero: 32.
	Starting int
	// Stagger is the time between two starts; zero: 5 ms.
	Stagger time.Duration
}

const (
	defaultStarting = 32
	defaultStagger  = 5 * time.Millisecond
	dirMode         = 0o700
)

// Run starts the devices one after the other and lives their lives until ctx
// ends. It returns after the last of them has stopped, with the errors of those
// that could not go on, or ErrOptions before any started.
func (f *Fleet) Run(ctx context.Context) error {
	devices, err := f.devices()
	if err != nil {
		return err
	}
	if f.Starting <= 0 {
		f.Starting = defaultStarting
	}
	if f.Stagger <= 0 {
		f.Stagger = defaultStagger
	}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		failed  []error
	)
	slots := make(chan struct{}, f.Starting)
	for _, d := range devices {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			if err := d.Run(ctx); err != nil {
				mu.Lock()
				failed = append(failed, err)
				mu.Unlock()
			}
		})
		running.Go(func() {
			<-d.Ready()
			<-slots
		})
		wait(ctx, f.Stagger)
	}
	running.Wait()
	return errors.Join(failed...)
}

func (f *Fleet) devices() ([]*Device, error) {
	if err := os.MkdirAll(f.Options.StateDir, dirMode); err != nil {
		return nil, err
	}
	schemas := map[objects.IDs]lwm2m.Schema{}
	devices := make([]*Device, 0, len(f.Bundles))
	for _, b := range f.Bundles {
		ids := b.IDs()
		if schemas[ids] == nil {
			schemas[ids] = Schema(ids)
		}
		d, err := newDevice(b, f.Options, schemas[ids])
		if err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}
