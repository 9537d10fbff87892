package coap

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"
)

// idShards is the number of message-id counters. Peers share a counter by
// hash, so that no peer needs a counter of its own and yet none sees an id
// again within EXCHANGE_LIFETIME: that takes 65,536 messages of one shard.
const idShards = 4096

// An Engine holds the exchange state of all peers of one process side. Its
// methods may be called at the same time.
type Engine struct {
	o         Options
	szx       uint8 // of o.BlockSize
	seed      maphash.Seed
	wake      chan struct{} // tells Run of an earlier deadline
	done      chan struct{} // closed when Run ends: the life of handlers
	work      sync.WaitGroup
	pool      sync.Pool // of *inbox
	exchanges sync.Pool // of *exchange
	born      time.Time // moments count from here

	mu         sync.Mutex
	stopped    bool
	stats      Stats // its counters
	links      map[Peer]*link
	watches    watches
	timers     timers
	due        moment // when Run wakes by itself
	ids        [idShards]uint16
	sequence   uint32 // of the latest notification sent
	workers    workers
	dedup      dedup
	store      store
	news       int // notifications that wait to be delivered, of all peers
	spareLinks []*link
}

// New returns an Engine. It panics on Options that make no sense, for they are
// always known where they are written: a block size that is no power of two in
// 16..1024, a negative limit or time.
func New(o Options) *Engine {
	o, err := o.resolved()
	if err != nil {
		panic("coap: " + err.Error())
	}
	e := &Engine{
		o:     o,
		seed:  maphash.MakeSeed(),
		wake:  make(chan struct{}, 1),
		done:  make(chan struct{}),
		links: map[Peer]*link{},
		born:  time.Now(),
	}
	e.szx, _ = szxOf(o.BlockSize)
	e.pool.New = func() any { return newInbox() }
	e.dedup.init(&e.o)
	var seed [4 + 2*idShards]byte
	_, _ = rand.Read(seed[:]) // never fails
	for i := range e.ids {
		e.ids[i] = binary.BigEndian.Uint16(seed[4+2*i:])
	}
	// The first sequence is small, so that the number is short on the wire.
	e.sequence = uint32(seed[0])
	return e
}

// Run drives all timers until ctx ends. Then it ends every exchange with
// ErrClosed and the context of every handler, and returns nil when the last
// handler has returned. It must be called once.
func (e *Engine) Run(ctx context.Context) error {
	e.mu.Lock()
	e.workers.running = true
	e.mu.Unlock()
	clock := time.NewTimer(0)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			e.shut()
			e.work.Wait()
			return nil
		case <-clock.C:
		case <-e.wake:
		}
		clock.Reset(e.expire())
	}
}

// shut ends everything in flight and refuses what comes.
func (e *Engine) shut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stopped = true
	close(e.done)
	e.dismiss()
	for _, l := range e.links {
		e.drop(l)
	}
	e.watches = watches{}
	e.stop(&e.dedup.timer)
}

// Closed ends all that is in flight with p, by ErrClosed, and forgets its
// observations. The transport calls it when the association is gone.
func (e *Engine) Closed(p Peer) {
	e.mu.Lock()
	if l := e.links[p]; l != nil {
		e.drop(l)
	}
	hash := e.peerHash(p)
	e.watches.forgetPeer(p, hash)
	e.dedup.forgetPeer(hash)
	if !e.dedup.busy() {
		e.stop(&e.dedup.timer)
	}
	e.mu.Unlock()
	if e.o.Closed != nil {
		e.o.Closed(p)
	}
}

// Receive takes one datagram from p. It does not retain datagram, and waits for
// no handler but for one that Options.Quick has called quick. It may be called at
// the same time for several peers and for one.
func (e *Engine) Receive(p Peer, datagram []byte) {
	if e.o.Trace != nil {
		e.o.Trace(p, false, datagram)
	}
	in, ok := e.pool.Get().(*inbox)
	if !ok {
		return // cannot be: the pool makes nothing else
	}
	defer e.pool.Put(in)
	if err := in.message.parse(datagram); err != nil {
		e.malformed(p, datagram, err)
		return
	}
	in.fields.decode(&in.message)
	if e.quick(p, in) {
		return
	}
	b := batch{}
	e.mu.Lock()
	if !e.stopped {
		e.dispatch(p, &in.message, &in.fields, &b)
	}
	e.mu.Unlock()
	e.flush(&b)
}

// malformed rejects a datagram that is no message: a confirmable one by RST,
// another in silence (RFC 7252 §4.2, §4.3). The association lives on.
func (e *Engine) malformed(p Peer, d []byte, err error) {
	e.mu.Lock()
	e.stats.Malformed++
	e.mu.Unlock()
	e.o.Log.Info("malformed message",
		slog.String("peer", p.String()), slog.Any("reason", err))
	if len(d) >= headerSize && d[0]>>6 == 1 && Type(d[0]>>4&3) == CON {
		e.send(p, emptyMessage(RST, binary.BigEndian.Uint16(d[2:])))
	}
}

// dispatch hands a message to its part of the engine.
func (e *Engine) dispatch(p Peer, m *Message, f *fields, b *batch) {
	switch {
	case m.Code == Empty && m.Type == ACK:
		e.acknowledged(e.links[p], m.ID)
	case m.Code == Empty && m.Type == RST:
		e.reset(e.links[p], m.ID)
	case m.Code.IsRequest() && (m.Type == CON || m.Type == NON):
		e.request(p, m, f, b)
	case m.Code.IsResponse() && m.Type == ACK:
		e.piggybacked(e.links[p], m, f)
	case m.Code.IsResponse() && (m.Type == CON || m.Type == NON):
		e.separate(p, m, f, b)
	case m.Type == CON: // a ping, or a code of a reserved class
		b.add(p, emptyMessage(RST, m.ID))
	}
}

// A batch is what to send when the lock is free again.
type batch struct {
	first outgoing
	rest  []outgoing
}

type outgoing struct {
	peer     Peer
	datagram []byte
}

func (b *batch) add(p Peer, datagram []byte) {
	if b.first.peer == nil {
		b.first = outgoing{p, datagram}
		return
	}
	b.rest = append(b.rest, outgoing{p, datagram})
}

// flush sends b. The lock must not be held.
func (e *Engine) flush(b *batch) {
	if b.first.peer == nil {
		return
	}
	e.send(b.first.peer, b.first.datagram)
	for _, o := range b.rest {
		e.send(o.peer, o.datagram)
	}
}

// send gives one datagram to its peer. An error is a lost datagram: what must
// arrive is sent again.
func (e *Engine) send(p Peer, datagram []byte) {
	if e.o.Trace != nil {
		e.o.Trace(p, true, datagram)
	}
	err := p.Send(datagram)
	if errors.Is(err, ErrClosed) {
		e.Closed(p)
	}
	if err != nil {
		e.unsent(p, datagram)
		e.o.Log.Debug("datagram not sent",
			slog.String("peer", p.String()), slog.Any("reason", err))
	}
}
