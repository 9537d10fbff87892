// Package passkey lets people sign in with passkeys (WebAuthn Level 3): keys in a
// device of theirs, which sign for this dashboard's name alone.
package passkey

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"steward/web"
	"steward/web/account"
)

// Errors of passkeys.
var (
	// ErrHost reports an address that browsers make no passkeys for: an IP address, or
	// one without TLS that is not localhost.
	ErrHost = errors.New("no passkeys for this address")
	// ErrCeremony reports an answer of an authenticator that is not to what was asked,
	// or comes too late.
	ErrCeremony = errors.New("the passkey could not be used")
)

const (
	answerWithin = 5 * time.Minute
	maxPending   = 4096 // ceremonies under way; the oldest gives way: some 2 MiB
)

// Options says where passkeys are for.
type Options struct {
	BaseURL  string // of the dashboard, as people open it
	Name     string // of the provider, for people
	Accounts *account.Accounts
}

// Keys makes and checks passkeys.
type Keys struct {
	auth     *webauthn.WebAuthn
	accounts *account.Accounts

	mu      sync.Mutex // guards pending
	pending map[string]ceremony
}

// A ceremony is what was asked of a browser.
type ceremony struct {
	data webauthn.SessionData
	at   time.Time
}

// New returns Keys. It returns ErrHost.
func New(o Options) (*Keys, error) {
	u, err := url.Parse(o.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHost, err)
	}
	host := u.Hostname()
	if _, err := netip.ParseAddr(host); err == nil || host == "" || u.Scheme != "https" && host != "localhost" {
		return nil, fmt.Errorf("%w: %s", ErrHost, o.BaseURL)
	}
	auth, err := webauthn.New(&webauthn.Config{
		RPID: host, RPDisplayName: o.Name, RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHost, err)
	}
	return &Keys{auth: auth, accounts: o.Accounts, pending: map[string]ceremony{}}, nil
}

// A user is a person as WebAuthn calls one.
type user struct {
	account.Person

	keys []webauthn.Credential
}

// WebAuthnID implements webauthn.User.
func (u user) WebAuthnID() []byte { return u.Handle }

// WebAuthnName implements webauthn.User.
func (u user) WebAuthnName() string { return u.Name }

// WebAuthnDisplayName implements webauthn.User.
func (u user) WebAuthnDisplayName() string {
	if u.Display != "" {
		return u.Display
	}
	return u.Name
}

// WebAuthnCredentials implements webauthn.User.
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.keys }

func (k *Keys) user(ctx context.Context, p account.Person) (user, error) {
	stored, err := k.accounts.Passkeys(ctx, p.Name)
	if err != nil {
		return user{}, err
	}
	u := user{Person: p}
	for _, s := range stored {
		var c webauthn.Credential
		if err := json.Unmarshal(s.Record, &c); err != nil {
			return user{}, fmt.Errorf("passkey: record of %s: %w", p.Name, err)
		}
		u.keys = append(u.keys, c)
	}
	return u, nil
}

// remember keeps what was asked until the answer comes.
func (k *Keys) remember(data *webauthn.SessionData, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.pending) >= maxPending {
		var oldest string
		for challenge, c := range k.pending {
			if now.Sub(c.at) > answerWithin {
				delete(k.pending, challenge)
			} else if oldest == "" || c.at.Before(k.pending[oldest].at) {
				oldest = challenge
			}
		}
		if len(k.pending) >= maxPending {
			delete(k.pending, oldest)
		}
	}
	k.pending[data.Challenge] = ceremony{*data, now}
}

// take returns what was asked with a challenge, once.
func (k *Keys) take(challenge string, now time.Time) (webauthn.SessionData, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c, ok := k.pending[challenge]
	delete(k.pending, challenge)
	if !ok || now.Sub(c.at) > answerWithin {
		return webauthn.SessionData{}, ErrCeremony
	}
	return c.data, nil
}

// BeginAdd returns what a browser is asked to make a passkey for by with, as JSON. It
// returns account.ErrStale.
func (k *Keys) BeginAdd(ctx context.Context, by web.Actor, now time.Time) (any, error) {
	if err := k.accounts.MayAddPasskey(by, now); err != nil {
		return nil, err
	}
	p, err := k.accounts.Person(ctx, by.Name)
	if err != nil {
		return nil, err
	}
	u, err := k.user(ctx, p)
	if err != nil {
		return nil, err
	}
	ask, data, err := k.auth.BeginRegistration(u,
		webauthn.WithExclusions(webauthn.Credentials(u.keys).CredentialDescriptors()))
	if err != nil {
		return nil, err
	}
	k.remember(data, now)
	return ask, nil
}

// Add stores the passkey that a browser made, under a name for people. It returns
// ErrCeremony and what AddPasskey of Accounts returns.
func (k *Keys) Add(ctx context.Context, by web.Actor, name string, answer []byte, now time.Time) error {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return ErrCeremony
	}
	data, err := k.take(parsed.Response.CollectedClientData.Challenge, now)
	if err != nil {
		return err
	}
	p, err := k.accounts.Person(ctx, by.Name)
	if err != nil {
		return err
	}
	if !bytes.Equal(data.UserID, p.Handle) {
		return ErrCeremony // somebody else was asked
	}
	made, err := k.auth.CreateCredential(user{Person: p}, data, parsed)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCeremony, err)
	}
	record, err := json.Marshal(made)
	if err != nil {
		return err
	}
	return k.accounts.AddPasskey(ctx, by, account.Passkey{ID: made.ID, Name: name, Record: record}, now)
}

// BeginSignIn returns what a browser is asked to sign with any passkey for us, as JSON.
func (k *Keys) BeginSignIn(now time.Time) (any, error) {
	ask, data, err := k.auth.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, err
	}
	k.remember(data, now)
	return ask, nil
}

// SignIn returns the secret of a new session of who has the passkey that answered. It
// returns ErrCeremony, whatever is wrong.
func (k *Keys) SignIn(ctx context.Context, answer []byte, v account.Visit, now time.Time) (string, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return "", ErrCeremony
	}
	data, err := k.take(parsed.Response.CollectedClientData.Challenge, now)
	if err != nil || len(data.UserID) > 0 { // what was asked was to make one
		return "", ErrCeremony
	}
	var who user
	find := func(_, handle []byte) (webauthn.User, error) {
		p, err := k.accounts.PersonByHandle(ctx, handle)
		if err != nil {
			return nil, err
		}
		who, err = k.user(ctx, p)
		return who, err
	}
	used, err := k.auth.ValidateDiscoverableLogin(find, data, parsed)
	if err != nil || used.Authenticator.CloneWarning {
		if who.Name != "" {
			k.accounts.RefusePasskey(ctx, who.Person, v, now)
		}
		return "", ErrCeremony
	}
	record, err := json.Marshal(used)
	if err != nil {
		return "", err
	}
	return k.accounts.SignInPasskey(ctx, who.Person, account.Passkey{ID: used.ID, Record: record}, v, now)
}
