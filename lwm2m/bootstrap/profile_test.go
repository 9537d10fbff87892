package bootstrap_test

import (
	"errors"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/bootstrap"
)

func TestProfileCheck(t *testing.T) {
	access := bootstrap.Instance{Path: lwm2m.NewPath(2, 0), Entries: []lwm2m.Entry{
		{Path: lwm2m.NewPath(2, 0, 0), Value: lwm2m.Integer(3)},
	}}
	good := bootstrap.Profile{Name: "a", Mode: bootstrap.ModeCertificate, Short: 1, Lifetime: time.Minute}
	with := func(change func(*bootstrap.Profile)) bootstrap.Profile {
		p := good
		change(&p)
		return p
	}
	for name, p := range map[string]bootstrap.Profile{
		"certificates":          good,
		"certificates by TLS":   with(func(p *bootstrap.Profile) { p.Streams = true }),
		"EST by TLS":            with(func(p *bootstrap.Profile) { p.Streams, p.Mode = true, bootstrap.ModeEST }),
		"without security, TCP": with(func(p *bootstrap.Profile) { p.Streams, p.Mode = true, bootstrap.ModeNoSec }),
		"an object":             with(func(p *bootstrap.Profile) { p.Objects = []bootstrap.Instance{access} }),
	} {
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, p := range map[string]bootstrap.Profile{
		"mode":            with(func(p *bootstrap.Profile) { p.Mode = "oscore" }),
		"keys by TLS":     with(func(p *bootstrap.Profile) { p.Streams, p.Mode = true, bootstrap.ModePSK }),
		"raw keys by TLS": with(func(p *bootstrap.Profile) { p.Streams, p.Mode = true, bootstrap.ModeRawKey }),
		"asleep over TCP": with(func(p *bootstrap.Profile) { p.Streams, p.Queue = true, true }),
		"object twice":    with(func(p *bootstrap.Profile) { p.Objects = []bootstrap.Instance{access, access} }),
		"many objects":    with(func(p *bootstrap.Profile) { p.Objects = make([]bootstrap.Instance, 65) }),
		"no values":       with(func(p *bootstrap.Profile) { p.Objects = []bootstrap.Instance{{Path: lwm2m.NewPath(2, 0)}} }),
		"no instance":     with(func(p *bootstrap.Profile) { p.Objects = []bootstrap.Instance{{Path: lwm2m.NewPath(2)}} }),
		"object of others": with(func(p *bootstrap.Profile) {
			p.Objects = []bootstrap.Instance{{Path: lwm2m.NewPath(2, 1), Entries: access.Entries}}
		}),
		"an account": with(func(p *bootstrap.Profile) {
			p.Objects = []bootstrap.Instance{{Path: lwm2m.NewPath(1, 0), Entries: access.Entries}}
		}),
	} {
		if err := p.Check(); !errors.Is(err, bootstrap.ErrProfile) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
