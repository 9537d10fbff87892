package bootstrap_test

import (
	"errors"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/bootstrap"
)

func TestSessionTable(t *testing.T) {
	if err := bootstrap.SessionTable.Check(bootstrap.Asked, bootstrap.Done, bootstrap.Failed); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	with := func(change func(*bootstrap.Configuration)) bootstrap.Configuration {
		c := bootstrap.Configuration{Accounts: []bootstrap.Account{account(1)}}
		change(&c)
		return c
	}
	set := func(entries []lwm2m.Entry, id uint16, v lwm2m.Value) {
		for i := range entries {
			if entries[i].Path.ID(2) == id {
				entries[i].Value = v
			}
		}
	}
	for name, c := range map[string]bootstrap.Configuration{
		"no account":       {},
		"many accounts":    {Accounts: make([]bootstrap.Account, 17)},
		"many instances":   with(func(c *bootstrap.Configuration) { c.Objects = make([]bootstrap.Instance, 65) }),
		"reserved id":      {Accounts: []bootstrap.Account{account(65535)}},
		"id zero":          {Accounts: []bootstrap.Account{account(0)}},
		"id twice":         {Accounts: []bootstrap.Account{account(1), account(1)}},
		"object 3 purged":  with(func(c *bootstrap.Configuration) { c.Purge = []uint16{3} }),
		"short id differs": with(func(c *bootstrap.Configuration) { set(c.Accounts[0].Security, 10, lwm2m.Integer(2)) }),
		"in object 1 too":  with(func(c *bootstrap.Configuration) { set(c.Accounts[0].Server, 0, lwm2m.Integer(2)) }),
		"no URI":           with(func(c *bootstrap.Configuration) { set(c.Accounts[0].Security, 0, lwm2m.String("")) }),
		"bootstrap":        with(func(c *bootstrap.Configuration) { set(c.Accounts[0].Security, 1, lwm2m.Boolean(true)) }),
		"account as object": with(func(c *bootstrap.Configuration) {
			c.Objects = []bootstrap.Instance{{Path: lwm2m.NewPath(0, 0), Entries: account(1).Security}}
		}),
		"no values": with(func(c *bootstrap.Configuration) { c.Objects = []bootstrap.Instance{{Path: lwm2m.NewPath(2, 0)}} }),
	} {
		if err := c.Check(); !errors.Is(err, bootstrap.ErrConfiguration) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := with(func(*bootstrap.Configuration) {}).Check(); err != nil {
		t.Error(err)
	}
}
