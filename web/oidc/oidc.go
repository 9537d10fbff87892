// Package oidc lets people sign in by a provider of identities: OpenID Connect, the
// code flow with PKCE (RFC 7636), state and nonce.
package oidc

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"steward/web"
	"steward/web/account"
)

// Errors of signing in by a provider of identities.
var (
	ErrOptions = errors.New("oidc: incomplete options")
	// ErrState reports an answer that nobody here asked for, that was given before, or
	// that comes too late.
	ErrState = errors.New("this sign-in was not begun here, or is over")
	// ErrRefused reports an answer of the provider of identities that is a refusal, or
	// a token that is not good.
	ErrRefused = errors.New("the provider of identities did not vouch for you")
	// ErrNoRole reports somebody whom the provider of identities gives no role here.
	ErrNoRole = errors.New("the provider of identities gives you no role here")
)

const (
	answerWithin = 10 * time.Minute
	maxPending   = 4096             // sign-ins under way; the oldest gives way
	callTimeout  = 15 * time.Second // of a call to the provider of identities
	maxAnswer    = 1 << 20          // bytes of its answer
)

// Options says by whom people are known.
type Options struct {
	Issuer   string // https URL, as it stands in tokens
	ClientID string
	Secret   string // "" for a public client
	Redirect string // address of our callback
	// Claim of the token has words that Roles turns into roles. "": roles.
	Claim   string
	Roles   map[string]web.Role
	Domains []string // of verified mail addresses that are let in; empty: all
	Client  *http.Client
	Now     func() time.Time

	Accounts *account.Accounts
}

// A Provider lets in whom a provider of identities knows.
type Provider struct {
	o Options

	mu      sync.Mutex // guards what follows
	found   *oidc.Provider
	pending map[string]attempt
}

// An attempt is a sign-in under way.
type attempt struct {
	nonce, verifier string
	at              time.Time
}

// New returns a Provider. It calls nobody yet: a start does not depend on others.
func New(o Options) (*Provider, error) {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || o.ClientID == "" || o.Redirect == "" || o.Accounts == nil || o.Now == nil ||
		len(o.Roles) == 0 {
		return nil, ErrOptions
	}
	if o.Claim == "" {
		o.Claim = "roles"
	}
	if o.Client == nil {
		o.Client = &http.Client{}
	}
	client := *o.Client
	client.Timeout = callTimeout
	transport := client.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	client.Transport = bounded{transport}
	o.Client = &client
	return &Provider{o: o, pending: map[string]attempt{}}, nil
}

// bounded answers no more than maxAnswer.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxAnswer)
	}
	return res, err
}

// provider asks once where the provider of identities has what.
func (p *Provider) provider(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	found := p.found
	p.mu.Unlock()
	if found != nil {
		return found, nil
	}
	// Keys are fetched again by this context, long after the request is over.
	found, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), p.o.Client), p.o.Issuer)
	if err != nil {
		return nil, &web.Error{Is: web.ErrUnavailable, Detail: "the provider of identities cannot be asked", Cause: err}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found = found
	return found, nil
}

func (p *Provider) config(found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.o.ClientID, ClientSecret: p.o.Secret, Endpoint: found.Endpoint(), RedirectURL: p.o.Redirect,
		Scopes: []string{oidc.ScopeOpenID, "profile", "email"},
	}
}

// Begin returns the address to send a browser to, and the state that it has to come
// back with and to remember.
func (p *Provider) Begin(ctx context.Context) (address, state string, err error) {
	found, err := p.provider(ctx)
	if err != nil {
		return "", "", err
	}
	state = rand.Text()
	a := attempt{nonce: rand.Text(), verifier: oauth2.GenerateVerifier(), at: p.o.Now()}
	p.remember(state, a)
	return p.config(found).AuthCodeURL(state, oidc.Nonce(a.nonce), oauth2.S256ChallengeOption(a.verifier)), state, nil
}

func (p *Provider) remember(state string, a attempt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.pending) >= maxPending {
		var oldest string
		for s, other := range p.pending {
			if a.at.Sub(other.at) > answerWithin {
				delete(p.pending, s)
			} else if oldest == "" || other.at.Before(p.pending[oldest].at) {
				oldest = s
			}
		}
		if len(p.pending) >= maxPending {
			delete(p.pending, oldest)
		}
	}
	p.pending[state] = a
}

// take returns an attempt, once.
func (p *Provider) take(state string) (attempt, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.pending[state]
	delete(p.pending, state)
	return a, ok && p.o.Now().Sub(a.at) <= answerWithin
}

// Finish returns the secret of a new session for the answer q that a browser brings,
// which remembered state. It returns ErrState, ErrRefused, ErrNoRole, and what
// SignInExternal of Accounts returns.
func (p *Provider) Finish(ctx context.Context, q url.Values, state string, v account.Visit) (string, error) {
	if state == "" || subtle.ConstantTimeCompare([]byte(state), []byte(q.Get("state"))) != 1 {
		return "", ErrState
	}
	a, ok := p.take(state)
	if !ok {
		return "", ErrState
	}
	if iss := q.Get("iss"); iss != "" && iss != p.o.Issuer { // mix-up (RFC 9207 §2.4)
		return "", fmt.Errorf("%w: the answer is of %.80q", ErrRefused, iss)
	}
	if q.Get("error") != "" || q.Get("code") == "" {
		return "", fmt.Errorf("%w: %.80q", ErrRefused, q.Get("error"))
	}
	token, err := p.token(ctx, q.Get("code"), a)
	if err != nil {
		return "", err
	}
	who, err := p.external(token)
	if err != nil {
		return "", err
	}
	return p.o.Accounts.SignInExternal(ctx, who, v, p.o.Now())
}

// token exchanges the code for an identity token and checks it.
func (p *Provider) token(ctx context.Context, code string, a attempt) (*oidc.IDToken, error) {
	found, err := p.provider(ctx)
	if err != nil {
		return nil, err
	}
	ctx = oidc.ClientContext(ctx, p.o.Client)
	tokens, err := p.config(found).Exchange(ctx, code, oauth2.VerifierOption(a.verifier))
	if err != nil {
		return nil, fmt.Errorf("%w: the code is not taken", ErrRefused) // the error may hold what was sent
	}
	raw, ok := tokens.Extra("id_token").(string)
	if !ok {
		return nil, fmt.Errorf("%w: no identity token", ErrRefused)
	}
	token, err := found.Verifier(&oidc.Config{
		ClientID: p.o.ClientID, Now: p.o.Now,
		SupportedSigningAlgs: []string{ // never none, nor a shared secret
			oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512,
			oidc.EdDSA,
		},
	}).Verify(ctx, raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(a.nonce)) != 1 {
		return nil, fmt.Errorf("%w: the token is for another sign-in", ErrRefused)
	}
	return token, nil
}

// external reads who somebody is.
func (p *Provider) external(token *oidc.IDToken) (account.External, error) {
	var c struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // some write it as text
		Name     string `json:"name"`
		Username string `json:"preferred_username"`
	}
	var all map[string]any
	if err := errors.Join(token.Claims(&c), token.Claims(&all)); err != nil {
		return account.External{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if token.Subject == "" {
		return account.External{}, fmt.Errorf("%w: no subject", ErrRefused)
	}
	verified := c.Verified == true || c.Verified == "true"
	if _, domain, _ := strings.Cut(c.Email, "@"); len(p.o.Domains) > 0 &&
		(!verified || !slices.Contains(p.o.Domains, strings.ToLower(domain))) {
		return account.External{}, fmt.Errorf("%w: the mail address is not of a domain that is let in", ErrNoRole)
	}
	role, err := p.role(all[p.o.Claim])
	if err != nil {
		return account.External{}, err
	}
	name := c.Username
	if account.CheckName(name) != nil {
		if name = c.Email; !verified || account.CheckName(name) != nil {
			name = "oidc-" + rand.Text()[:12]
		}
	}
	return account.External{
		Subject: token.Issuer + " " + token.Subject, Name: name, Display: c.Name, Role: role,
	}, nil
}

// role turns the words of a claim into roles, all together.
func (p *Provider) role(claim any) (web.Role, error) {
	var words []string
	switch c := claim.(type) {
	case string:
		words = strings.Fields(c)
	case []any:
		for _, w := range c {
			if text, ok := w.(string); ok {
				words = append(words, text)
			}
		}
	}
	var roles []web.Role
	for _, w := range words {
		if r, ok := p.o.Roles[w]; ok {
			roles = append(roles, r)
		}
	}
	if len(roles) == 0 {
		return web.RoleNone, ErrNoRole
	}
	return web.ParseRole(string(web.AnyOf(roles...)))
}
