package accounttest

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
	"steward/web/account"
)

// person returns somebody to store.
func person(name string, role web.Role) account.Person {
	return account.Person{
		Name: name, Display: "Some " + name, Role: role, Scope: "a", State: account.Active, Password: "x", Renew: true,
		Subject: "https://idp.example " + name, Handle: []byte("handle of " + name),
		CreatedAt: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

// fails checks that err is want.
func fails(t *testing.T, call string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s = %v, want %v", call, err, want)
	}
}

func testPeople(t *testing.T, open func(t *testing.T) account.Stores) {
	t.Helper()
	row := audit.Row{Actor: "system", Action: "account.test", Subject: "alice"}
	t.Run("people", func(t *testing.T) {
		s := open(t)
		alice := person("alice", web.RoleOperator)
		must(t, "add", s.ChangePerson(t.Context(), account.Change{Person: alice, Audit: row}))
		fails(t, "add again", s.ChangePerson(t.Context(), account.Change{Person: alice, Audit: row}), account.ErrConflict)
		alice.Version = 1
		for _, get := range []func() (account.Person, error){
			func() (account.Person, error) { return s.Person(t.Context(), "alice") },
			func() (account.Person, error) { return s.PersonOf(t.Context(), alice.Subject) },
			func() (account.Person, error) { return s.PersonByHandle(t.Context(), alice.Handle) },
		} {
			if got, err := get(); err != nil || !reflect.DeepEqual(got, alice) {
				t.Errorf("got %+v, %v; want %+v", got, err, alice)
			}
		}
		_, err := s.Person(t.Context(), "bob")
		fails(t, "Person of nobody", err, account.ErrUnknown)
		_, err = s.PersonOf(t.Context(), "")
		fails(t, "PersonOf nothing", err, account.ErrUnknown)
		alice.Role, alice.Scope = web.RoleViewer, ""
		must(t, "change", s.ChangePerson(t.Context(), account.Change{Person: alice, Audit: row}))
		fails(t, "change of what was", s.ChangePerson(t.Context(), account.Change{Person: alice, Audit: row}),
			account.ErrConflict)
		must(t, "add", s.ChangePerson(t.Context(), account.Change{Person: person("bob", web.RoleViewer), Audit: row}))
		if got, err := s.ListPeople(t.Context(), "alice", 9); err != nil || len(got) != 1 || got[0].Name != "bob" {
			t.Errorf("ListPeople after alice = %+v, %v", got, err)
		}
	})
	t.Run("last administrator", func(t *testing.T) {
		s := open(t)
		root, other := person("root", web.RoleAdmin), person("other", web.RoleAdmin)
		root.Scope = ""
		must(t, "add", s.ChangePerson(t.Context(), account.Change{Person: root, Audit: row}))
		must(t, "add one of a group", s.ChangePerson(t.Context(), account.Change{Person: other, Audit: row}))
		root.Version, root.State = 1, account.Disabled
		fails(t, "disable", s.ChangePerson(t.Context(), account.Change{Person: root, Audit: row}), account.ErrLastAdmin)
		if got, _ := s.Person(t.Context(), "root"); got.State != account.Active || got.Version != 1 {
			t.Errorf("after a refusal: %+v", got)
		}
		other.Version, other.Scope = 1, ""
		must(t, "another", s.ChangePerson(t.Context(), account.Change{Person: other, Audit: row}))
		must(t, "disable", s.ChangePerson(t.Context(), account.Change{Person: root, Audit: row}))
	})
	t.Run("what a change ends", func(t *testing.T) { testEnds(t, open(t), row) })
}

// testEnds checks what goes with a change of a person.
func testEnds(t *testing.T, s account.Stores, row audit.Row) {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	alice := person("alice", web.RoleOperator)
	must(t, "add", s.ChangePerson(t.Context(), account.Change{Person: alice, Audit: row}))
	have := func(h byte, kind account.Kind, owner string) account.Credential {
		c := account.Credential{
			Hash: account.Hash{h}, Kind: kind, Owner: owner, Name: owner, CreatedAt: now, SeenAt: now,
			ExpiresAt: now.Add(time.Hour),
		}
		must(t, "Put", s.Put(t.Context(), c, row))
		return c
	}
	link, session := have(1, account.Link, "alice"), have(2, account.Session, "alice")
	token, stranger := have(3, account.Token, "alice"), have(4, account.Session, "bob")
	if got, _ := s.Person(t.Context(), "alice"); !got.SignedInAt.Equal(now) {
		t.Errorf("SignedInAt = %v, want %v", got.SignedInAt, now)
	}
	alice.Version = 1
	next := session
	next.Hash = account.Hash{9}
	must(t, "End", s.ChangePerson(t.Context(), account.Change{Person: alice, End: true, Add: &next, Audit: row}))
	absent(t, s, account.Link, link.Hash)
	absent(t, s, account.Session, session.Hash)
	for _, c := range []account.Credential{token, stranger, next} {
		want(t, s, c)
	}
	alice.Version = 2
	must(t, "EndTokens", s.ChangePerson(t.Context(), account.Change{Person: alice, EndTokens: true, Audit: row}))
	absent(t, s, account.Token, token.Hash)
	want(t, s, next)
}

func testPasskeys(t *testing.T, open func(t *testing.T) account.Stores) {
	t.Helper()
	row := audit.Row{Actor: "system", Action: "account.test", Subject: "alice"}
	t.Run("passkeys", func(t *testing.T) {
		s := open(t)
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		for _, name := range []string{"alice", "bob"} {
			p := person(name, web.RoleViewer)
			must(t, "add", s.ChangePerson(t.Context(), account.Change{Person: p, Audit: row}))
		}
		k := account.Passkey{ID: []byte{1}, Owner: "alice", Name: "laptop", Record: []byte(`{"a":1}`), CreatedAt: now}
		must(t, "PutPasskey", s.PutPasskey(t.Context(), k, row))
		theirs := k
		theirs.Owner = "bob"
		fails(t, "somebody else's", s.PutPasskey(t.Context(), theirs, row), account.ErrConflict)
		k.Name = "old laptop"
		must(t, "PutPasskey again", s.PutPasskey(t.Context(), k, row))
		k.Record, k.UsedAt = []byte(`{"a":2}`), now.Add(time.Minute)
		must(t, "UsePasskey", s.UsePasskey(t.Context(), k))
		if got, err := s.Passkeys(t.Context(), "alice"); err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], k) {
			t.Errorf("Passkeys = %+v, %v; want %+v", got, err, k)
		}
		fails(t, "remove another's", s.RemovePasskey(t.Context(), "bob", k.ID, row), account.ErrUnknown)
		must(t, "remove", s.RemovePasskey(t.Context(), "alice", k.ID, row))
		fails(t, "remove again", s.RemovePasskey(t.Context(), "alice", k.ID, row), account.ErrUnknown)
		must(t, "PutPasskey", s.PutPasskey(t.Context(), k, row))
		p, err := s.Person(t.Context(), "alice")
		must(t, "Person", err)
		must(t, "EndPasskeys", s.ChangePerson(t.Context(), account.Change{Person: p, EndPasskeys: true, Audit: row}))
		if got, _ := s.Passkeys(t.Context(), "alice"); len(got) != 0 {
			t.Errorf("Passkeys after their end = %+v", got)
		}
	})
}
