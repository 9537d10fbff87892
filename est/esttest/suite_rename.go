package esttest

import (
	"errors"
	"reflect"
	"testing"

	"steward/est"
)

// testRenamed: a right and what belongs to it get another name at once, or none of it.
func testRenamed(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	r := est.Right{
		Factory: hash("old"), FactoryDER: []byte("old"), Endpoint: "urn:r", State: est.RightConsumed, Epoch: 1,
		SPKI: hash("key"), Issued: hash("o"), ChangedAt: start,
	}
	o := record("o")
	o.Factory, o.Name = r.Factory, r.Endpoint
	other := record("p")
	other.Factory = hash("else")
	commit(t, b.Store, est.Change{Right: &r, Insert: []est.Record{o, other}})

	next := r
	next.Factory, next.FactoryDER, next.Version = hash("new"), []byte("new"), 1
	stale := next
	stale.Version = 7
	if err := b.Store.Commit(ctx, est.Change{
		Right: &stale, Renamed: r.Factory, Succession: &est.Succession{Old: []byte("old"), New: []byte("new"), At: start},
	}); !errors.Is(err, est.ErrConflict) {
		t.Errorf("a right that was changed meanwhile = %v, want ErrConflict", err)
	}
	if err := b.Store.Commit(ctx, est.Change{
		Right: &next, Renamed: r.Factory, Insert: []est.Record{o},
	}); !errors.Is(err, est.ErrConflict) {
		t.Errorf("a change of which a part cannot be = %v, want ErrConflict", err)
	}
	if _, err := b.Store.Right(ctx, r.Factory); err != nil {
		t.Fatalf("after what was refused: %v", err)
	}
	origins, ok := b.Store.(est.OriginStore)
	if !ok {
		t.Fatal("the store keeps no successions")
	}
	if _, err := origins.Succession(ctx, next.Factory); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("succession after what was refused = %v, want ErrUnknown", err)
	}
	by := est.Succession{Old: r.FactoryDER, New: next.FactoryDER, Proof: []byte("proof"), At: start}
	commit(t, b.Store, est.Change{Right: &next, Renamed: r.Factory, Succession: &by})
	if kept, err := origins.Succession(ctx, next.Factory); err != nil || !reflect.DeepEqual(kept, by) {
		t.Errorf("succession = %+v, %v, want %+v", kept, err, by)
	}
	if _, err := b.Store.Right(ctx, r.Factory); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("the right by its old name = %v, want ErrUnknown", err)
	}
	got, err := b.Store.Right(ctx, next.Factory)
	if err != nil || string(got.FactoryDER) != "new" || got.Version != 2 || got.SPKI != r.SPKI || got.Issued != r.Issued {
		t.Errorf("the right by its new name = %+v, %v", got, err)
	}
	for _, want := range []struct{ hash, factory est.Hash }{{o.Hash, next.Factory}, {other.Hash, other.Factory}} {
		rec, err := b.Store.Certificate(ctx, want.hash)
		if err != nil || rec.Factory != want.factory {
			t.Errorf("certificate %x is of %x, %v, want %x", want.hash[:4], rec.Factory[:4], err, want.factory[:4])
		}
	}
	testRenamedToTaken(t, b, next.Factory)
}

// testRenamedToTaken: no right takes a name that another has.
func testRenamedToTaken(t *testing.T, b Backend, taken est.Hash) {
	t.Helper()
	second := est.Right{
		Factory: hash("second"), FactoryDER: []byte("2"), Endpoint: "urn:s", State: est.RightClosed, Epoch: 1,
		ChangedAt: start,
	}
	commit(t, b.Store, est.Change{Right: &second})
	second.Factory, second.Version = taken, 1
	err := b.Store.Commit(t.Context(), est.Change{Right: &second, Renamed: hash("second")})
	if !errors.Is(err, est.ErrConflict) {
		t.Errorf("a name that another right has = %v, want ErrConflict", err)
	}
}
