package peer

import (
	"sync"
	"time"

	"steward/transfer/coordinator"
)

// atOnce is how many large requests of one partner are in memory at a time: a body of
// MaxBatch costs several times its length while it is judged.
const atOnce = 2

// A large counts the large requests that are being answered, by partner.
type large struct {
	mu   sync.Mutex
	busy map[string]int
}

// begin counts a request whose body has length bytes, below 0: it is not said. It returns
// what ends it, or ErrLimit if there are too many already.
func (l *large) begin(partner string, length int64) (done func(), err error) {
	if length >= 0 && length <= maxSmall {
		return func() {}, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[partner] >= atOnce {
		return nil, &coordinator.LimitError{What: "too many large requests at once", Wait: time.Second}
	}
	if l.busy == nil {
		l.busy = map[string]int{}
	}
	l.busy[partner]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.busy[partner]--; l.busy[partner] == 0 {
			delete(l.busy, partner)
		}
	}, nil
}
