package accounttest

import (
	"bytes"
	"cmp"
	"context"
	"maps"
	"slices"

	"steward/lwm2m/audit"
	"steward/web"
	"steward/web/account"
)

// find returns the first person that is wanted.
func (m *Memory) find(wanted func(account.Person) bool) (account.Person, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.people {
		if wanted(p) {
			return p, nil
		}
	}
	return account.Person{}, account.ErrUnknown
}

// Person implements account.People.
func (m *Memory) Person(_ context.Context, name string) (account.Person, error) {
	return m.find(func(p account.Person) bool { return p.Name == name })
}

// PersonOf implements account.People.
func (m *Memory) PersonOf(_ context.Context, subject string) (account.Person, error) {
	return m.find(func(p account.Person) bool { return p.Subject != "" && p.Subject == subject })
}

// PersonByHandle implements account.People.
func (m *Memory) PersonByHandle(_ context.Context, handle []byte) (account.Person, error) {
	return m.find(func(p account.Person) bool { return bytes.Equal(p.Handle, handle) })
}

// ListPeople implements account.People.
func (m *Memory) ListPeople(_ context.Context, after string, limit int) ([]account.Person, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []account.Person
	for _, name := range slices.Sorted(maps.Keys(m.people)) {
		if name > after && len(out) < limit {
			out = append(out, m.people[name])
		}
	}
	return out, nil
}

// admins counts those who may do all.
func admins(people map[string]account.Person) (n int) {
	for _, p := range people {
		if p.Role == web.RoleAdmin && p.Scope.All() && p.State == account.Active {
			n++
		}
	}
	return n
}

// ChangePerson implements account.People.
func (m *Memory) ChangePerson(_ context.Context, c account.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.people == nil {
		m.people = map[string]account.Person{}
	}
	p := c.Person
	if m.people[p.Name].Version != p.Version {
		return account.ErrConflict
	}
	for _, other := range m.people {
		if other.Name != p.Name && p.Subject != "" && other.Subject == p.Subject {
			return account.ErrConflict
		}
	}
	p.Version++
	next := maps.Clone(m.people)
	next[p.Name] = p
	if admins(m.people) > 0 && admins(next) == 0 {
		return account.ErrLastAdmin
	}
	m.people = next
	maps.DeleteFunc(m.all, func(k key, old account.Credential) bool {
		return old.Owner == p.Name && (c.End && k.kind != account.Token || c.EndTokens && k.kind == account.Token)
	})
	if c.EndPasskeys {
		m.keys = slices.DeleteFunc(m.keys, func(k account.Passkey) bool { return k.Owner == p.Name })
	}
	if c.Add != nil {
		m.put(*c.Add)
	}
	m.rows = append(m.rows, c.Audit)
	return nil
}

// Credentials implements account.People.
func (m *Memory) Credentials(
	_ context.Context, kind account.Kind, owner string, limit int,
) ([]account.Credential, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []account.Credential
	for k, c := range m.all {
		if k.kind == kind && (owner == "" || c.Owner == owner) {
			out = append(out, c)
		}
	}
	slices.SortFunc(out, func(a, b account.Credential) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
	return out[:min(limit, len(out))], nil
}

// PutPasskey implements account.Passkeys.
func (m *Memory) PutPasskey(_ context.Context, k account.Passkey, row audit.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.keys, func(o account.Passkey) bool { return bytes.Equal(o.ID, k.ID) })
	switch {
	case i < 0:
		m.keys = append(m.keys, k)
	case m.keys[i].Owner != k.Owner:
		return account.ErrConflict
	default:
		m.keys[i].Name, m.keys[i].Record = k.Name, k.Record
	}
	m.rows = append(m.rows, row)
	return nil
}

// UsePasskey implements account.Passkeys.
func (m *Memory) UsePasskey(_ context.Context, k account.Passkey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, o := range m.keys {
		if bytes.Equal(o.ID, k.ID) && o.Owner == k.Owner {
			m.keys[i].Record, m.keys[i].UsedAt = k.Record, k.UsedAt
		}
	}
	return nil
}

// Passkeys implements account.Passkeys.
func (m *Memory) Passkeys(_ context.Context, owner string) (out []account.Passkey, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.keys {
		if k.Owner == owner {
			out = append(out, k)
		}
	}
	return out, nil
}

// RemovePasskey implements account.Passkeys.
func (m *Memory) RemovePasskey(_ context.Context, owner string, id []byte, row audit.Row) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.keys)
	m.keys = slices.DeleteFunc(m.keys, func(k account.Passkey) bool { return k.Owner == owner && bytes.Equal(k.ID, id) })
	if len(m.keys) == before {
		return account.ErrUnknown
	}
	m.rows = append(m.rows, row)
	return nil
}
