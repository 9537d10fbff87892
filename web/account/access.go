package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
)

const (
	maxTokens = 100 // of one person
	// MaxListed is how many sessions or tokens are listed at most, the newest.
	MaxListed = 500
	maxPrefix = 200 // bytes of a path
)

// ErrToken reports a token that cannot be made.
var ErrToken = errors.New("unusable token")

// A NewToken says what a token is to be good for. The name of one that is to belong to
// nobody gets the end ".token", which no person's has. Zero fields are the maker's own
// role and groups, all paths, and TokenLifetime.
type NewToken struct {
	Name     string
	Role     web.Role
	Scope    web.Scope
	Prefix   string // such as "/api/v1/devices"
	Lifetime time.Duration
}

// MakeToken makes a token of by's person, or one that belongs to nobody if by is
// such a token, and returns its secret. It returns ErrRights for one that could
// more than by, or for longer, ErrConflict if there is one of that name, ErrName
// and ErrToken.
func (a *Accounts) MakeToken(ctx context.Context, by web.Actor, n NewToken, now time.Time) (string, Credential, error) {
	if n.Role == web.RoleNone {
		n.Role = by.Role
	}
	if n.Scope.All() {
		n.Scope = by.Scope
	}
	if n.Lifetime == 0 {
		n.Lifetime = TokenLifetime
	}
	if !by.Person() && n.Name != "" && !strings.HasSuffix(n.Name, audit.TokenSuffix) {
		n.Name += audit.TokenSuffix // audit rows must not take it for a person
	}
	if err := n.check(by); err != nil {
		return "", Credential{}, err
	}
	secret, hash := newSecret(tokenPrefix)
	c := Credential{
		Hash: hash, Kind: Token, Name: n.Name, Role: n.Role, Scope: n.Scope, Prefix: n.Prefix,
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(n.Lifetime),
	}
	if by.Person() {
		c.Owner = by.Name
	}
	if err := a.fits(ctx, by, c); err != nil {
		return "", Credential{}, err
	}
	return secret, c, a.store.Put(ctx, c, audit.Row{
		Actor: by.String(), Action: "account.make_token", Subject: c.Name, After: c.String(), At: now,
	})
}

// String says what a token may, for its audit row.
func (c Credential) String() string {
	text := "role=" + string(c.Role)
	if !c.Scope.All() {
		text += " groups=" + string(c.Scope)
	}
	if c.Prefix != "" {
		text += fmt.Sprintf(" paths=%q", c.Prefix)
	}
	if !c.ExpiresAt.IsZero() {
		text += " until=" + c.ExpiresAt.UTC().Format(time.DateOnly)
	}
	return text
}

func (n NewToken) check(by web.Actor) error {
	if err := CheckName(n.Name); err != nil {
		return err
	}
	if _, err := web.ParseRole(string(n.Role)); err != nil {
		return err
	}
	if n.Lifetime < time.Minute || n.Lifetime > MaxLifetime {
		return fmt.Errorf("%w: it lives from a minute to a year", ErrToken)
	}
	legal := strings.HasPrefix(n.Prefix, "/") && !strings.HasSuffix(n.Prefix, "/") && len(n.Prefix) <= maxPrefix
	if n.Prefix != "" && !legal {
		return fmt.Errorf(`%w: paths are written like "/api/v1/devices"`, ErrToken)
	}
	if !by.Role.Covers(n.Role) || !by.Scope.Covers(n.Scope) || !Under(n.Prefix, by.Prefix) {
		return ErrRights
	}
	return nil
}

// fits compares a token to be with those that there are.
func (a *Accounts) fits(ctx context.Context, by web.Actor, c Credential) error {
	all, err := a.store.Credentials(ctx, Token, c.Owner, MaxListed)
	if err != nil {
		return err
	}
	count := 0
	for _, other := range all {
		if other.Owner != c.Owner {
			continue
		}
		if count++; other.Name == c.Name {
			return fmt.Errorf("%w: there is a token %s", ErrConflict, c.Name)
		}
		if other.Hash.ID() == by.Credential && !other.ExpiresAt.IsZero() && c.ExpiresAt.After(other.ExpiresAt) {
			return fmt.Errorf("%w: it would outlive the token that makes it", ErrRights)
		}
	}
	if count >= maxTokens {
		return fmt.Errorf("%w: there are %d already", ErrToken, count)
	}
	return nil
}

// Under reports whether path, as written in a request, is prefix or below it. All
// paths are below the empty prefix.
func Under(path, prefix string) bool {
	return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
}

// Credentials returns the sessions or tokens of by's person, or, for an
// administrator who asks for all, those of everybody. Expired ones are left out.
func (a *Accounts) Credentials(
	ctx context.Context, by web.Actor, kind Kind, all bool, now time.Time,
) ([]Credential, error) {
	owner := by.Name
	if all = (all || !by.Person()) && by.Role.Includes(web.RoleAdmin); all {
		owner = ""
	}
	if kind == Link || !all && !by.Person() {
		return nil, nil
	}
	found, err := a.store.Credentials(ctx, kind, owner, MaxListed)
	return slices.DeleteFunc(found, func(c Credential) bool { return !c.live(now) }), err
}

// EndCredential ends a session or token: one's own, or anybody's for an
// administrator. It returns ErrCredential if there is none that by may end.
func (a *Accounts) EndCredential(ctx context.Context, by web.Actor, kind Kind, id string, now time.Time) error {
	found, err := a.Credentials(ctx, by, kind, true, now)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(found, func(c Credential) bool { return c.Hash.ID() == id })
	if i < 0 {
		return ErrCredential
	}
	c := found[i]
	if c.Owner != by.Name || !by.Person() {
		if !by.Role.Covers(c.Role) || !by.Scope.Covers(c.Scope) {
			return ErrRights
		}
	}
	action, subject := "account.end_session", c.Owner
	if kind == Token {
		action, subject = "account.end_token", c.Name
	}
	return a.store.End(ctx, kind, c.Hash, audit.Row{
		Actor: by.String(), Action: action, Subject: subject, Before: c.String(), At: now,
	})
}
