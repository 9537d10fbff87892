package e2e_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// recorded fetches both providers' records of the only transfer, and checks them with
// the command that an auditor has: as they are, without knowing the partner, and with
// a byte changed.
func (w *world) recorded(t *testing.T) {
	t.Helper()
	d := newDesk(t)
	var list page[struct{ ID string }]
	w.alpha.get(t, "/api/v1/transfers", &list)
	if len(list.Items) != 1 {
		t.Fatalf("transfers: %+v", list.Items)
	}
	known := []string{}
	for _, p := range []*provider{w.alpha, w.beta} {
		var identity json.RawMessage
		p.get(t, "/api/v1/identity", &identity)
		d.write(t, p.name+".json", identity)
		known = append(known, "--identity", p.name+".json")
	}
	for _, p := range []*provider{w.alpha, w.beta} {
		d.run(t, binary(t), "transfer", "record", list.Items[0].ID, "--out", "record",
			"--url", "http://"+p.http, "--token-file", filepath.Join(p.data, "admin.token"))
		text := d.run(t, binary(t), append([]string{"transfer", "verify", "record"}, known...)...)
		if !strings.Contains(text, "REVOKED_OLD") || strings.Contains(text, "NOT PROVED") {
			t.Errorf("record of %s:\n%s", p.name, text)
		}
		text, err := d.try(t, binary(t), append([]string{"transfer", "verify", "record"}, known[:2]...)...)
		if err == nil || !strings.Contains(text, "NOT PROVED") {
			t.Errorf("record of %s, with only %s known: %v\n%s", p.name, known[1], err, text)
		}
		raw := d.read(t, "record")
		raw[len(raw)/2] ^= 1
		d.write(t, "bent", raw)
		if text, err := d.try(t, binary(t), "transfer", "verify", "bent"); err == nil {
			t.Errorf("record of %s with a bit changed:\n%s", p.name, text)
		}
	}
}
