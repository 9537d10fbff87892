// Package account is who may use the dashboard and the REST API: one-time
// sign-in links, sessions and tokens, each a random secret of which only the
// hash is kept.
package account

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
)

// Lifetimes.
const (
	LinkLifetime    = 10 * time.Minute
	SessionLifetime = 12 * time.Hour   // however busy: one shift
	SessionIdle     = 60 * time.Minute // without a request
	touchEvery      = time.Minute      // how exact the idle time is kept
)

// MaxName is the length in bytes of the longest name of a person or token.
const MaxName = 64

// ErrCredential reports a secret that is unknown, used, expired or ended: one
// error, so that nobody learns which.
var ErrCredential = errors.New("unknown or expired credential")

// ErrName reports a name that cannot be shown and written safely.
var ErrName = errors.New("unusable name")

// A Kind is what a credential is good for.
type Kind string

// The kinds of credentials.
const (
	Link    Kind = "link"    // exchanged once for a session
	Session Kind = "session" // in a cookie
	Token   Kind = "token"   // in the header Authorization
)

// A Hash is the SHA-256 of a secret. Secrets are 256 random bits, so that a
// fast hash is enough.
type Hash [sha256.Size]byte

// A Credential is what is stored of one secret.
type Credential struct {
	Hash      Hash
	Kind      Kind
	Name      string // of the person or token
	Role      web.Role
	CreatedAt time.Time
	SeenAt    time.Time // last use, to about a minute
	ExpiresAt time.Time // zero: never
}

// live reports whether c is good at now.
func (c Credential) live(now time.Time) bool {
	if !c.ExpiresAt.IsZero() && !now.Before(c.ExpiresAt) {
		return false
	}
	return c.Kind != Session || now.Sub(c.SeenAt) < SessionIdle
}

// A Store keeps credentials. Implementations are safe for concurrent use; each
// change and its audit row are one transaction.
type Store interface {
	// Put stores c. A token replaces the earlier one of the same name.
	Put(ctx context.Context, c Credential, row audit.Row) error
	// Get returns ErrCredential if there is none of that kind and hash.
	Get(ctx context.Context, kind Kind, h Hash) (Credential, error)
	// Exchange deletes the link and stores the session, or returns ErrCredential
	// if the link is gone: of two that race, one wins.
	Exchange(ctx context.Context, link Hash, session Credential, row audit.Row) error
	// Touch notes the last use. It is no change of state and makes no audit row.
	// An unknown hash is no error.
	Touch(ctx context.Context, kind Kind, h Hash, at time.Time) error
	// End deletes a credential. It returns ErrCredential if there was none.
	End(ctx context.Context, kind Kind, h Hash, row audit.Row) error
	// Prune deletes what expired before now, without audit rows.
	Prune(ctx context.Context, now time.Time) error
}

// Accounts checks credentials against a Store.
type Accounts struct{ store Store }

// New returns Accounts over store.
func New(store Store) *Accounts { return &Accounts{store} }

// secretBytes makes guessing hopeless without any rate limit.
const secretBytes = 32

// newSecret returns a fresh secret and its hash.
func newSecret() (string, Hash) {
	var b [secretBytes]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	text := base64.RawURLEncoding.EncodeToString(b[:])
	return text, hashOf(text)
}

// hashOf returns the hash of a secret as its bearer shows it. A look-up by
// hash leaks nothing useful through time.
func hashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

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
		return fmt.Errorf("%w: %q", ErrName, name)
	}
	return nil
}

// Invite makes a one-time sign-in link for the person called name and returns
// its secret, which is shown once. by is an audit actor.
func (a *Accounts) Invite(ctx context.Context, by, name string, role web.Role, now time.Time) (string, error) {
	if err := CheckName(name); err != nil {
		return "", err
	}
	secret, hash := newSecret()
	c := Credential{
		Hash: hash, Kind: Link, Name: name, Role: role,
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(LinkLifetime),
	}
	row := audit.Row{Actor: by, Action: "account.invite", Subject: name, After: string(role), At: now}
	return secret, a.store.Put(ctx, c, row)
}

// CheckLink returns the credential of a sign-in link without using it up. It
// returns ErrCredential unless SignIn would accept the secret.
func (a *Accounts) CheckLink(ctx context.Context, secret string, now time.Time) (Credential, error) {
	return a.check(ctx, Link, secret, now)
}

// SignIn uses up a sign-in link and returns the secret of a new session. It
// returns ErrCredential for a link that is not good, or no longer.
func (a *Accounts) SignIn(ctx context.Context, secret string, now time.Time) (string, error) {
	link, err := a.check(ctx, Link, secret, now)
	if err != nil {
		return "", err
	}
	text, hash := newSecret()
	session := Credential{
		Hash: hash, Kind: Session, Name: link.Name, Role: link.Role,
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(SessionLifetime),
	}
	row := audit.Row{
		Actor: actorOf(link).String(), Action: "account.sign_in", Subject: link.Name,
		After: string(link.Role), At: now,
	}
	return text, a.store.Exchange(ctx, link.Hash, session, row)
}

// SignOut ends a session. It returns ErrCredential if it was no session.
func (a *Accounts) SignOut(ctx context.Context, secret string, now time.Time) error {
	c, err := a.store.Get(ctx, Session, hashOf(secret))
	if err != nil {
		return err
	}
	row := audit.Row{Actor: actorOf(c).String(), Action: "account.sign_out", Subject: c.Name, At: now}
	return a.store.End(ctx, Session, c.Hash, row)
}

// BySession returns who has the session with this secret, and notes its use.
// It returns ErrCredential for a session that is not good, or no longer.
func (a *Accounts) BySession(ctx context.Context, secret string, now time.Time) (web.Actor, error) {
	return a.by(ctx, Session, secret, now)
}

// ByToken returns who bears the token. It returns ErrCredential for others.
func (a *Accounts) ByToken(ctx context.Context, secret string, now time.Time) (web.Actor, error) {
	return a.by(ctx, Token, secret, now)
}

// SetToken makes secret a token called name, in place of an earlier one of that
// name. Setting the same again changes nothing.
func (a *Accounts) SetToken(ctx context.Context, name string, role web.Role, secret string, now time.Time) error {
	if err := CheckName(name); err != nil {
		return err
	}
	hash := hashOf(secret)
	switch c, err := a.store.Get(ctx, Token, hash); {
	case err == nil && c.Name == name && c.Role == role:
		return nil
	case err != nil && !errors.Is(err, ErrCredential):
		return err
	}
	c := Credential{Hash: hash, Kind: Token, Name: name, Role: role, CreatedAt: now, SeenAt: now}
	row := audit.Row{Actor: "system", Action: "account.set_token", Subject: name, After: string(role), At: now}
	return a.store.Put(ctx, c, row)
}

// Prune deletes expired credentials.
func (a *Accounts) Prune(ctx context.Context, now time.Time) error { return a.store.Prune(ctx, now) }

func (a *Accounts) by(ctx context.Context, kind Kind, secret string, now time.Time) (web.Actor, error) {
	c, err := a.check(ctx, kind, secret, now)
	if err != nil {
		return web.Actor{}, err
	}
	if now.Sub(c.SeenAt) >= touchEvery {
		if err := a.store.Touch(ctx, kind, c.Hash, now); err != nil {
			return web.Actor{}, err
		}
	}
	return actorOf(c), nil
}

func (a *Accounts) check(ctx context.Context, kind Kind, secret string, now time.Time) (Credential, error) {
	if len(secret) > 2*secretBytes {
		return Credential{}, ErrCredential // not one of ours
	}
	c, err := a.store.Get(ctx, kind, hashOf(secret))
	if err != nil {
		return Credential{}, err
	}
	if !c.live(now) {
		return Credential{}, ErrCredential
	}
	return c, nil
}

func actorOf(c Credential) web.Actor {
	via := web.ViaSession
	if c.Kind == Token {
		via = web.ViaToken
	}
	return web.Actor{Name: c.Name, Role: c.Role, Via: via}
}
