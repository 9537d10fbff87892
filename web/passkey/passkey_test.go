package passkey_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"steward/web"
	"steward/web/account"
	"steward/web/account/accounttest"
	"steward/web/passkey"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newKeys(t *testing.T) (*passkey.Keys, web.Actor) {
	t.Helper()
	a := account.New(account.Options{Stores: &accounttest.Memory{}})
	k, err := passkey.New(passkey.Options{BaseURL: "https://steward.example:8443", Name: "Alpha", Accounts: a})
	if err != nil {
		t.Fatal(err)
	}
	link, err := a.Invite(t.Context(), web.System(), "ann", web.RoleAdmin, noon)
	if err != nil {
		t.Fatal(err)
	}
	session, err := a.SignIn(t.Context(), link, account.Visit{}, noon)
	if err != nil {
		t.Fatal(err)
	}
	ann, err := a.BySession(t.Context(), session, noon)
	if err != nil {
		t.Fatal(err)
	}
	return k, ann
}

func TestHosts(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://steward.example": true, "https://steward.example:8443": true, "http://localhost:8080": true,
		"http://127.0.0.1:8080": false, "https://192.0.2.1": false, "https://[2001:db8::1]": false,
		"http://steward.example": false, "": false, ":": false,
	} {
		_, err := passkey.New(passkey.Options{BaseURL: address, Name: "x"})
		if (err == nil) != ok || !ok && !errors.Is(err, passkey.ErrHost) {
			t.Errorf("New(%q) = %v, want ok %v", address, err, ok)
		}
	}
}

// TestWhatIsAsked compares what browsers are asked with what must be so: a key that is
// found without a name, proof of the person, and this name alone.
func TestWhatIsAsked(t *testing.T) {
	k, ann := newKeys(t)
	add, err := k.BeginAdd(t.Context(), ann, noon)
	if err != nil {
		t.Fatal(err)
	}
	signIn, err := k.BeginSignIn(noon)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		asked any
		wants []string
	}{
		{add, []string{
			`"rp":{"name":"Alpha","id":"steward.example"}`, `"residentKey":"required"`, `"userVerification":"required"`,
		}},
		{signIn, []string{`"rpId":"steward.example"`, `"userVerification":"required"`}},
	} {
		text, err := json.Marshal(row.asked)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range row.wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("asked %s, want %s in it", text, want)
			}
		}
	}
	if _, err := k.BeginAdd(t.Context(), ann, noon.Add(time.Hour)); !errors.Is(err, account.ErrStale) {
		t.Errorf("BeginAdd an hour after the sign-in = %v, want ErrStale", err)
	}
	token := ann
	token.Via = web.ViaToken
	if _, err := k.BeginAdd(t.Context(), token, noon); !errors.Is(err, account.ErrStale) {
		t.Errorf("BeginAdd by a token = %v, want ErrStale", err)
	}
}

// TestAnswersToNothing has authenticators answer what nobody asked.
func TestAnswersToNothing(t *testing.T) {
	k, ann := newKeys(t)
	client := base64.RawURLEncoding.EncodeToString([]byte(
		`{"type":"webauthn.get","challenge":"AAAA","origin":"https://steward.example:8443"}`))
	get := fmt.Sprintf(`{"id":"AQ","rawId":"AQ","type":"public-key","response":{"clientDataJSON":%q,`+
		`"authenticatorData":%q,"signature":"AQ","userHandle":"AQ"}}`, client,
		base64.RawURLEncoding.EncodeToString(make([]byte, 37)))
	for name, answer := range map[string]string{"nothing": "", "no JSON": "x", "another challenge": get, "empty": "{}"} {
		if _, err := k.SignIn(t.Context(), []byte(answer), account.Visit{}, noon); !errors.Is(err, passkey.ErrCeremony) {
			t.Errorf("SignIn with %s = %v, want ErrCeremony", name, err)
		}
		if err := k.Add(t.Context(), ann, "x", []byte(answer), noon); !errors.Is(err, passkey.ErrCeremony) {
			t.Errorf("Add with %s = %v, want ErrCeremony", name, err)
		}
	}
}
