package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
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
	e := &echoes{waiting: make([]atomic.Pointer[worker], min(r.o.InFlight, r.o.Devices))}
	for range r.gen.sockets {
		conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 1, 0, 1)}, net.UDPAddrFromAddrPort(addr))
		if err != nil {
			return errors.Join(err, e.close())
		}
		widen(conn)
		e.sockets = append(e.sockets, conn)
		e.reading.Go(func() { e.read(conn) })
	}
	before, err := r.echo.usage(false)
	if err != nil {
		return errors.Join(err, e.close())
	}
	b := bounds{devices: len(e.waiting), inFlight: len(e.waiting), duration: min(d, echoTime)}
	o := load(ctx, b, e.send)
	after, err := r.echo.usage(false)
	f.ops += o.done
	f.cpu += after.CPU - before.CPU
	return errors.Join(err, e.close())
}

// echoes are the sockets of a measure and who waits for which datagram.
type echoes struct {
	sockets []*net.UDPConn
	waiting []atomic.Pointer[worker]
	reading sync.WaitGroup
}

func (e *echoes) close() error {
	var errs []error
	for _, s := range e.sockets {
		errs = append(errs, s.Close())
	}
	e.reading.Wait()
	return errors.Join(errs...)
}

func (e *echoes) read(s *net.UDPConn) {
	in := make([]byte, maxDatagram)
	for {
		n, err := s.Read(in)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n != echoSize {
			continue
		}
		if i := int(binary.BigEndian.Uint32(in)); i < len(e.waiting) {
			if w := e.waiting[i].Load(); w != nil {
				select {
				case w.answers <- reply{}:
				default:
				}
			}
		}
	}
}

// send is the operation: one datagram there and back.
func (e *echoes) send(_ context.Context, w *worker, i int) (bool, error) {
	var out [echoSize]byte
	binary.BigEndian.PutUint32(out[:], uint32(i)) //nolint:gosec // G115: a worker's number
	e.waiting[i].Store(w)
	if _, err := e.sockets[i%len(e.sockets)].Write(out[:]); err != nil {
		return false, err
	}
	w.timer.Reset(ackTimeout)
	defer w.timer.Stop()
	select {
	case <-w.answers:
		return true, nil
	case <-w.timer.C:
		return false, errNoAnswer
	}
}

// crypto takes the floor of handshakes.
func (f *floor) crypto(r *run) error {
	var one time.Duration
	err := r.echo.ask(&one, commandCrypto)
	f.ops++
	f.cpu += one
	return err
}
