package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// Inject hands l a datagram as if its socket had received it.
func Inject(l *Listener, datagram []byte, from netip.AddrPort) {
	l.receive(arrival{datagram: datagram, from: addressOf(from), now: l.now(), shard: l.shards[0]})
}

// ParseURI shows what a URI is taken for.
func ParseURI(uri string) (host string, port uint16, secure bool, err error) {
	t, err := parseURI(uri)
	return t.host, t.port, t.secure, err
}

// Kill ends l as the death of the process would: nothing is written, nothing is
// sent. Its Run returns.
func Kill(l *Listener) error { return errors.Join(l.abandon(), l.close()) }

// ReadEntries reads a frame of the journal and returns how many associations it
// leaves, written again.
func ReadEntries(frame []byte) (again []byte, n int, err error) {
	var t table
	t.init(1, newWheel(1, 1))
	all := map[uint32]entry{}
	err = readEntries(frame, func(e *entry) {
		t.load(e)
		all[e.slot] = *e
	}, func(f ref, to address) {
		t.redirect(f, to)
		if e := all[f.slot]; e.ref == f {
			e.addr = to
			all[f.slot] = e
		}
	})
	for f := range t.all() {
		e := all[f.slot]
		if r := t.row(f.slot); e.ref != f || e.addr != r.addr || e.session != r.session || e.identity != t.names.get(r.name) {
			err = errors.Join(err, fmt.Errorf("slot %d was not loaded", f.slot))
		}
		again = e.append(again)
		n++
	}
	return again, n, err
}

// Forge counts n records as forged for each association of l.
func Forge(l *Listener, n uint32) {
	for f := range l.table.all() {
		r := l.table.row(f.slot)
		r.mu.Lock()
		r.forged += n
		r.mu.Unlock()
	}
}

// MaxForged ends an association.
const MaxForged = maxForged

// Compact rewrites the journal of l if it has grown.
func Compact(l *Listener) error { return l.compact() }

// Rewrite rewrites the journal of l.
func Rewrite(l *Listener) error {
	return l.keeper.journal.Rewrite(l.snapshot(&l.keeper.mu, l.appendState))
}

// FillKey is what the keys of Fill's sessions consist of.
const FillKey = 0x5a

// Fill adds n associations with made-up keys, as if their handshakes had
// completed.
func Fill(tb testing.TB, l *Listener, n int) {
	tb.Helper()
	for i := range n {
		place, err := l.table.reserve()
		if err != nil {
			tb.Fatal(err)
		}
		e := dtls.Established{Session: testSession(tb, &place.cid, nil), Identity: coap.Identity{
			Role: coap.RoleOperational, Name: fmt.Sprintf("urn:dev:ops:000000-%08d", i),
		}}
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5684)
		if err := l.establish(place, &e, from); err != nil {
			tb.Fatal(err)
		}
	}
}

// ForgetBindings lets two minutes pass for the bindings of l.
func ForgetBindings(l *Listener) { l.bindings.forget(l.now() + bindingLife + 1) }

// Bindings returns how many are kept.
func Bindings(l *Listener) int {
	l.bindings.mu.Lock()
	defer l.bindings.mu.Unlock()
	return len(l.bindings.of)
}

// Left returns how many slots l has ever used, and how many last flights it keeps.
func Left(l *Listener) (slots, flights int) {
	l.flights.mu.Lock()
	defer l.flights.mu.Unlock()
	return int(l.table.highest()), len(l.flights.last)
}
