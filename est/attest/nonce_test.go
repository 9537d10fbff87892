package attest_test

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"steward/est/attest"
)

func TestNonces(t *testing.T) {
	n := attest.NewNonces()
	mine := attest.Purpose{Device: attest.Hash{1}, Transfer: "a"}
	nonce, end := n.New(mine, noon)
	if len(nonce) != attest.NonceLength || !end.Equal(noon.Add(attest.NonceLife)) {
		t.Fatalf("%d bytes until %v", len(nonce), end)
	}
	if again, _ := n.New(mine, noon); bytes.Equal(again, nonce) {
		t.Error("the same nonce twice")
	}
	changed := bytes.Clone(nonce)
	changed[0]++ // would end later
	tests := map[string]struct {
		nonce []byte
		p     attest.Purpose
		now   time.Time
		want  error
	}{
		"too late":         {nonce, mine, end, attest.ErrExpired},
		"another device":   {nonce, attest.Purpose{Device: attest.Hash{2}, Transfer: "a"}, noon, attest.ErrNonce},
		"another transfer": {nonce, attest.Purpose{Device: attest.Hash{1}, Transfer: "b"}, noon, attest.ErrNonce},
		"made up":          {make([]byte, attest.NonceLength), mine, noon, attest.ErrNonce},
		"prolonged":        {changed, mine, noon, attest.ErrNonce},
		"short":            {nonce[:31], mine, noon, attest.ErrNonce},
	}
	for name, test := range tests {
		if err := n.Spend(test.nonce, test.p, test.now); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := attest.NewNonces().Spend(nonce, mine, noon); !errors.Is(err, attest.ErrNonce) {
		t.Errorf("after a restart: %v", err)
	}
	if err := n.Spend(nonce, mine, end.Add(-1)); err != nil {
		t.Fatal(err)
	}
	if err := n.Spend(nonce, mine, noon); !errors.Is(err, attest.ErrSpent) {
		t.Errorf("spent twice: %v", err)
	}
	if err := n.Spend(changed, mine, noon); !errors.Is(err, attest.ErrNonce) {
		t.Errorf("made up: %v", err)
	}
}

// TestNonceIsSpentOnce lets many spend one nonce at once.
func TestNonceIsSpentOnce(t *testing.T) {
	n := attest.NewNonces()
	p := attest.Purpose{Device: attest.Hash{1}}
	nonce, _ := n.New(p, noon)
	var won atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if n.Spend(nonce, p, noon) == nil {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d have spent it", won.Load())
	}
}

// TestSpentNoncesAreBounded fills the memory of spent nonces, and finds room again
// when they have ended.
func TestSpentNoncesAreBounded(t *testing.T) {
	n := attest.NewNonces()
	p := attest.Purpose{Device: attest.Hash{1}}
	spend := func(now time.Time) error {
		nonce, _ := n.New(p, now)
		return n.Spend(nonce, p, now)
	}
	for i := range 1 << 16 {
		if err := spend(noon); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if err := spend(noon); !errors.Is(err, attest.ErrBusy) {
		t.Errorf("over the bound: %v", err)
	}
	if err := spend(noon.Add(attest.NonceLife)); err != nil {
		t.Errorf("after all have ended: %v", err)
	}
}
