package ui

import (
	"encoding/json"
	"fmt"
	"testing"
)

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		state            string
		reached, current int // numbers of steps
	}{
		{"DRAFT", 0, 1},
		{"STAGING", 5, 1},
		{"COMPLETE", 9, 0},
		{"CANCELLED", 0, 0},
	} {
		reached, current := 0, 0
		for _, s := range steps(c.state) {
			if s.Reached {
				reached++
			}
			if s.Current {
				current++
			}
		}
		if reached != c.reached || current != c.current {
			t.Errorf("steps(%s): %d reached, %d current; want %d, %d", c.state, reached, current, c.reached, c.current)
		}
	}
}

func TestFactsOf(t *testing.T) {
	for in, want := range map[string]string{
		`{"b":"x","a":12345678901234567890}`: "[{b x} {a 12345678901234567890}]",
		`{}`:                                 "[]",
		`["a"]`:                              "[]",
		`{"a":`:                              "[]",
		``:                                   "[]",
	} {
		if got := fmt.Sprint(factsOf(json.RawMessage(in))); got != want {
			t.Errorf("factsOf(%s) = %s, want %s", in, got, want)
		}
	}
}

func TestOutcome(t *testing.T) {
	for code, want := range map[int]string{1: "updated", 5: "integrity check failed", -1: "", 999: ""} {
		if got := outcome(code); got != want {
			t.Errorf("outcome(%d) = %q, want %q", code, got, want)
		}
	}
}
