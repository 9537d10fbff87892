package web

import (
	"context"
	"time"
)

// OneTimePasswords are those by which gateways and factories enrol over HTTPS.
type OneTimePasswords interface {
	// ListPasswords returns all, the newest first.
	ListPasswords(ctx context.Context, p Page) (List[OneTimePassword], error)
	// MakePassword makes one. Nobody can ask for its secret again.
	MakePassword(ctx context.Context, by Actor, n NewOneTimePassword) (MadePassword, error)
	// WithdrawPassword takes one back. One that is used up stays as it is.
	WithdrawPassword(ctx context.Context, by Actor, id string) (OneTimePassword, error)
}

// A OneTimePassword lets who knows its secret have certificates for names, once each.
type OneTimePassword struct {
	ID        string            `json:"id"`   // user name
	Name      string            `json:"name"` // endpoint, or a pattern with one *
	Uses      int               `json:"uses"` // names that may be enrolled
	Left      int               `json:"left"` // of them, those that still may be
	State     PasswordCondition `json:"state"`
	ExpiresAt time.Time         `json:"expires_at"`
	CreatedAt time.Time         `json:"created_at"`
	CreatedBy string            `json:"created_by"`
}

// A PasswordCondition says what a password is good for.
type PasswordCondition string

// The conditions of a password.
const (
	PasswordOpen      PasswordCondition = "open"
	PasswordUsed      PasswordCondition = "used"
	PasswordWithdrawn PasswordCondition = "withdrawn"
	PasswordExpired   PasswordCondition = "expired"
)

// A NewOneTimePassword says for whom.
type NewOneTimePassword struct {
	Name string `json:"name"`
	// Uses is how many names may be enrolled; 0: 1. More need a pattern.
	Uses int `json:"uses,omitempty"`
	// Seconds is how long it is good; 0: a day.
	Seconds int `json:"seconds,omitempty"`
}

// A MadePassword is a password with its secret, shown once.
type MadePassword struct {
	OneTimePassword

	Secret string `json:"secret"`
}
