// Package foreign_test is a provider that is not Steward: written from
// web/peer/openapi.yaml and web/peer/transfer.cddl alone, with a CA, a server for
// devices and documents of its own. It imports nothing of this module. With
// STEWARD_E2E=1 it takes a device over from the real program, and gives it back.
package foreign_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestNothingOfSteward holds what makes this partner a foreign one.
func TestNothingOfSteward(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range f.Imports {
			if strings.HasPrefix(spec.Path.Value, `"steward/`) {
				t.Errorf("%s imports %s", file, spec.Path.Value)
			}
		}
	}
}

// TestForeignPartner hands a device over to a provider that is not Steward: once it
// refuses the device, which returns; then it takes it, and gives it back. At each end
// the provider that let go has revoked, and an auditor can check its record.
func TestForeignPartner(t *testing.T) {
	t.Parallel()
	s, f := newPair(t)
	for _, name := range []string{"openapi.yaml", "transfer.cddl"} { // what this was written from
		got, err := f.once(t.Context(), http.MethodGet, "/peer/v1/"+name, "", nil)
		if err != nil || got.status != http.StatusOK {
			t.Errorf("%s: %d, %v", name, got.status, err)
		}
	}

	s.fallsBack(t, f)
	id := s.offered(t, f)
	s.toForeign(t, f, id)
	s.verify(t, id)
	s.back(t, f, id)
}

// newPair starts the real provider with a device, and a foreign one, each of which
// knows the other. What goes wrong at the foreign one fails the test.
func newPair(t *testing.T, factory ...string) (*stage, *foreign) {
	t.Helper()
	s := newStage(t)
	if len(factory) > 0 {
		s.run(t, "mandate", "keygen", "--dir", "owner", "--name", "City of Lamps")
	}
	s.operate(t, "partners", "identity", "--out", "alpha.identity.json")
	other, err := pin(s.read(t, "alpha.identity.json"))
	if err != nil {
		t.Fatal(err)
	}
	f := newForeign(t, "Gamma", otherHost, s.deliver(t, factory...), other)
	s.write(t, "gamma.identity.json", f.identity())
	s.operate(t, "partners", "add", "gamma.identity.json", "--label", "Gamma")
	t.Cleanup(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, err := range f.faults {
			t.Error(err)
		}
	})
	s.online(t)
	return s, f
}

// offered drafts a hand-over of the device to the partner, up to the last approval.
func (s *stage) offered(t *testing.T, f *foreign) (id string) {
	t.Helper()
	id = s.draft(t)
	s.approved(t, f, id)
	return id
}

// draft drafts a hand-over of the device to the partner.
func (s *stage) draft(t *testing.T, more ...string) (id string) {
	t.Helper()
	var drafted struct{ ID string }
	args := append([]string{"transfer", "draft", "--partner", "Gamma", "dev-0001", "--json"}, more...)
	if err := json.Unmarshal([]byte(s.operate(t, args...)), &drafted); err != nil {
		t.Fatal(err)
	}
	return drafted.ID
}

// approved leads a draft up to the last approval.
func (s *stage) approved(t *testing.T, f *foreign, id string) {
	t.Helper()
	s.operate(t, "transfer", "submit", id)
	s.operate(t, "transfer", "wait", id, "--state", "INFO_ACCEPTED", "--timeout", "2m")
	s.offer(t, f, id)
	s.operate(t, "transfer", "approve", id)
}

// offer has the partner offer what it was told of.
func (s *stage) offer(t *testing.T, f *foreign, id string) {
	t.Helper()
	if err := f.approve(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.operate(t, "transfer", "wait", id, "--state", "OFFERED", "--timeout", "2m")
}

// fallsBack has the partner's CA refuse the device, which returns.
func (s *stage) fallsBack(t *testing.T, f *foreign) {
	t.Helper()
	f.ca.mu.Lock()
	f.ca.shut = true
	f.ca.mu.Unlock()
	s.returned(t, f, s.offered(t, f))
	f.ca.mu.Lock()
	f.ca.shut = false
	f.ca.mu.Unlock()
}

// returned waits until the device is back: both know it by receipts, and the partner's
// CA says that its right is closed.
func (s *stage) returned(t *testing.T, f *foreign, id string) {
	t.Helper()
	s.await(t, "the device returns", func() error {
		rows, err := s.try(t.Context(), "transfer", "rows", id, "--url", s.url, "--token-file", "data/admin.token")
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, device := range f.deals[id].devices {
			if device.state != "FELL_BACK" {
				rows += "partner: " + device.state
				err = errors.Join(err, errors.New(rows))
			}
		}
		if err == nil && !strings.Contains(rows, "FELL_BACK") {
			err = errors.New(rows)
		}
		return err
	})
	s.online(t)
}

// toForeign waits until the device is the partner's.
func (s *stage) toForeign(t *testing.T, f *foreign, id string) {
	t.Helper()
	s.operate(t, "transfer", "wait", id, "--timeout", "2m")
	if rows := s.operate(t, "transfer", "rows", id); !strings.Contains(rows, "REVOKED_OLD") {
		t.Errorf("rows:\n%s", rows)
	}
	if f.door.device("dev-0001") == nil {
		t.Error("the device is not registered at the partner")
	}
}

// verify checks the real provider's record as an auditor does.
func (s *stage) verify(t *testing.T, id string) {
	t.Helper()
	s.operate(t, "transfer", "record", id, "--out", id+".record")
	args := []string{"transfer", "verify", id + ".record"}
	for _, identity := range []string{"alpha.identity.json", "gamma.identity.json", "owner/identity.json"} {
		if _, err := os.Stat(filepath.Join(s.dir, identity)); err == nil {
			args = append(args, "--identity", identity)
		}
	}
	out := s.run(t, args...)
	if strings.Contains(out, "NOT PROVED") || !strings.Contains(out, "REVOKED_OLD") {
		t.Errorf("record:\n%s", out)
	}
}

// back gives the device back.
func (s *stage) back(t *testing.T, f *foreign, before string) {
	t.Helper()
	id, err := f.submit(t.Context(), before, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.given(t, f, id)
}

// given leads a deal of the partner's, which has been answered, to its end.
func (s *stage) given(t *testing.T, f *foreign, id string) {
	t.Helper()
	s.takes(t, f, id)
	s.handed(t, f, id)
}

// takes has the provider offer what the partner has told it of.
func (s *stage) takes(t *testing.T, f *foreign, id string) {
	t.Helper()
	s.operate(t, "transfer", "approve", id)
	s.await(t, "the offer", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if state := f.deals[id].state; state != "OFFERED" {
			return fmt.Errorf("transfer is %s", state)
		}
		return nil
	})
}

// handed has the partner hand over by an offer that it has.
func (s *stage) handed(t *testing.T, f *foreign, id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	f.mu.Lock()
	devices := slices.Collect(maps.Keys(f.deals[id].devices))
	f.mu.Unlock()
	for _, short := range devices {
		if err := f.handOver(ctx, id, short); err != nil {
			t.Fatal(err)
		}
	}
	s.operate(t, "transfer", "wait", id, "--timeout", "2m")
	s.await(t, "the receipts", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if state := f.deals[id].state; state != "COMPLETE" {
			return fmt.Errorf("transfer is %s", state)
		}
		return nil
	})
	s.online(t)
	s.verify(t, id)
}

// says expects words in the JSON of the rows of a transfer.
func (s *stage) says(t *testing.T, id string, words ...string) {
	t.Helper()
	rows := s.operate(t, "transfer", "rows", "--json", id)
	for _, w := range words {
		if !strings.Contains(rows, w) {
			t.Errorf("rows without %q:\n%s", w, rows)
		}
	}
}
