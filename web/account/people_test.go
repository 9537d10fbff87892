package account_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
	"steward/web/account"
	"steward/web/account/accounttest"
)

const good = "correct horse battery"

var home = account.Visit{Address: "192.0.2.7:1234", Agent: "a browser"}

// A refusals is an audit.Log that keeps its rows.
type refusals struct {
	mu   sync.Mutex // guards rows
	rows []audit.Row
}

// Audit implements audit.Log.
func (r *refusals) Audit(_ context.Context, row audit.Row) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
	return nil
}

// A door is Accounts with the administrator root.
type door struct {
	*account.Accounts

	store    *accounttest.Memory
	refusals refusals
	root     web.Actor
}

func newDoor(t *testing.T) *door {
	t.Helper()
	d := &door{store: &accounttest.Memory{}}
	d.Accounts = account.New(account.Options{Stores: d.store, Refusals: &d.refusals, Costs: cheap})
	d.root = d.enter(t, "root", web.RoleAdmin, "")
	return d
}

// enter makes a person and returns them as signed in by a link.
func (d *door) enter(t *testing.T, name string, role web.Role, scope web.Scope) web.Actor {
	t.Helper()
	link, err := d.AddPerson(t.Context(), web.System(), account.NewPerson{Name: name, Role: role, Scope: scope}, noon)
	if err != nil {
		t.Fatal(err)
	}
	session, err := d.SignIn(t.Context(), link, home, noon)
	if err != nil {
		t.Fatal(err)
	}
	return d.actor(t, session)
}

func (d *door) actor(t *testing.T, session string) web.Actor {
	t.Helper()
	actor, err := d.BySession(t.Context(), session, noon)
	if err != nil {
		t.Fatal(err)
	}
	return actor
}

func (d *door) setPassword(t *testing.T, by web.Actor) string {
	t.Helper()
	session, err := d.SetPassword(t.Context(), by, "", good, home, noon)
	if err != nil {
		t.Fatal(err)
	}
	return session
}

func is(t *testing.T, call string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", call, err, want)
	}
}

func TestPassword(t *testing.T) {
	d := newDoor(t)
	alice := d.enter(t, "alice", web.RoleOperator, "")
	for name, bad := range map[string]string{
		"short": "elevenchars", "long": strings.Repeat("abcdefgh", 100), "name": "i-am-ALICE-really",
		"one": "aaaaaaaaaaaaaaa",
		"two": "121212121212", "no text": "abcdefghijkl\xff",
	} {
		var fault *account.PasswordError
		if _, err := d.SetPassword(t.Context(), alice, "", bad, home, noon); !errors.As(err, &fault) {
			t.Errorf("password %s: %v, want a PasswordError", name, err)
		}
	}
	_, err := d.SetPassword(t.Context(), alice, "", good, home, noon.Add(16*time.Minute))
	is(t, "first password long after the sign-in", err, account.ErrStale)
	other, err := d.Invite(t.Context(), d.root, "alice", web.RoleOperator, noon)
	if err != nil {
		t.Fatal(err)
	}
	session := d.setPassword(t, alice)
	if got := d.actor(t, session); got.Credential == alice.Credential {
		t.Error("the session's id is the one before the change of the password")
	}
	_, err = d.SignIn(t.Context(), other, home, noon)
	is(t, "a link of before", err, account.ErrCredential)
	_, err = d.SetPassword(t.Context(), d.actor(t, session), "wrong", good+"!", home, noon)
	is(t, "SetPassword with the wrong one", err, account.ErrCredential)
	if _, err := d.SetPassword(t.Context(), d.actor(t, session), good, good+"!", home, noon); err != nil {
		t.Errorf("SetPassword = %v", err)
	}
	_, err = d.BySession(t.Context(), session, noon)
	is(t, "the session of before", err, account.ErrCredential)
	for name, try := range map[string][2]string{
		"old": {"alice", good}, "nobody": {"bob", good}, "no password": {"root", ""}, "empty": {"", ""},
		"long": {"alice", strings.Repeat("x", 10000)},
	} {
		_, err := d.SignInPassword(t.Context(), try[0], try[1], home, noon)
		is(t, "SignInPassword "+name, err, account.ErrCredential)
	}
	if session, err = d.SignInPassword(t.Context(), "alice", good+"!", home, noon); err != nil {
		t.Fatal(err)
	}
	if got := bare(d.actor(t, session)); got != (web.Actor{Name: "alice", Role: web.RoleOperator, Via: web.ViaSession}) {
		t.Errorf("BySession = %+v", got)
	}
	if n := len(d.refusals.rows); n != 4 {
		t.Errorf("refusals = %d, want 4: %+v", n, d.refusals.rows)
	}
	for _, row := range append(d.store.Rows(), d.refusals.rows...) {
		if strings.Contains(fmt.Sprint(row), "horse") || strings.Contains(fmt.Sprint(row), "argon2") {
			t.Errorf("audit row with a secret: %+v", row)
		}
	}
}

func TestRenew(t *testing.T) {
	d := newDoor(t)
	d.setPassword(t, d.enter(t, "alice", web.RoleViewer, ""))
	if _, _, err := d.Command(t.Context(), d.root, "alice", account.ForceRenew, "leaked", noon); err != nil {
		t.Fatal(err)
	}
	_, err := d.SignInPassword(t.Context(), "alice", "something else", home, noon)
	is(t, "the wrong password", err, account.ErrCredential)
	_, err = d.SignInPassword(t.Context(), "alice", good, home, noon)
	is(t, "the right password", err, account.ErrRenew)
	var fault *account.PasswordError
	if _, err := d.RenewPassword(t.Context(), "alice", good, good, home, noon); !errors.As(err, &fault) {
		t.Errorf("the same again = %v, want a PasswordError", err)
	}
	if _, err := d.RenewPassword(t.Context(), "alice", good, good+"2", home, noon); err != nil {
		t.Errorf("RenewPassword = %v", err)
	}
	if _, err := d.SignInPassword(t.Context(), "alice", good+"2", home, noon); err != nil {
		t.Errorf("SignInPassword = %v", err)
	}
}

// TestGuessing tries passwords until there is a pause, which grows, is the same for
// somebody who does not exist, and lets nobody in meanwhile.
func TestGuessing(t *testing.T) {
	d := newDoor(t)
	d.setPassword(t, d.enter(t, "alice", web.RoleViewer, ""))
	waits := map[string][]time.Duration{}
	for _, name := range []string{"alice", "nobody"} {
		now := noon
		for i := range 12 {
			from := account.Visit{Address: fmt.Sprintf("198.51.100.%d:1", i)}
			_, err := d.SignInPassword(t.Context(), name, "guess", from, now)
			if pause, ok := errors.AsType[*account.PauseError](err); ok {
				waits[name] = append(waits[name], pause.Wait)
				_, err := d.SignInPassword(t.Context(), name, good, from, now)
				if _, ok := errors.AsType[*account.PauseError](err); !ok {
					t.Fatalf("during a pause = %v", err)
				}
				now = now.Add(pause.Wait)
				continue
			}
			is(t, "guess", err, account.ErrCredential)
		}
	}
	if a, b := fmt.Sprint(waits["alice"]), fmt.Sprint(waits["nobody"]); a != b || a != "[1s 2s 4s]" {
		t.Errorf("pauses of alice %s, of nobody %s", a, b)
	}
	if _, err := d.SignInPassword(t.Context(), "alice", good, home, noon.Add(time.Hour)); err != nil {
		t.Errorf("after the pause = %v", err)
	}
}

// TestGuessingFromOneAddress tries many names.
func TestGuessingFromOneAddress(t *testing.T) {
	d := newDoor(t)
	paused := func(v account.Visit, name string) bool {
		_, err := d.SignInPassword(t.Context(), name, "guess", v, noon)
		var pause *account.PauseError
		return errors.As(err, &pause)
	}
	for i := range 21 {
		v := account.Visit{Address: fmt.Sprintf("[2001:db8::%x]:1", i)} // one network
		if paused(v, fmt.Sprint("n", i)) {
			t.Fatalf("paused after %d tries", i)
		}
	}
	if !paused(account.Visit{Address: "[2001:db8::ffff]:9"}, "other") {
		t.Error("the network is not paused after 21 tries")
	}
	for _, address := range []string{"[2001:db8:0:1::1]:9", "192.0.2.1:9"} {
		if paused(account.Visit{Address: address}, "other") {
			t.Errorf("%s is paused", address)
		}
	}
}

// TestGuessingAtOnce starts many tries before the first is answered.
func TestGuessingAtOnce(t *testing.T) {
	d := newDoor(t)
	d.setPassword(t, d.enter(t, "alice", web.RoleViewer, ""))
	var wait sync.WaitGroup
	var mu sync.Mutex
	tried := 0
	for i := range 30 {
		wait.Go(func() {
			_, err := d.SignInPassword(t.Context(), "alice", fmt.Sprint("guess", i), home, noon)
			mu.Lock()
			defer mu.Unlock()
			if errors.Is(err, account.ErrCredential) {
				tried++
			}
		})
	}
	wait.Wait()
	if tried > 6 {
		t.Errorf("%d guesses at once were answered, want 6 at most", tried)
	}
}

func TestPeople(t *testing.T) {
	d := newDoor(t)
	alice := d.enter(t, "alice", web.RoleOperator, "")
	secret, _, err := d.MakeToken(t.Context(), alice, account.NewToken{Name: "ci"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	viewer, release := web.RoleViewer, web.AnyOf(web.RoleOperator, web.RoleRelease)
	if _, err := d.Edit(t.Context(), d.root, "alice", account.Edit{Role: &release}, noon); err != nil {
		t.Fatal(err)
	}
	if actor, err := d.ByToken(t.Context(), secret, noon); err != nil || actor.Role != web.RoleOperator {
		t.Errorf("token after more rights = %+v, %v", actor, err)
	}
	left, err := d.Credentials(t.Context(), alice, account.Session, false, noon)
	if err != nil || len(left) != 0 {
		t.Errorf("sessions after other rights = %+v, %v; want none", left, err)
	}
	if _, err := d.Edit(t.Context(), d.root, "alice", account.Edit{Role: &viewer, Reason: "moved"}, noon); err != nil {
		t.Fatal(err)
	}
	_, err = d.ByToken(t.Context(), secret, noon)
	is(t, "a token that may more than its person", err, account.ErrCredential)
	rows := d.store.Rows()
	if r := rows[len(rows)-1]; r.Actor != "operator:root" || r.Reason != "moved" ||
		r.Before != "role=operator+release state=active" || r.After != "role=viewer state=active" {
		t.Errorf("audit row = %+v", r)
	}
	_, _, err = d.Command(t.Context(), d.root, "root", account.Disable, "", noon)
	is(t, "disabling the last administrator", err, account.ErrLastAdmin)
	_, err = d.Edit(t.Context(), d.root, "root", account.Edit{Role: &viewer}, noon)
	is(t, "demoting the last administrator", err, account.ErrLastAdmin)
	_, _, err = d.Command(t.Context(), d.root, "bob", account.Disable, "", noon)
	is(t, "disabling nobody", err, account.ErrUnknown)
	_, err = d.Invite(t.Context(), d.root, "alice", web.RoleAdmin, noon)
	is(t, "a link with another role", err, account.ErrConflict)
	_, err = d.AddPerson(t.Context(), d.root, account.NewPerson{Name: "alice", Role: viewer}, noon)
	is(t, "a second alice", err, account.ErrConflict)
	_, err = d.AddPerson(t.Context(), d.root, account.NewPerson{Name: "x", Role: "king"}, noon)
	is(t, "a role that is none", err, web.ErrRole)
	_, err = d.AddPerson(t.Context(), d.root, account.NewPerson{Name: "x", Role: viewer, Display: "a\nb"}, noon)
	is(t, "a name of two lines", err, account.ErrName)
}

func TestDisabled(t *testing.T) {
	d := newDoor(t)
	alice := d.enter(t, "alice", web.RoleViewer, "")
	session := d.setPassword(t, alice)
	token, _, err := d.MakeToken(t.Context(), d.actor(t, session), account.NewToken{Name: "ci"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	link, _, err := d.Command(t.Context(), d.root, "alice", account.SendLink, "", noon)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Command(t.Context(), d.root, "alice", account.Disable, "left", noon); err != nil {
		t.Fatal(err)
	}
	_, err = d.BySession(t.Context(), session, noon)
	is(t, "session", err, account.ErrCredential)
	_, err = d.ByToken(t.Context(), token, noon)
	is(t, "token", err, account.ErrCredential)
	_, err = d.SignIn(t.Context(), link, home, noon)
	is(t, "link", err, account.ErrCredential)
	_, err = d.SignInPassword(t.Context(), "alice", good, home, noon)
	is(t, "password", err, account.ErrCredential)
	_, _, err = d.Command(t.Context(), d.root, "alice", account.SendLink, "", noon)
	is(t, "a link for her", err, account.ErrConflict)
	if _, _, err := d.Command(t.Context(), d.root, "alice", account.Enable, "", noon); err != nil {
		t.Fatal(err)
	}
	if _, err = d.SignInPassword(t.Context(), "alice", good, home, noon); err != nil {
		t.Errorf("password after Enable = %v", err)
	}
	link, p, err := d.Command(t.Context(), d.root, "alice", account.Reset, "lost", noon)
	if err != nil || p.Password != "" {
		t.Fatalf("Reset = %+v, %v", p, err)
	}
	_, err = d.SignInPassword(t.Context(), "alice", good, home, noon)
	is(t, "password after Reset", err, account.ErrCredential)
	if _, err := d.SignIn(t.Context(), link, home, noon); err != nil {
		t.Errorf("link of Reset = %v", err)
	}
}

// TestScopedAdministrator may give what they have, and no more.
func TestScopedAdministrator(t *testing.T) {
	d := newDoor(t)
	site := d.enter(t, "site", web.RoleAdmin, "north,south")
	d.enter(t, "other", web.RoleViewer, "")
	_, err := d.AddPerson(t.Context(), site, account.NewPerson{Name: "a", Role: web.RoleViewer}, noon)
	is(t, "all devices", err, account.ErrRights)
	_, err = d.AddPerson(t.Context(), site, account.NewPerson{Name: "a", Role: web.RoleViewer, Scope: "east,north"}, noon)
	is(t, "another group", err, account.ErrRights)
	north := account.NewPerson{Name: "a", Role: web.RoleViewer, Scope: "north"}
	if _, err = d.AddPerson(t.Context(), site, north, noon); err != nil {
		t.Errorf("one of their groups = %v", err)
	}
	_, _, err = d.Command(t.Context(), site, "other", account.Reset, "", noon)
	is(t, "reset of somebody with all devices", err, account.ErrRights)
	_, _, err = d.Command(t.Context(), site, "root", account.SendLink, "", noon)
	is(t, "a link of somebody with all devices", err, account.ErrRights)
}
