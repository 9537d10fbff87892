package transport_test

import (
	"math/rand/v2"
	"testing"

	"steward/lwm2m/transport"
)

// TestCell: what one association leaves in a cell is believed of it, and of no
// other, however much of it a kill has cut off.
func TestCell(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	generations := []uint32{0, 1, 1<<15 - 2, 1<<15 - 1, 1 << 15, 1<<16 - 1, 1<<32 - 2, 1<<32 - 1}
	for range 1000 {
		generations = append(generations, random.Uint32())
	}
	for _, g := range generations {
		next, expected := random.Uint64N(1<<48), random.Uint64N(1<<48+1)
		now, other := transport.NextGeneration(g), transport.NextGeneration(transport.NextGeneration(g))
		for stores := range 7 {
			c := transport.NewCell()
			c.Begin(other, 5, 5, 9)
			c.Begin(now, next, expected, stores)
			limit, received, ok := c.Left(now)
			if done := stores >= 4; ok != done {
				t.Fatalf("generation %d after %d stores: believed is %t", now, stores, ok)
			}
			if ok && (limit <= next || limit > next+2*1024 || received != expected) {
				t.Fatalf("generation %d: limit %d for %d, expected %d for %d", now, limit, next, received, expected)
			}
			if _, _, ok := c.Left(other); ok && stores > 0 {
				t.Fatalf("generation %d after %d stores of %d: still believed", other, stores, now)
			}
		}
	}
}
