package accounttest

import (
	"errors"
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
	"steward/web/account"
)

// TestStore checks that the stores that open returns keep the promises of
// account.Stores. Each call of open returns an empty one.
func TestStore(t *testing.T, open func(t *testing.T) account.Stores) {
	t.Helper()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	link := account.Credential{
		Hash: account.Hash{1}, Kind: account.Link, Owner: "alice", Name: "alice", Role: web.RoleAdmin, Scope: "a,b",
		CreatedAt: now, SeenAt: now, ExpiresAt: now.Add(time.Minute),
	}
	session := link
	session.Hash, session.Kind = account.Hash{2}, account.Session
	token := link
	session.Method, session.Visit = account.ByPassword, account.Visit{Address: "192.0.2.1:5", Agent: "a browser"}
	token.Hash, token.Kind, token.Name, token.ExpiresAt = account.Hash{3}, account.Token, "cli", time.Time{}
	token.Prefix = "/api"
	row := audit.Row{Actor: "operator:alice", Action: "account.test", Subject: "alice", At: now}

	t.Run("exchange once", func(t *testing.T) { testExchange(t, open(t), link, session, row) })
	t.Run("put and get", func(t *testing.T) {
		s := open(t)
		must(t, "Put", s.Put(t.Context(), link, row))
		want(t, s, link)
		absent(t, s, account.Session, link.Hash)
	})
	t.Run("touch", func(t *testing.T) {
		s := open(t)
		must(t, "Put", s.Put(t.Context(), session, row))
		later := session
		later.SeenAt = now.Add(time.Second)
		must(t, "Touch", s.Touch(t.Context(), account.Session, session.Hash, later.SeenAt))
		want(t, s, later)
		must(t, "Touch of nothing", s.Touch(t.Context(), account.Session, account.Hash{8}, now))
	})
	t.Run("end", func(t *testing.T) {
		s := open(t)
		must(t, "Put", s.Put(t.Context(), session, row))
		must(t, "End", s.End(t.Context(), account.Session, session.Hash, row))
		absent(t, s, account.Session, session.Hash)
		refused(t, "second End", s.End(t.Context(), account.Session, session.Hash, row))
	})
	t.Run("token of the same name is replaced", func(t *testing.T) {
		s := open(t)
		must(t, "Put", s.Put(t.Context(), token, row))
		next := token
		next.Hash = account.Hash{4}
		must(t, "Put", s.Put(t.Context(), next, row))
		absent(t, s, account.Token, token.Hash)
		want(t, s, next)
	})
	t.Run("tokens of two people", func(t *testing.T) { testTwoPeople(t, open(t), token, row) })
	testPeople(t, open)
	testPasskeys(t, open)
	t.Run("prune", func(t *testing.T) {
		s := open(t)
		must(t, "Put", s.Put(t.Context(), link, row))
		must(t, "Put", s.Put(t.Context(), token, row))
		must(t, "Prune", s.Prune(t.Context(), now.Add(time.Hour)))
		absent(t, s, account.Link, link.Hash)
		want(t, s, token)
	})
}

// testTwoPeople checks that tokens of two people may have one name.
func testTwoPeople(t *testing.T, s account.Stores, token account.Credential, row audit.Row) {
	t.Helper()
	other := token
	other.Hash, other.Owner = account.Hash{5}, "bob"
	must(t, "Put", s.Put(t.Context(), token, row))
	must(t, "Put", s.Put(t.Context(), other, row))
	want(t, s, token)
	want(t, s, other)
	if got, err := s.Credentials(t.Context(), account.Token, "bob", 9); err != nil || len(got) != 1 || got[0] != other {
		t.Errorf("Credentials of bob = %+v, %v; want one", got, err)
	}
	if got, err := s.Credentials(t.Context(), account.Token, "", 9); err != nil || len(got) != 2 {
		t.Errorf("Credentials of all = %+v, %v; want two", got, err)
	}
}

// testExchange checks that a link gives one session.
func testExchange(t *testing.T, s account.Stores, link, session account.Credential, row audit.Row) {
	t.Helper()
	must(t, "Put", s.Put(t.Context(), link, row))
	must(t, "Exchange", s.Exchange(t.Context(), link.Hash, session, row))
	absent(t, s, account.Link, link.Hash)
	want(t, s, session)
	other := session
	other.Hash = account.Hash{9}
	refused(t, "second Exchange", s.Exchange(t.Context(), link.Hash, other, row))
	absent(t, s, account.Session, other.Hash)
}

func must(t *testing.T, call string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", call, err)
	}
}

func refused(t *testing.T, call string, err error) {
	t.Helper()
	if !errors.Is(err, account.ErrCredential) {
		t.Errorf("%s = %v, want ErrCredential", call, err)
	}
}

func want(t *testing.T, s account.Stores, c account.Credential) {
	t.Helper()
	got, err := s.Get(t.Context(), c.Kind, c.Hash)
	if err != nil || got != c {
		t.Errorf("Get(%s) = %+v, %v; want %+v", c.Kind, got, err, c)
	}
}

func absent(t *testing.T, s account.Stores, kind account.Kind, h account.Hash) {
	t.Helper()
	_, err := s.Get(t.Context(), kind, h)
	refused(t, "Get of what is gone", err)
}
