package account

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"steward/lwm2m/audit"
	"steward/web"
)

const maxPasskeys = 20 // of one person

// PersonByHandle returns who has a handle and may come in, or ErrCredential.
func (a *Accounts) PersonByHandle(ctx context.Context, handle []byte) (Person, error) {
	p, err := a.store.PersonByHandle(ctx, handle)
	if errors.Is(err, ErrUnknown) || err == nil && p.State != Active {
		return Person{}, ErrCredential
	}
	return p, err
}

// Passkeys returns those of a person, the oldest first.
func (a *Accounts) Passkeys(ctx context.Context, owner string) ([]Passkey, error) {
	return a.store.Passkeys(ctx, owner)
}

// MayAddPasskey returns ErrStale unless by is a person who signed in lately.
func (a *Accounts) MayAddPasskey(by web.Actor, now time.Time) error {
	if by.Via != web.ViaSession || now.Sub(by.Since) > recently {
		return ErrStale
	}
	return nil
}

// AddPasskey stores a passkey of by. It returns ErrStale, ErrExternal, ErrName and
// ErrConflict.
func (a *Accounts) AddPasskey(ctx context.Context, by web.Actor, k Passkey, now time.Time) error {
	if err := a.MayAddPasskey(by, now); err != nil {
		return err
	}
	if err := checkKeyName(k.Name); err != nil {
		return err
	}
	p, err := a.store.Person(ctx, by.Name)
	if err != nil {
		return err
	}
	if p.Subject != "" {
		return ErrExternal
	}
	all, err := a.store.Passkeys(ctx, by.Name)
	if err != nil {
		return err
	}
	if len(all) >= maxPasskeys {
		return fmt.Errorf("%w: there are %d passkeys already", ErrConflict, len(all))
	}
	k.Owner, k.CreatedAt = by.Name, now
	return a.store.PutPasskey(ctx, k, passkeyRow(by, "account.add_passkey", k, now))
}

func checkKeyName(name string) error {
	if name == "" || len(name) > MaxName || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%w: %.80q", ErrName, name)
	}
	return nil
}

func passkeyRow(by web.Actor, action string, k Passkey, now time.Time) audit.Row {
	return audit.Row{
		Actor: by.String(), Action: action, Subject: by.Name, After: k.Name,
		Reason: base64.RawURLEncoding.EncodeToString(k.ID), At: now,
	}
}

// NamePasskey calls a passkey of by otherwise. It returns ErrUnknown, ErrName, and
// ErrStale for a token: what it may do is not to decide how its person comes in.
func (a *Accounts) NamePasskey(ctx context.Context, by web.Actor, id []byte, name string, now time.Time) error {
	if by.Via != web.ViaSession {
		return ErrStale
	}
	if err := checkKeyName(name); err != nil {
		return err
	}
	all, err := a.store.Passkeys(ctx, by.Name)
	if err != nil {
		return err
	}
	for _, k := range all {
		if string(k.ID) == string(id) {
			row := passkeyRow(by, "account.name_passkey", k, now)
			row.Before, row.After, k.Name = k.Name, name, name
			return a.store.PutPasskey(ctx, k, row)
		}
	}
	return ErrUnknown
}

// RemovePasskey removes a passkey of by. It returns ErrUnknown, and ErrStale as
// NamePasskey does.
func (a *Accounts) RemovePasskey(ctx context.Context, by web.Actor, id []byte, now time.Time) error {
	if by.Via != web.ViaSession {
		return ErrStale
	}
	row := passkeyRow(by, "account.remove_passkey", Passkey{ID: id}, now)
	return a.store.RemovePasskey(ctx, by.Name, id, row)
}

// SignInPasskey returns the secret of a new session of p, who proved to have k, whose
// record is as it is after that.
func (a *Accounts) SignInPasskey(ctx context.Context, p Person, k Passkey, v Visit, now time.Time) (string, error) {
	k.Owner, k.UsedAt = p.Name, now
	if err := a.store.UsePasskey(ctx, k); err != nil {
		return "", err
	}
	session, secret := sessionFor(p, ByPasskey, v, now)
	return secret, a.store.Put(ctx, session, signedIn(session))
}

// RefusePasskey notes that somebody did not prove to have a passkey of p.
func (a *Accounts) RefusePasskey(ctx context.Context, p Person, v Visit, now time.Time) {
	a.refuse(ctx, p.Name, ByPasskey, v, now)
}
