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
	t.Run("expiry", func(t *testing.T) { testExpiry(t, open(t, "a", "b", "c")) })
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

func testRegistrations(t *testing.T, s server.Store) {
	t.Helper()
	ctx := t.Context()
	for _, r := range []server.Registration{registration("1", "a"), registration("2", "b"), registration("3", "a")} {
		if err := s.Register(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Registration(ctx, "1"); !errors.Is(err, server.ErrNotRegistered) {
		t.Errorf("the replaced registration: %v, want ErrNotRegistered", err)
	}
	got, err := s.OfDevice(ctx, "a")
	if want := registration("3", "a"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("OfDevice = %+v, %v\nwant %+v", got, err, want)
	}
	testUpdates(t, s, got)
	testRemove(t, s)
}

// testUpdates changes got, registration 3.
func testUpdates(t *testing.T, s server.Store, got server.Registration) {
	t.Helper()
	ctx := t.Context()
	got.Lifetime, got.Objects = time.Hour, got.Objects[:1]
	if err := s.Update(ctx, got, false); err != nil {
		t.Fatal(err)
	}
	if again, err := s.Registration(ctx, "3"); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("after Update: %+v, %v", again, err)
	}
	got.UpdatedAt, got.ExpiresAt, got.Address = at.Add(1e9), at.Add(2e9), "127.0.0.2:6"
	if err := s.Update(ctx, got, true); err != nil {
		t.Fatal(err)
	}
	if again, err := s.Registration(ctx, "3"); err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("after a refresh: %+v, %v", again, err)
	}
	if err := s.Update(ctx, registration("1", "a"), true); !errors.Is(err, server.ErrNotRegistered) {
		t.Errorf("Update of a gone registration = %v", err)
	}
}

func testRemove(t *testing.T, s server.Store) {
	t.Helper()
	ctx := t.Context()
	if err := s.Remove(ctx, "3", "me", "test"); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(ctx, "3", "me", "test"); !errors.Is(err, server.ErrNotRegistered) {
		t.Errorf("second Remove = %v, want ErrNotRegistered", err)
	}
	if _, err := s.OfDevice(ctx, "a"); !errors.Is(err, server.ErrNotRegistered) {
		t.Errorf("OfDevice after Remove = %v", err)
	}
}

func testExpiry(t *testing.T, s server.Store) {
	t.Helper()
	ctx := t.Context()
	a, b, c := registration("1", "a"), registration("2", "b"), registration("3", "c")
	b.ExpiresAt = at.Add(time.Hour)
	c.Lifetime, c.ExpiresAt = 0, time.Time{} // for ever
	for _, r := range []server.Registration{a, b, c} {
		if err := s.Register(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Registration(ctx, "3"); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("registration for ever = %+v, %v; want %+v", got, err, c)
	}
	for _, tt := range []struct {
		after time.Duration
		limit int
		want  []string
	}{
		{0, 10, nil},
		{2 * time.Hour, 1, []string{"1"}},
		{2 * time.Minute, 10, nil},
		{2 * time.Hour, 10, []string{"2"}},
		{1e6 * time.Hour, 10, nil},
	} {
		got, err := s.Expire(ctx, at.Add(tt.after), tt.limit)
		var ids []string
		for _, r := range got {
			ids = append(ids, r.ID)
		}
		if err != nil || !slices.Equal(ids, tt.want) {
			t.Errorf("Expire after %v = %v, %v; want %v", tt.after, ids, err, tt.want)
		}
	}
	if _, err := s.Registration(ctx, "1"); !errors.Is(err, server.ErrNotRegistered) {
		t.Errorf("an expired registration: %v, want ErrNotRegistered", err)
	}
}

func testWanted(t *testing.T, s server.Store) {
	t.Helper()
	ctx := t.Context()
	p, q := lwm2m.NewPath(3, 0, 9), lwm2m.NewPath(3)
	for _, w := range []struct {
		p  lwm2m.Path
		on bool
	}{{p, true}, {q, true}, {p, true}, {lwm2m.NewPath(5, 0), true}, {lwm2m.NewPath(5, 0), false}} {
		if err := s.Want(ctx, "a", w.p, w.on, "test"); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := s.Wanted(ctx, "a"); err != nil || !slices.Equal(got, []lwm2m.Path{q, p}) {
		t.Errorf("Wanted = %v, %v; want %v %v", got, err, q, p)
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
		if err := s.Record(t.Context(), "a", from, entries, at); err != nil {
			t.Errorf("Record = %v", err)
		}
	}
}
