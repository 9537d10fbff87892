package foreign_test

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"testing"
)

// A bundle is what the factory knows of a device.
type bundle struct {
	Factory     struct{ Chain []string }
	Attestation struct {
		Key        string
		References []struct{ SHA256 string }
	}
	Hardware struct {
		Vendor, Class string
		Components    []string
	}
}

func (s *stage) bundle(t *testing.T) (b bundle) {
	t.Helper()
	if err := json.Unmarshal(s.read(t, "devices/dev-0001.device.json"), &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// attests tells the provider the attestation key of the device, and what it holds.
func (s *stage) attests(t *testing.T) {
	t.Helper()
	b := s.bundle(t)
	block, _ := pem.Decode([]byte(b.Attestation.Key))
	if block == nil {
		t.Fatal("no attestation key in the bundle")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		t.Fatalf("attestation key is a %T", key)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	references := []map[string]string{}
	for _, r := range b.Attestation.References {
		references = append(references, map[string]string{"sha256": r.SHA256})
	}
	path := "/devices/" + s.deviceID(t) + "/attestation"
	s.rest(t, http.MethodPut, path, map[string]any{"key": public, "references": references})
}

// deviceID is what the provider calls the device in its API.
func (s *stage) deviceID(t *testing.T) string {
	t.Helper()
	var list struct{ Items []struct{ ID string } }
	if err := json.Unmarshal(s.rest(t, http.MethodGet, "/devices", nil), &list); err != nil || len(list.Items) != 1 {
		t.Fatal(list, err)
	}
	return list.Items[0].ID
}
