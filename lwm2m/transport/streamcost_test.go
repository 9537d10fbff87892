package transport_test

import (
	"runtime"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
)

// TestStreamCost: a quiet connection is one goroutine and a bounded amount of
// memory. The client's side counts as well: half of the figures are its own.
func TestStreamCost(t *testing.T) {
	const n, few = 200, 8
	creds := newCredentials(t)
	for _, tt := range []struct {
		c     dtls.Credentials
		limit int64 // bytes
	}{{nil, 32 << 10}, {creds, 64 << 10}} {
		s := newStreamSite(t, tt.c, nil)
		e, o := newEngine(t), creds.client(t, "sensor")
		do(t, e, dial(t, e, s.uri(), o), coap.GET, "") // what is made once
		before, goroutines := memory(), runtime.NumGoroutine()
		for range n {
			do(t, e, dial(t, e, s.uri(), o), coap.GET, "")
		}
		each, more := (memory()-before)/n, runtime.NumGoroutine()-goroutines
		t.Logf("%s: %d bytes a connection, both sides", s.scheme, each)
		if each > tt.limit || more > 2*n+few {
			t.Errorf("%s: %d bytes and %.2f goroutines a connection, both sides", s.scheme, each, float64(more)/n)
		}
	}
}

// memory is what heap and stacks use.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
