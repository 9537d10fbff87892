package client

import (
	"context"
	"time"

	"steward/lwm2m"
)

// What the client itself does with LwM2M Server (Core 1.2.2 §E.2), if it is
// among the objects.
const (
	serverObject  = 1
	shortServer   = 0
	lifetimeID    = 1
	minPeriodID   = 2
	maxPeriodID   = 3
	storing       = 6
	updateTrigger = 8
	muteSend      = 23
)

// serverValues returns the values of the server's own instance of LwM2M Server
// by resource id, nil without one.
func (c *Client) serverValues(ctx context.Context, s Session) map[uint16]lwm2m.Value {
	o, ok := c.objects[serverObject]
	if !ok || s.Server == 0 {
		return nil
	}
	entries, err := o.Read(ctx, s, lwm2m.NewPath(serverObject))
	if err != nil {
		return nil
	}
	instances := map[uint16]map[uint16]lwm2m.Value{}
	for _, e := range entries {
		if e.Path.Len() != 3 {
			continue
		}
		i := e.Path.ID(1)
		if instances[i] == nil {
			instances[i] = map[uint16]lwm2m.Value{}
		}
		instances[i][e.Path.ID(2)] = e.Value
	}
	for _, values := range instances {
		if id, ok := values[shortServer].Uint(); ok && id == uint64(s.Server) {
			return values
		}
	}
	return nil
}

// configure takes lifetime, pmin and pmax of the account from LwM2M Server,
// where the server may have written them. What is not there stays as attached.
func (c *Client) configure(ctx context.Context, acc *account) {
	c.mu.Lock()
	session := acc.session
	c.mu.Unlock()
	values := c.serverValues(ctx, session)
	if values == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	take := func(to *time.Duration, id uint16, least int64) {
		if n, ok := values[id].Int(); ok && n >= least && n <= maxPeriod {
			*to = time.Duration(n) * time.Second
		}
	}
	take(&acc.settings.Lifetime, lifetimeID, 1)
	take(&acc.settings.MinPeriod, minPeriodID, 0)
	take(&acc.settings.MaxPeriod, maxPeriodID, 0)
	if keep, ok := values[storing].Bool(); ok {
		acc.settings.Storing = keep
	}
	if acc.location != nil && seconds(acc.settings.Lifetime) != acc.lifetime {
		acc.wanted = time.Now()
	}
}

// maxPeriod is the longest period in seconds that is taken over: 136 years,
// well within a time.Duration.
const maxPeriod = 1 << 32

// reconfigure configures all accounts after LwM2M Server has changed.
func (c *Client) reconfigure(ctx context.Context) {
	c.mu.Lock()
	var all []*account
	if c.settingsChanged {
		for _, acc := range c.accounts {
			all = append(all, acc)
		}
	}
	c.settingsChanged = false
	c.mu.Unlock()
	for _, acc := range all {
		c.configure(ctx, acc)
	}
}

// muted reports whether the server's instance of LwM2M Server says so: by true,
// or by not having the resource. Without an instance nobody has muted anything.
func (c *Client) muted(ctx context.Context, s Session) bool {
	values := c.serverValues(ctx, s)
	if values == nil {
		return false
	}
	mute, known := values[muteSend].Bool()
	return mute || !known
}
