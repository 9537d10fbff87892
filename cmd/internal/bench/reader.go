package bench

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// A readFunc is the server's own way to read from a device.
type readFunc func(context.Context, fleet.ID, lwm2m.Path) ([]lwm2m.Entry, error)

// readings are what became of reading from many devices.
type readings struct {
	Done   int    `json:"done"`
	Failed int    `json:"failed"`
	First  string `json:"first,omitempty"` // error
}

const (
	readers     = 64               // at once
	readTimeout = 15 * time.Second // for a device that is not there
)

// readAll lets the server read one resource of each device of a range.
func (c *controller) readAll(ctx context.Context, argument string) (readings, error) {
	var from, to int
	if _, err := fmt.Sscan(argument, &from, &to); err != nil || c.read == nil {
		return readings{}, fmt.Errorf("%w: read %.40q: %w", errCommand, argument, err)
	}
	var all errgroup.Group
	all.SetLimit(readers)
	var done, failed atomic.Int64
	var first error
	var once sync.Once
	for i := from; i < to; i++ {
		all.Go(func() error {
			limited, cancel := context.WithTimeout(ctx, readTimeout)
			defer cancel()
			_, err := c.read(limited, deviceID(i), paths()[0])
			if err != nil {
				failed.Add(1)
				once.Do(func() { first = fmt.Errorf("device %d: %w", i, err) })
				return nil
			}
			done.Add(1)
			return nil
		})
	}
	_ = all.Wait() // they are counted
	r := readings{Done: int(done.Load()), Failed: int(failed.Load())}
	if first != nil {
		r.First = first.Error()
	}
	return r, ctx.Err()
}
