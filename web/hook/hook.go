// Package hook tells others by HTTP what happens: webhooks. Each is told in order of
// events, from the log that streams of events are continued from; what cannot be told
// is tried again, then kept as a letter that people may send anew. Messages are
// CloudEvents, signed as Standard Webhooks are.
package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"steward/lwm2m/audit"
	"steward/lwm2m/machine"
)

// Bounds.
const (
	MaxHooks   = 32        // of a provider: each costs a connection
	MaxLetters = 1000      // kept of one hook; the oldest go first
	MaxMessage = 64 << 10  // bytes of an event; ours are far smaller
	maxURL     = 2048      // bytes
	maxName    = 64        // characters
	maxTypes   = 16        // of one hook
	secretSize = 32        // bytes, 24 to 64 by Standard Webhooks
	prefix     = "whsec_"  // of a secret as people get it
	maxWords   = 200       // bytes of what is kept of an answer
	deafAfter  = 24 * hour // of failures a hook is disabled
	hour       = time.Hour
)

// The errors of this package.
var (
	ErrInvalid  = errors.New("hook: not valid")
	ErrNotFound = errors.New("hook: no such thing")
	ErrConflict = errors.New("hook: it changed meanwhile")
	ErrFull     = errors.New("hook: as many as may be")
)

// A State is how a hook fares.
type State string

// The states of a hook.
const (
	Active   State = "active"
	Failing  State = "failing"  // the last attempt failed; the next is at NextAt
	Paused   State = "paused"   // by somebody
	Disabled State = "disabled" // it failed for a day, or said that it is gone
)

// An Event is what can happen to a hook.
type Event string

// The events of a hook.
const (
	Delivered Event = "delivered"
	Failed    Event = "failed"
	GivenUp   Event = "given_up"
	Pause     Event = "pause"
	Resume    Event = "resume"
)

// An Effect is what an event does beside the state.
type Effect string

// Alert tells people that a hook is told nothing any more.
const Alert Effect = "alert"

// Table is the machine of a hook; it starts in Active.
var Table = machine.Table[State, Event, Effect]{
	{From: Active, On: Delivered, To: Active},
	{From: Active, On: Failed, To: Failing},
	{From: Active, On: GivenUp, To: Disabled, Do: []Effect{Alert}},
	{From: Active, On: Pause, To: Paused},
	{From: Failing, On: Delivered, To: Active},
	{From: Failing, On: Failed, To: Failing},
	{From: Failing, On: GivenUp, To: Disabled, Do: []Effect{Alert}},
	{From: Failing, On: Pause, To: Paused},
	{From: Failing, On: Resume, To: Active},
	{From: Paused, On: Resume, To: Active},
	{From: Disabled, On: Resume, To: Active},
	{From: Disabled, On: Pause, To: Paused},
}

// A Mode is how a CloudEvent stands in a message (CloudEvents HTTP binding 1.0.2 §3).
type Mode string

// The modes.
const (
	Structured Mode = "structured" // the event is the body
	Binary     Mode = "binary"     // the data is the body, the rest are headers
)

// A Hook is somebody who is told by HTTP.
type Hook struct {
	ID    string
	Name  string
	URL   string
	Mode  Mode
	Types []string // prefixes of types of events; none: all but values of devices
	// Subject is the id of the device, campaign or transfer; "": all.
	Subject string
	Secret  []byte // it signs

	State   State
	Cursor  uint64 // id of the last event that was told, or given up
	Attempt int    // how often the next one failed
	NextAt  time.Time
	// FailingSince is when the failures began that no success has ended; zero: none.
	FailingSince time.Time
	// Status is that of the last answer, 0 none; Words say why the last attempt failed.
	Status int
	Words  string
	LastAt time.Time // of the last attempt

	CreatedAt time.Time
	CreatedBy string
	Version   int64 // 1 when stored first
}

// A LetterState is how far a letter is.
type LetterState string

// The states of a letter.
const (
	Dead      LetterState = "dead"      // it could not be delivered
	Requested LetterState = "requested" // somebody wants it to be sent anew
	Sent      LetterState = "sent"
)

// A LetterEvent is what can happen to a letter.
type LetterEvent string

// The events of a letter.
const (
	Redeliver LetterEvent = "redeliver"
	Arrived   LetterEvent = "arrived"
	Returned  LetterEvent = "returned"
)

// LetterTable is the machine of a letter; it starts in Dead.
var LetterTable = machine.Table[LetterState, LetterEvent, Effect]{
	{From: Dead, On: Redeliver, To: Requested},
	{From: Requested, On: Arrived, To: Sent},
	{From: Requested, On: Returned, To: Dead},
	{From: Sent, On: Redeliver, To: Requested},
}

// A Letter is an event that could not be told to a hook.
type Letter struct {
	Hook    string
	Event   uint64 // its id
	At      time.Time
	Type    string
	Subject string
	Data    json.RawMessage // JSON; nil: none
	State   LetterState
	Words   string // why
	Tries   int
}

// A Store keeps hooks and letters. Implementations are safe for concurrent use; each
// change and its audit row are one transaction.
type Store interface {
	// Hooks returns all, in order of names.
	Hooks(ctx context.Context) ([]Hook, error)
	// Put stores h: a new one if its Version is 0. It returns ErrConflict if it changed
	// since it was read, and ErrFull beyond MaxHooks. A row without an action is none: an
	// attempt changes nothing that people decide.
	Put(ctx context.Context, h Hook, row audit.Row, buried ...Letter) error
	// Remove deletes a hook and its letters. It returns ErrNotFound if there is none.
	Remove(ctx context.Context, id string, row audit.Row) error
	// Letters returns those of a hook with greater ids of events, at most limit, in
	// order; state "" is any.
	Letters(ctx context.Context, hook string, state LetterState, after uint64, limit int) ([]Letter, error)
	// Letter returns ErrNotFound if there is none.
	Letter(ctx context.Context, hook string, event uint64) (Letter, error)
	// PutLetter stores a letter in the place of itself.
	PutLetter(ctx context.Context, l Letter, row audit.Row) error
}

// Check returns ErrInvalid for what no hook can be.
func (h Hook) Check() error {
	no := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
	}
	u, err := url.Parse(h.URL)
	switch {
	case h.Name == "" || utf8.RuneCountInString(h.Name) > maxName || strings.ContainsFunc(h.Name, control):
		return no("name: 1 to %d characters", maxName)
	case err != nil || u.Host == "" || len(h.URL) > maxURL:
		return no("url: not an address")
	case u.Scheme != "https" && u.Scheme != "http":
		return no("url: https or http")
	case u.User != nil || u.Fragment != "":
		return no("url: without a user and a fragment; messages are signed")
	case h.Mode != Structured && h.Mode != Binary:
		return no("mode: structured or binary")
	case len(h.Types) > maxTypes || slices.ContainsFunc(h.Types, badType):
		return no("types: at most %d beginnings of types", maxTypes)
	case len(h.Subject) > maxName:
		return no("subject: too long")
	}
	return nil
}

func control(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }

func badType(t string) bool {
	return t == "" || len(t) > maxName || strings.ContainsFunc(t, func(r rune) bool {
		return (r < 'a' || r > 'z') && r != '.' && r != '_'
	})
}

// value is the type of events that hooks get only if they name it.
const value = "device.value"

// Wants reports whether h is told of an event.
func (h Hook) Wants(kind, subject string) bool {
	if h.Subject != "" && subject != h.Subject {
		return false
	}
	if len(h.Types) == 0 {
		return kind != value
	}
	return slices.ContainsFunc(h.Types, func(t string) bool {
		return strings.HasPrefix(kind, t) && (kind != value || t == value)
	})
}

// WantsValues reports whether h is told of values of devices.
func (h Hook) WantsValues() bool { return slices.Contains(h.Types, value) }
