// Package client is the device's side of LwM2M 1.0 to 1.2: it registers with
// servers, keeps the registrations alive, and answers device management and
// information reporting requests out of a set of Objects.
//
// A Client serves any number of server accounts at a time, one for each coap
// peer. Client.ServeCoAP is the handler of the coap engine; Client.Run sends
// what time brings about: notifications and registration updates.
//
// Bootstrap asks a bootstrap server for accounts. Disable (/1/x/4) is the owner's
// matter. Rights are those of object Access Control (/2), where it is among the
// objects.
//
// Section numbers refer to OMA LwM2M Core 1.2.2.
package client

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// An Engine is what the Client needs of coap.Engine.
type Engine interface {
	// Do sends a request and waits for the response.
	Do(ctx context.Context, p coap.Peer, r *coap.Request) (*coap.Response, error)
	// Notify sends a notification; coap.ErrReset says that nobody wants it.
	Notify(ctx context.Context, p coap.Peer, token []byte, r *coap.Response, confirmable bool) error
}

// Options configure a Client.
type Options struct {
	Endpoint lwm2m.Endpoint // "": left out of Register, for the handshake names the device (1.1 and later)
	Version  lwm2m.Version  // zero: 1.2
	Lifetime time.Duration  // of registrations, whole seconds; zero: 86400 s
	Binding  string         // zero: "U"
	Queue    bool           // queue mode is announced; the client does not sleep by itself

	// Root is the alternate path (§6.2.1) below which all objects stand, without
	// a slash at either end; "": the usual root. Bootstrap does not know it.
	Root string
	// Format is what answers are in when the request has no Accept, and what Send
	// uses if it can hold several values; zero: the best of the version.
	Format uint16

	Objects []Object
	Schema  lwm2m.Schema // nil: types are those that the formats give
	Engine  Engine

	// Unconfirmed sends notifications as NON unless the attribute con says
	// otherwise. Their loss goes unnoticed.
	Unconfirmed bool
	// Retry is how long Run waits after a failed Update or re-registration,
	// doubled each time up to maxRetry; zero: 60 s (resource /1/x/18).
	Retry time.Duration
	// Patience is how long the answer to a Register, Update or De-register may take. A
	// server that acknowledged one and was restarted never answers. Zero: 93 s,
	// MAX_TRANSMIT_WAIT (RFC 7252 §4.8.2).
	Patience time.Duration
	// Consistent judges the configuration at Bootstrap-Finish; an error is
	// answered with 4.06. nil: every one is accepted.
	Consistent func(ctx context.Context) error
	// Failed is told when Run could not refresh a registration, so that the
	// owner can make a new association; nil: it is logged. It must not block.
	Failed func(p coap.Peer, err error)
	Log    *slog.Logger // nil: none
}

// An Account describes one server to the client.
type Account struct {
	Server    uint16        // short server id; 0: none
	Bootstrap bool          // the peer is a bootstrap server
	Lifetime  time.Duration // zero: that of the Options
	MinPeriod time.Duration // default pmin, resource /1/x/2
	MaxPeriod time.Duration // default pmax, resource /1/x/3; zero: none
	Storing   bool          // notifications are kept while the server is away, resource /1/x/6
}

// Limits and defaults.
const (
	defaultLifetime = 86400 * time.Second
	defaultRetry    = time.Minute
	maxRetry        = time.Hour
	objectsDelay    = time.Second // from a new object list to the Update, for instances often come in groups
	maxObservations = 256         // of one account: a server that observes every resource of a usual device needs fewer
	maxAttributed   = 256         // nodes of one account with attributes, for the same reason
)

// A Client is the LwM2M client of one device. It is safe for concurrent use.
type Client struct {
	o       Options
	objects map[uint16]Object
	order   []uint16      // ids of objects, ascending
	wake    chan struct{} // tells Run to look again; holds one

	mu           sync.Mutex
	accounts     map[coap.Peer]*account
	observations map[observationKey]*observation

	settingsChanged bool // LwM2M Server has changed since Run looked
}

// An account is one server and what it has set. Fields are guarded by
// Client.mu, except turn.
type account struct {
	session    Session
	settings   Account
	attributes map[lwm2m.Path]lwm2m.Attributes
	turn       chan struct{} // held by whoever registers, updates or deregisters
	finished   chan struct{} // closed by Bootstrap-Finish; nil without a bootstrap
	away       bool          // notifications are stored until the next Update is answered
	registration
}

// New returns a Client, or ErrOptions.
func New(o Options) (*Client, error) {
	if o.Version == "" {
		o.Version = lwm2m.Version12
	}
	if o.Lifetime == 0 {
		o.Lifetime = defaultLifetime
	}
	if o.Binding == "" {
		o.Binding = "U"
	}
	if o.Retry == 0 {
		o.Retry = defaultRetry
	}
	if o.Patience == 0 {
		o.Patience = maxTransmitWait
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	c := &Client{
		o:            o,
		objects:      make(map[uint16]Object, len(o.Objects)),
		wake:         make(chan struct{}, 1),
		accounts:     map[coap.Peer]*account{},
		observations: map[observationKey]*observation{},
	}
	for _, object := range o.Objects {
		id := object.ID()
		if _, twice := c.objects[id]; twice || id == lwm2m.NoID {
			return nil, fmt.Errorf("%w: object %d twice or reserved", ErrOptions, id)
		}
		c.objects[id] = object
		c.order = append(c.order, id)
	}
	slices.Sort(c.order)
	for _, object := range o.Objects {
		if w, ok := object.(Watcher); ok {
			w.Watch(c.Changed)
		}
	}
	return c, nil
}

func (o Options) check() error {
	if _, err := lwm2m.ParseVersion(string(o.Version)); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if o.Endpoint != "" {
		if _, err := lwm2m.ParseEndpoint(string(o.Endpoint)); err != nil {
			return fmt.Errorf("%w: %w", ErrOptions, err)
		}
	} else if o.Version == lwm2m.Version10 {
		return fmt.Errorf("%w: LwM2M 1.0 needs an endpoint name", ErrOptions)
	}
	if o.Root != "" && slices.Contains(o.root(), "") {
		return fmt.Errorf("%w: alternate path %q", ErrOptions, o.Root)
	}
	if o.Engine == nil || o.Lifetime < time.Second || o.Retry < 0 || o.Patience < 0 {
		return fmt.Errorf("%w: no engine, or a lifetime below a second", ErrOptions)
	}
	return nil
}

// root returns the segments of the alternate path, nil without one.
func (o *Options) root() []string {
	if o.Root == "" {
		return nil
	}
	return strings.Split(o.Root, "/")
}

// target returns the link to the node at p.
func (c *Client) target(p lwm2m.Path) string {
	if c.o.Root == "" {
		return p.String()
	}
	return strings.TrimSuffix("/"+c.o.Root+p.String(), "/")
}

// Attach makes p the association of the server account a. Requests of peers
// without an account are refused (4.01). Register attaches by itself; Attach is
// for accounts whose settings are not all zero. Attaching again changes the
// settings. Where the client has LwM2M Server (/1) with an instance of the
// account's short server id, lifetime and periods there go before the settings.
func (c *Client) Attach(p coap.Peer, a Account) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.attach(p, a)
}

func (c *Client) attach(p coap.Peer, a Account) *account {
	if a.Lifetime == 0 {
		a.Lifetime = c.o.Lifetime
	}
	acc, ok := c.accounts[p]
	if !ok {
		acc = &account{attributes: map[lwm2m.Path]lwm2m.Attributes{}, turn: make(chan struct{}, 1)}
		c.accounts[p] = acc
	}
	acc.settings = a
	acc.session = Session{Identity: p.Identity(), Server: a.Server, Bootstrap: a.Bootstrap, Peer: p}
	return acc
}

// Detach forgets p, its registration and its observations, without telling the
// server: for an association that has ended.
func (c *Client) Detach(p coap.Peer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.accounts, p)
	c.dropObservations(p)
}

// SetLifetime changes the lifetime of the registration at p, for clients without
// LwM2M Server; Run tells the server.
func (c *Client) SetLifetime(p coap.Peer, lifetime time.Duration) {
	c.mu.Lock()
	if acc, ok := c.accounts[p]; ok && lifetime >= time.Second {
		acc.settings.Lifetime = lifetime
		acc.wanted = time.Now()
	}
	c.mu.Unlock()
	c.signal()
}

// RequestUpdate asks Run for an Update now, as a server does by /1/x/8.
func (c *Client) RequestUpdate(p coap.Peer) {
	c.mu.Lock()
	if acc, ok := c.accounts[p]; ok {
		acc.wanted = time.Now()
	}
	c.mu.Unlock()
	c.signal()
}

// session returns the session of p, and whether p has an account.
func (c *Client) session(p coap.Peer) (Session, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	acc, ok := c.accounts[p]
	if !ok {
		return Session{}, false
	}
	return acc.session, true
}

// signal makes Run look again; it never blocks.
func (c *Client) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}
