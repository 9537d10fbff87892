package transport

import "steward/lwm2m/journal"

// NextGeneration is the generation after g.
func NextGeneration(g uint32) uint32 { return nextGeneration(g) }

// A Cell is a cell of nobody's journal.
type Cell struct{ numbers [journal.CellNumbers]uint64 }

// NewCell returns one.
func NewCell() *Cell { return &Cell{} }

// Begin makes the cell that of an association, as far as so many stores go.
func (c *Cell) Begin(generation uint32, next, expected uint64, stores int) {
	f := ref{generation: generation}
	store := func(k int, n uint64) {
		if stores > 0 {
			c.numbers[k] = n
		}
		stores--
	}
	beginCell(store, f, next, expected)
}

// Left returns what it says of an association.
func (c *Cell) Left(generation uint32) (limit, expected uint64, ok bool) {
	return cellLeft(c.numbers, ref{generation: generation})
}
