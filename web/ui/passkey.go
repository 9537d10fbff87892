package ui

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"steward/web"
	"steward/web/account"
	"steward/web/passkey"
)

// A shownPasskey is a passkey with its id as text.
type shownPasskey struct {
	account.Passkey

	Key string
}

func (u *UI) passkeysOf(r *http.Request, owner string) (out []shownPasskey, err error) {
	if owner == "" {
		return nil, nil
	}
	all, err := u.o.Door.Accounts.Passkeys(r.Context(), owner)
	for _, k := range all {
		out = append(out, shownPasskey{k, base64.RawURLEncoding.EncodeToString(k.ID)})
	}
	return out, err
}

// passkeys answers a script: with JSON, and with errors as problem documents.
func (u *UI) passkeys(w http.ResponseWriter, r *http.Request, do func(*passkey.Keys) (any, error)) error {
	var out any
	err := error(&web.Error{Is: web.ErrNotBuilt, Detail: passkey.ErrHost.Error()})
	if u.o.Passkeys != nil {
		out, err = do(u.o.Passkeys)
	}
	if errors.Is(err, passkey.ErrCeremony) {
		err = &web.Error{Is: web.ErrForbidden, Detail: passkey.ErrCeremony.Error(), Cause: err}
	}
	if err = account.Problem(err); err != nil {
		web.LogError(r, u.o.Log, err)
		web.WriteProblem(w, web.ProblemOf(r, err))
		return nil
	}
	return web.WriteJSON(w, http.StatusOK, out)
}

// done is what a script hears of something that has no answer.
type done struct {
	Done bool `json:"done"`
}

func (u *UI) beginPasskey(w http.ResponseWriter, r *http.Request) error {
	return u.passkeys(w, r, func(k *passkey.Keys) (any, error) { return k.BeginSignIn(u.o.Now()) })
}

func (u *UI) signInPasskey(w http.ResponseWriter, r *http.Request) error {
	return u.passkeys(w, r, func(k *passkey.Keys) (any, error) {
		answer, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		secret, err := k.SignIn(r.Context(), answer, account.VisitOf(r), u.o.Now())
		if err != nil {
			return nil, err
		}
		return done{true}, u.o.Door.Begin(w, r, secret)
	})
}

func (u *UI) beginAddPasskey(w http.ResponseWriter, r *http.Request) error {
	return u.passkeys(w, r, func(k *passkey.Keys) (any, error) {
		return k.BeginAdd(r.Context(), web.ActorFrom(r.Context()), u.o.Now())
	})
}

func (u *UI) addPasskey(w http.ResponseWriter, r *http.Request) error {
	return u.passkeys(w, r, func(k *passkey.Keys) (any, error) {
		answer, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		name := r.URL.Query().Get("name")
		return done{true}, k.Add(r.Context(), web.ActorFrom(r.Context()), name, answer, u.o.Now())
	})
}

// changePasskey renames or removes one.
func (u *UI) changePasskey(w http.ResponseWriter, r *http.Request) error {
	actor, now := web.ActorFrom(r.Context()), u.o.Now()
	id, err := base64.RawURLEncoding.DecodeString(r.PostFormValue("id"))
	said := "The passkey has its new name."
	switch {
	case err != nil:
		err = account.ErrUnknown
	case r.PostFormValue("do") == "remove":
		said = "The passkey is removed."
		err = u.o.Door.Accounts.RemovePasskey(r.Context(), actor, id, now)
	default:
		err = u.o.Door.Accounts.NamePasskey(r.Context(), actor, id, r.PostFormValue("name"), now)
	}
	return u.done(w, r, account.Problem(err), "/account", said, "/account")
}
