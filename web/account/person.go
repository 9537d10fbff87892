package account

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"steward/web"
)

// MaxName is the length in bytes of the longest name of a person or token.
const MaxName = 64

// maxDisplay bounds the name that people are shown.
const maxDisplay = 100

// A State says whether a person may come in.
type State string

// The states of a person.
const (
	Active   State = "active"
	Disabled State = "disabled"
)

// A Person is somebody who may use this provider.
type Person struct {
	Name     string // what they sign in with; never changes
	Display  string // "" for none
	Role     web.Role
	Scope    web.Scope
	State    State
	Password string // as hasher writes it; "" for none
	Renew    bool   // must choose another password at the next sign-in
	// Subject is issuer and subject of OpenID Connect, a blank between; "" for none.
	Subject    string
	Handle     []byte // random; what passkeys call the person
	CreatedAt  time.Time
	SignedInAt time.Time // zero: never
	Version    int64     // 0: not stored yet
}

// String says what people need to know of a change to p in an audit row.
func (p Person) String() string {
	text := fmt.Sprintf("role=%s state=%s", p.Role, p.State)
	if !p.Scope.All() {
		text += " groups=" + string(p.Scope)
	}
	if p.Display != "" {
		text += fmt.Sprintf(" display=%q", p.Display)
	}
	if p.Password != "" {
		text += " password"
	}
	if p.Renew {
		text += " renew"
	}
	return text
}

// CheckName returns ErrName for a name that is empty, too long, or has anything
// but letters, digits and "._@-" in it.
func CheckName(name string) error {
	const punctuation = "._@-"
	ok := name != "" && len(name) <= MaxName
	for _, r := range name {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		ok = ok && (letter || strings.ContainsRune(punctuation, r))
	}
	if !ok {
		return fmt.Errorf("%w: %.80q", ErrName, name)
	}
	return nil
}

// checkDisplay returns ErrName for a name that cannot be shown.
func checkDisplay(name string) error {
	bad := func(r rune) bool { return !unicode.IsPrint(r) }
	if len(name) > maxDisplay || !utf8.ValidString(name) || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("%w: %.80q", ErrName, name)
	}
	return nil
}

// Lengths of passwords.
const (
	MinPassword = 12  // characters
	maxPassword = 512 // bytes
)

// checkPassword returns a *PasswordError for a password that guessers try early.
func (p Person) checkPassword(password string) error {
	lower := strings.ToLower(password)
	distinct := map[rune]bool{}
	for _, r := range lower {
		distinct[r] = true
	}
	const few = 5 // "aaaaaaaaaaaa", "121212121212"
	switch {
	case utf8.RuneCountInString(password) < MinPassword:
		return &PasswordError{fmt.Sprintf("at least %d characters", MinPassword)}
	case len(password) > maxPassword || !utf8.ValidString(password):
		return &PasswordError{fmt.Sprintf("at most %d bytes of text", maxPassword)}
	case len(distinct) < few:
		return &PasswordError{fmt.Sprintf("at least %d different characters", few)}
	case containsName(lower, p.Name), containsName(lower, p.Display):
		return &PasswordError{"without your name in it"}
	}
	return nil
}

func containsName(password, name string) bool {
	const short = 3 // names that many words contain
	name = strings.ToLower(name)
	whole, _, _ := strings.Cut(name, "@")
	return len(whole) > short && (strings.Contains(password, whole) || strings.Contains(password, name))
}

// A PasswordError says what a new password lacks.
type PasswordError struct{ Detail string }

// Error implements error.
func (e *PasswordError) Error() string { return "unusable password: " + e.Detail }
