package account_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
	"steward/web/account"
)

func TestTokens(t *testing.T) {
	d := newDoor(t)
	alice := d.enter(t, "alice", web.AnyOf(web.RoleOperator, web.RoleRelease), "north")
	secret, c, err := d.MakeToken(t.Context(), alice, account.NewToken{Name: "ci", Role: web.RoleRelease}, noon)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(secret, "steward_") || c.ExpiresAt != noon.Add(account.TokenLifetime) {
		t.Errorf("MakeToken = %q until %v", secret, c.ExpiresAt)
	}
	want := web.Actor{Name: "alice", Role: web.RoleRelease, Via: web.ViaToken, Token: "ci", Scope: "north"}
	got, err := d.ByToken(t.Context(), secret, noon)
	if err != nil || bare(got) != want || got.String() != "operator:alice/ci" || !got.Person() {
		t.Errorf("ByToken = %+v, %v; want %+v", got, err, want)
	}
	_, err = d.ByToken(t.Context(), secret, noon.Add(account.TokenLifetime))
	is(t, "an expired token", err, account.ErrCredential)
	for name, row := range map[string]struct {
		n   account.NewToken
		err error
	}{
		"same name":      {account.NewToken{Name: "ci"}, account.ErrConflict},
		"no name":        {account.NewToken{}, account.ErrName},
		"more rights":    {account.NewToken{Name: "x", Role: web.RoleAdmin}, account.ErrRights},
		"other rights":   {account.NewToken{Name: "x", Role: web.RoleSecurity}, account.ErrRights},
		"another group":  {account.NewToken{Name: "x", Scope: "south"}, account.ErrRights},
		"too long":       {account.NewToken{Name: "x", Lifetime: account.MaxLifetime + 1}, account.ErrToken},
		"too short":      {account.NewToken{Name: "x", Lifetime: 1}, account.ErrToken},
		"relative path":  {account.NewToken{Name: "x", Prefix: "api"}, account.ErrToken},
		"path ends with": {account.NewToken{Name: "x", Prefix: "/api/"}, account.ErrToken},
	} {
		_, _, err := d.MakeToken(t.Context(), alice, row.n, noon)
		is(t, name, err, row.err)
	}
	// A token makes no token that outlives it, or leaves its paths.
	narrow, _, err := d.MakeToken(t.Context(), alice, account.NewToken{
		Name: "narrow", Prefix: "/api/v1/tokens", Lifetime: time.Hour,
	}, noon)
	if err != nil {
		t.Fatal(err)
	}
	by, err := d.ByToken(t.Context(), narrow, noon)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = d.MakeToken(t.Context(), by, account.NewToken{Name: "y", Prefix: "/api/v1/tokens"}, noon)
	is(t, "outlives", err, account.ErrRights)
	_, _, err = d.MakeToken(t.Context(), by, account.NewToken{Name: "y", Lifetime: time.Minute}, noon)
	is(t, "all paths", err, account.ErrRights)
}

// TestTokensOfNobody: a token that belongs to nobody makes none that the audit, or
// those who count four eyes, could take for a person.
func TestTokensOfNobody(t *testing.T) {
	d := newDoor(t)
	d.enter(t, "alice", web.RoleViewer, "")
	if err := d.SetToken(t.Context(), "admin.token", web.RoleAdmin, "secret", noon); err != nil {
		t.Fatal(err)
	}
	by, err := d.ByToken(t.Context(), "secret", noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"alice", "ci.token"} {
		secret, _, err := d.MakeToken(t.Context(), by, account.NewToken{Name: name}, noon)
		if err != nil {
			t.Fatal(err)
		}
		made, err := d.ByToken(t.Context(), secret, noon)
		if err != nil || audit.SamePerson(made.String(), "operator:alice") ||
			!audit.SamePerson(made.String(), by.String()) {
			t.Errorf("the token %s acts as %s, %v", name, made, err)
		}
	}
	_, _, err = d.MakeToken(t.Context(), by, account.NewToken{}, noon)
	is(t, "no name", err, account.ErrName)
}

// TestPasskeysAndTokens: no token renames or removes a passkey, be it its person's, or
// be it called like a person.
func TestPasskeysAndTokens(t *testing.T) {
	d := newDoor(t)
	alice := d.enter(t, "alice", web.RoleAdmin, "")
	key := account.Passkey{ID: []byte("id"), Name: "key", Record: []byte("{}")}
	if err := d.AddPasskey(t.Context(), alice, key, noon); err != nil {
		t.Fatal(err)
	}
	for name, by := range map[string]web.Actor{
		"of hers":         {Name: "alice", Token: "ci", Via: web.ViaToken, Role: web.RoleViewer},
		"called like her": {Name: "alice", Via: web.ViaToken, Role: web.RoleViewer},
	} {
		is(t, name, d.NamePasskey(t.Context(), by, key.ID, "x", noon), account.ErrStale)
		is(t, name, d.RemovePasskey(t.Context(), by, key.ID, noon), account.ErrStale)
	}
	if err := d.RemovePasskey(t.Context(), alice, key.ID, noon); err != nil {
		t.Error(err)
	}
}

// TestStill: a request that lasts learns that its person has other rights by now, or
// none.
func TestStill(t *testing.T) {
	for name, change := range map[string]func(d *door) error{
		"disabled": func(d *door) error {
			_, _, err := d.Command(t.Context(), d.root, "alice", account.Disable, "", noon)
			return err
		},
		"other groups": func(d *door) error {
			scope := web.Scope("north")
			_, err := d.Edit(t.Context(), d.root, "alice", account.Edit{Scope: &scope}, noon)
			return err
		},
	} {
		d := newDoor(t)
		alice := d.enter(t, "alice", web.RoleViewer, "")
		secret, _, err := d.MakeToken(t.Context(), alice, account.NewToken{Name: "ci"}, noon)
		if err != nil {
			t.Fatal(err)
		}
		var before, after bool
		fail := func(_ http.ResponseWriter, _ *http.Request, err error) { t.Error(err) }
		h := account.Door{
			Accounts: d.Accounts, Instance: "t", Now: func() time.Time { return noon },
		}.Recognise(fail, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			before = web.Still(r.Context())
			if err := change(d); err != nil {
				t.Error(err)
			}
			after = web.Still(r.Context())
		}))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if !before || after {
			t.Errorf("%s: before %v, after %v", name, before, after)
		}
	}
}

// TestCredentialsOfOthers has people list and end what is not theirs.
func TestCredentialsOfOthers(t *testing.T) {
	d := newDoor(t)
	alice, bob := d.enter(t, "alice", web.RoleViewer, ""), d.enter(t, "bob", web.RoleViewer, "")
	if err := d.SetToken(t.Context(), "alice", web.RoleViewer, "a token of nobody", noon); err != nil {
		t.Fatal(err)
	}
	nobody, err := d.ByToken(t.Context(), "a token of nobody", noon)
	if err != nil || nobody.Person() {
		t.Fatalf("ByToken = %+v, %v", nobody, err)
	}
	for name, row := range map[string]struct {
		by   web.Actor
		all  bool
		want int
	}{
		"own": {alice, false, 1}, "all as a viewer": {alice, true, 1}, "all": {d.root, true, 3},
		"a token called like a person": {nobody, true, 0},
	} {
		got, err := d.Credentials(t.Context(), row.by, account.Session, row.all, noon)
		if err != nil || len(got) != row.want {
			t.Errorf("%s: %d sessions, %v; want %d", name, len(got), err, row.want)
		}
	}
	for name, by := range map[string]web.Actor{"another": bob, "a token called like her": nobody} {
		err := d.EndCredential(t.Context(), by, account.Session, alice.Credential, noon)
		is(t, "end of a session by "+name, err, account.ErrCredential)
	}
	site := d.enter(t, "site", web.RoleAdmin, "north")
	err = d.EndCredential(t.Context(), site, account.Session, d.root.Credential, noon)
	is(t, "end of an administrator's session by one of a group", err, account.ErrRights)
	if err := d.EndCredential(t.Context(), d.root, account.Session, alice.Credential, noon); err != nil {
		t.Errorf("end by an administrator = %v", err)
	}
	if err := d.EndCredential(t.Context(), bob, account.Session, bob.Credential, noon); err != nil {
		t.Errorf("end of one's own = %v", err)
	}
}

func TestPrefix(t *testing.T) {
	d := newDoor(t)
	secret, _, err := d.MakeToken(t.Context(), d.root, account.NewToken{Name: "ci", Prefix: "/api/v1/devices"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	door := account.Door{Accounts: d.Accounts, Instance: "t", Now: func() time.Time { return noon }}
	for path, want := range map[string]bool{
		"/api/v1/devices": true, "/api/v1/devices/x": true, "/api/v1/devices/x%2Fy": true,
		"/api/v1/devicesx": false, "/api/v1": false, "/": false, "/api/v1/people": false, "/api/v1%2Fdevices": false,
		"/api/v1/%64evices": false, "/api/v1/devices%2F..%2Fpeople": false,
	} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+secret)
		reached := false
		fail := func(w http.ResponseWriter, r *http.Request, err error) { web.WriteProblem(w, web.ProblemOf(r, err)) }
		w := httptest.NewRecorder()
		door.Recognise(fail, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true })).ServeHTTP(w, r)
		if reached != want || !want && w.Code != http.StatusForbidden {
			t.Errorf("%s: reached %v, want %v; %d", path, reached, want, w.Code)
		}
	}
}
