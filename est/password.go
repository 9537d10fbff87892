package est

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"steward/lwm2m/machine"
)

// Errors of one-time passwords.
var (
	// ErrPassword reports an unknown user, a wrong secret, or a password whose time
	// is over. Which of them is not for the client to know.
	ErrPassword = errors.New("unknown user or wrong password")
	// ErrPasswordOptions reports a password that cannot be made as written.
	ErrPasswordOptions = errors.New("unusable one-time password")
)

// A PasswordState is the state of a one-time password. That its time is over is no
// state: it follows from the dates.
type PasswordState string

// The states of a password.
const (
	PasswordOpen      PasswordState = "open"      // it has uses left
	PasswordUsed      PasswordState = "used"      // only requests it served are answered again
	PasswordWithdrawn PasswordState = "withdrawn" // by the operator
)

// A PasswordEvent is what can happen to a password.
type PasswordEvent string

// The events of a password.
const (
	PasswordUse      PasswordEvent = "use"      // a certificate is issued; uses are left
	PasswordLast     PasswordEvent = "last"     // a certificate is issued; none is left
	PasswordWithdraw PasswordEvent = "withdraw" // an operator takes it back
)

// PasswordTable is the machine of a password. It starts in PasswordOpen.
var PasswordTable = machine.Table[PasswordState, PasswordEvent, string]{
	{From: PasswordOpen, On: PasswordUse, To: PasswordOpen},
	{From: PasswordOpen, On: PasswordLast, To: PasswordUsed},
	{From: PasswordOpen, On: PasswordWithdraw, To: PasswordWithdrawn},
}

// A Password lets who knows its secret have certificates for names, once each. The
// secret itself is nowhere: it is random, so that its SHA-256 says nothing of it.
type Password struct {
	ID   string // the user name
	Hash Hash   // SHA-256 of the secret
	// Name is the endpoint's name. With one * it is a pattern, which stands for one
	// or more characters.
	Name      string
	Total     int // how many names may be enrolled
	Left      int // how many of them still may be
	State     PasswordState
	ExpiresAt time.Time
	CreatedAt time.Time
	CreatedBy string // the actor
	ChangedAt time.Time
	Version   int64 // 1 when inserted
}

// LogValue hides the hash.
func (p Password) LogValue() slog.Value { return slog.StringValue(p.ID) }

// pattern reports whether p is for more than one name.
func (p Password) pattern() bool { return strings.Contains(p.Name, "*") }

// covers reports whether p may enrol the name.
func (p Password) covers(name string) bool {
	before, after, pattern := strings.Cut(p.Name, "*")
	if !pattern {
		return name == p.Name
	}
	return len(name) > len(before)+len(after) && strings.HasPrefix(name, before) && strings.HasSuffix(name, after)
}

// client names who asks by p for a name, among those who asked, in the inventory.
func (p Password) client(name string) Hash { return sumText("password:" + p.ID + ":" + name) }

// Passwords are kept by a Store that has them. Change.Password writes them.
type Passwords interface {
	// Password returns the password of a user, or ErrUnknown.
	Password(ctx context.Context, id string) (Password, error)
	// Passwords returns up to limit of them, the newest first, of those made before
	// the one with the given id; "" begins with the newest.
	Passwords(ctx context.Context, before string, limit int) ([]Password, error)
}

// NewPassword says what an operator wants. Name is required.
type NewPassword struct {
	Name string // see Password
	// Uses is how many names may be enrolled; zero: 1. More need a pattern.
	Uses     int
	Lifetime time.Duration // zero: DefaultPasswordLifetime
}

// Bounds of one-time passwords.
const (
	DefaultPasswordLifetime = 24 * time.Hour
	maxPasswordLifetime     = 30 * 24 * time.Hour // what is longer on its way gets a new one
	minPasswordLifetime     = time.Minute
	maxPasswordUses         = 10_000 // a factory's batch
	minPatternText          = 3      // characters beside the *: a pattern is not for everybody
)

// check returns n with its defaults, or ErrPasswordOptions.
func (n NewPassword) check() (NewPassword, error) {
	if n.Uses == 0 {
		n.Uses = 1
	}
	if n.Lifetime == 0 {
		n.Lifetime = DefaultPasswordLifetime
	}
	stars := strings.Count(n.Name, "*")
	switch {
	case checkName(strings.ReplaceAll(n.Name, "*", "x")) != nil:
		return n, fmt.Errorf("%w: name of 1 to %d characters", ErrPasswordOptions, MaxName)
	case stars > 1:
		return n, fmt.Errorf("%w: more than one * in the name", ErrPasswordOptions)
	case stars == 1 && len(n.Name)-1 < minPatternText:
		return n, fmt.Errorf("%w: a pattern has at least %d characters beside the *", ErrPasswordOptions, minPatternText)
	case n.Uses < 1 || n.Uses > maxPasswordUses:
		return n, fmt.Errorf("%w: uses %d, not 1 to %d", ErrPasswordOptions, n.Uses, maxPasswordUses)
	case stars == 0 && n.Uses > 1:
		return n, fmt.Errorf("%w: more than one use needs a pattern, such as gateway-*", ErrPasswordOptions)
	case n.Lifetime < minPasswordLifetime || n.Lifetime > maxPasswordLifetime:
		return n, fmt.Errorf("%w: lifetime %v, not %v to %v", ErrPasswordOptions, n.Lifetime, minPasswordLifetime,
			maxPasswordLifetime)
	}
	return n, nil
}

// journalled is the Number of an EntryPassword.
func (p Password) journalled() int64 {
	left := int64(p.Left)
	if p.State != PasswordOpen {
		left = 0
	}
	return p.ExpiresAt.Unix()*passwordUses + left
}
