package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// The entries of the journal's frames. An association without a cell of its own
// is no more, whatever entries say of it.
const (
	entryKept  = 4 // an association as it is
	entryMoved = 5 // its peer has another address
)

var errEntry = errors.New("transport: not an entry of the journal")

// maxEntry is more than any entry takes.
const maxEntry = 1024

// appendState appends an entry for the association of a slot, nothing if it has
// none or it is not kept.
func (l *Listener) appendState(dst []byte, slot uint32) []byte {
	r := l.table.row(slot)
	r.mu.Lock()
	defer r.mu.Unlock()
	return l.appendRow(dst, ref{slot, r.generation}, r)
}

// appendRow is appendState for a caller that holds the row's lock.
func (l *Listener) appendRow(dst []byte, f ref, r *row) []byte {
	if !r.alive(f.generation) || !r.is(kept) {
		return dst
	}
	return entry{
		ref: f, session: r.session, addr: r.addr, identity: l.table.names.get(r.name),
		seen: l.timeOf(r.seen), born: l.timeOf(r.born),
	}.append(dst)
}

// An entry is what is kept of an association.
type entry struct {
	ref
	session    dtls.Session
	seen, born time.Time
	addr       address
	identity   coap.Identity
}

func (e entry) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, entryKept), e.id())
	dst, _ = e.session.AppendBinary(dst) // never fails
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.seen.UnixNano()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(e.born.UnixNano()))
	dst = appendAddr(dst, e.addr)
	dst = appendShort(dst, string(e.identity.Role))
	dst = appendShort(dst, e.identity.Name)
	return append(dst, e.identity.Certificate[:]...)
}

func appendShort(dst []byte, s string) []byte {
	return append(append(dst, byte(len(s))), s...) //nolint:gosec // G115: an address, a role or a name
}

func appendAddr(dst []byte, a address) []byte {
	b, _ := a.addrPort().MarshalBinary() // never fails
	return appendShort(dst, string(b))
}

func appendMoved(dst []byte, f ref, to address) []byte {
	return appendAddr(binary.BigEndian.AppendUint64(append(dst, entryMoved), f.id()), to)
}

// readEntries takes a frame apart. It returns errEntry.
func readEntries(frame []byte, kept func(*entry), moved func(ref, address)) error {
	for len(frame) > 0 {
		r := reader{rest: frame[1:]}
		switch frame[0] {
		case entryKept:
			if e := r.entry(); !r.bad {
				kept(&e)
			}
		case entryMoved:
			if f, a := r.ref(), r.addr(); !r.bad {
				moved(f, a)
			}
		default:
			return fmt.Errorf("%w: kind %d", errEntry, frame[0])
		}
		if r.bad {
			return errEntry
		}
		frame = r.rest
	}
	return nil
}

// A reader takes an entry apart.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) entry() (e entry) {
	e.ref = r.ref()
	if r.bad {
		return e
	}
	var err error
	if e.session, r.rest, err = dtls.ReadSession(r.rest); err != nil {
		r.bad = true
		return e
	}
	e.seen = time.Unix(0, int64(r.number())) //nolint:gosec // G115: its bits
	e.born = time.Unix(0, int64(r.number())) //nolint:gosec // G115: its bits
	e.addr = r.addr()
	e.identity.Role = r.role()
	e.identity.Name = string(r.short())
	copy(e.identity.Certificate[:], r.take(len(e.identity.Certificate)))
	return e
}

func (r *reader) ref() ref {
	f := refOf(r.number())
	r.bad = r.bad || f.slot >= maxSlots || f.generation&lowMask == 0 || f.generation>>lowBits == 0
	return f
}

func (r *reader) role() coap.Role {
	b := r.short()
	for _, known := range roles {
		if string(known) == string(b) {
			return known
		}
	}
	r.bad = true
	return ""
}

func (r *reader) addr() address {
	var a netip.AddrPort
	if b := r.short(); a.UnmarshalBinary(b) != nil || !a.IsValid() {
		r.bad = true
		return address{}
	}
	return addressOf(a)
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.rest) {
		r.bad = true
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) number() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) short() []byte {
	if b := r.take(1); b != nil {
		return r.take(int(b[0]))
	}
	return nil
}
