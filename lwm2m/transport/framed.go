package transport

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"steward/lwm2m/coap"
)

const (
	// frameTimeout is how long one frame may take from its first byte to its last,
	// so that nobody holds a connection by sending a byte now and then.
	frameTimeout = 30 * time.Second
	// writeTimeout is how long the kernel may refuse what we send: its buffer is
	// full for a peer that does not read, which is not waited for.
	writeTimeout = 2 * time.Second
	// longestHead is the part of a frame that always says how long it is.
	longestHead = 6
)

// ErrSignal reports a stream that does not begin with a CSM, or that the peer has
// released or aborted (RFC 8323 §5).
var ErrSignal = errors.New("transport: stream ended by a signal")

// errSilent reports that no frame began in time.
var errSilent = errors.New("transport: silent for too long")

// framed is CoAP on one stream connection (RFC 8323 §3): what listeners and
// connections of ours have in common. It keeps no buffer between messages.
type framed struct {
	conn    net.Conn
	raw     net.Conn      // below the encryption of conn, or conn itself
	maximum atomic.Uint32 // frame that the peer takes, in bytes
	closed  atomic.Bool

	heard   coap.Capabilities // of the reader alone, as is the next
	greeted bool
	until   time.Time // when the connection ends in any case; zero: never

	mu sync.Mutex // of writing
}

func newFramed(c, raw net.Conn) *framed {
	f := &framed{conn: c, raw: raw, heard: coap.Capabilities{MaxMessageSize: coap.BaseMessageSize}}
	f.maximum.Store(coap.BaseMessageSize)
	return f
}

// greet sends our CSM, the first message of either side (RFC 8323 §5.3). It names
// the base size together with block-wise transfer: messages are no longer than
// that, and blocks no longer than 1024 bytes; BERT is not spoken.
func (f *framed) greet() error {
	return f.signal(coap.Capabilities{MaxMessageSize: coap.BaseMessageSize, BlockWise: true}.Message())
}

func (f *framed) signal(m coap.Message) error {
	d, err := m.Append(nil)
	if err != nil {
		return err
	}
	return f.send(d)
}

// send makes a frame of a datagram of the engine, and sends it. A connection that
// does not take it in writeTimeout is over: part of it may be on its way. It
// returns ErrTooLong or ErrClosed.
func (f *framed) send(datagram []byte) error {
	buffer, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	if len(datagram) > MaxDatagram {
		return ErrTooLong
	}
	frame := coap.AppendFrame((*buffer)[:0], datagram)
	if uint64(len(frame)) > uint64(f.maximum.Load()) {
		return ErrTooLong
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.write(frame, writeTimeout)
}

// write sends a frame. The caller holds mu.
func (f *framed) write(frame []byte, timeout time.Duration) error {
	if f.closed.Load() {
		return ErrClosed
	}
	_ = f.conn.SetWriteDeadline(time.Now().Add(timeout)) // fails on a closed connection, as Write does
	if _, err := f.conn.Write(frame); err != nil {
		f.shut()
		return fmt.Errorf("%w: %w", ErrClosed, err)
	}
	return nil
}

// shut closes the connection below its encryption: no goodbye is waited for. Its
// reader ends.
func (f *framed) shut() {
	if !f.closed.Swap(true) {
		_ = f.raw.Close() // it is over, whatever the socket says
	}
}

// end closes the connection in order, after a last word has been said: what the
// peer is still sending must not have its kernel throw that away.
func (f *framed) end(lastWord bool) {
	const lingers, lingersFor = 64 << 10, time.Second
	half, ok := f.conn.(interface{ CloseWrite() error })
	if ok && lastWord && half.CloseWrite() == nil {
		_ = f.raw.SetReadDeadline(time.Now().Add(lingersFor))
		_, _ = io.CopyN(io.Discard, f.raw, lingers) // until it has heard us, or long enough
	}
	if !f.closed.Swap(true) {
		_ = f.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		_ = f.conn.Close() // it is over, whatever the socket says
	}
}

// abort tells the peer what is wrong, if that is ours to tell, and closes the
// connection (RFC 8323 §5.6).
func (f *framed) abort(reason error) {
	ours := false
	for _, e := range []error{ErrTooLong, ErrSignal, coap.ErrMessage, coap.ErrOption} {
		ours = ours || errors.Is(reason, e)
	}
	if ours {
		m := coap.Message{Type: coap.NON, Code: coap.Abort, Payload: []byte(reason.Error())}
		_ = f.signal(m) // as a courtesy
	}
	f.end(ours)
}

// release says that the connection is about to be closed (RFC 8323 §5.5).
// It does not wait for those who do not read.
func (f *framed) release() {
	const patience = 100 * time.Millisecond
	if f.mu.TryLock() {
		defer f.mu.Unlock()
		_ = f.write([]byte{0, byte(coap.Release)}, patience) // as a courtesy
	}
}

// serve reads frames until the stream ends and hands them to the engine. The first
// has to be a CSM, and to be there by the deadline that is set; after that the peer
// may be silent for idle. It returns nil if the peer ended the stream in order.
func (f *framed) serve(p coap.Peer, e *coap.Engine, idle time.Duration) error {
	for {
		if f.greeted {
			deadline := time.Now().Add(idle)
			if !f.until.IsZero() && f.until.Before(deadline) {
				deadline = f.until
			}
			_ = f.conn.SetReadDeadline(deadline) // fails on a closed connection, as Read does
		}
		err := f.next(func(frame []byte) error { return f.take(p, e, frame) })
		switch {
		case errors.Is(err, io.EOF), f.closed.Load():
			f.end(false)
			return nil
		case f.greeted && errors.Is(err, errSilent):
			f.release()
			f.end(true)
			return nil
		case err != nil:
			f.abort(err)
			return err
		}
	}
}

// take handles one frame. It returns io.EOF if the peer ends the stream.
func (f *framed) take(p coap.Peer, e *coap.Engine, frame []byte) error {
	m, err := coap.ParseFrame(frame)
	switch {
	case err != nil:
		return err
	case m.Code == coap.CSM:
		return f.hear(m)
	case !f.greeted:
		return fmt.Errorf("%w: no CSM first", ErrSignal)
	case m.Code == coap.Release || m.Code == coap.Abort:
		return io.EOF
	default:
		return e.ReceiveFrame(p, frame)
	}
}

// hear takes a CSM of the peer.
func (f *framed) hear(m coap.Message) (err error) {
	if f.heard, err = f.heard.With(m); err == nil {
		f.maximum.Store(f.heard.MaxMessageSize)
		f.greeted = true
	}
	return err
}

// next reads one frame and hands it to use, which must not keep it.
func (f *framed) next(use func(frame []byte) error) error {
	var head [longestHead]byte
	n, err := f.conn.Read(head[:2]) // no frame is shorter
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSilent
	}
	if err != nil {
		return err
	}
	_ = f.conn.SetReadDeadline(time.Now().Add(frameTimeout)) // fails on a closed connection, as Read does
	total, known, err := coap.FrameLength(head[:n])
	for ; err == nil && !known; total, known, err = coap.FrameLength(head[:n]) {
		if _, err := io.ReadFull(f.conn, head[n:n+1]); err != nil {
			return fmt.Errorf("transport: frame cut short: %w", noEOF(err))
		}
		n++
	}
	if err != nil {
		return err
	}
	if total > coap.BaseMessageSize {
		return fmt.Errorf("%w: %d bytes announced", ErrTooLong, total)
	}
	buffer, _ := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	frame := (*buffer)[:total]
	copy(frame, head[:n])
	if _, err := io.ReadFull(f.conn, frame[n:]); err != nil {
		return fmt.Errorf("transport: frame cut short: %w", noEOF(err))
	}
	return use(frame)
}

// noEOF is err of a read within a frame, where the end is no good end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// remoteOf is the address of the other end.
func remoteOf(c net.Conn) netip.AddrPort {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return plain(a.AddrPort())
	}
	return netip.AddrPort{}
}
