package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"steward/web"
	"steward/web/account"
	"steward/web/account/accounttest"
	"steward/web/oidc"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// An idp is a small provider of identities, which lies as it is told to.
type idp struct {
	*httptest.Server

	key    *ecdsa.PrivateKey
	signer *ecdsa.PrivateKey // with which it signs; the published one is key
	issuer string            // in tokens
	change func(claims map[string]any)
	alg    string // "": ES256; none
	codes  map[string]url.Values
	used   []string // client secrets shown
}

func newIDP(t *testing.T) *idp {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &idp{key: key, signer: key, codes: map[string]url.Values{}, change: func(map[string]any) {}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"issuer": i.URL, "authorization_endpoint": i.URL + "/auth", "token_endpoint": i.URL + "/token",
			"jwks_uri": i.URL + "/keys", "id_token_signing_alg_values_supported": []string{"ES256", "none", "HS256"},
		})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: i.key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"},
		}})
	})
	mux.HandleFunc("/token", i.token)
	i.Server = httptest.NewServer(mux)
	i.issuer = i.URL
	t.Cleanup(i.Close)
	return i
}

// token exchanges a code, if PKCE fits (RFC 7636 §4.6).
func (i *idp) token(w http.ResponseWriter, r *http.Request) {
	asked, ok := i.codes[r.PostFormValue("code")]
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	_, secret, _ := r.BasicAuth()
	i.used = append(i.used, secret)
	if !ok || asked.Get("code_challenge_method") != "S256" ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != asked.Get("code_challenge") {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	delete(i.codes, r.PostFormValue("code"))
	claims := map[string]any{
		"iss": i.issuer, "aud": asked.Get("client_id"), "sub": "s1", "exp": noon.Add(time.Hour).Unix(),
		"iat": noon.Unix(), "nonce": asked.Get("nonce"), "email": "Ann@Example.com", "email_verified": true,
		"preferred_username": "ann", "name": "Ann\nB", "roles": []string{"ops", "other"},
	}
	i.change(claims)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"access_token": "x", "token_type": "Bearer", "id_token": i.sign(claims),
	})
}

func (i *idp) sign(claims map[string]any) string {
	body, _ := json.Marshal(claims)
	if i.alg == "none" {
		b64 := base64.RawURLEncoding
		return b64.EncodeToString([]byte(`{"alg":"none"}`)) + "." + b64.EncodeToString(body) + "."
	}
	key, alg := any(i.signer), jose.ES256
	if i.alg == "HS256" { // the client's secret as a key
		key, alg = []byte("a secret of at least thirty-two bytes"), jose.HS256
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	if err != nil {
		return err.Error()
	}
	signed, err := s.Sign(body)
	if err != nil {
		return err.Error()
	}
	text, _ := signed.CompactSerialize()
	return text
}

// A site is a provider of ours beside an idp.
type site struct {
	idp      *idp
	store    *accounttest.Memory
	accounts *account.Accounts
	oidc     *oidc.Provider
	now      time.Time
}

func newSite(t *testing.T, domains ...string) *site {
	t.Helper()
	s := &site{idp: newIDP(t), store: &accounttest.Memory{}, now: noon}
	s.accounts = account.New(account.Options{Stores: s.store, Costs: account.Costs{Memory: 8, Passes: 1, Lanes: 1}})
	var err error
	s.oidc, err = oidc.New(oidc.Options{
		Issuer: s.idp.URL, ClientID: "steward", Secret: "a secret of at least thirty-two bytes",
		Redirect: "https://steward.example/sign-in/oidc/callback",
		Roles:    map[string]web.Role{"ops": web.RoleOperator, "rel": web.RoleRelease, "root": web.RoleAdmin},
		Domains:  domains, Accounts: s.accounts, Now: func() time.Time { return s.now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// begin goes to the idp and returns the answer that it gives the browser.
func (s *site) begin(t *testing.T) (answer url.Values, state string) {
	t.Helper()
	address, state, err := s.oidc.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(address, s.idp.URL+"/auth?") {
		t.Fatalf("Begin leads to %s, %v", address, err)
	}
	code := rand.Text()
	s.idp.codes[code] = u.Query()
	return url.Values{"code": {code}, "state": {u.Query().Get("state")}, "iss": {s.idp.URL}}, state
}

func (s *site) signIn(t *testing.T) (web.Actor, error) {
	t.Helper()
	answer, state := s.begin(t)
	secret, err := s.oidc.Finish(t.Context(), answer, state, account.Visit{})
	if err != nil {
		return web.Actor{}, err
	}
	return s.accounts.BySession(t.Context(), secret, s.now)
}

func TestSignIn(t *testing.T) {
	s := newSite(t, "example.com")
	ann, err := s.signIn(t)
	if err != nil || ann.Name != "ann" || ann.Role != web.RoleOperator || ann.Via != web.ViaSession {
		t.Fatalf("first sign-in = %+v, %v", ann, err)
	}
	p, err := s.accounts.Person(t.Context(), "ann")
	if err != nil || p.Display != "AnnB" || p.Subject != s.idp.URL+" s1" {
		t.Errorf("person = %+v, %v", p, err)
	}
	const secret = "a secret of at least thirty-two bytes"
	if got := s.idp.used[0]; got != url.QueryEscape(secret) && got != secret {
		t.Errorf("client secret = %q", got)
	}
	_, err = s.accounts.SetPassword(t.Context(), ann, "", "correct horse battery", account.Visit{}, noon)
	if !errors.Is(err, account.ErrExternal) {
		t.Errorf("a password for ann = %v, want ErrExternal", err)
	}
	err = s.accounts.AddPasskey(t.Context(), ann, account.Passkey{ID: []byte{1}, Name: "x"}, noon)
	if !errors.Is(err, account.ErrExternal) {
		t.Errorf("a passkey for ann = %v, want ErrExternal", err)
	}
	// Another role counts, and ends the session of before; another name does not.
	s.idp.change = func(c map[string]any) {
		c["roles"], c["preferred_username"], c["email"] = "rel ops", "root", "other@example.com"
	}
	again, err := s.signIn(t)
	if err != nil || again.Name != "ann" || again.Role != "operator+release" || again.Credential == ann.Credential {
		t.Errorf("second sign-in = %+v, %v", again, err)
	}
	left, err := s.accounts.Credentials(t.Context(), again, account.Session, false, noon)
	if err != nil || len(left) != 1 {
		t.Errorf("sessions = %d, %v; want 1", len(left), err)
	}
	if _, _, err := s.accounts.Command(t.Context(), web.System(), "ann", account.Disable, "", noon); err != nil {
		t.Fatal(err)
	}
	if _, err := s.signIn(t); !errors.Is(err, account.ErrCredential) {
		t.Errorf("sign-in of somebody disabled = %v", err)
	}
}

// TestNamesOfOthers has the provider of identities name somebody as a person here is
// called: it does not become that person.
func TestNamesOfOthers(t *testing.T) {
	s := newSite(t)
	if _, err := s.accounts.Invite(t.Context(), web.System(), "ann", web.RoleAdmin, noon); err != nil {
		t.Fatal(err)
	}
	if actor, err := s.signIn(t); !errors.Is(err, account.ErrConflict) {
		t.Errorf("sign-in = %+v, %v; want ErrConflict", actor, err)
	}
}

func TestRefused(t *testing.T) {
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, value any) func(*site) {
		return func(s *site) { s.idp.change = func(c map[string]any) { c[name] = value } }
	}
	for name, row := range map[string]struct {
		lie func(*site)
		err error
	}{
		"unknown issuer":    {func(s *site) { s.idp.issuer = "https://evil.example" }, oidc.ErrRefused},
		"another audience":  {claim("aud", "somebody"), oidc.ErrRefused},
		"wrong nonce":       {claim("nonce", "x"), oidc.ErrRefused},
		"no nonce":          {claim("nonce", nil), oidc.ErrRefused},
		"expired":           {claim("exp", noon.Add(-time.Hour).Unix()), oidc.ErrRefused},
		"alg none":          {func(s *site) { s.idp.alg = "none" }, oidc.ErrRefused},
		"secret as a key":   {func(s *site) { s.idp.alg = "HS256" }, oidc.ErrRefused},
		"another key":       {func(s *site) { s.idp.signer = other }, oidc.ErrRefused},
		"no role":           {claim("roles", []string{"guest"}), oidc.ErrNoRole},
		"roles of no kind":  {claim("roles", 7), oidc.ErrNoRole},
		"no roles":          {claim("roles", nil), oidc.ErrNoRole},
		"another domain":    {claim("email", "ann@evil.example"), oidc.ErrNoRole},
		"domain of no mail": {claim("email", nil), oidc.ErrNoRole},
		"unverified mail":   {claim("email_verified", false), oidc.ErrNoRole},
		"no subject":        {claim("sub", ""), oidc.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, "example.com")
			row.lie(s)
			if actor, err := s.signIn(t); !errors.Is(err, row.err) {
				t.Errorf("sign-in = %+v, %v; want %v", actor, err, row.err)
			}
			if all, err := s.accounts.ListPeople(t.Context(), "", 9); err != nil || len(all) != 0 {
				t.Errorf("people = %v, %v; want none", all, err)
			}
		})
	}
}

// TestAnswers has browsers bring answers that are not to what they asked.
func TestAnswers(t *testing.T) {
	for name, row := range map[string]struct {
		change func(s *site, answer url.Values, state *string)
		err    error
	}{
		"no state":               {func(_ *site, a url.Values, _ *string) { a.Del("state") }, oidc.ErrState},
		"another browser":        {func(_ *site, _ url.Values, s *string) { *s = "x" }, oidc.ErrState},
		"a browser without":      {func(_ *site, a url.Values, s *string) { *s = ""; a.Set("state", "") }, oidc.ErrState},
		"state of its own":       {func(_ *site, a url.Values, s *string) { *s = "x"; a.Set("state", "x") }, oidc.ErrState},
		"too late":               {func(s *site, _ url.Values, _ *string) { s.now = noon.Add(time.Hour) }, oidc.ErrState},
		"mix-up":                 {set("iss", "https://evil.example"), oidc.ErrRefused},
		"refusal":                {set("error", "access_denied"), oidc.ErrRefused},
		"no code":                {func(_ *site, a url.Values, _ *string) { a.Del("code") }, oidc.ErrRefused},
		"a code of another":      {func(_ *site, a url.Values, _ *string) { a.Set("code", "x") }, oidc.ErrRefused},
		"a code of another PKCE": {swapped, oidc.ErrRefused},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			answer, state := s.begin(t)
			row.change(s, answer, &state)
			if _, err := s.oidc.Finish(t.Context(), answer, state, account.Visit{}); !errors.Is(err, row.err) {
				t.Errorf("Finish = %v, want %v", err, row.err)
			}
		})
	}
	s := newSite(t)
	answer, state := s.begin(t)
	code := s.idp.codes[answer.Get("code")]
	if _, err := s.oidc.Finish(t.Context(), answer, state, account.Visit{}); err != nil {
		t.Fatal(err)
	}
	s.idp.codes[answer.Get("code")] = code
	if _, err := s.oidc.Finish(t.Context(), answer, state, account.Visit{}); !errors.Is(err, oidc.ErrState) {
		t.Errorf("the same answer again = %v, want ErrState", err)
	}
}

// set changes one member of the answer.
func set(name, value string) func(*site, url.Values, *string) {
	return func(_ *site, a url.Values, _ *string) { a.Set(name, value) }
}

// swapped gives one browser the code that another asked for (RFC 9700 §4.5).
func swapped(s *site, a url.Values, _ *string) {
	other := url.Values{}
	maps.Copy(other, s.idp.codes[a.Get("code")])
	other.Set("code_challenge", base64.RawURLEncoding.EncodeToString(make([]byte, crypto.SHA256.Size())))
	s.idp.codes[a.Get("code")] = other
}

func TestOptions(t *testing.T) {
	if _, err := oidc.New(oidc.Options{Issuer: "https://idp.example", ClientID: "x"}); !errors.Is(err, oidc.ErrOptions) {
		t.Errorf("New = %v, want ErrOptions", err)
	}
	s := newSite(t)
	s.idp.Close()
	if _, _, err := s.oidc.Begin(t.Context()); !errors.Is(err, web.ErrUnavailable) {
		t.Errorf("Begin without the provider of identities = %v, want ErrUnavailable", err)
	}
}
