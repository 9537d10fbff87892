package esttest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
)

// others returns the parts of a Store that keep passwords and errands.
func others(t *testing.T, b Backend) (est.Passwords, est.Errands) {
	t.Helper()
	p, hasPasswords := b.Store.(est.Passwords)
	o, hasOrders := b.Store.(est.Errands)
	if !hasPasswords || !hasOrders {
		t.Fatalf("%T keeps no passwords or errands", b.Store)
	}
	return p, o
}

func password(id string) est.Password {
	return est.Password{
		ID: id, Hash: hash("secret of " + id), Name: "gateway-*", Total: 3, Left: 3, State: est.PasswordOpen,
		ExpiresAt: start.Add(time.Hour), CreatedAt: start, CreatedBy: "operator:ann", ChangedAt: start,
	}
}

func testPasswords(t *testing.T, b Backend) {
	t.Helper()
	store, _ := others(t, b)
	if _, err := store.Password(t.Context(), "a"); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("Password = %v, want ErrUnknown", err)
	}
	a, c := password("a"), password("c")
	commit(t, b.Store, est.Change{Password: &a})
	commit(t, b.Store, est.Change{Password: &c})
	a.Version, a.Left, a.State, a.ChangedAt = 1, 0, est.PasswordUsed, start.Add(time.Minute)
	commit(t, b.Store, est.Change{Password: &a})
	a.Version, c.Version = 2, 1
	for _, want := range []est.Password{a, c} {
		if got, err := store.Password(t.Context(), want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Password = %+v, %v\nwant %+v", got, err, want)
		}
	}
	for _, tt := range []struct {
		before string
		limit  int
		want   []est.Password
	}{
		{"", 10, []est.Password{c, a}}, {"", 1, []est.Password{c}}, {"c", 10, []est.Password{a}}, {"?", 10, nil},
	} {
		got, err := store.Passwords(t.Context(), tt.before, tt.limit)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("Passwords(%q, %d) = %v, %v, want %v", tt.before, tt.limit, got, err, tt.want)
		}
	}
}

func testPasswordVersion(t *testing.T, b Backend) {
	t.Helper()
	store, _ := others(t, b)
	p, r := password("a"), record("x")
	commit(t, b.Store, est.Change{Password: &p})
	for name, stale := range map[string]int64{"second insert": 0, "stale update": 7} {
		p.Version = stale
		err := b.Store.Commit(t.Context(), est.Change{Insert: []est.Record{r}, Password: &p, Audit: []audit.Row{{At: start}}})
		if !errors.Is(err, est.ErrConflict) {
			t.Errorf("%s = %v, want ErrConflict", name, err)
		}
	}
	if _, err := b.Store.Certificate(t.Context(), r.Hash); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("certificate of a failed change: %v", err)
	}
	if got, err := store.Password(t.Context(), "a"); err != nil || got.Version != 1 {
		t.Errorf("Password = %+v, %v", got, err)
	}
}

func errand(id string) est.Errand {
	return est.Errand{
		ID: id, State: est.ErrandWaiting, Client: hash("client " + id), Name: "urn:" + id, Request: []byte("csr " + id),
		CSR: hash("csr " + id), SPKI: hash("key " + id), NextAt: start, Reason: "asked", CreatedAt: start, ChangedAt: start,
	}
}

func testErrands(t *testing.T, b Backend) {
	t.Helper()
	_, store := others(t, b)
	if _, err := store.Errand(t.Context(), "a"); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("Errand = %v, want ErrUnknown", err)
	}
	a, c := errand("a"), errand("c")
	commit(t, b.Store, est.Change{Errands: []est.Errand{a, c}})
	a.Version, a.State, a.Answer, a.Tries = 1, est.ErrandReady, []byte("der"), 2
	a.NextAt, a.Reason, a.ChangedAt = start.Add(time.Hour), "answered", start.Add(time.Minute)
	commit(t, b.Store, est.Change{Errands: []est.Errand{a}})
	a.Version, c.Version = 2, 1
	for _, want := range []est.Errand{a, c} {
		if got, err := store.Errand(t.Context(), want.ID); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Errand = %+v, %v\nwant %+v", got, err, want)
		}
	}
	for _, tt := range []struct {
		name string
		q    est.ErrandQuery
		want []string
	}{
		{"all, newest first", est.ErrandQuery{}, []string{"c", "a"}},
		{"limit", est.ErrandQuery{Limit: 1}, []string{"c"}},
		{"before", est.ErrandQuery{Before: "c"}, []string{"a"}},
		{"before an unknown one", est.ErrandQuery{Before: "?"}, nil},
		{"state", est.ErrandQuery{State: est.ErrandReady}, []string{"a"}},
		{"client", est.ErrandQuery{Client: c.Client}, []string{"c"}},
		{"client and request", est.ErrandQuery{Client: c.Client, CSR: c.CSR}, []string{"c"}},
		{"client of one, request of the other", est.ErrandQuery{Client: c.Client, CSR: a.CSR}, nil},
		{"due", est.ErrandQuery{Due: start}, []string{"c"}},
	} {
		got, err := store.Errands(t.Context(), tt.q)
		var ids []string
		for _, o := range got {
			ids = append(ids, o.ID)
		}
		if err != nil || !slices.Equal(ids, tt.want) {
			t.Errorf("%s: Errands = %v, %v, want %v", tt.name, ids, err, tt.want)
		}
	}
}

func testOpenErrand(t *testing.T, b Backend) {
	t.Helper()
	first, second := errand("a"), errand("b")
	second.Client = first.Client
	commit(t, b.Store, est.Change{Errands: []est.Errand{first}})
	if err := b.Store.Commit(t.Context(), est.Change{Errands: []est.Errand{second}}); !errors.Is(err, est.ErrConflict) {
		t.Errorf("second errand of a client = %v, want ErrConflict", err)
	}
	if err := b.Store.Commit(t.Context(), est.Change{Errands: []est.Errand{first}}); !errors.Is(err, est.ErrConflict) {
		t.Errorf("stale errand = %v, want ErrConflict", err)
	}
	first.Version, first.State = 1, est.ErrandWithdrawn
	commit(t, b.Store, est.Change{Errands: []est.Errand{first, second}})
}

func testSole(t *testing.T, b Backend) {
	t.Helper()
	old, fresh := record("old"), record("fresh")
	old.Name, fresh.Name = "urn:x", "urn:x"
	commit(t, b.Store, est.Change{Insert: []est.Record{old}, Sole: "urn:x"})
	err := b.Store.Commit(t.Context(), est.Change{Insert: []est.Record{fresh}, Sole: "urn:x"})
	if !errors.Is(err, est.ErrConflict) {
		t.Errorf("a second holder = %v, want ErrConflict", err)
	}
	old.Status, old.Reason, old.RevokedAt = est.StatusRevoked, est.Superseded, start
	commit(t, b.Store, est.Change{Update: []est.Record{old}, Insert: []est.Record{fresh}, Sole: "urn:x"})
	r := right("r")
	r.Endpoint = "urn:y"
	commit(t, b.Store, est.Change{Right: &r})
	other := record("other")
	other.Name = "urn:y"
	err = b.Store.Commit(t.Context(), est.Change{Insert: []est.Record{other}, Sole: "urn:y"})
	if !errors.Is(err, est.ErrEndpoint) {
		t.Errorf("holder of a right's name = %v, want ErrEndpoint", err)
	}
}

func testFirst(t *testing.T, b Backend) {
	t.Helper()
	old, fresh, server := record("old"), record("fresh"), record("server")
	old.Name, fresh.Name, server.Name, server.Kind = "urn:x", "urn:x", "urn:x", est.KindServer
	commit(t, b.Store, est.Change{Insert: []est.Record{server}, First: "urn:x"})
	commit(t, b.Store, est.Change{Insert: []est.Record{old}, First: "urn:x"})
	old.Status, old.Reason, old.RevokedAt = est.StatusRevoked, est.Superseded, start
	commit(t, b.Store, est.Change{Update: []est.Record{old}})
	r := right("r")
	err := b.Store.Commit(t.Context(), est.Change{Right: &r, Insert: []est.Record{fresh}, First: "urn:x"})
	if !errors.Is(err, est.ErrConflict) {
		t.Errorf("a second one, the first revoked = %v, want ErrConflict", err)
	}
	if _, err := b.Store.Right(t.Context(), r.Factory); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("part of a refused change is stored: %v", err)
	}
}
