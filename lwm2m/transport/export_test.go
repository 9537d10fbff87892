package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// Inject hands l a datagram as if its socket had received it.
func Inject(ctx context.Context, l *Listener, datagram []byte, from netip.AddrPort) {
	l.receive(ctx, datagram, from)
}

// ParseURI shows what a URI is taken for.
func ParseURI(uri string) (host string, port uint16, secure bool, err error) {
	t, err := parseURI(uri)
	return t.host, t.port, t.secure, err
}

// Kill ends l as the death of the process would: nothing is written, nothing is
// sent. Its Run returns.
func Kill(l *Listener) error { return errors.Join(l.abandon(), l.socket.Close()) }

// ReadEntries reads a frame of the journal and returns how many associations it
// leaves, written again.
func ReadEntries(frame []byte) (again []byte, n int, err error) {
	all := entries{}
	err = all.read(frame)
	for _, a := range all {
		again, _ = a.appendState(again)
	}
	return again, len(all), err
}

// Forge counts n records as forged for each association of l.
func Forge(l *Listener, n uint32) {
	for _, a := range l.table.all() {
		a.mu.Lock()
		a.forged += n
		a.mu.Unlock()
	}
}

// MaxForged ends an association.
const MaxForged = maxForged

// Compact rewrites the journal of l if it has grown.
func Compact(l *Listener) error { return l.compact() }

// FillKey is what the keys of Fill's sessions consist of.
const FillKey = 0x5a

// Fill adds n associations with made-up keys, as if their handshakes had
// completed.
func Fill(tb testing.TB, l *Listener, n int) {
	tb.Helper()
	const keys, cidAt = 40, 96 // in the encoding of a session
	state := make([]byte, 107)
	copy(state, bytes.Repeat([]byte{FillKey}, keys))
	copy(state[104:], []byte{0, 1, 1}) // no identifier of the peer's, one of ours, CCM_8
	for i := range n {
		binary.BigEndian.PutUint64(state[cidAt:], uint64(i))
		s, _, err := dtls.ReadSession(state)
		if err != nil {
			tb.Fatal(err)
		}
		e := dtls.Established{Session: s, Identity: coap.Identity{
			Role: coap.RoleOperational, Name: fmt.Sprintf("urn:dev:ops:000000-%08d", i),
		}}
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 5684)
		a := newAssociation(l, &e, from, time.Now())
		if _, ok := l.table.add(a, from); !ok {
			tb.Fatal("no room")
		}
		if err := l.keeper.add(a); err != nil {
			tb.Fatal(err)
		}
	}
}
