package lwm2m_test

import (
	"errors"
	"testing"
	"time"

	"steward/lwm2m"
)

func entry(path string, seconds int64) lwm2m.Entry {
	p, err := lwm2m.ParsePath(path)
	if err != nil {
		panic(err)
	}
	e := lwm2m.Entry{Path: p, Value: lwm2m.Integer(1)}
	if seconds != 0 {
		e.Time = time.Unix(seconds, 0)
	}
	return e
}

func TestPackDistinct(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []lwm2m.Entry
		err     error
	}{
		{"in order", []lwm2m.Entry{entry("/3/0/1", 0), entry("/3/0/6/0", 0), entry("/3/0/6/1", 0)}, nil},
		{"out of order", []lwm2m.Entry{entry("/3/0/9", 0), entry("/3/0/1", 0)}, nil},
		{"history", []lwm2m.Entry{entry("/3/0/9", 2), entry("/3/0/9", 1)}, nil},
		{"twice", []lwm2m.Entry{entry("/3/0/9", 0), entry("/3/0/1", 0), entry("/3/0/9", 0)}, lwm2m.ErrDuplicate},
		{"twice at a time", []lwm2m.Entry{entry("/3/0/9", 1), entry("/3/0/9", 1)}, lwm2m.ErrDuplicate},
		{"single and multiple", []lwm2m.Entry{entry("/3/0/6/0", 0), entry("/3/0/6", 0)}, lwm2m.ErrDuplicate},
	} {
		if err := (lwm2m.Pack{Entries: c.entries}).Distinct(); !errors.Is(err, c.err) {
			t.Errorf("%s: Distinct() = %v, want %v", c.name, err, c.err)
		}
	}
}

func TestPackPrefixes(t *testing.T) {
	var p lwm2m.Pack
	p.Add("", entry("/3/0/9", 0))
	if p.Prefixes != nil || p.Prefix(0) != "" {
		t.Errorf("Prefixes = %v without any", p.Prefixes)
	}
	p.Add("d01", entry("/3/0/9", 0))
	if p.Prefix(0) != "" || p.Prefix(1) != "d01" {
		t.Errorf("Prefixes = %v", p.Prefixes)
	}
	if err := p.Distinct(); err != nil {
		t.Errorf("Distinct() = %v for two devices", err)
	}
	if _, err := p.Under("d01"); !errors.Is(err, lwm2m.ErrPrefix) {
		t.Errorf("Under() = %v, want ErrPrefix", err)
	}
	p.Add("d01", entry("/3/0/9", 0))
	if err := p.Distinct(); !errors.Is(err, lwm2m.ErrDuplicate) {
		t.Errorf("Distinct() = %v, want ErrDuplicate", err)
	}
}
