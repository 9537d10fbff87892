package transport

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// RowSize returns the bytes of a row and its fields that the collector follows.
func RowSize() (size uintptr, pointers []string) {
	t := reflect.TypeFor[row]()
	var walk func(reflect.Type, string)
	walk = func(t reflect.Type, at string) {
		switch t.Kind() {
		case reflect.Struct:
			for f := range t.Fields() {
				walk(f.Type, at+"."+f.Name)
			}
		case reflect.Array:
			walk(t.Elem(), at)
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.String, reflect.Interface, reflect.Func, reflect.Chan,
			reflect.UnsafePointer:
			pointers = append(pointers, at)
		default:
		}
	}
	walk(t, "")
	return t.Size(), pointers
}

// A Slab is a table without a listener, whose peers all are at one host.
type Slab struct {
	t     table
	seats map[cid]seat
}

// NewSlab returns one for so many associations.
func NewSlab(limit int) *Slab {
	s := &Slab{seats: map[cid]seat{}}
	s.t.init(limit, newWheel(1, 1))
	return s
}

// Reserve gives out an identifier.
func (s *Slab) Reserve(tb testing.TB) cid {
	tb.Helper()
	p, err := s.t.reserve()
	if err != nil {
		tb.Fatal(err)
	}
	s.seats[p.cid] = p
	return p.cid
}

// Occupy makes an association of what was reserved, at a port.
func (s *Slab) Occupy(tb testing.TB, id cid, who coap.Identity, port uint16) {
	tb.Helper()
	n := s.t.names.put(who)
	if _, _, err := s.t.occupy(s.seats[id].ref, address{port: port}, func(r *row) {
		r.session, r.name, r.marks = testSession(tb, &id, nil), n, hasCID
	}); err != nil {
		tb.Fatal(err)
	}
}

// testSession has made-up keys, the same for both directions, and reads records
// with our identifier, or writes them with the peer's; nil: with none.
func testSession(tb testing.TB, ours, peers *cid) dtls.Session {
	tb.Helper()
	o := dtls.SessionOptions{Protection: dtls.CCM8, KeyBlock: bytes.Repeat([]byte{FillKey}, dtls.KeyBlockLength)}
	if ours != nil {
		o.CID = ours[:]
	}
	if peers != nil {
		o.PeerCID = peers[:]
	}
	s, err := dtls.NewSession(o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Slot is the slot that an identifier names.
func (s *Slab) Slot(id cid) uint32 { return slotOf(id) }

// Knows reports whether an identifier leads to an association.
func (s *Slab) Knows(id cid) bool {
	_, ok := s.t.withCID(id)
	return ok
}

// Remove ends an association.
func (s *Slab) Remove(id cid) {
	f := s.seats[id].ref
	r := s.t.row(f.slot)
	r.mu.Lock()
	r.state = ended
	r.mu.Unlock()
	s.t.remove(f)
	delete(s.seats, id)
}

// At returns whose association is found at a port.
func (s *Slab) At(port uint16) (coap.Identity, bool) {
	f, _, ok := s.t.at(address{port: port})
	if !ok {
		return coap.Identity{}, false
	}
	return s.t.names.get(s.t.row(f.slot).name), true
}

// Size is how many there are.
func (s *Slab) Size() int { return s.t.size() }

// Repack puts all names in anew.
func (s *Slab) Repack() { s.t.repack() }

// NameBytes is what names take: of those that live, and of all.
func (s *Slab) NameBytes() (live, all int) { return s.t.names.live, s.t.names.live + s.t.names.dead }

// Limits sets what ends associations.
func (s *Slab) Limits(idle, absolute time.Duration) { s.t.wheel = newWheel(idle, absolute) }

// Over ends those whose time is over by now, tenths of a second, and returns them.
func (s *Slab) Over(now int32) (ended []cid) {
	s.t.over(instant(now), func(f ref) {
		id, _ := s.t.row(f.slot).session.CID()
		ended = append(ended, id)
	})
	for _, id := range ended {
		s.Remove(id)
	}
	return ended
}

// Speak notes that an association has spoken.
func (s *Slab) Speak(id cid, now int32) { s.t.row(slotOf(id)).seen = instant(now) }

// Born sets when an association began, of which it does not know yet.
func (s *Slab) Born(id cid, now int32) {
	r := s.t.row(slotOf(id))
	r.born, r.seen = instant(now), instant(now)
}
