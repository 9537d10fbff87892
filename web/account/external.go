package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
)

// An External is somebody whom a provider of identities knows.
type External struct {
	Subject string // issuer and subject, a blank between
	Name    string // as they are to be called here
	Display string
	Role    web.Role // that the provider of identities gives them
}

// SignInExternal returns the secret of a new session. Who comes for the first time
// is made a person; a role that changed counts from now on, and ends other sessions.
// It returns ErrConflict if somebody else has the name, and ErrCredential for who was
// disabled.
func (a *Accounts) SignInExternal(ctx context.Context, e External, v Visit, now time.Time) (string, error) {
	p, err := a.store.PersonOf(ctx, e.Subject)
	switch {
	case errors.Is(err, ErrUnknown):
		return a.firstExternal(ctx, e, v, now)
	case err != nil:
		return "", err
	case p.State != Active:
		a.refuse(ctx, p.Name, ByOIDC, v, now)
		return "", ErrCredential
	}
	before := p
	p.Role = e.Role
	session, secret := sessionFor(p, ByOIDC, v, now)
	if p.Role == before.Role {
		return secret, a.store.Put(ctx, session, signedIn(session))
	}
	row := signedIn(session)
	row.Before, row.After = before.String(), p.String()
	return secret, a.store.ChangePerson(ctx, Change{Person: p, End: true, Add: &session, Audit: row})
}

func (a *Accounts) firstExternal(ctx context.Context, e External, v Visit, now time.Time) (string, error) {
	display := strings.Map(func(r rune) rune {
		if checkDisplay(string(r)) != nil {
			return -1
		}
		return r
	}, e.Display)
	p, err := NewPerson{Name: e.Name, Display: clip(display, maxDisplay), Role: e.Role}.person(now)
	if err != nil {
		return "", err
	}
	p.Subject, p.SignedInAt = e.Subject, now
	session, secret := sessionFor(p, ByOIDC, v, now)
	err = a.store.ChangePerson(ctx, Change{Person: p, Add: &session, Audit: audit.Row{
		Actor: "operator:" + p.Name, Action: "account.sign_in", Subject: p.Name, Reason: "first sign-in by " + e.Subject,
		After: p.String(), At: now,
	}})
	if errors.Is(err, ErrConflict) {
		return "", fmt.Errorf("%w: somebody else is called %s here", ErrConflict, p.Name)
	}
	return secret, err
}
