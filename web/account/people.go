package account

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
)

// MaxPeople is how many a list has at most.
const MaxPeople = 200

// A NewPerson says who is to be let in.
type NewPerson struct {
	Name, Display string
	Role          web.Role
	Scope         web.Scope
}

// person returns who n becomes.
func (n NewPerson) person(now time.Time) (Person, error) {
	if err := CheckName(n.Name); err != nil {
		return Person{}, err
	}
	if strings.HasSuffix(n.Name, audit.TokenSuffix) { // tokens that belong to nobody are called so
		return Person{}, fmt.Errorf("%w: %s", ErrName, n.Name)
	}
	if err := checkDisplay(n.Display); err != nil {
		return Person{}, err
	}
	if _, err := web.ParseRole(string(n.Role)); err != nil {
		return Person{}, err
	}
	const handle = 32 // bytes; WebAuthn allows 64
	p := Person{
		Name: n.Name, Display: n.Display, Role: n.Role, Scope: n.Scope, State: Active, CreatedAt: now,
		Handle: make([]byte, handle),
	}
	_, _ = rand.Read(p.Handle) // crypto/rand never fails
	return p, nil
}

// AddPerson makes a person and a one-time link for them, whose secret it returns.
// It returns ErrName, ErrRole, ErrConflict if there is one of that name, and
// ErrRights.
func (a *Accounts) AddPerson(ctx context.Context, by web.Actor, n NewPerson, now time.Time) (string, error) {
	p, err := n.person(now)
	if err != nil {
		return "", err
	}
	if err := mayGive(by, p); err != nil {
		return "", err
	}
	link, secret := linkFor(p, now)
	return secret, a.store.ChangePerson(ctx, Change{Person: p, Add: link, Audit: audit.Row{
		Actor: by.String(), Action: "account.invite", Subject: p.Name, After: p.String(), At: now,
	}})
}

// mayGive returns ErrRights unless by has all the rights of p.
func mayGive(by web.Actor, p Person) error {
	if !by.Role.Covers(p.Role) || !by.Scope.Covers(p.Scope) {
		return ErrRights
	}
	return nil
}

// Person returns the one called name, or ErrUnknown.
func (a *Accounts) Person(ctx context.Context, name string) (Person, error) {
	return a.store.Person(ctx, name)
}

// ListPeople returns up to limit people after the name after, in their order.
func (a *Accounts) ListPeople(ctx context.Context, after string, limit int) ([]Person, error) {
	return a.store.ListPeople(ctx, after, limit)
}

// An Edit says what becomes of a person. Nil members stay as they are.
type Edit struct {
	Display *string
	Role    *web.Role
	Scope   *web.Scope
	Reason  string // for the audit row
}

// Edit changes a person. Other rights end their sessions, so that new ones begin
// under a new id. It returns ErrUnknown, ErrConflict, ErrRights, ErrLastAdmin.
func (a *Accounts) Edit(ctx context.Context, by web.Actor, name string, e Edit, now time.Time) (Person, error) {
	p, err := a.store.Person(ctx, name)
	if err != nil {
		return Person{}, err
	}
	before := p
	if e.Display != nil {
		p.Display = *e.Display
	}
	if e.Role != nil {
		p.Role = *e.Role
	}
	if e.Scope != nil {
		p.Scope = *e.Scope
	}
	if err := checkDisplay(p.Display); err != nil {
		return Person{}, err
	}
	if _, err := web.ParseRole(string(p.Role)); err != nil {
		return Person{}, err
	}
	c := Change{Person: p, End: p.Role != before.Role || p.Scope != before.Scope}
	return a.change(ctx, by, before, c, "account.edit", e.Reason, now)
}

// change stores a change of a person by another.
func (a *Accounts) change(
	ctx context.Context, by web.Actor, before Person, c Change, action, reason string, now time.Time,
) (Person, error) {
	for _, p := range []Person{before, c.Person} {
		if err := mayGive(by, p); err != nil {
			return Person{}, err
		}
	}
	c.Audit = audit.Row{
		Actor: by.String(), Action: action, Subject: before.Name, Reason: reason, Before: before.String(),
		After: c.Person.String(), At: now,
	}
	if err := a.store.ChangePerson(ctx, c); err != nil {
		return Person{}, err
	}
	return a.store.Person(ctx, before.Name)
}

// An Action is what an administrator does to a person.
type Action string

// The actions.
const (
	SendLink   Action = "link"     // a one-time link
	Reset      Action = "reset"    // password, passkeys, tokens and sessions go; a one-time link
	ForceRenew Action = "renew"    // another password at the next sign-in; sessions end
	Disable    Action = "disable"  // sessions and tokens end, nothing lets them in
	Enable     Action = "enable"   // as before, without what ended
	EndAll     Action = "sign_out" // sessions end
)

// Command does what an administrator asks, and returns the secret of a link where
// there is one. It returns ErrUnknown, ErrConflict, ErrRights, ErrLastAdmin, and
// ErrConflict for a link for somebody disabled.
func (a *Accounts) Command(
	ctx context.Context, by web.Actor, name string, action Action, reason string, now time.Time,
) (string, Person, error) {
	before, err := a.store.Person(ctx, name)
	if err != nil {
		return "", Person{}, err
	}
	c, secret, err := commanded(before, action, now)
	if err != nil {
		return "", Person{}, err
	}
	p, err := a.change(ctx, by, before, c, "account."+string(action), reason, now)
	return secret, p, err
}

// commanded returns what action does to p.
func commanded(p Person, action Action, now time.Time) (c Change, link string, err error) {
	c.Person = p
	switch action {
	case SendLink:
		if p.State != Active {
			return c, "", fmt.Errorf("%w: %s is disabled", ErrConflict, p.Name)
		}
		c.Add, link = linkFor(p, now)
	case Reset:
		c.Person.Password, c.Person.Renew, c.Person.State = "", false, Active
		c.End, c.EndTokens, c.EndPasskeys = true, true, true
		c.Add, link = linkFor(c.Person, now)
	case ForceRenew:
		c.Person.Renew, c.End = true, true
	case Disable:
		c.Person.State, c.End, c.EndTokens = Disabled, true, true
	case Enable:
		c.Person.State = Active
	case EndAll:
		c.End = true
	default:
		return c, "", fmt.Errorf("%w: no action %.20q", ErrConflict, action)
	}
	return c, link, nil
}
