package rollout

import (
	"container/heap"
	"time"

	"steward/lwm2m/fleet"
)

// A dueQueue orders devices by when to look at them.
type dueQueue []dueEntry

type dueEntry struct {
	device fleet.ID
	at     time.Time
}

// Len implements heap.Interface.
func (q *dueQueue) Len() int { return len(*q) }

// Less implements heap.Interface.
func (q *dueQueue) Less(i, j int) bool { return (*q)[i].at.Before((*q)[j].at) }

// Swap implements heap.Interface.
func (q *dueQueue) Swap(i, j int) { (*q)[i], (*q)[j] = (*q)[j], (*q)[i] }

// Push implements heap.Interface.
func (q *dueQueue) Push(x any) { *q = append(*q, x.(dueEntry)) } //nolint:errcheck,forcetypeassert // only add pushes

// Pop implements heap.Interface.
func (q *dueQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

func (q *dueQueue) add(device fleet.ID, at time.Time) { heap.Push(q, dueEntry{device, at}) }
