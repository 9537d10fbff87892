package sqlite

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

var errLost = errors.New("answer lost")

// lossy is the real store, of which every third commit is done and not told.
type lossy struct {
	Inventory

	on atomic.Bool
	n  atomic.Int64
}

func (l *lossy) Commit(ctx context.Context, ch est.Change) error {
	if err := l.Inventory.Commit(ctx, ch); err != nil || !l.on.Load() || l.n.Add(1)%3 != 0 {
		return err
	}
	return errLost
}

// TestOneLiveKey has four clients with copies of one factory certificate ask for
// keys of their own and for keys made here, at once, on disk, with lost answers,
// over several openings of the right: one key is live, and it is that of whoever
// got an answer.
func TestOneLiveKey(t *testing.T) {
	db, clock := open(t), esttest.NewClock()
	store := &lossy{Inventory: db.Inventory()}
	profile, err := est.NewProfile(est.ProfileOptions{
		Name: "keys", Kind: est.KindOperational, Validity: time.Hour, ServerKeys: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	ca := esttest.NewCA(t, "Alpha", store, clock.Now, func(o *est.Options) {
		o.Requests, o.Sealer, o.Profiles.Operational = store, esttest.NewSealer(t), profile
		o.Limits = est.Limits{Burst: 1000}
	})
	factory := esttest.NewFactory(t, clock.Now)
	device := esttest.NewDevice(t, factory, "urn:dev:1")
	esttest.Grant(t, ca, factory, device)
	for round := range 8 {
		t.Run(fmt.Sprintf("round %d", round), func(t *testing.T) {
			store.on.Store(false)
			open := ca.ReopenRight
			if round == 0 {
				open = ca.OpenRight
			}
			if _, err := open(t.Context(), device.Factory, est.Hash{}); err != nil {
				t.Fatal(err)
			}
			store.on.Store(true)
			got := race(t, ca, device)
			records, err := ca.List(t.Context(), est.Query{Kind: est.KindOperational, Status: est.StatusValid})
			if err != nil || len(records) != 1 || len(got) != 1 || records[0].Hash != got[0] {
				t.Errorf("%d keys are live, %d clients have answers, %v", len(records), len(got), err)
			}
		})
	}
}

// race has four clients ask until they have an answer or are refused, and returns
// what they got.
func race(t *testing.T, ca *est.CA, device esttest.Device) []est.Hash {
	t.Helper()
	const clients, attempts = 4, 10
	var answers [clients]est.Hash
	var wg sync.WaitGroup
	for i := range clients {
		r := est.Request{Client: device.Client(), CSR: esttest.Request(t, esttest.Key(t), device.Endpoint)}
		wg.Go(func() {
			for range attempts {
				var issued est.Issued
				var err error
				if i%2 == 0 {
					issued, err = ca.Enrol(t.Context(), r)
				} else {
					var made est.Keyed
					made, err = ca.GenerateKey(t.Context(), r)
					issued = made.Issued
				}
				if err == nil {
					answers[i] = issued.Hash
				}
				if !errors.Is(err, errLost) || errors.Is(err, est.ErrWrongKey) {
					return
				}
			}
		})
	}
	wg.Wait()
	var out []est.Hash
	for _, h := range answers {
		if h != (est.Hash{}) {
			out = append(out, h)
		}
	}
	return out
}
