package est_test

import (
	"errors"
	"testing"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/machine/machinetest"
)

func TestKeyTable(t *testing.T) {
	if err := est.KeyTable.Check(est.KeyNext, est.KeyPast); err != nil {
		t.Error(err)
	}
	machinetest.Golden(t, "testdata/key.mmd", est.KeyTable.Mermaid(est.KeyNext), *update)
}

func TestKeyStoreInMemory(t *testing.T) {
	s := &esttest.Keys{}
	esttest.TestKeyStore(t, s, s.Audit)
}

// TestKeyLife leads a key through two roll-overs, of which one is withdrawn.
func TestKeyLife(t *testing.T) {
	s := &esttest.Keys{}
	life := est.KeyLife{Store: s, Actor: "operator:test", Now: esttest.NewClock().Now}
	ctx := t.Context()
	states := func(want ...est.KeyState) {
		t.Helper()
		g, err := life.Generations(ctx, "issuing")
		if err != nil || len(g) != len(want) {
			t.Fatalf("%d generations, %v, want %v", len(g), err, want)
		}
		for i, w := range want {
			if g[i].State != w || g[i].Number != i+1 {
				t.Errorf("generation %d is %d in %s, want %s", i+1, g[i].Number, g[i].State, w)
			}
		}
	}
	refused := func(err error) {
		t.Helper()
		if !errors.Is(err, est.ErrRollover) {
			t.Errorf("%v, want ErrRollover", err)
		}
	}
	done := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	refused(life.Begin(ctx, "issuing", 1, est.Hash{1}))
	done(life.Adopt(ctx, "issuing", est.Hash{1}, life.Now()))
	done(life.Adopt(ctx, "issuing", est.Hash{1}, life.Now())) // again
	done(life.Adopt(ctx, "suit", est.Hash{9}, life.Now()))
	refused(life.Finish(ctx, "issuing"))
	refused(life.Withdraw(ctx, "issuing"))
	refused(life.Begin(ctx, "issuing", 3, est.Hash{2}))
	states(est.KeyActive)
	done(life.Begin(ctx, "issuing", 2, est.Hash{2}))
	refused(life.Begin(ctx, "issuing", 3, est.Hash{3}))
	states(est.KeyActive, est.KeyNext)
	done(life.Withdraw(ctx, "issuing"))
	states(est.KeyActive, est.KeyPast)
	done(life.Begin(ctx, "issuing", 3, est.Hash{3}))
	done(life.Finish(ctx, "issuing"))
	states(est.KeyPast, est.KeyPast, est.KeyActive)
	rows, err := s.Audit(ctx)
	if err != nil || len(rows) != 7 {
		t.Errorf("%d audit rows, %v, want 7: each step one", len(rows), err)
	}
}
