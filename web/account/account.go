// Package account is who may use the dashboard and the REST API: people, who sign
// in by one-time link, password, passkey or OpenID Connect, their sessions, and
// tokens. Of each secret only a hash is kept.
package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
)

// Errors of this package.
var (
	// ErrCredential reports a secret that is unknown, used, expired or ended, a person
	// who is not known or may not come in: one error, so that nobody learns which.
	ErrCredential = errors.New("unknown or expired credential")
	// ErrName reports a name that cannot be shown and written safely.
	ErrName = errors.New("unusable name")
	// ErrUnknown reports that there is no such person or passkey.
	ErrUnknown = errors.New("no such person")
	// ErrConflict reports a person who exists already, or was changed meanwhile.
	ErrConflict = errors.New("exists already, or was changed meanwhile")
	// ErrLastAdmin reports a change after which nobody could administer.
	ErrLastAdmin = errors.New("the last administrator of all devices stays one")
	// ErrRights reports rights that whoever gives them does not have.
	ErrRights = errors.New("beyond your own rights")
	// ErrStale reports a sign-in that is too long ago for what is asked.
	ErrStale = errors.New("sign in again first")
	// ErrExternal reports a password or passkey for somebody whom a provider of identities
	// vouches for: what it takes back must not live on here.
	ErrExternal = errors.New("you sign in by the provider of identities")
	// ErrRenew reports a right password that must be replaced by another first.
	ErrRenew = errors.New("choose another password first")
)

// Options says where Accounts are kept.
type Options struct {
	Stores   Stores
	Refusals audit.Log // where failed sign-ins go; nil: nowhere
	Costs    Costs     // of hashes of passwords
}

// Accounts checks credentials against a Store.
type Accounts struct {
	store    Stores
	refusals audit.Log
	hasher   *hasher
	tries    limiter
}

// New returns Accounts.
func New(o Options) *Accounts {
	return &Accounts{store: o.Stores, refusals: o.Refusals, hasher: newHasher(o.Costs)}
}

// Invite makes a one-time sign-in link for the person called name, whom it makes
// if need be, and returns its secret, which is shown once. It returns ErrConflict
// if that person has another role.
func (a *Accounts) Invite(
	ctx context.Context, by web.Actor, name string, role web.Role, now time.Time,
) (string, error) {
	p, err := a.store.Person(ctx, name)
	switch {
	case errors.Is(err, ErrUnknown):
		return a.AddPerson(ctx, by, NewPerson{Name: name, Role: role}, now)
	case err != nil:
		return "", err
	case p.Role != role:
		return "", fmt.Errorf("%w: %s has the role %s", ErrConflict, name, p.Role)
	}
	link, _, err := a.Command(ctx, by, name, SendLink, "", now)
	return link, err
}

// linkFor returns a new link for a person, and its secret.
func linkFor(p Person, now time.Time) (*Credential, string) {
	secret, hash := newSecret("")
	return &Credential{
		Hash: hash, Kind: Link, Owner: p.Name, Name: p.Name, Role: p.Role, Scope: p.Scope,
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(LinkLifetime),
	}, secret
}

// sessionFor returns a new session of a person, and its secret.
func sessionFor(p Person, by Method, v Visit, now time.Time) (Credential, string) {
	secret, hash := newSecret("")
	v.Agent = clip(v.Agent, maxAgent)
	return Credential{
		Hash: hash, Kind: Session, Owner: p.Name, Name: p.Name, Role: p.Role, Scope: p.Scope, Method: by, Visit: v,
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(SessionLifetime),
	}, secret
}

// signedIn is the audit row of a new session.
func signedIn(s Credential) audit.Row {
	return audit.Row{
		Actor: "operator:" + s.Owner, Action: "account.sign_in", Subject: s.Owner, Reason: string(s.Method),
		After: string(s.Role), At: s.CreatedAt,
	}
}

// CheckLink returns the credential of a sign-in link without using it up. It
// returns ErrCredential unless SignIn would accept the secret.
func (a *Accounts) CheckLink(ctx context.Context, secret string, now time.Time) (Credential, error) {
	c, p, err := a.check(ctx, Link, secret, now)
	c.Role = p.Role
	return c, err
}

// SignIn uses up a sign-in link and returns the secret of a new session. It
// returns ErrCredential for a link that is not good, or no longer.
func (a *Accounts) SignIn(ctx context.Context, secret string, v Visit, now time.Time) (string, error) {
	link, p, err := a.check(ctx, Link, secret, now)
	if err != nil {
		return "", err
	}
	session, text := sessionFor(p, ByLink, v, now)
	return text, a.store.Exchange(ctx, link.Hash, session, signedIn(session))
}

// SignOut ends a session. It returns ErrCredential if it was no session.
func (a *Accounts) SignOut(ctx context.Context, secret string, now time.Time) error {
	c, err := a.store.Get(ctx, Session, hashOf(secret))
	if err != nil {
		return err
	}
	row := audit.Row{
		Actor: "operator:" + c.Owner, Action: "account.sign_out", Subject: c.Owner, Before: "signed in", At: now,
	}
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

// SetToken makes secret a token called name that belongs to nobody, in place of an
// earlier one of that name. Setting the same again changes nothing.
func (a *Accounts) SetToken(ctx context.Context, name string, role web.Role, secret string, now time.Time) error {
	if err := CheckName(name); err != nil {
		return err
	}
	hash := hashOf(secret)
	switch c, err := a.store.Get(ctx, Token, hash); {
	case err == nil && c.Name == name && c.Role == role && c.Owner == "":
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
	c, p, err := a.check(ctx, kind, secret, now)
	if err != nil {
		return web.Actor{}, err
	}
	if now.Sub(c.SeenAt) >= touchEvery {
		if err := a.store.Touch(ctx, kind, c.Hash, now); err != nil {
			return web.Actor{}, err
		}
	}
	actor := web.Actor{
		Name: c.Name, Role: c.Role, Scope: c.Scope, Via: web.ViaToken, Credential: c.Hash.ID(), Since: c.CreatedAt,
		Prefix: c.Prefix,
	}
	switch {
	case kind == Session:
		actor.Via, actor.Role, actor.Scope = web.ViaSession, p.Role, p.Scope
	case c.Owner != "":
		actor.Name, actor.Token = c.Owner, c.Name
	}
	return actor, nil
}

// check returns a credential that is good, and whose it is. What a person may is
// asked each time: a change of their rights is at once one of all that they have.
func (a *Accounts) check(ctx context.Context, kind Kind, secret string, now time.Time) (Credential, Person, error) {
	if len(secret) > 2*secretBytes {
		return Credential{}, Person{}, ErrCredential // not one of ours
	}
	c, err := a.store.Get(ctx, kind, hashOf(secret))
	if err != nil {
		return Credential{}, Person{}, err
	}
	if !c.live(now) {
		return Credential{}, Person{}, ErrCredential
	}
	if c.Owner == "" {
		return c, Person{Role: c.Role, Scope: c.Scope}, nil
	}
	p, err := a.store.Person(ctx, c.Owner)
	switch {
	case errors.Is(err, ErrUnknown):
		return Credential{}, Person{}, ErrCredential
	case err != nil:
		return Credential{}, Person{}, err
	case p.State != Active,
		kind == Token && (!p.Role.Covers(c.Role) || !p.Scope.Covers(c.Scope)):
		return Credential{}, Person{}, ErrCredential
	}
	return c, p, nil
}

// refuse notes a sign-in that failed.
func (a *Accounts) refuse(ctx context.Context, name string, by Method, v Visit, now time.Time) {
	if a.refusals == nil || CheckName(name) != nil {
		return // a name that is none may be a password in the wrong field
	}
	_ = a.refusals.Audit(ctx, audit.Row{ // in the background, bounded
		Actor: "address:" + clip(v.Address, maxAgent), Action: "account.refuse", Subject: name, Reason: string(by), At: now,
	})
}

// clip cuts text after n bytes.
func clip(text string, n int) string {
	if len(text) > n {
		text = text[:n]
	}
	return text
}
