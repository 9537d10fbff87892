package bench

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// A floor accumulates what the raw echo of messages costs. It is taken before and
// after the load, with as many messages under way: the machine's speed drifts.
type floor struct {
	ops int
	cpu time.Duration
}

// perOp returns the CPU time of one message in microseconds.
func (f *floor) perOp() float64 {
	if f.ops == 0 {
		return 0
	}
	return microseconds(f.cpu) / float64(f.ops)
}

const (
	// echoSize is that of a small POST's record: header 13, connection identifier
	// and nonce 16, message 18, inner type and tag 9.
	echoSize = 56
	// echoTime bounds one measure of the floor.
	echoTime = time.Second
)

// measure lets the echo process answer for the time d.
func (f *floor) measure(ctx context.Context, r *run, d time.Duration) error {
	addr, err := (&Target{URI: r.echo.greeting}).addr()
	if err != nil {
		return err
	}
	n := min(r.o.InFlight, r.o.Devices)
	e := &echoes{over: make(chan struct{})}
	for range min(len(r.gen.sockets), n) {
		if err := e.open(addr); err != nil {
			return errors.Join(err, e.close())
		}
	}
	before, err := r.echo.usage(false)
	if err != nil {
		return errors.Join(err, e.close())
	}
	for i, s := range e.sockets {
		share := (n - i + len(e.sockets) - 1) / len(e.sockets)
		e.reading.Go(func() { e.circulate(s, share) })
	}
	pause(ctx, min(d, echoTime))
	close(e.over)
	err = e.close()
	after, usageErr := r.echo.usage(false)
	f.ops += int(e.done.Load())
	f.cpu += after.CPU - before.CPU
	return errors.Join(err, usageErr)
}

// echoes are datagrams that go to and fro, each again as soon as it is back.
type echoes struct {
	sockets []*net.UDPConn
	over    chan struct{}
	done    atomic.Int64
	reading sync.WaitGroup
}

func (e *echoes) open(addr netip.AddrPort) error {
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 1, 0, 1)}, net.UDPAddrFromAddrPort(addr))
	if err == nil {
		widen(conn)
		e.sockets = append(e.sockets, conn)
	}
	return err
}

// close ends the readers.
func (e *echoes) close() error {
	var errs []error
	for _, s := range e.sockets {
		_ = s.SetReadDeadline(time.Unix(1, 0)) // it is open
	}
	e.reading.Wait()
	for _, s := range e.sockets {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// circulate keeps n datagrams of a socket under way, in the manner of a lane. Those
// that are lost come to its mind when none is left.
func (e *echoes) circulate(s *net.UDPConn, n int) {
	box := newMailbox(s, mailboxSize)
	datagram := make([]byte, echoSize)
	for {
		_ = s.SetReadDeadline(time.Now().Add(ackTimeout)) // it is open
		box.hold()
		for range n {
			_ = box.send(datagram) // lost, as a datagram may be
		}
		if !e.onward(box) {
			return
		}
	}
}

// onward sends what comes back again until nothing does, and reports whether to
// begin anew.
func (e *echoes) onward(box *mailbox) bool {
	for box.release() == nil {
		select {
		case <-e.over:
			return false
		default:
		}
		in, err := box.receive()
		if err != nil {
			return true
		}
		e.done.Add(int64(len(in)))
		box.hold()
		for _, m := range in {
			_ = box.send(m.Buffers[0][:m.N]) // lost, as a datagram may be
		}
	}
	return false
}

// crypto takes the floor of handshakes.
func (f *floor) crypto(r *run) error {
	var one time.Duration
	err := r.echo.ask(&one, commandCrypto)
	f.ops++
	f.cpu += one
	return err
}
