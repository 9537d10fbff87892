package est_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"steward/est"
	"steward/est/c509"
)

// TestTemplateC509 holds the template against the profile (draft §4.4).
func TestTemplateC509(t *testing.T) {
	for _, tt := range []struct {
		name string
		keys []est.KeyAlgorithm
		want string // the items, for a client without a name
	}{
		{"two keys", []est.KeyAlgorithm{est.P384, est.Ed25519}, "8700820302" + "82010c84010101f782020cf78602f50108f502"},
		{"P-256", []est.KeyAlgorithm{est.P256}, "8700820302810084010101f78101f78602f50108f502"},
	} {
		w := newWorldOf(t, est.ProfileOptions{Keys: tt.keys}, nil)
		got, err := w.ca.Template(est.Client{})
		if err != nil || hex.EncodeToString(got) != tt.want {
			t.Errorf("%s: Template() = %x, %v, want %s", tt.name, got, err, tt.want)
		}
		named, err := w.ca.Template(est.Client{Name: "0123456789abcdef"})
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		parsed, err := c509.ParseTemplate(named)
		if err != nil || !bytes.Equal(parsed.Subject[0].Value, []byte{0x48, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}) {
			t.Errorf("%s: ParseTemplate(%x) = %+v, %v", tt.name, named, parsed, err)
		}
	}
}
