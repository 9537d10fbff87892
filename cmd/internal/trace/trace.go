// Package trace records the CoAP messages of chosen devices for a while, with
// secrets blotted out before anything is kept. While nobody is traced it costs one
// load of an atomic number for each datagram.
package trace

import (
	"bytes"
	"cmp"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

// ErrFull reports that too many devices are traced.
var ErrFull = errors.New("too many devices are traced at once")

// Bounds of what is kept.
const (
	maxTraces   = 16        // devices, with those whose trace is over but kept
	maxItems    = 2000      // messages of a device; the oldest go first
	maxBytes    = 1 << 20   // of all datagrams of a device
	maxTokens   = 256       // requests of a device whose answers are waited for
	DefaultKeep = time.Hour // how long a trace that is over can be looked at
	MaxDuration = time.Hour // of one trace
	maxClaims   = 64        // peers that say that they are the device
	perSecond   = 20        // items that are published a second
)

// Options are what a Recorder needs.
type Options struct {
	// Device returns whose association a peer is, if it is registered.
	Device func(coap.Peer) (fleet.ID, bool)
	// Schema tells which resources are secret. Nil: Security and OSCORE are.
	Schema lwm2m.Schema
	// Published is called with some of the items, perSecond at most. Nil: nobody is
	// told.
	Published func(fleet.ID, Item)
	Now       func() time.Time // required
	Keep      time.Duration    // how long a trace that is over can be looked at; 0: DefaultKeep
}

// A Recorder records messages. It is safe for concurrent use.
type Recorder struct {
	o  Options
	on atomic.Int32 // traces that run

	mu     sync.Mutex // guards the rest
	traces map[fleet.ID]*tracing
	told   int // items published in this second
	since  time.Time
}

// New returns a Recorder that records nothing yet.
func New(o Options) *Recorder { return &Recorder{o: o, traces: map[fleet.ID]*tracing{}} }

// tracing is the trace of one device.
type tracing struct {
	device        fleet.ID
	endpoint      string
	began, ends   time.Time
	running       bool
	items         []Item
	bytes, missed int
	number        int
	requests      map[tokenKey]secrecy
	claims        map[coap.Peer]bool // not known to be the device
}

type tokenKey struct {
	ours  bool
	token string
}

// An Item is one message.
type Item struct {
	Number   int // counts from 1
	At       time.Time
	Sent     bool // by us
	Addr     netip.AddrPort
	Claimed  bool   // the peer has not proved that it is the device
	Blotted  bool   // its payload was a secret, or could be one
	Datagram []byte // what was a secret is full of asterisks
}

// A Snapshot is what is kept of a device.
type Snapshot struct {
	Running     bool
	Began, Ends time.Time
	Missed      int // items that had to go
	Items       []Item
}

// Start begins a trace of a device in place of any other. It returns ErrFull.
func (r *Recorder) Start(device fleet.ID, endpoint lwm2m.Endpoint, d time.Duration) error {
	now := r.o.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	if r.traces[device] == nil && len(r.traces) >= maxTraces {
		return ErrFull
	}
	r.traces[device] = &tracing{
		device: device, endpoint: string(endpoint), began: now, ends: now.Add(min(d, MaxDuration)), running: true,
		requests: map[tokenKey]secrecy{}, claims: map[coap.Peer]bool{},
	}
	r.count()
	return nil
}

// Stop ends the trace of a device; what it has is kept for a while.
func (r *Recorder) Stop(device fleet.ID) {
	now := r.o.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.traces[device]; t != nil && t.running {
		t.running, t.ends = false, now
	}
	r.sweep(now)
}

// Snapshot returns what is kept of a device; nothing is no error.
func (r *Recorder) Snapshot(device fleet.ID) Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(r.o.Now())
	t := r.traces[device]
	if t == nil {
		return Snapshot{}
	}
	return Snapshot{
		Running: t.running, Began: t.began, Ends: t.ends, Missed: t.missed, Items: slices.Clone(t.items),
	}
}

// sweep ends what is over and forgets what is old. The caller holds mu.
func (r *Recorder) sweep(now time.Time) {
	for id, t := range r.traces {
		if !now.Before(t.ends) {
			t.running = false
		}
		if now.Sub(t.ends) > cmp.Or(r.o.Keep, DefaultKeep) {
			delete(r.traces, id)
		}
	}
	r.count()
}

func (r *Recorder) count() {
	n := int32(0)
	for _, t := range r.traces {
		if t.running {
			n++
		}
	}
	r.on.Store(n)
}

// Datagram sees every datagram; it is what coap.Options.Trace wants.
func (r *Recorder) Datagram(p coap.Peer, sent bool, datagram []byte) {
	if r.on.Load() > 0 {
		r.see(p, sent, datagram)
	}
}

// see records a datagram of a device that is traced.
func (r *Recorder) see(p coap.Peer, sent bool, datagram []byte) {
	device, known := r.o.Device(p)
	who := p.Identity()
	m, err := coap.Parse(datagram)
	now := r.o.Now()
	r.mu.Lock()
	r.sweep(now)
	t, claimed := r.whose(p, device, known, who, &m)
	if t == nil || !t.running {
		r.mu.Unlock()
		return
	}
	item := Item{At: now, Sent: sent, Addr: p.Addr(), Claimed: claimed, Datagram: bytes.Clone(datagram)}
	item.Blotted = blot(item.Datagram, &m, err, t.secrecy(sent, &m, r.o.Schema), r.o.Schema)
	t.add(&item)
	publish := r.publishes(now)
	r.mu.Unlock()
	if publish {
		r.o.Published(t.device, item)
	}
}

// publishes reports whether an item at now is to be published. The caller holds mu.
func (r *Recorder) publishes(now time.Time) bool {
	if now.Sub(r.since) >= time.Second || now.Before(r.since) {
		r.since, r.told = now, 0
	}
	r.told++
	return r.o.Published != nil && r.told <= perSecond
}

// whose returns the trace that a peer's messages belong to: by what the handshake
// proved, by its registration, or, without security, by what it says of itself.
// That counts for its own Register and Bootstrap-Request only, as long as it is
// not registered. The caller holds mu.
func (r *Recorder) whose(p coap.Peer, device fleet.ID, known bool, who coap.Identity, m *coap.Message) (
	t *tracing, claimed bool,
) {
	if known {
		return r.traces[device], false
	}
	for _, t := range r.traces {
		switch {
		case who.Name != "":
			if who.Name == t.endpoint {
				return t, false
			}
		case t.claims[p] && m.Code.IsResponse():
			delete(t.claims, p)
			return t, true
		case claims(m, t.endpoint):
			if len(t.claims) >= maxClaims {
				clear(t.claims)
			}
			t.claims[p] = true
			return t, true
		}
	}
	return nil, false
}

// claims reports whether a message is a Register or a Bootstrap-Request under a name.
func claims(m *coap.Message, endpoint string) bool {
	path, query := pathOf(m), queryOf(m)
	return m.Code == coap.POST && len(path) == 1 && (path[0] == "rd" || path[0] == "bs") &&
		slices.Contains(query, "ep="+endpoint)
}

// add keeps an item, in place of the oldest if there are many.
func (t *tracing) add(item *Item) {
	t.number++
	item.Number = t.number
	t.items = append(t.items, *item)
	t.bytes += len(item.Datagram)
	over := 0
	for len(t.items)-over > maxItems || t.bytes > maxBytes {
		t.bytes -= len(t.items[over].Datagram)
		over++
	}
	if over > 0 {
		t.missed += over
		t.items = slices.Delete(t.items, 0, over)
	}
}

// Numbers of the options that are shown (RFC 7252 §12.2, RFC 7959 §6, RFC 7641 §2).
const (
	optionObserve  = 6
	optionLocation = 8
	optionPath     = 11
	optionFormat   = 12
	optionQuery    = 15
	optionAccept   = 17
	optionBlock2   = 23
	optionBlock1   = 27
)

func pathOf(m *coap.Message) []string  { return texts(m, optionPath) }
func queryOf(m *coap.Message) []string { return texts(m, optionQuery) }

func texts(m *coap.Message, number int) (out []string) {
	for _, o := range m.Options {
		if int(o.ID) == number {
			out = append(out, string(o.Value))
		}
	}
	return out
}

// uintOf returns the number in an option, and whether it is there.
func uintOf(m *coap.Message, number int) (n uint32, ok bool) {
	for _, o := range m.Options {
		if int(o.ID) == number && len(o.Value) <= 4 {
			for _, b := range o.Value {
				n = n<<8 | uint32(b)
			}
			return n, true
		}
	}
	return 0, false
}
