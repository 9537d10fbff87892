package queue_test

import (
	"testing"

	"steward/lwm2m/queue"
)

// TestSecret names what holds keys, also of devices behind a gateway.
func TestSecret(t *testing.T) {
	for paths, want := range map[string]bool{
		"/0": true, "/0/0/5": true, "/21/0": true, "/3/0/0": false, "/3/0": false, "/1/0/0": false, "": false,
		"/3/0 /0/0": true, "/3/0,/21/0/0": true, "/d01/0/0/5": true, "/d01/21/0/0": true, "/d01/3/0": false,
		"/3/0/21": false, "/3/0 …": true, // what is left out could be one
	} {
		if got := queue.Secret(paths); got != want {
			t.Errorf("%q: %v, want %v", paths, got, want)
		}
	}
}
