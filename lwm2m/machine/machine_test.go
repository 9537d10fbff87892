package machine_test

import (
	"errors"
	"strings"
	"testing"

	"steward/lwm2m/machine"
)

type table = machine.Table[string, string, string]

func TestStepRefusesUnknownEvent(t *testing.T) {
	_, err := table{{From: "a", On: "go", To: "b"}}.Step("b", "go")
	if !errors.Is(err, machine.ErrNoRow) {
		t.Fatalf("Step = %v, want ErrNoRow", err)
	}
}

func TestCheck(t *testing.T) {
	tests := []struct {
		name string
		in   table
		want string // part of the complaint; "" for none
	}{
		{"sound", table{{From: "a", On: "go", To: "b"}}, ""},
		{"ambiguous", table{{From: "a", On: "go", To: "b"}, {From: "a", On: "go", To: "a"}}, "two rows"},
		{"unreachable", table{{From: "a", On: "go", To: "b"}, {From: "x", On: "go", To: "b"}}, "cannot be reached"},
		{"dead end", table{{From: "a", On: "go", To: "c"}}, "no way out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.in.Check("a", "b")
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Check = %v, want %q", err, tt.want)
			}
		})
	}
}
