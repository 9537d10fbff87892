package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// The entries of the journal's frames.
const (
	entryKept  = 1 // an association as it is
	entryEnded = 2 // it is no more
	entryMoved = 3 // its peer has another address
)

var errEntry = errors.New("transport: not an entry of the journal")

const (
	// maxName is the longest name of an identity that is kept, in bytes: a common
	// name has at most 64 characters (RFC 5280, ub-common-name), a PSK identity 128
	// bytes (RFC 4279 §5.3).
	maxName = 256
	maxRole = 32
	// maxEntry is more than any entry takes.
	maxEntry = 1024
)

// appendState appends an entry, unless the association has ended or is not
// kept. The caller holds mu.
func (a *association) appendState(dst []byte) ([]byte, bool) {
	if a.ended || a.id == 0 || len(a.identity.Name) > maxName {
		return dst, false
	}
	dst = append(dst, entryKept)
	dst = binary.BigEndian.AppendUint64(dst, a.id)
	dst = binary.BigEndian.AppendUint32(dst, a.place)
	dst, _ = a.session.AppendBinary(dst)                            // never fails
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.seen.Load())) //nolint:gosec // G115: its bits
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.born))        //nolint:gosec // G115: its bits
	dst = appendAddr(dst, a.addr)
	dst = appendShort(dst, string(a.identity.Role))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(a.identity.Name))) //nolint:gosec // G115: at most maxName
	dst = append(dst, a.identity.Name...)
	return append(dst, a.identity.Certificate[:]...), true
}

func appendShort(dst []byte, s string) []byte {
	return append(append(dst, byte(len(s))), s...) //nolint:gosec // G115: an address or a role
}

func appendAddr(dst []byte, addr netip.AddrPort) []byte {
	b, _ := addr.MarshalBinary() // never fails
	return appendShort(dst, string(b))
}

func appendMoved(dst []byte, id uint64, addr netip.AddrPort) []byte {
	return appendAddr(binary.BigEndian.AppendUint64(append(dst, entryMoved), id), addr)
}

func appendEnded(dst []byte, id uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, entryEnded), id)
}

// entries are the associations that a journal names, by their ids.
type entries map[uint64]*association

// read takes in the entries of one frame. It returns errEntry.
func (e entries) read(frame []byte) error {
	for len(frame) > 0 {
		r := reader{rest: frame[1:]}
		switch frame[0] {
		case entryKept:
			a := r.association()
			e[a.id] = a
		case entryEnded:
			delete(e, r.number())
		case entryMoved:
			if id, addr := r.number(), r.addr(); e[id] != nil {
				e[id].addr = addr
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

func (r *reader) association() *association {
	a := &association{}
	a.id = r.number()
	if b := r.take(4); b != nil {
		a.place = binary.BigEndian.Uint32(b)
	}
	var err error
	if a.session, r.rest, err = dtls.ReadSession(r.rest); err != nil {
		r.bad = true
		return a
	}
	a.cid, a.hasCID = a.session.CID()
	a.seen.Store(int64(r.number())) //nolint:gosec // G115: its bits
	a.born = int64(r.number())      //nolint:gosec // G115: its bits
	a.addr = r.addr()
	role := r.short()
	a.identity.Role = coap.Role(role)
	if b := r.take(2); b != nil {
		n := int(binary.BigEndian.Uint16(b))
		r.bad = r.bad || n > maxName || len(role) > maxRole
		a.identity.Name = string(r.take(n))
	}
	copy(a.identity.Certificate[:], r.take(len(a.identity.Certificate)))
	return a
}

func (r *reader) addr() (a netip.AddrPort) {
	if b := r.short(); a.UnmarshalBinary(b) != nil || !a.IsValid() {
		r.bad = true
	}
	return a
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
