package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"steward/lwm2m/fleet"
	"steward/transfer"
)

// A key names what a worker takes in hand: "t/<transfer>", "r/<transfer>/<short>",
// or, among what something happened to, "d/<device>" and "f/<factory>".
const (
	keyTransfer = "t/"
	keyRow      = "r/"
	keyDevice   = "d/"
	keyFactory  = "f/"
)

const dueBatch = 256 // transfers and rows read at a time

func rowKey(id, short string) string { return keyRow + id + "/" + short }

// Wake tells that a device registered or notified. It does not block, and costs a
// look at a map where the device is in no transfer.
func (c *Coordinator) Wake(device fleet.ID) {
	if c.work.has(device) {
		c.poked(keyDevice + string(device))
	}
}

// Registered tells that a device registered here. It does not block.
func (c *Coordinator) Registered(device fleet.ID) { c.Wake(device) }

// Enrolled tells that our CA issued a certificate under the right of a device. It
// does not block.
func (c *Coordinator) Enrolled(factory fleet.Factory) { c.poked(keyFactory + string(factory[:])) }

// FactoryContact tells that a device asked for a certificate over an association
// with its factory certificate and got none. At the former provider it may be on
// its way back, and its receipt is read over that association; at the new one,
// spki, the hash of the key in its request, proves that it has committed. Zero
// means that the key is not known. It does not block.
func (c *Coordinator) FactoryContact(factory fleet.Factory, spki transfer.Hash) {
	c.mu.Lock()
	c.calls[factory] = spki
	c.mu.Unlock()
	c.poked(keyFactory + string(factory[:]))
}

// contacted returns, once, the key with which a device asked.
func (c *Coordinator) contacted(factory fleet.Factory) (spki transfer.Hash, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	spki, ok = c.calls[factory]
	delete(c.calls, factory)
	return spki, ok
}

// poked notes that something happened to what key names.
func (c *Coordinator) poked(key string) {
	c.mu.Lock()
	c.poke[key] = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run serves what is due until ctx ends and returns after its last goroutine.
func (c *Coordinator) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, c.o.Workers)
	tick := time.NewTicker(c.o.Poll / 2)
	defer tick.Stop()
	c.logged(ctx, "open devices", c.work.load(ctx, c.o.Store))
	c.resume(ctx)
	for {
		for key, woken := range c.due(ctx) {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				c.release(key)
				continue
			}
			wg.Go(func() {
				defer func() { <-slots }()
				c.serve(ctx, key, woken)
			})
		}
		select {
		case <-tick.C:
		case <-c.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// resume wakes the transfers that have not ended, whatever the process before was
// doing with them.
func (c *Coordinator) resume(ctx context.Context) {
	before := ""
	for {
		page, err := c.o.Store.ListTransfers(ctx, before, dueBatch)
		if err != nil {
			c.logged(ctx, "unfinished transfers", err)
			return
		}
		for _, t := range page {
			before = t.ID
			if !t.Over() || len(t.Pending) > 0 {
				c.poked(keyTransfer + t.ID)
			}
		}
		if len(page) < dueBatch {
			return
		}
	}
}

// due returns the keys to be served and marks them as in hand. The value says
// whether something happened to it, or only its time has come.
func (c *Coordinator) due(ctx context.Context) map[string]bool {
	keys := map[string]bool{}
	now := time.Now()
	transfers, err := c.o.Store.DueTransfers(ctx, now, dueBatch)
	c.logged(ctx, "due transfers", err)
	for _, t := range transfers {
		keys[keyTransfer+t.ID] = false
	}
	rows, err := c.o.Store.DueRows(ctx, now, dueBatch)
	c.logged(ctx, "due devices", err)
	for _, r := range rows {
		keys[rowKey(r.Transfer, r.Short)] = false
	}
	for _, key := range c.takePokes() {
		for _, k := range c.resolve(ctx, key) {
			keys[k] = true
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, woken := range keys {
		if c.busy[key] {
			if woken {
				c.poke[key] = true // look again when the present worker is done
			}
			delete(keys, key)
			continue
		}
		c.busy[key] = true
	}
	return keys
}

// takePokes returns what something happened to and is not in hand.
func (c *Coordinator) takePokes() (out []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.poke {
		if !c.busy[key] {
			delete(c.poke, key)
			out = append(out, key)
		}
	}
	return out
}

// resolve returns the keys of the rows of a device.
func (c *Coordinator) resolve(ctx context.Context, key string) (out []string) {
	var factory fleet.Factory
	switch {
	case strings.HasPrefix(key, keyDevice):
		d, err := c.o.Fleet.Device(ctx, fleet.ID(key[len(keyDevice):]))
		if err != nil || d.Factory == (fleet.Factory{}) {
			return nil // not a device that can be in a transfer
		}
		factory = d.Factory
	case strings.HasPrefix(key, keyFactory):
		copy(factory[:], key[len(keyFactory):])
	default:
		return []string{key}
	}
	rows, err := c.o.Store.OpenRows(ctx, factory)
	c.logged(ctx, "transfers of a device", err)
	for _, r := range rows {
		out = append(out, rowKey(r.Transfer, r.Short))
	}
	return out
}

// serve takes a transfer or row as far as it goes without waiting.
func (c *Coordinator) serve(ctx context.Context, key string, woken bool) {
	defer c.release(key)
	id, short, isRow := strings.Cut(key[len(keyRow):], "/")
	for ctx.Err() == nil {
		t, err := c.o.Store.Transfer(ctx, id)
		if err != nil {
			c.logged(ctx, "transfer", err)
			return
		}
		if !isRow {
			if !c.stepTransfer(ctx, t) {
				return
			}
			continue
		}
		r, err := c.o.Store.Row(ctx, id, short)
		if err != nil {
			c.logged(ctx, "device of a transfer", err)
			return
		}
		if !c.stepRow(ctx, t, r, woken) {
			return
		}
		woken = false
	}
}

// release gives a key back.
func (c *Coordinator) release(key string) {
	c.mu.Lock()
	delete(c.busy, key)
	again := c.poke[key]
	c.mu.Unlock()
	if again {
		c.poked(key)
	}
}

// settle serves a row at once, before a partner is answered, if nobody has it in
// hand.
func (c *Coordinator) settle(ctx context.Context, key string) {
	c.mu.Lock()
	taken := c.busy[key]
	c.busy[key] = true
	c.mu.Unlock()
	if taken {
		c.poked(key)
		return
	}
	c.serve(ctx, key, false)
}

// commit stores ch and tells who wants to know.
func (c *Coordinator) commit(ctx context.Context, ch Change) error {
	now := time.Now()
	if ch.Transfer != nil {
		ch.Transfer.UpdatedAt = now
	}
	for i := range ch.Rows {
		ch.Rows[i].UpdatedAt = now
	}
	c.work.announced(ch.Rows)
	if err := c.o.Store.Commit(ctx, ch); err != nil {
		return err
	}
	c.work.settled(ch.Rows)
	if t := ch.Transfer; t != nil {
		c.o.Changed(Event{Transfer: t.ID, State: string(t.State)})
	}
	moved := map[string]bool{}
	for _, r := range ch.Rows {
		c.o.Changed(Event{
			Transfer: r.Transfer, Short: r.Short, Device: r.Device, Incoming: r.Incoming, State: string(r.State),
		})
		moved[r.Transfer] = true
	}
	for _, a := range ch.Audit {
		c.o.Log.LogAttrs(ctx, slog.LevelInfo, "transfer", slog.String("action", a.Action),
			slog.String("subject", a.Subject), slog.String("before", a.Before), slog.String("after", a.After),
			slog.String("reason", a.Reason))
	}
	if len(ch.Audit) > 0 {
		for id := range moved {
			c.poked(keyTransfer + id)
		}
	}
	return nil
}

// proceed says whether a step is followed by another. Who was slower than a
// partner's call, or an operator, looks again.
func (c *Coordinator) proceed(ctx context.Context, err error, key string, more bool) bool {
	if errors.Is(err, ErrConflict) {
		c.poked(key)
		return false
	}
	c.logged(ctx, "storing a step", err)
	return err == nil && more
}

func (c *Coordinator) logged(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		c.o.Log.LogAttrs(ctx, slog.LevelError, "transfers", slog.String("at", what), slog.Any("error", err))
	}
}

// isRefusal reports whether an error is an answer, rather than silence.
func isRefusal(err error) bool {
	return errors.Is(err, ErrRefused) || errors.Is(err, ErrDeclined) || errors.Is(err, ErrEvidence)
}
