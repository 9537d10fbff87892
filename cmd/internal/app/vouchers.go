package app

import (
	"sync"

	"steward/est"
)

// maxVouchers bounds the certificates remembered: a device that re-keys needs its own
// for a minute.
const maxVouchers = 65536

// vouchers remember under which provider certificates were found to stand when they
// were shown. When there are too many, all are forgotten: their devices come again.
type vouchers struct {
	mu sync.Mutex
	by map[est.Hash]string
}

func (v *vouchers) note(certificate est.Hash, provider string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.by == nil || len(v.by) >= maxVouchers {
		v.by = map[est.Hash]string{}
	}
	v.by[certificate] = provider
}

func (v *vouchers) of(certificate est.Hash) (provider string, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	provider, ok = v.by[certificate]
	return provider, ok
}
