package server

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrTemplate reports a Template that cannot be kept.
	ErrTemplate = errors.New("unusable template of observations")
	// ErrNoTemplate reports a name that no Template has.
	ErrNoTemplate = errors.New("no such template of observations")
)

// Limits of templates: each registration of a device reads all that are for it.
const (
	MaxTemplates = 64 // all of them
	MaxTargets   = 32 // of one
	maxName      = 64 // bytes of its name and its tag
)

// A Template says what is to be observed of all devices that have a tag. A device
// that has none of the objects of a target is not asked for it.
type Template struct {
	Name    string
	Tag     string // ""; all devices
	Targets []Target
}

// Check returns ErrTemplate if t cannot be kept.
func (t Template) Check() error {
	switch {
	case t.Name == "" || len(t.Name) > maxName || len(t.Tag) > maxName:
		return fmt.Errorf("%w: name and tag have at most %d bytes", ErrTemplate, maxName)
	case len(t.Targets) == 0 || len(t.Targets) > MaxTargets:
		return fmt.Errorf("%w: %d observations, want 1 to %d", ErrTemplate, len(t.Targets), MaxTargets)
	}
	seen := map[Target]bool{}
	for _, x := range t.Targets {
		if err := x.check(); err != nil {
			return fmt.Errorf("%w: %w", ErrTemplate, err)
		}
		if seen[x.bare()] {
			return fmt.Errorf("%w: %s twice", ErrTemplate, x)
		}
		seen[x.bare()] = true
	}
	return nil
}

// String returns t for people.
func (t Template) String() string {
	texts := make([]string, len(t.Targets))
	for i, x := range t.Targets {
		texts[i] = x.String()
	}
	return t.Tag + ": " + strings.Join(texts, "; ")
}
