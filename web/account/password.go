package account

import (
	"context"
	"errors"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
)

// recently is how long ago a sign-in may be for what would outlast the session.
const recently = 15 * time.Minute

// SignInPassword returns the secret of a new session of who knows the password. It
// returns ErrCredential whatever else is wrong, after the same time; ErrRenew for a
// right password that must be replaced; *PauseError and ErrBusy.
func (a *Accounts) SignInPassword(ctx context.Context, name, password string, v Visit, now time.Time) (string, error) {
	p, err := a.checkPassword(ctx, name, password, v, now)
	if err != nil {
		return "", err
	}
	if p.Renew {
		return "", ErrRenew
	}
	session, secret := sessionFor(p, ByPassword, v, now)
	return secret, a.store.Put(ctx, session, signedIn(session))
}

// RenewPassword is SignInPassword of who gives another password with the present
// one. It returns a *PasswordError for one that is no good.
func (a *Accounts) RenewPassword(
	ctx context.Context, name, password, next string, v Visit, now time.Time,
) (string, error) {
	p, err := a.checkPassword(ctx, name, password, v, now)
	if err != nil {
		return "", err
	}
	if next == password {
		return "", &PasswordError{"another than before"}
	}
	return a.setPassword(ctx, p, "operator:"+p.Name, next, v, now)
}

// SetPassword gives the person of a session a password. All their sessions end; the
// secret of a new one is returned. Who has a password shows it, who has none must
// have signed in lately (ErrStale). Who is known elsewhere gets ErrExternal.
func (a *Accounts) SetPassword(
	ctx context.Context, by web.Actor, present, next string, v Visit, now time.Time,
) (string, error) {
	if by.Via != web.ViaSession {
		return "", ErrStale
	}
	p, err := a.store.Person(ctx, by.Name)
	if err != nil {
		return "", err
	}
	if p.Subject != "" {
		return "", ErrExternal
	}
	if p.Password == "" && now.Sub(by.Since) > recently {
		return "", ErrStale
	}
	if p.Password != "" {
		if p, err = a.checkPassword(ctx, by.Name, present, v, now); err != nil {
			return "", err
		}
	}
	return a.setPassword(ctx, p, by.String(), next, v, now)
}

func (a *Accounts) setPassword(
	ctx context.Context, p Person, actor, next string, v Visit, now time.Time,
) (string, error) {
	if err := p.checkPassword(next); err != nil {
		return "", err
	}
	before := p.String()
	hash, err := a.hasher.hash(ctx, next)
	if err != nil {
		return "", err
	}
	p.Password, p.Renew = hash, false
	session, secret := sessionFor(p, ByPassword, v, now)
	return secret, a.store.ChangePerson(ctx, Change{Person: p, End: true, Add: &session, Audit: audit.Row{
		Actor: actor, Action: "account.password", Subject: p.Name, Before: before, After: p.String(), At: now,
	}})
}

// checkPassword returns who has the password. Whether the name, the password or the
// person's state is wrong shows neither in the answer nor in its time.
func (a *Accounts) checkPassword(ctx context.Context, name, password string, v Visit, now time.Time) (Person, error) {
	if len(name) > MaxName || len(password) > maxPassword {
		return Person{}, ErrCredential
	}
	from := Network(v.Address)
	if err := a.tries.begin(name, from, now); err != nil {
		return Person{}, err
	}
	p, err := a.store.Person(ctx, name)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return Person{}, err
	}
	stored := p.Password
	if p.State != Active {
		stored = ""
	}
	good, err := a.hasher.check(ctx, stored, password)
	if err != nil {
		return Person{}, err
	}
	if !good {
		a.refuse(ctx, name, ByPassword, v, now)
		return Person{}, ErrCredential
	}
	a.tries.right(name, from)
	return p, nil
}
