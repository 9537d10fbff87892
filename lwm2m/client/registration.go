package client

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// A registration is what one server knows of the client.
type registration struct {
	location []string  // nil: not registered
	links    string    // the object list that the server has
	lifetime int64     // in seconds, that the server has
	since    time.Time // of the last refresh
	wanted   time.Time // when an Update with news is due; zero: none
	busy     bool      // Run is refreshing it
	failures int       // in a row
	retryAt  time.Time // zero: no failure
}

// Register registers with the server at p (§6.2.1) and replaces a registration
// there. Observations do not survive it. It returns a *CodeError if the server
// refuses, or an error of the engine.
func (c *Client) Register(ctx context.Context, p coap.Peer) error {
	c.mu.Lock()
	acc, known := c.accounts[p]
	if !known {
		// The server may send requests as soon as it has answered.
		acc = c.attach(p, Account{})
	}
	c.mu.Unlock()
	release, err := acc.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	err = c.register(ctx, p, acc)
	if err != nil && !known {
		c.Detach(p)
	}
	return err
}

func (c *Client) register(ctx context.Context, p coap.Peer, acc *account) error {
	links := c.Links()
	c.configure(ctx, acc)
	c.mu.Lock()
	lifetime := seconds(acc.settings.Lifetime)
	acc.location, acc.wanted = nil, time.Time{}
	c.dropObservations(p)
	c.mu.Unlock()
	began := time.Now()
	r, err := c.ask(ctx, p, &coap.Request{
		Method:        coap.POST,
		Path:          []string{"rd"},
		Query:         c.registerQuery(lifetime),
		ContentFormat: coap.FormatID(codec.Link),
		Payload:       []byte(links),
	})
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if err := answered(r, coap.Created); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if len(r.LocationPath) == 0 {
		return fmt.Errorf("register: %w: no location in the answer", ErrNotRegistered)
	}
	c.refreshed(acc, r.LocationPath, links, lifetime, began)
	return nil
}

// ask sends a request to the server at p, and waits for the answer as long as Patience
// says: coap.ErrTimeout after that.
func (c *Client) ask(ctx context.Context, p coap.Peer, r *coap.Request) (*coap.Response, error) {
	limited, cancel := context.WithTimeoutCause(ctx, c.o.Patience, coap.ErrTimeout)
	defer cancel()
	response, err := c.o.Engine.Do(limited, p, r)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = context.Cause(limited)
	}
	return response, err
}

func (c *Client) registerQuery(lifetime int64) []string {
	var q []string
	if c.o.Endpoint != "" {
		q = append(q, "ep="+string(c.o.Endpoint))
	}
	q = append(q, "lt="+strconv.FormatInt(lifetime, 10), "lwm2m="+string(c.o.Version))
	switch {
	case !c.o.Queue:
		return append(q, "b="+c.o.Binding)
	case c.o.Version == lwm2m.Version10: // the queue is part of the binding there
		return append(q, "b="+c.o.Binding+"Q")
	default:
		return append(q, "b="+c.o.Binding, "Q")
	}
}

// Update refreshes the registration at p and tells the server of a new
// lifetime or object list (§6.2.2). It returns ErrNotRegistered if there is no
// registration, here or there; the caller, or Run, then registers anew.
func (c *Client) Update(ctx context.Context, p coap.Peer) error {
	acc, err := c.registered(p)
	if err != nil {
		return err
	}
	release, err := acc.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	return c.update(ctx, p, acc)
}

func (c *Client) update(ctx context.Context, p coap.Peer, acc *account) error {
	links := c.Links()
	c.mu.Lock()
	lifetime := seconds(acc.settings.Lifetime)
	location := acc.location
	acc.wanted = time.Time{}
	r := &coap.Request{Method: coap.POST, Path: location}
	if lifetime != acc.lifetime {
		r.Query = append(r.Query, "lt="+strconv.FormatInt(lifetime, 10))
	}
	if links != acc.links {
		r.ContentFormat, r.Payload = coap.FormatID(codec.Link), []byte(links)
	}
	c.mu.Unlock()
	if location == nil {
		return ErrNotRegistered
	}
	began := time.Now()
	response, err := c.ask(ctx, p, r)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if response.Code == coap.NotFound {
		c.mu.Lock()
		acc.location = nil
		c.mu.Unlock()
		return fmt.Errorf("update: %w", ErrNotRegistered)
	}
	if err := answered(response, coap.Changed); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	c.refreshed(acc, location, links, lifetime, began)
	return nil
}

// refreshed notes what the server now knows.
func (c *Client) refreshed(acc *account, location []string, links string, lifetime int64, at time.Time) {
	c.mu.Lock()
	acc.location, acc.links, acc.lifetime, acc.since = location, links, lifetime, at
	acc.failures, acc.retryAt = 0, time.Time{}
	c.back(acc)
	c.mu.Unlock()
	c.signal()
}

// Deregister ends the registration at p (§6.2.3) and forgets the account,
// whatever the server answers.
func (c *Client) Deregister(ctx context.Context, p coap.Peer) error {
	acc, err := c.registered(p)
	if err != nil {
		return err
	}
	release, err := acc.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	c.mu.Lock()
	location := acc.location
	c.mu.Unlock()
	c.Detach(p)
	r, err := c.ask(ctx, p, &coap.Request{Method: coap.DELETE, Path: location})
	if err != nil {
		return fmt.Errorf("deregister: %w", err)
	}
	return answered(r, coap.Deleted)
}

// Move takes account and registration from an association that has ended to a new
// one with the same server, and reports whether there was a registration. The
// server learns of the new association by the next Update, and observes anew.
func (c *Client) Move(from, to coap.Peer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	acc, ok := c.accounts[from]
	if !ok || acc.location == nil || from == to {
		return false
	}
	delete(c.accounts, from)
	c.dropObservations(from)
	c.accounts[to] = acc
	acc.session.Identity, acc.session.Peer = to.Identity(), to
	acc.failures, acc.retryAt = 0, time.Time{}
	return true
}

// Location returns the Location-Path of the registration at p, nil without one.
func (c *Client) Location(p coap.Peer) []string {
	acc, err := c.registered(p)
	if err != nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return acc.location
}

func (c *Client) registered(p coap.Peer) (*account, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	acc, ok := c.accounts[p]
	if !ok || acc.location == nil {
		return nil, ErrNotRegistered
	}
	return acc, nil
}

// acquire waits until no other registration operation is under way at the
// account.
func (a *account) acquire(ctx context.Context) (release func(), err error) {
	select {
	case a.turn <- struct{}{}:
		return func() { <-a.turn }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// refresh is Update, and Register if the server has lost the registration.
func (c *Client) refresh(ctx context.Context, p coap.Peer, acc *account) error {
	release, err := acc.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	err = c.update(ctx, p, acc)
	if errors.Is(err, ErrNotRegistered) {
		return c.register(ctx, p, acc)
	}
	return err
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
