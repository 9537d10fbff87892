package c509_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"steward/est/c509"
)

// registered is one entry of testdata/c509/registries.json.
type registered struct {
	Value int    `json:"value"`
	OID   string `json:"oid"`
	DER   string `json:"der"`
}

func registries(t *testing.T) map[string][]registered {
	t.Helper()
	raw, err := os.ReadFile("testdata/c509/registries.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Registries map[string][]registered `json:"registries"`
	}
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return all.Registries
}

// item encodes a number of up to 16 bits.
func item(n int) []byte {
	major := byte(0)
	if n < 0 {
		major, n = 0x20, -1-n
	}
	switch {
	case n < 24:
		return []byte{major | byte(n)}
	case n < 256:
		return []byte{major | 24, byte(n)}
	}
	return []byte{major | 25, byte(n >> 8), byte(n)}
}

// TestRegistries reads a certificate with each entry of the registries that the
// draft has (§8), and looks for its OID in the DER.
func TestRegistries(t *testing.T) {
	where := map[string]func(code []byte) map[int]string{
		"rdn_attributes": func(c []byte) map[int]string {
			return map[int]string{3: fmt.Sprintf("84%x625345016178", c)} // with a country's text
		},
		"certificate_policies": func(c []byte) map[int]string { return map[int]string{9: fmt.Sprintf("820682%x80", c)} },
		"policy_qualifiers": func(c []byte) map[int]string {
			return map[int]string{9: fmt.Sprintf("820682%s82%x6161", "00", c)}
		},
		"information_access":  func(c []byte) map[int]string { return map[int]string{9: fmt.Sprintf("820982%x6161", c)} },
		"extended_key_usages": func(c []byte) map[int]string { return map[int]string{9: fmt.Sprintf("8208%x", c)} },
	}
	for name, change := range where {
		for _, e := range registries(t)[name] {
			der, err := c509.ToDER(with(change(item(e.Value))))
			if err != nil || !bytes.Contains(der, object(t, e.OID)) {
				t.Errorf("%s %d: ToDER() = %x, %v, want %s in it", name, e.Value, der, err, e.OID)
			}
		}
	}
}

// TestAlgorithmRegistries does so with AlgorithmIdentifiers.
func TestAlgorithmRegistries(t *testing.T) {
	ecdsa := map[int]bool{-255: true, 0: true, 1: true, 2: true, 3: true, 4: true, 8: true}
	for _, e := range registries(t)["signature_algorithms"] {
		sig := base[10]
		if !ecdsa[e.Value] {
			sig = "40"
		}
		checkAlgorithm(t, e, with(map[int]string{2: hex.EncodeToString(item(e.Value)), 10: sig}))
	}
	sizes := map[int]int{1: 32, 2: 48, 3: 66, 6: 32, 24: 32, 25: 48, 26: 64, 27: 32}
	for _, e := range registries(t)["public_key_algorithms"] {
		key := append([]byte{2}, make([]byte, sizes[e.Value])...)
		change := map[int]string{7: hex.EncodeToString(item(e.Value)), 8: fmt.Sprintf("58%02x%x", len(key), key)}
		if len(key) < 24 {
			change[8] = "4102"
		}
		checkAlgorithm(t, e, with(change))
	}
}

func checkAlgorithm(t *testing.T, e registered, cert []byte) {
	t.Helper()
	want, err := hex.DecodeString(strings.ReplaceAll(e.DER, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	want[1] = byte(len(want) - 2) // the registry of -20 has the lengths of RSA algorithms wrong
	if der, err := c509.ToDER(cert); err != nil || !bytes.Contains(der, want) {
		t.Errorf("algorithm %d: ToDER() = %x, %v, want %x in it", e.Value, der, err, want)
	}
}

func object(t *testing.T, dotted string) []byte {
	t.Helper()
	var oid asn1.ObjectIdentifier
	for part := range strings.SplitSeq(dotted, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			t.Fatal(err)
		}
		oid = append(oid, n)
	}
	out, err := asn1.Marshal(oid)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
