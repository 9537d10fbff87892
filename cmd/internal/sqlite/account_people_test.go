package sqlite

import (
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
	"steward/web/account"
)

// TestApprovers counts people, not their browsers, and nobody whose session is over.
func TestApprovers(t *testing.T) {
	s := open(t).Accounts()
	now := time.Now()
	for name, role := range map[string]web.Role{
		"ann": "admin", "bob": "admin", "carl": "operator", "dora": "release", "fred": "operator+release", "gone": "admin",
		"eve": "admin",
	} {
		p := account.Person{Name: name, Role: role, State: account.Active, Handle: []byte(name), CreatedAt: now}
		if name == "gone" {
			p.State = account.Disabled
		}
		if err := s.ChangePerson(t.Context(), account.Change{Person: p, Audit: audit.Row{Actor: "test"}}); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []account.Credential{
		{Kind: account.Session, Name: "ann", Role: web.RoleAdmin, ExpiresAt: now.Add(time.Hour)},
		{Kind: account.Session, Name: "ann", Role: web.RoleAdmin, ExpiresAt: now.Add(time.Hour)},
		{Kind: account.Session, Name: "bob", Role: web.RoleAdmin, ExpiresAt: now.Add(time.Hour)},
		{Kind: account.Session, Name: "carl", Role: web.RoleOperator, ExpiresAt: now.Add(time.Hour)},
		{Kind: account.Session, Name: "dora", Role: web.RoleRelease, ExpiresAt: now.Add(-time.Hour)},
		{Kind: account.Session, Name: "fred", Role: web.RoleRelease, ExpiresAt: now.Add(time.Hour)},
		{Kind: account.Session, Name: "gone", Role: web.RoleAdmin, ExpiresAt: now.Add(time.Hour)},
		{Kind: account.Token, Name: "ci", Role: web.RoleAdmin},
		{Kind: account.Link, Name: "eve", Role: web.RoleAdmin, ExpiresAt: now.Add(time.Hour)},
	} {
		c.Hash, c.CreatedAt, c.SeenAt, c.Owner = account.Hash{byte(i + 1)}, now, now, c.Name
		if err := s.Put(t.Context(), c, audit.Row{Actor: "test", Action: "test"}); err != nil {
			t.Fatal(err)
		}
	}
	for role, want := range map[web.Role]int{web.RoleAdmin: 2, web.RoleRelease: 3} {
		if n, err := s.Approvers(t.Context(), role, now); err != nil || n != want {
			t.Errorf("Approvers of %s = %d, %v; want %d", role, n, err, want)
		}
	}
}
