package account_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"steward/web"
	"steward/web/account"
	"steward/web/account/accounttest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestMemory(t *testing.T) {
	accounttest.TestStore(t, func(*testing.T) account.Stores { return &accounttest.Memory{} })
}

func TestLinkIsUsedOnceAndExpires(t *testing.T) {
	a := newAccounts(&accounttest.Memory{})
	link := invite(t, a)
	if c, err := a.CheckLink(t.Context(), link, noon); err != nil || c.Name != "alice" {
		t.Fatalf("CheckLink = %+v, %v", c, err)
	}
	late := noon.Add(account.LinkLifetime)
	if _, err := a.SignIn(t.Context(), link, account.Visit{}, late); !errors.Is(err, account.ErrCredential) {
		t.Errorf("SignIn after the link's end = %v, want ErrCredential", err)
	}
	session, err := a.SignIn(t.Context(), link, account.Visit{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.SignIn(t.Context(), link, account.Visit{}, noon); !errors.Is(err, account.ErrCredential) {
		t.Errorf("second SignIn = %v, want ErrCredential", err)
	}
	want := web.Actor{Name: "alice", Role: web.RoleOperator, Via: web.ViaSession}
	if got, err := a.BySession(t.Context(), session, noon); err != nil || bare(got) != want {
		t.Errorf("BySession = %+v, %v; want %+v", got, err, want)
	}
	for name, secret := range map[string]string{"link": link, "empty": "", "long": strings.Repeat("a", 1000)} {
		if _, err := a.BySession(t.Context(), secret, noon); !errors.Is(err, account.ErrCredential) {
			t.Errorf("BySession(%s) = %v, want ErrCredential", name, err)
		}
	}
	if _, err := a.ByToken(t.Context(), session, noon); !errors.Is(err, account.ErrCredential) {
		t.Errorf("a session as a token = %v, want ErrCredential", err)
	}
}

func TestSessionEnds(t *testing.T) {
	a := newAccounts(&accounttest.Memory{})
	signIn := func() string {
		session, err := a.SignIn(t.Context(), invite(t, a), account.Visit{}, noon)
		if err != nil {
			t.Fatal(err)
		}
		return session
	}
	idle := signIn()
	if _, err := a.BySession(t.Context(), idle, noon.Add(account.SessionIdle)); !errors.Is(err, account.ErrCredential) {
		t.Errorf("idle session = %v, want ErrCredential", err)
	}
	busy := signIn()
	at := noon
	for ; at.Before(noon.Add(account.SessionLifetime)); at = at.Add(account.SessionIdle / 2) {
		if _, err := a.BySession(t.Context(), busy, at); err != nil {
			t.Fatalf("busy session at %v: %v", at, err)
		}
	}
	if _, err := a.BySession(t.Context(), busy, at); !errors.Is(err, account.ErrCredential) {
		t.Errorf("session past its lifetime = %v, want ErrCredential", err)
	}
	out := signIn()
	if err := a.SignOut(t.Context(), out, noon); err != nil {
		t.Fatal(err)
	}
	if _, err := a.BySession(t.Context(), out, noon); !errors.Is(err, account.ErrCredential) {
		t.Errorf("session after SignOut = %v, want ErrCredential", err)
	}
}

func TestSetToken(t *testing.T) {
	store := &accounttest.Memory{}
	a := newAccounts(store)
	for range 2 {
		if err := a.SetToken(t.Context(), "admin", web.RoleAdmin, "secret-one", noon); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(store.Rows()); n != 1 {
		t.Errorf("audit rows after the same token twice = %d, want 1", n)
	}
	want := web.Actor{Name: "admin", Role: web.RoleAdmin, Via: web.ViaToken}
	if got, err := a.ByToken(t.Context(), "secret-one", noon); err != nil || bare(got) != want {
		t.Errorf("ByToken = %+v, %v; want %+v", got, err, want)
	}
	if err := a.SetToken(t.Context(), "admin", web.RoleAdmin, "secret-two", noon); err != nil {
		t.Fatal(err)
	}
	if _, err := a.ByToken(t.Context(), "secret-one", noon); !errors.Is(err, account.ErrCredential) {
		t.Errorf("replaced token = %v, want ErrCredential", err)
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"alice": true, "a.b@example-1.org": true,
		"": false, "a b": false, "<b>": false, "ä": false, strings.Repeat("a", account.MaxName+1): false,
	} {
		if err := account.CheckName(name); (err == nil) != ok || (!ok && !errors.Is(err, account.ErrName)) {
			t.Errorf("CheckName(%q) = %v, want ok %v", name, err, ok)
		}
	}
}

func TestDoor(t *testing.T) {
	a := newAccounts(&accounttest.Memory{})
	door := account.Door{Accounts: a, Instance: "i1", TLS: true, Now: func() time.Time { return noon }}

	// Fixation: a cookie planted before signing in is not the session after it.
	r := httptest.NewRequest(http.MethodPost, "/sign-in", nil)
	r.AddCookie(&http.Cookie{Name: "__Host-steward_i1", Value: "planted"})
	w := httptest.NewRecorder()
	if err := door.SignIn(w, r, invite(t, a)); err != nil {
		t.Fatal(err)
	}
	cookie := w.Result().Cookies()[0]
	if cookie.Value == "planted" || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteStrictMode {
		t.Errorf("cookie = %v", cookie)
	}
	if got := recognise(t, door, cookie, ""); got.Name != "alice" {
		t.Errorf("with the cookie: %+v, want alice", got)
	}
	planted := &http.Cookie{Name: cookie.Name, Value: "planted"}
	if got := recognise(t, door, planted, ""); got != (web.Actor{}) {
		t.Errorf("with the planted cookie: %+v, want nobody", got)
	}
	other := door
	other.Instance = "i2"
	if got := recognise(t, other, cookie, ""); got != (web.Actor{}) {
		t.Errorf("cookie at another instance: %+v, want nobody", got)
	}
	if err := a.SetToken(t.Context(), "cli", web.RoleViewer, "the-token", noon); err != nil {
		t.Fatal(err)
	}
	for header, want := range map[string]string{
		"Bearer the-token": "cli", "bearer the-token": "cli",
		"Bearer wrong": "", "Basic the-token": "", // a wrong header is not made good by the cookie
	} {
		if got := recognise(t, door, cookie, header); got.Name != want {
			t.Errorf("Authorization %q: %+v, want %q", header, got, want)
		}
	}
	// Signing in again ends the earlier session.
	r = httptest.NewRequest(http.MethodPost, "/sign-in", nil)
	r.AddCookie(cookie)
	if err := door.SignIn(httptest.NewRecorder(), r, invite(t, a)); err != nil {
		t.Fatal(err)
	}
	if got := recognise(t, door, cookie, ""); got != (web.Actor{}) {
		t.Errorf("earlier session after a new sign-in: %+v, want nobody", got)
	}
}

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.token")
	first, err := account.TokenFile(path)
	if err != nil || len(first) < 40 {
		t.Fatalf("TokenFile = %q, %v", first, err)
	}
	if again, err := account.TokenFile(path); err != nil || again != first {
		t.Errorf("TokenFile again = %q, %v; want %q", again, err, first)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := account.TokenFile(path); !errors.Is(err, account.ErrTokenFile) {
		t.Errorf("TokenFile open to others = %v, want ErrTokenFile", err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := account.TokenFile(empty); !errors.Is(err, account.ErrTokenFile) {
		t.Errorf("empty TokenFile = %v, want ErrTokenFile", err)
	}
}

// bare returns an actor without how they came.
func bare(a web.Actor) web.Actor {
	a.Credential, a.Since = "", time.Time{}
	return a
}

// cheap makes hashes of passwords that cost nothing.
var cheap = account.Costs{Memory: 8, Passes: 1, Lanes: 1}

func newAccounts(store account.Stores) *account.Accounts {
	return account.New(account.Options{Stores: store, Costs: cheap})
}

func invite(t *testing.T, a *account.Accounts) string {
	t.Helper()
	link, err := a.Invite(t.Context(), web.System(), "alice", web.RoleOperator, noon)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

func recognise(t *testing.T, d account.Door, c *http.Cookie, authorization string) (got web.Actor) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.AddCookie(c)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	fail := func(_ http.ResponseWriter, _ *http.Request, err error) { t.Error(err) }
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = web.ActorFrom(r.Context()) })
	d.Recognise(fail, next).ServeHTTP(httptest.NewRecorder(), r)
	return got
}
