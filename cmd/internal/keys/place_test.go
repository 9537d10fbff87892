package keys_test

import (
	"errors"
	"strings"
	"testing"

	"steward/cmd/internal/keys"
)

func TestWhere(t *testing.T) {
	if !keys.PKCS11 {
		t.Skip("built without PKCS#11")
	}
	const token = "pkcs11:token=t;module-path=/m.so"
	for _, tt := range []struct {
		text string
		name keys.Name
		want string
	}{
		{"file:/a/b.pem", keys.Root, "file /a/b.pem"},
		{"file:///a/b.pem", "root-12", "file /a/b-12.pem"},
		{"pkcs11:token=t?module-path=/m.so&pin-source=file:/pin", keys.Root, token + ";object=root"},
		{"pkcs11:token=t;object=key?module-path=/m.so", "root-2", token + ";object=key-2"},
		{"pkcs11:object=key;token=t;module-path=/m.so", keys.Root, token + ";object=key"},
	} {
		if got, err := keys.Where(tt.text, tt.name); err != nil || got != tt.want {
			t.Errorf("%s, %s: %q, %v, want %q", tt.text, tt.name, got, err, tt.want)
		}
	}
}

// FuzzPlace reads places as operators may write them: what is accepted names each
// generation apart, and shows nothing of where a PIN is.
func FuzzPlace(f *testing.F) {
	for _, text := range []string{
		"file:/a", "file:a", "pkcs11:token=t;object=o?module-path=/m&pin-source=/secret", "pkcs11:token=t?pin-value=1", "",
		"pkcs11:serial=1;id=2", "pkcs11:slot-id=0;;", "file:/", "file:/a.b/c",
		"pkcs11:token=0?module-path=;pin-source",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := keys.Where(text, keys.Root)
		if err != nil {
			if !errors.Is(err, keys.ErrPlace) {
				t.Errorf("%q: %v, want ErrPlace", text, err)
			}
			return
		}
		second, err := keys.Where(text, "root-2")
		if err != nil || first == second {
			t.Errorf("%q: two generations at %q, %v", text, first, err)
		}
		for part := range strings.SplitSeq(first, ";") {
			if name, _, _ := strings.Cut(part, "="); name == "pin-source" || name == "pin-value" {
				t.Errorf("%q: %q shows where the PIN is", text, first)
			}
		}
	})
}
