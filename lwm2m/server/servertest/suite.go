package servertest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

// TestStore checks that a Store keeps the promises of server.Store. open returns
// an empty one in which the devices named exist.
func TestStore(t *testing.T, open func(t *testing.T, devices ...fleet.ID) server.Store) {
	t.Helper()
	t.Run("registrations", func(t *testing.T) { testRegistrations(t, open(t, "a", "b")) })
	t.Run("refresh", func(t *testing.T) { testRefresh(t, open(t, "a", "b", "c")) })
	t.Run("profiles", func(t *testing.T) { testProfiles(t, open(t)) })
	t.Run("wanted", func(t *testing.T) { testWanted(t, open(t, "a", "b")) })
	t.Run("values", func(t *testing.T) { testValues(t, open(t, "a")) })
}

// at is a time that survives microsecond columns.
var at = time.UnixMicro(1_700_000_000_000_000).UTC()

func registration(id string, device fleet.ID) server.Registration {
	return server.Registration{
		ID: id, Device: device, Endpoint: lwm2m.Endpoint("ep-" + string(device)), Version: lwm2m.Version11,
		Lifetime: time.Minute, Binding: "U", Queue: true, SMS: "+46", Root: "/lwm2m", Formats: []uint16{60, 112},
		Objects: []server.ObjectLink{
			{Path: lwm2m.NewPath(1, 0)}, {Path: lwm2m.NewPath(3, 0), Version: "1.2"}, {Path: lwm2m.NewPath(5)},
		},
		Unknown: []string{"x=1"}, Address: "127.0.0.1:5",
		RegisteredAt: at, UpdatedAt: at, ExpiresAt: at.Add(time.Minute),
	}
}

// stored returns the registrations of s by their ids.
func stored(t *testing.T, s server.Store) map[string]server.Registration {
	t.Helper()
	all := map[string]server.Registration{}
	if err := s.EachRegistration(t.Context(), func(r server.Registration) { all[r.ID] = r }); err != nil {
		t.Fatal(err)
	}
	return all
}

// holds checks that s has these registrations and no other.
func holds(t *testing.T, what string, s server.Store, want ...server.Registration) {
	t.Helper()
	all := stored(t, s)
	for _, r := range want {
		if got := all[r.ID]; !reflect.DeepEqual(got, r) {
			t.Errorf("%s: registration %s = %+v\nwant %+v", what, r.ID, got, r)
		}
	}
	if len(all) != len(want) {
		t.Errorf("%s: %d registrations, want %d", what, len(all), len(want))
	}
}

func register(t *testing.T, s server.Store, all ...server.Registration) {
	t.Helper()
	for _, r := range all {
		if err := s.Register(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func testRegistrations(t *testing.T, s server.Store) {
	t.Helper()
	ctx := t.Context()
	register(t, s, registration("1", "a"), registration("2", "b"), registration("3", "a"))
	got := registration("3", "a")
	holds(t, "after Register", s, registration("2", "b"), got)
	got.Lifetime, got.Objects, got.Binding = time.Hour, got.Objects[:1], "US"
	if err := s.Update(ctx, got); err != nil {
		t.Fatal(err)
	}
	holds(t, "after Update", s, registration("2", "b"), got)
	gone := registration("1", "a")
	if err := s.Update(ctx, gone); !errors.Is(err, server.ErrNotRegistered) {
		t.Errorf("Update of a gone registration = %v", err)
	}
	if err := s.Remove(ctx, gone, "me", "test"); !errors.Is(err, server.ErrNotRegistered) {
		t.Errorf("Remove of a gone registration = %v", err)
	}
	if err := s.Remove(ctx, got, "me", "test"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(ctx, got, "me", "test"); !errors.Is(err, server.ErrNotRegistered) {
		t.Errorf("second Remove = %v, want ErrNotRegistered", err)
	}
	holds(t, "after Remove", s, registration("2", "b"))
}

// testRefresh stores signs of life that count, that are late, and of registrations
// that are gone or were made anew.
func testRefresh(t *testing.T, s server.Store) {
	t.Helper()
	ctx := t.Context()
	a, b, c := registration("1", "a"), registration("2", "b"), registration("3", "c")
	c.Lifetime, c.ExpiresAt = 0, time.Time{} // for ever
	register(t, s, a, b, c)
	holds(t, "one for ever", s, a, b, c)
	sign := func(r server.Registration, after time.Duration) server.Refresh {
		return server.Refresh{
			ID: r.ID, Device: r.Device, Address: "127.0.0.2:6", Lifetime: time.Hour, UpdatedAt: at.Add(after),
			ExpiresAt: at.Add(after + time.Hour), Rhythm: 20 * time.Second,
		}
	}
	first := sign(a, time.Second)
	for range 2 { // twice is once
		if err := s.Refresh(ctx, []server.Refresh{first, sign(a, time.Minute), sign(c, 1), first}); err != nil {
			t.Fatal(err)
		}
	}
	refreshed := func(r server.Registration, n server.Refresh) server.Registration {
		r.Address, r.Lifetime, r.UpdatedAt, r.ExpiresAt = n.Address, n.Lifetime, n.UpdatedAt, n.ExpiresAt
		r.Rhythm = n.Rhythm
		return r
	}
	a = refreshed(a, sign(a, time.Minute))
	c2 := sign(c, time.Microsecond)
	if err := s.Refresh(ctx, []server.Refresh{c2, sign(b, 0)}); err != nil {
		t.Fatal(err)
	}
	holds(t, "the latest counts", s, a, b, refreshed(c, c2))

	if err := s.Remove(ctx, b, "me", "test"); err != nil {
		t.Fatal(err)
	}
	anew := registration("4", "a")
	register(t, s, anew)
	anew.Rhythm = a.Rhythm // it is the device's, not the registration's
	other := sign(anew, time.Hour)
	other.Device = "c"
	if err := s.Refresh(ctx, []server.Refresh{sign(a, time.Hour), sign(b, time.Hour), other}); err != nil {
		t.Fatal(err)
	}
	holds(t, "what is gone stays gone", s, anew, refreshed(c, c2))
	anew.UpdatedAt, anew.Lifetime = at.Add(time.Minute), time.Second
	if err := s.Update(ctx, anew); err != nil {
		t.Fatal(err)
	}
	if err := s.Refresh(ctx, []server.Refresh{sign(anew, time.Second)}); err != nil {
		t.Fatal(err)
	}
	holds(t, "an Update counts more than what came before", s, anew, refreshed(c, c2))
}

func testWanted(t *testing.T, s server.Store) {
	t.Helper()
	ctx := t.Context()
	p, q, gone := server.Node(lwm2m.NewPath(3, 0, 9)), server.Node(lwm2m.NewPath(3)), server.Node(lwm2m.NewPath(5, 0))
	often, err := p.With([]string{"pmin=1", "pmax=5"})
	if err != nil {
		t.Fatal(err)
	}
	both, err := server.Nodes([]lwm2m.Path{lwm2m.NewPath(3), lwm2m.NewPath(1, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []struct {
		t  server.Target
		on bool
	}{{p, true}, {q, true}, {both, true}, {often, true}, {gone, true}, {gone, false}} {
		if err := s.Want(ctx, "a", w.t, w.on, "test"); err != nil {
			t.Fatal(err)
		}
	}
	want := []server.Wish{{Target: both}, {Target: q}, {Target: often}}
	if got, err := s.Wanted(ctx, "a"); err != nil || !slices.Equal(got, want) {
		t.Errorf("Wanted = %v, %v; want %v", got, err, want)
	}
	if got, err := s.Wanted(ctx, "b"); err != nil || len(got) != 0 {
		t.Errorf("Wanted of another = %v, %v", got, err)
	}
}

func testValues(t *testing.T, s server.Store) {
	t.Helper()
	entries := []lwm2m.Entry{
		{Path: lwm2m.NewPath(3, 0, 0), Value: lwm2m.String("x")},
		{Path: lwm2m.NewPath(3, 0, 6, 1), Value: lwm2m.Integer(-5)},
		{Path: lwm2m.NewPath(5, 0, 0), Value: lwm2m.Opaque([]byte{0, 255})},
	}
	for _, from := range []server.Source{server.FromRead, server.FromNotify} {
		var reports []server.Report
		for _, e := range entries {
			reports = append(reports, server.Report{Device: "a", From: from, Entry: e, At: at})
		}
		if err := s.Record(t.Context(), reports); err != nil {
			t.Errorf("Record = %v", err)
		}
	}
}
