package est_test

import (
	"encoding/asn1"
	"fmt"
	"strings"
	"testing"

	"steward/est"
	"steward/lwm2m/machine/machinetest"
)

// TestTemplate holds the CsrAttrs against what RFC 9908 §3 and §4 say of them.
func TestTemplate(t *testing.T) {
	for _, tt := range []struct {
		name   string
		o      est.ProfileOptions
		key    string // the AlgorithmIdentifier
		golden string
	}{
		{"P-256", est.ProfileOptions{}, "301306072a8648ce3d020106082a8648ce3d030107", "testdata/att-p256.txt"},
		{
			"Ed25519, bound",
			est.ProfileOptions{Keys: []est.KeyAlgorithm{est.Ed25519}, Binding: true},
			"300506032b6570",
			"testdata/att-ed25519.txt",
		},
	} {
		w := newWorldOf(t, tt.o, nil)
		der, err := w.ca.Attributes(est.Client{Name: endpoint})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(fmt.Sprintf("%x", der), tt.key) {
			t.Errorf("%s: no key in %x", tt.name, der)
		}
		machinetest.Golden(t, tt.golden, dump(t, der, ""), *update)
	}
}

// dump draws DER as a tree.
func dump(t *testing.T, der []byte, indent string) string {
	t.Helper()
	var out strings.Builder
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			t.Fatal(err)
		}
		der = rest
		name := fmt.Sprintf("[%d.%d]", v.Class, v.Tag)
		if v.IsCompound {
			out.WriteString(indent + name + "\n" + dump(t, v.Bytes, indent+"  "))
			continue
		}
		var id asn1.ObjectIdentifier
		if _, err := asn1.Unmarshal(v.FullBytes, &id); err == nil {
			out.WriteString(indent + id.String() + "\n")
			continue
		}
		out.WriteString(indent + name + fmt.Sprintf(" %x\n", v.Bytes))
	}
	return out.String()
}
