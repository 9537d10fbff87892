package sim_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"steward/cmd/internal/sim"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/server"
	"steward/objects"
	"steward/suit"
	"steward/transfer"
)

// An updateServer is that of beta: it has one envelope for who asks with a lower
// sequence number, and opens the right of who has it.
type updateServer struct {
	m        *move
	envelope []byte
	sequence string       // that of the envelope
	terse    bool         // takes no more than class and sequence number
	block    func()       // before each block of a payload; nil: nothing
	broken   atomic.Int64 // blocks that are still to fail

	mu      sync.Mutex
	reports []*suit.Report
}

// told returns the reports that have come.
func (u *updateServer) told() []*suit.Report {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.reports)
}

// updatesFirst has the device of m ask beta's update server first.
func (m *move) updatesFirst(envelope []byte, sequence string) *updateServer {
	u := &updateServer{m: m, envelope: envelope, sequence: sequence}
	m.updateFirst, m.beta.updates = true, coap.HandlerFunc(u.serve)
	return u
}

func (u *updateServer) serve(ctx context.Context, r *coap.Request) *coap.Response {
	if r.Method == coap.POST {
		report, err := suit.ParseReport(r.Payload)
		if err != nil {
			return &coap.Response{Code: coap.BadRequest}
		}
		u.mu.Lock()
		u.reports = append(u.reports, report)
		u.mu.Unlock()
		return &coap.Response{Code: coap.Changed}
	}
	if r.Peer.Identity().Role != coap.RoleFactory {
		return &coap.Response{Code: coap.Forbidden}
	}
	if len(r.Path) > 1 {
		return u.payload(r)
	}
	switch {
	case u.terse && len(r.Query) != 2:
		return &coap.Response{Code: coap.BadRequest}
	case u.terse && r.Query[0] == "c="+class.String():
	case len(r.Query) != 3 || r.Query[0] != "c="+class.String() || !strings.HasPrefix(r.Query[2], "k="):
		return &coap.Response{Code: coap.BadRequest}
	}
	if r.Query[1] != "s="+u.sequence {
		return &coap.Response{Code: coap.Content, Payload: u.envelope, ETag: []byte{1}}
	}
	if _, err := u.m.beta.ca.OpenRight(ctx, u.m.f.hash(u.m.b), est.Hash(u.m.ready.Body.SPKI)); err != nil {
		return &coap.Response{Code: coap.ServiceUnavailable}
	}
	return &coap.Response{Code: coap.Valid}
}

// payload answers a block of what the envelope names.
func (u *updateServer) payload(r *coap.Request) *coap.Response {
	if u.block != nil {
		u.block()
	}
	if u.broken.Add(-1) >= 0 {
		return &coap.Response{Code: coap.InternalServerError}
	}
	return u.m.beta.payload(r)
}

// TestUpdateFirst moves a device that takes an image of beta's first, by a manifest of
// beta's signer, which has no other power yet.
func TestUpdateFirst(t *testing.T) {
	t.Parallel()
	m := newMove(t, 60)
	u := m.updatesFirst(manifest(t, m.beta.suit, "2.0.0", 2, ""), "2")
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.prepare()
	m.commit()
	if e := r.await(sim.Updated); e.Version != "2.0.0" || e.Sequence != 2 {
		t.Errorf("updated to %s, %d", e.Version, e.Sequence)
	}
	r.await(sim.Renewed)
	r.await(sim.Done)
	m.finish()
	r.await(sim.Finalised)
	m.wantFresh()
	if told := u.told(); len(told) != 1 || told[0].Failure != nil {
		t.Errorf("reports %+v", told)
	}
}

// TestUpdateFirstIsRolledBack is an update that must not be kept: signed by alpha, whose
// time is over, altered on the way, or of a firmware that lacks the Transfer object. The
// device is alpha's again, with the image that it had.
func TestUpdateFirstIsRolledBack(t *testing.T) {
	for name, test := range map[string]struct {
		why      string // part of what the device says
		envelope func(t *testing.T, m *move) []byte
	}{
		"signed by alpha": {"not authentic", func(t *testing.T, m *move) []byte {
			t.Helper()
			return manifest(t, m.alpha.suit, "2.0.0", 3, "")
		}},
		"altered": {"image", func(t *testing.T, m *move) []byte {
			t.Helper()
			raw := bytes.Clone(manifest(t, m.beta.suit, "2.0.0", 3, ""))
			raw[len(raw)-1] ^= 1
			return raw
		}},
		"without the Transfer object": {"lacks the Transfer object", func(t *testing.T, m *move) []byte {
			t.Helper()
			return manifestOf(t, m.beta.suit, "2.0.0", 3, []byte("firmware without the transfer object"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMove(t, 3600)
			m.updatesFirst(test.envelope(t, m), "3")
			r := start(t, m.b, options(m.dir))
			r.await(sim.Registered)
			if err := m.alpha.write(firmwarePackage, lwm2m.Opaque(manifest(t, m.alpha.suit, "1.5.0", 2, ""))); err != nil {
				t.Fatal(err)
			}
			r.await(sim.Downloaded)
			update := lwm2m.NewPath(objects.FirmwareID, 0, objects.FirmwareUpdate)
			_ = m.alpha.srv.Execute(t.Context(), endpoint, update, "") // it restarts, perhaps before it answers
			r.await(sim.Updated)
			m.alpha.await(server.Registered, lwm2m.Path{})
			m.prepare()
			m.commit()
			if e := r.await(sim.UpdateFailed); !strings.Contains(e.Error, test.why) {
				t.Errorf("the device says %s", e.Error)
			}
			r.await(sim.FallingBack)
			m.fallback()
			r.await(sim.FellBack)
			state, err := sim.Inspect(m.dir, m.b)
			if err != nil || state.Sequence != 2 || state.State != transfer.FellBack {
				t.Errorf("the device is %s and runs sequence %d, %v", state.State, state.Sequence, err)
			}
		})
	}
}

// TestUpdateFirstSurvivesAPowerCutAtEveryWrite cuts the power from the commit to
// FINALISED.
func TestUpdateFirstSurvivesAPowerCutAtEveryWrite(t *testing.T) {
	if testing.Short() {
		t.Skip("a transfer for each write of one")
	}
	t.Parallel()
	for n := int64(1); ; n++ {
		m, c := newMove(t, 3600), &cutter{}
		m.updatesFirst(manifest(t, m.beta.suit, "2.0.0", 2, ""), "2")
		o := options(m.dir)
		o.PowerCut = c.cut
		cuts := keepRunning(t, m.b, o)
		m.alpha.await(server.Registered, lwm2m.Path{})
		m.prepare()
		c.left.Store(n)
		m.insist(m.alpha, objects.TransferCommit, transfer.Ready)
		m.awaitState(m.beta, transfer.Done)
		m.insist(m.beta, objects.TransferFinalise, transfer.Done)
		m.awaitState(m.beta, transfer.Finalised)
		if state, err := sim.Inspect(m.dir, m.b); err != nil || state.Sequence != 2 {
			t.Fatalf("write %d: the device runs sequence %d, %v", n, state.Sequence, err)
		}
		if cuts.Load() == 0 {
			t.Logf("a transfer with an update takes %d writes", n-1)
			break
		}
	}
}

// TestUpdateFirstApart moves a device that fetches beta's image apart from its manifest,
// by its factory certificate: a server that fails for a while is asked again, and after
// a power cut the device goes on where it was. The server knows no key in the question.
func TestUpdateFirstApart(t *testing.T) {
	t.Parallel()
	payload := bytes.Repeat([]byte("0123456789abcdef"), 16<<10) // 256 KiB: four pieces
	m, c := newMove(t, 3600), &cutter{}
	m.beta.payloads["image"] = payload
	u := m.updatesFirst(manifestFor(t, m.beta.suit, "2.0.0", 2, payload, m.beta.uri()+"/update/p/image"), "2")
	u.terse = true
	u.broken.Store(2)
	u.block = sync.OnceFunc(func() { c.left.Store(4) })
	o := options(m.dir)
	o.PowerCut = c.cut
	cuts := keepRunning(t, m.b, o)
	m.alpha.await(server.Registered, lwm2m.Path{})
	m.prepare()
	m.insist(m.alpha, objects.TransferCommit, transfer.Ready)
	m.awaitState(m.beta, transfer.Done)
	m.insist(m.beta, objects.TransferFinalise, transfer.Done)
	m.awaitState(m.beta, transfer.Finalised)
	if state, err := sim.Inspect(m.dir, m.b); err != nil || state.Sequence != 2 {
		t.Errorf("the device runs sequence %d, %v", state.Sequence, err)
	}
	if cuts.Load() != 1 {
		t.Errorf("%d power cuts, want 1", cuts.Load())
	}
	m.beta.mu.Lock()
	defer m.beta.mu.Unlock()
	if limit := len(payload) + 2*64<<10; m.beta.served > limit {
		t.Errorf("%d bytes served for an image of %d, want at most %d", m.beta.served, len(payload), limit)
	}
}

// TestUpdateFirstFromNobodyElse is a manifest of beta's that names another server: it is
// not shown the factory certificate, and the device falls back.
func TestUpdateFirstFromNobodyElse(t *testing.T) {
	t.Parallel()
	m := newMove(t, 3600)
	m.updatesFirst(manifest(t, m.beta.suit, "2.0.0", 2, m.alpha.uri()+"/update/p/image"), "2")
	m.alpha.payloads["image"] = image
	r := start(t, m.b, options(m.dir))
	r.await(sim.Registered)
	m.prepare()
	m.commit()
	if e := r.await(sim.UpdateFailed); !strings.Contains(e.Error, "not the update server") {
		t.Errorf("the device says %s", e.Error)
	}
	r.await(sim.FallingBack)
	m.fallback()
	r.await(sim.FellBack)
	m.alpha.mu.Lock()
	defer m.alpha.mu.Unlock()
	if m.alpha.served != 0 {
		t.Errorf("alpha served %d bytes", m.alpha.served)
	}
}
