//go:build !race

package dtls_test // sync.Pool forgets on purpose under the race detector

import (
	"testing"

	"steward/lwm2m/dtls"
)

// TestSealOpenAllocateNothing: a peer that talks costs no garbage.
func TestSealOpenAllocateNothing(t *testing.T) {
	for kind := uint8(1); kind <= 3; kind++ {
		x, y := dtls.NewTestSessions(kind, 1, true)
		message, record, plain := make([]byte, 64), make([]byte, 0, 256), make([]byte, 0, 256)
		n := testing.AllocsPerRun(200, func() {
			record, _ = x.Seal(record[:0], dtls.ApplicationData, message)
			r, _, _ := dtls.ParseRecord(record)
			if _, err := y.Open(plain[:0], r); err != nil {
				t.Fatal(err)
			}
		})
		if n >= 1 {
			t.Errorf("suite %d: %v allocations", kind, n)
		}
	}
}
