package account

import (
	"context"
	"time"

	"steward/lwm2m/audit"
)

// A Store keeps credentials. Implementations are safe for concurrent use; each
// change and its audit row are one transaction.
type Store interface {
	// Put stores c. A token replaces the earlier one of the same owner and name; a
	// session is noted as its person's last sign-in.
	Put(ctx context.Context, c Credential, row audit.Row) error
	// Get returns ErrCredential if there is none of that kind and hash.
	Get(ctx context.Context, kind Kind, h Hash) (Credential, error)
	// Exchange deletes the link and stores the session as Put does, or returns
	// ErrCredential if the link is gone: of two that race, one wins.
	Exchange(ctx context.Context, link Hash, session Credential, row audit.Row) error
	// Touch notes the last use. It is no change of state and makes no audit row.
	// An unknown hash is no error.
	Touch(ctx context.Context, kind Kind, h Hash, at time.Time) error
	// End deletes a credential. It returns ErrCredential if there was none.
	End(ctx context.Context, kind Kind, h Hash, row audit.Row) error
	// Prune deletes what expired before now, without audit rows.
	Prune(ctx context.Context, now time.Time) error
}

// A People keeps people, and lists what they have. Each change and its audit row
// are one transaction.
type People interface {
	// Person returns the one called name, or ErrUnknown.
	Person(ctx context.Context, name string) (Person, error)
	// PersonOf returns the one of a subject, or ErrUnknown.
	PersonOf(ctx context.Context, subject string) (Person, error)
	// PersonByHandle returns the one of a handle, or ErrUnknown.
	PersonByHandle(ctx context.Context, handle []byte) (Person, error)
	// ListPeople returns up to limit people after the name after, in their order.
	ListPeople(ctx context.Context, after string, limit int) ([]Person, error)
	// ChangePerson stores what c says. It returns ErrConflict if the person was
	// changed meanwhile or, at version 0, exists already, and ErrLastAdmin where
	// nobody would be left to administer.
	ChangePerson(ctx context.Context, c Change) error
	// Credentials returns up to limit of that kind, the newest first; an owner other
	// than "" selects.
	Credentials(ctx context.Context, kind Kind, owner string, limit int) ([]Credential, error)
}

// A Change is one of a person, whose Version says which state it was made from.
type Change struct {
	Person Person
	// End deletes the person's links and sessions, EndTokens their tokens, and
	// EndPasskeys their passkeys.
	End, EndTokens, EndPasskeys bool

	Add   *Credential // is stored after that; nil: none
	Audit audit.Row
}

// A Passkeys keeps the public keys of authenticators.
type Passkeys interface {
	// PutPasskey stores k, in place of that with the same id of the same person. It
	// returns ErrConflict if somebody else has the id.
	PutPasskey(ctx context.Context, k Passkey, row audit.Row) error
	// UsePasskey notes a use: the record as it is now, and when. No audit row.
	UsePasskey(ctx context.Context, k Passkey) error
	// Passkeys returns those of a person, the oldest first.
	Passkeys(ctx context.Context, owner string) ([]Passkey, error)
	// RemovePasskey deletes one of a person's. It returns ErrUnknown if there was none.
	RemovePasskey(ctx context.Context, owner string, id []byte, row audit.Row) error
}

// A Passkey is an authenticator's public key.
type Passkey struct {
	ID        []byte // the credential's, chosen by the authenticator
	Owner     string
	Name      string // for people
	Record    []byte // as the library keeps it, JSON
	CreatedAt time.Time
	UsedAt    time.Time // zero: never
}

// A Stores is all that Accounts needs kept.
type Stores interface {
	Store
	People
	Passkeys
}
