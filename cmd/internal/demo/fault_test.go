package demo_test

import (
	"errors"
	"io"
	"testing"

	"steward/cmd/internal/demo"
)

// TestOptionsRefused refuses what cannot be meant before anything is started.
func TestOptionsRefused(t *testing.T) {
	for name, o := range map[string]demo.Options{
		"no device":         {},
		"too many devices":  {Devices: demo.MaxDevices + 1},
		"unknown fault":     {Devices: 1, Fault: "rain"},
		"unknown hierarchy": {Devices: 1, Hierarchy: "e"},
		"unknown encoding":  {Devices: 1, Encoding: "282"},
		"no loss":           {Devices: 1, Fault: "loss=0%"},
		"too much loss":     {Devices: 1, Fault: "loss=51%"},
		"loss of what":      {Devices: 1, Fault: "loss=%"},
	} {
		o.Dir, o.Stdout, o.Stderr = t.TempDir(), io.Discard, io.Discard
		if err := demo.Run(t.Context(), o); !errors.Is(err, demo.ErrOptions) {
			t.Errorf("%s: %v, want ErrOptions", name, err)
		}
	}
}
