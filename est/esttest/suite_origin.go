package esttest

import (
	"errors"
	"testing"

	"steward/est"
)

func testOrigins(t *testing.T, b Backend) {
	t.Helper()
	origins, ok := b.Store.(est.OriginStore)
	if !ok {
		t.Fatal("the store keeps no origins")
	}
	if _, err := origins.KeyOrigin(t.Context(), hash("f")); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("origin of nothing = %v, want ErrUnknown", err)
	}
	first := record("f")
	first.Kind, first.Name = est.KindFactory, "urn:f"
	commit(t, b.Store, est.Change{
		Insert: []est.Record{first}, Origin: &est.FactoryOrigin{Factory: first.Hash, Origin: est.OriginCA},
		SoleFactory: "urn:f",
	})
	commit(t, b.Store, est.Change{Origin: &est.FactoryOrigin{Factory: first.Hash, Origin: est.OriginDevice}})
	if o, err := origins.KeyOrigin(t.Context(), first.Hash); err != nil || o != est.OriginDevice {
		t.Errorf("origin = %q, %v, want device", o, err)
	}
	second := record("g")
	second.Kind, second.Name = est.KindFactory, "urn:f"
	ch := est.Change{
		Insert: []est.Record{second}, Origin: &est.FactoryOrigin{Factory: second.Hash, Origin: est.OriginCA},
		SoleFactory: "urn:f",
	}
	if err := b.Store.Commit(t.Context(), ch); !errors.Is(err, est.ErrConflict) {
		t.Errorf("a second factory certificate = %v, want ErrConflict", err)
	}
	if _, err := origins.KeyOrigin(t.Context(), second.Hash); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("origin of what was not stored = %v, want ErrUnknown", err)
	}
	first.Status, first.Reason, first.Why, first.RevokedAt = est.StatusRevoked, est.KeyCompromise, "test", start
	ch.Update = []est.Record{first}
	commit(t, b.Store, ch)
}
