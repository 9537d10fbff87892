package app_test

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"steward/cmd/internal/app"
	"steward/est"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
)

type peer struct{ certificate [32]byte }

func (*peer) Send([]byte) error { return nil }
func (p *peer) Identity() coap.Identity {
	return coap.Identity{Role: coap.RoleFactory, Certificate: p.certificate}
}
func (*peer) Addr() netip.AddrPort { return netip.AddrPort{} }
func (*peer) String() string       { return "peer" }

// TestT6ThiefCannotHideTheDevice: a thief with a copy of the factory key asks
// again and again over an association of his own. The device, on its way back, is
// asked for its receipt all the same. It is of row T6 of the transfer protocol (§9).
func TestT6ThiefCannotHideTheDevice(t *testing.T) {
	f := app.NewFactoryPeers()
	device, thief := &peer{[32]byte{1}}, &peer{[32]byte{1}}
	f.Note(device)
	asked := false
	for range 4 {
		f.Note(thief)
		p, ok := f.Next([32]byte{1})
		asked = asked || ok && p == coap.Peer(device)
	}
	if !asked {
		t.Error("the device was never asked")
	}
	if p, ok := f.Next([32]byte{2}); ok {
		t.Errorf("another device's association %v was found", p)
	}
	f.Closed(thief)
	f.Closed(device)
	if _, ok := f.Next([32]byte{1}); ok || f.Len() != 0 {
		t.Error("associations that have ended are remembered")
	}
}

// TestNewestIsAskedFirst: a device that restarted has left an association behind.
func TestNewestIsAskedFirst(t *testing.T) {
	f := app.NewFactoryPeers()
	old, now := &peer{}, &peer{}
	f.Note(old)
	f.Note(now)
	if p, _ := f.Next([32]byte{}); p != coap.Peer(now) {
		t.Error("the association left behind was asked first")
	}
}

// TestFactoryPeersAreBounded: neither many devices nor many associations of one
// grow the memory, and a device that is remembered is followed when it reconnects.
func TestFactoryPeersAreBounded(t *testing.T) {
	f := app.NewFactoryPeers()
	for i := range app.MaxFactoryPeers + 100 {
		p := &peer{}
		binary.BigEndian.PutUint32(p.certificate[:], uint32(i))
		f.Note(p)
	}
	if f.Len() != app.MaxFactoryPeers {
		t.Errorf("%d devices remembered", f.Len())
	}
	again := &peer{}
	f.Note(again)
	if p, _ := f.Next([32]byte{}); p != coap.Peer(again) {
		t.Error("with a full table, a device that reconnected is not found")
	}
	for range 10 * app.MaxCallers {
		f.Note(&peer{})
	}
	seen := map[coap.Peer]bool{}
	for range 10 * app.MaxCallers {
		p, _ := f.Next([32]byte{})
		seen[p] = true
	}
	if len(seen) != app.MaxCallers {
		t.Errorf("%d associations of one device, want %d", len(seen), app.MaxCallers)
	}
}

// TestT21NoRevocationIsForgotten: a whole fleet is revoked before anybody looks.
// It is of row T21 of the transfer protocol (§9).
func TestT21NoRevocationIsForgotten(t *testing.T) {
	r := app.NewRevocations()
	const fleet = 10_000
	for i := range fleet {
		var h est.Hash
		binary.BigEndian.PutUint32(h[:], uint32(i))
		r.Add(h)
	}
	if got := len(r.Take()); got != fleet {
		t.Errorf("%d revocations, want %d", got, fleet)
	}
}

// TestT20Classes is the table of architecture and transfer protocol §1.9.
// It is of row T20 of the transfer protocol (§9).
func TestT20Classes(t *testing.T) {
	for _, tt := range []struct {
		role coap.Role
		path []string
		want bool
	}{
		{coap.RoleOperational, []string{"rd"}, true},
		{coap.RoleOperational, []string{"dp"}, true},
		{coap.RoleOperational, []string{"est", "sren"}, true},
		{coap.RoleFactory, []string{"rd"}, false},
		{coap.RoleFactory, []string{"rd", "abc"}, false},
		{coap.RoleFactory, []string{"dp"}, false},
		{coap.RoleFactory, []string{"est", "sen"}, true},
		{coap.RoleFactory, []string{".well-known", "est", "sen"}, true},
		{coap.RoleFactory, []string{"bs"}, true},
		{coap.RoleFactory, []string{"bspack"}, true},
		{coap.RoleOperational, []string{"bs"}, false},
		{coap.RoleNone, []string{"bs"}, true},
		{coap.RoleBootstrap, []string{"bs"}, true},
		{coap.RoleBootstrap, []string{"rd"}, false},
		{coap.RoleBootstrap, []string{"est", "sen"}, true}, // once it was led there, see TestBootstrapEST
		{coap.RoleBootstrap, []string{"dp"}, false},
		{coap.RoleNone, []string{"rd"}, true},
		{coap.RoleNone, []string{"est", "sen"}, false},
		{coap.RoleNone, []string{"est", "crts"}, false},
		{coap.RoleNone, []string{"update"}, false},
		{coap.RolePSK, []string{"rd"}, true},
		{coap.RolePSK, []string{"bs"}, false},
		{coap.RolePSK, []string{"est", "sen"}, false},
		{coap.RoleRawKey, []string{"rd"}, true},
		{coap.RoleRawKey, []string{"update", "x"}, true},
		{coap.RoleRawKey, []string{"bs"}, false},
		{coap.RoleRawKey, []string{"est", "crts"}, false},
		{coap.RoleServer, []string{"rd"}, false},
		{coap.RoleExpired, []string{"est", "sren"}, true},
		{coap.RoleExpired, []string{"rd"}, false},
		{coap.RoleExpired, []string{"dp"}, false},
		{coap.RoleExpired, []string{"bs"}, false},
		{coap.RoleExpired, []string{"update", "x"}, false},
		{coap.RoleOperational, []string{"ra"}, true},
		{coap.RoleFactory, []string{"ra"}, true},
		{coap.RolePSK, []string{"ra"}, false},
		{coap.RoleBootstrap, []string{"ra"}, false},
		{coap.RoleExpired, []string{"ra"}, false},
		{coap.RoleNone, []string{"ra"}, false},
		{coap.RoleOperational, []string{"", "rd"}, false},
		{coap.RoleOperational, []string{"RD"}, false},
		{coap.RoleOperational, nil, false},
	} {
		if got := app.Classes(tt.role, tt.path...); got != tt.want {
			t.Errorf("%q may use %v: %v, want %v", tt.role, tt.path, got, tt.want)
		}
	}
}

type counted struct{ rows int }

func (c *counted) Audit(context.Context, audit.Row) error { c.rows++; return nil }

// TestRefusalsAreBounded: whoever can reach a port can make us refuse him as often
// as he likes; the audit must not fill the disk.
func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &counted{}
		a := app.NewAuditor(db)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx) }()
		const seconds = 60
		for range seconds * 100 { // 1,000 a second
			for range 10 {
				_ = a.Audit(ctx, audit.Row{}) // never fails
			}
			time.Sleep(10 * time.Millisecond)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if most := app.MaxRefusals + seconds*app.RefusalRate; db.rows > most || db.rows < app.MaxRefusals {
			t.Errorf("%d rows in %d s, want at most %d", db.rows, seconds, most)
		}
	})
}

// TestT3OpenAssociationsEnd: a copy of the factory key that opened an association
// at the former provider in time must not go on fetching updates over it when the
// device has left for good; no other device is cut off. It is of row T3 of the transfer protocol (§9).
func TestT3OpenAssociationsEnd(t *testing.T) {
	d := fleet.Device{Endpoint: "urn:dev:1", Factory: fleet.Factory{1}}
	for _, tt := range []struct {
		who             coap.Identity
		moving, forGood bool // whether it ends
	}{
		{coap.Identity{Role: coap.RoleOperational, Name: "urn:dev:1", Certificate: [32]byte{7}}, true, true},
		{coap.Identity{Role: coap.RoleFactory, Name: "urn:dev:1", Certificate: [32]byte{1}}, false, true},
		{coap.Identity{Role: coap.RoleOperational, Name: "urn:dev:2", Certificate: [32]byte{8}}, false, false},
		{coap.Identity{Role: coap.RoleFactory, Name: "urn:dev:1", Certificate: [32]byte{2}}, false, false},
		{coap.Identity{Role: coap.RolePSK, Name: "urn:dev:1"}, true, true},
		{coap.Identity{Role: coap.RolePSK, Name: "urn:dev:2"}, false, false},
		{coap.Identity{Role: coap.RoleRawKey, Name: "urn:dev:1", Certificate: [32]byte{9}}, true, true},
		{coap.Identity{Role: coap.RoleBootstrap, Name: "urn:dev:1"}, false, true},
		{coap.Identity{Role: coap.RoleBootstrap, Name: "urn:dev:2"}, false, false},
		{coap.Identity{}, false, false},
	} {
		if got := app.Dismissed(d, false, tt.who); got != tt.moving {
			t.Errorf("%+v ends with the commit: %v, want %v", tt.who, got, tt.moving)
		}
		if got := app.Dismissed(d, true, tt.who); got != tt.forGood {
			t.Errorf("%+v ends for good: %v, want %v", tt.who, got, tt.forGood)
		}
	}
}
