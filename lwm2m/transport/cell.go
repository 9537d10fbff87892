package transport

import "steward/lwm2m/journal"

// reservedRecords is how many sequence numbers are reserved at least, and at most
// twice, at once.
const reservedRecords = 1024

// A cell is what a kept association changes with each message. It is two numbers,
// of 16 bytes in all, each with a part of the generation, by which it is told
// whose they are: nobody's if a part differs. No generation has a part that is
// zero, so that of numbers that were cleared, and of one that is not set yet,
// nothing is believed.
type cell struct{ journal.Cell }

const (
	cellReceived = 0 // one more than the highest sequence number received, 49 bits
	cellReserved = 1 // first sequence number not reserved for sending, in units of reservedRecords

	lowBits  = 15 // of the generation, below cellReceived; the others below cellReserved
	highBits = 32 - lowBits
	lowMask  = 1<<lowBits - 1
	highMask = 1<<highBits - 1
)

// nextGeneration is the generation after g that has two parts.
func nextGeneration(g uint32) uint32 {
	if g++; g&lowMask == 0 {
		g |= 1
	}
	if g>>lowBits == 0 {
		g |= 1 << lowBits
	}
	return g
}

// clear makes the cell nobody's.
func (c cell) clear() {
	c.Store(cellReceived, 0)
	c.Store(cellReserved, 0)
}

// beginCell makes a cell that of an association, by this order of stores: after
// none of them is a part of one believed of the other.
func beginCell(store func(k int, n uint64), f ref, next, expected uint64) {
	store(cellReceived, 0)
	store(cellReserved, 0)
	store(cellReceived, receivedNumber(f, expected))
	store(cellReserved, reservedNumber(f, next))
}

func receivedNumber(f ref, expected uint64) uint64 {
	return expected<<lowBits | uint64(f.generation&lowMask)
}

func reservedNumber(f ref, next uint64) uint64 {
	return (next/reservedRecords+2)<<highBits | uint64(f.generation>>lowBits)
}

// expect notes that whatever is below n was received, or is lost.
func (c cell) expect(f ref, n uint64) { c.Store(cellReceived, receivedNumber(f, n)) }

// reserve makes sure that n and some of its successors may be used.
func (c cell) reserve(f ref, n uint64) { c.Store(cellReserved, reservedNumber(f, n)) }

// limit is the first number that is not reserved.
func (c cell) limit() uint64 { return c.Load(cellReserved) >> highBits * reservedRecords }

// cellLeft returns what a cell says of an association whose process is no more,
// and whether it is that association's.
func cellLeft(numbers [journal.CellNumbers]uint64, f ref) (limit, expected uint64, ok bool) {
	received, reserved := numbers[cellReceived], numbers[cellReserved]
	ok = received&lowMask == uint64(f.generation&lowMask) && reserved&highMask == uint64(f.generation>>lowBits)
	return reserved >> highBits * reservedRecords, received >> lowBits, ok
}
