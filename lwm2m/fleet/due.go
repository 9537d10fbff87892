package fleet

import (
	"container/heap"
	"time"
)

// A DueQueue orders devices by when to look at them. A device may stand in it more
// than once: who takes the first knows which of its times still counts. The zero
// value is empty. It is not safe for concurrent use.
type DueQueue struct{ entries dueHeap }

// Add has device looked at then.
func (q *DueQueue) Add(device ID, at time.Time) { heap.Push(&q.entries, dueEntry{device, at}) }

// First returns the device with the earliest time; ok is false if there is none.
func (q *DueQueue) First() (device ID, at time.Time, ok bool) {
	if len(q.entries) == 0 {
		return "", time.Time{}, false
	}
	return q.entries[0].device, q.entries[0].at, true
}

// Drop takes the first out; there must be one.
func (q *DueQueue) Drop() { heap.Pop(&q.entries) }

type dueEntry struct {
	device ID
	at     time.Time
}

type dueHeap []dueEntry

// Len implements heap.Interface.
func (h *dueHeap) Len() int { return len(*h) }

// Less implements heap.Interface.
func (h *dueHeap) Less(i, j int) bool { return (*h)[i].at.Before((*h)[j].at) }

// Swap implements heap.Interface.
func (h *dueHeap) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) { *h = append(*h, x.(dueEntry)) } //nolint:errcheck,forcetypeassert // only Add pushes

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
