package est

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/machine"
)

// ErrRollover reports a step that the generations of a key do not allow now.
var ErrRollover = errors.New("not at this point of a roll-over")

// A KeyState is the state of one generation of a key of the authority, or of who
// works with it.
type KeyState string

// The states of a generation. A roll-over is the time in which there is a next one.
const (
	KeyNext   KeyState = "next"   // made and published; who relies on it should come to know it
	KeyActive KeyState = "active" // in use; what it is for says what the next one is used for already
	KeyPast   KeyState = "past"   // signs nothing new
)

// A KeyEvent is what can happen to a generation.
type KeyEvent string

// The events of a generation.
const (
	KeyUse      KeyEvent = "use"      // it takes the place of the active one
	KeyRetire   KeyEvent = "retire"   // its successor takes its place
	KeyWithdraw KeyEvent = "withdraw" // it will not succeed
)

// A KeyEffect is part of what an event changes beside the state. There is none.
type KeyEffect string

// KeyTable is the machine of a generation. The first starts in KeyActive, all
// later ones in KeyNext.
var KeyTable = machine.Table[KeyState, KeyEvent, KeyEffect]{
	{From: KeyNext, On: KeyUse, To: KeyActive},
	{From: KeyNext, On: KeyWithdraw, To: KeyPast},
	{From: KeyActive, On: KeyRetire, To: KeyPast},
}

// A KeyGeneration is one generation of the key of a purpose.
type KeyGeneration struct {
	Purpose     string
	Number      int // from 1
	State       KeyState
	Certificate Hash // zero: the key has none
	MadeAt      time.Time
	ChangedAt   time.Time // the state
}

// A KeyStore keeps the generations. Implementations are safe for concurrent use;
// esttest.TestKeyStore says what they must do.
type KeyStore interface {
	// KeyGenerations returns all, in order of purpose and number.
	KeyGenerations(ctx context.Context) ([]KeyGeneration, error)
	// CommitKeys applies ch in one transaction, or nothing of it. It returns
	// ErrConflict if a generation to insert exists, or one to step is in another
	// state than the one it steps from.
	CommitKeys(ctx context.Context, ch KeyChange) error
}

// A KeyChange is what one transaction writes.
type KeyChange struct {
	Insert []KeyGeneration
	Step   []KeyStep
	Audit  []audit.Row
}

// A KeyStep changes the state of a stored generation.
type KeyStep struct {
	KeyGeneration // State and ChangedAt are the new ones

	From KeyState
}

// Generations are those of one purpose, in order.
type Generations []KeyGeneration

// Of returns the generation in that state, of past ones the last; nil: there is none.
func (g Generations) Of(s KeyState) *KeyGeneration {
	for i := len(g) - 1; i >= 0; i-- {
		if g[i].State == s {
			return &g[i]
		}
	}
	return nil
}

// Following returns the number that a generation made now would have.
func (g Generations) Following() int {
	if len(g) == 0 {
		return 1
	}
	return g[len(g)-1].Number + 1
}

// KeyLife moves generations through KeyTable. Each step and its audit row are one
// transaction: after a crash it was made, or can be made again.
type KeyLife struct {
	Store KeyStore
	Actor string // in audit rows
	Now   func() time.Time
}

// Generations returns those of a purpose.
func (l KeyLife) Generations(ctx context.Context, purpose string) (Generations, error) {
	all, err := l.Store.KeyGenerations(ctx)
	if err != nil {
		return nil, err
	}
	var out Generations
	for _, g := range all {
		if g.Purpose == purpose {
			out = append(out, g)
		}
	}
	return out, nil
}

// Adopt records a first generation, if none is recorded.
func (l KeyLife) Adopt(ctx context.Context, purpose string, cert Hash, made time.Time) error {
	g, err := l.Generations(ctx, purpose)
	if err != nil || len(g) > 0 {
		return err
	}
	first := KeyGeneration{
		Purpose: purpose, Number: 1, State: KeyActive, Certificate: cert, MadeAt: stamp(made), ChangedAt: stamp(l.Now()),
	}
	return l.Store.CommitKeys(ctx, KeyChange{
		Insert: []KeyGeneration{first}, Audit: []audit.Row{l.row("key.adopt", first, "")},
	})
}

// Begin records the following generation, which was made: a roll-over begins. It
// returns ErrRollover during one.
func (l KeyLife) Begin(ctx context.Context, purpose string, number int, cert Hash) error {
	g, err := l.Generations(ctx, purpose)
	if err != nil {
		return err
	}
	switch {
	case g.Of(KeyNext) != nil:
		return fmt.Errorf("%w: %s has a next key already", ErrRollover, purpose)
	case g.Of(KeyActive) == nil:
		return fmt.Errorf("%w: %s has no key yet", ErrRollover, purpose)
	case g.Following() != number:
		return fmt.Errorf("%w: generation %d of %s follows, not %d", ErrRollover, g.Following(), purpose, number)
	}
	now := stamp(l.Now())
	next := KeyGeneration{
		Purpose: purpose, Number: number, State: KeyNext, Certificate: cert, MadeAt: now, ChangedAt: now,
	}
	return l.Store.CommitKeys(ctx, KeyChange{
		Insert: []KeyGeneration{next}, Audit: []audit.Row{l.row("key.begin", next, "")},
	})
}

// Finish has the next generation take the place of the active one. It returns
// ErrRollover if there is none.
func (l KeyLife) Finish(ctx context.Context, purpose string) error {
	return l.step(ctx, purpose, func(g Generations) []stepOf {
		return []stepOf{{g.Of(KeyActive), KeyRetire}, {g.Of(KeyNext), KeyUse}}
	})
}

// Withdraw ends a roll-over without a new key in use. It returns ErrRollover if
// there is no next one.
func (l KeyLife) Withdraw(ctx context.Context, purpose string) error {
	return l.step(ctx, purpose, func(g Generations) []stepOf { return []stepOf{{g.Of(KeyNext), KeyWithdraw}} })
}

type stepOf struct {
	generation *KeyGeneration
	on         KeyEvent
}

func (l KeyLife) step(ctx context.Context, purpose string, steps func(Generations) []stepOf) error {
	g, err := l.Generations(ctx, purpose)
	if err != nil {
		return err
	}
	var ch KeyChange
	for _, s := range steps(g) {
		if s.generation == nil {
			return fmt.Errorf("%w: no roll-over of %s is under way", ErrRollover, purpose)
		}
		row, err := KeyTable.Step(s.generation.State, s.on)
		if err != nil {
			return fmt.Errorf("%s %d: %w", purpose, s.generation.Number, err)
		}
		to := KeyStep{KeyGeneration: *s.generation, From: s.generation.State}
		to.State, to.ChangedAt = row.To, stamp(l.Now())
		ch.Step = append(ch.Step, to)
		ch.Audit = append(ch.Audit, l.row("key."+string(s.on), to.KeyGeneration, string(to.From)))
	}
	return l.Store.CommitKeys(ctx, ch)
}

func (l KeyLife) row(action string, g KeyGeneration, before string) audit.Row {
	return audit.Row{
		Actor: l.Actor, Action: action, Subject: fmt.Sprintf("%s-%d", g.Purpose, g.Number),
		Reason: fmt.Sprintf("certificate %x", g.Certificate[:8]), Before: before, After: string(g.State), At: stamp(l.Now()),
	}
}
