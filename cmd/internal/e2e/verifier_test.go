package e2e_test

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	delivered "steward/cmd/internal/bundle"
)

// attestationOf is what a factory tells of a device to who has to judge it: as the API
// takes it with the device's certificate.
func (w *world) attestationOf(t *testing.T, name string) map[string]any {
	t.Helper()
	b, err := delivered.Read(filepath.Join(w.dir, "bundles", name+".device.json"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := b.AttestationKey()
	if err != nil || key == nil {
		t.Fatalf("attestation key: %v", err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := b.ComponentIDs()
	if err != nil {
		t.Fatal(err)
	}
	var references []map[string]string
	for i, r := range b.Attestation.References {
		references = append(references, map[string]string{
			"component": hex.EncodeToString([]byte(ids[i])), "sha256": r.SHA256,
		})
	}
	return map[string]any{
		"certificate": base64.StdEncoding.EncodeToString([]byte(b.Factory.Chain[0])),
		"attestation": map[string]any{"key": der, "references": references},
	}
}

// TestThirdVerifier: Alpha demands the verdict of a third provider, Gamma, on devices
// that go to Beta, and that know no time. Beta relays their evidence, and the verdicts
// that both have are Gamma's.
func TestThirdVerifier(t *testing.T) {
	slow(t)
	t.Parallel()
	w := newCalmWorld(t, 2)
	gamma := serve(t, "Gamma", slices.Concat(scaled, []string{"--grace", "60s"})...)
	w.introduce(t)
	for _, pair := range [][2]*provider{{gamma, w.alpha}, {gamma, w.beta}, {w.beta, gamma}} {
		var identity json.RawMessage
		pair[0].get(t, "/api/v1/identity", &identity)
		pair[1].post(t, "/api/v1/partners", map[string]any{"identity": identity})
	}
	devices, err := w.alpha.devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	gamma.post(t, "/api/v1/factory-authorities", map[string]any{"certificate": w.permanent(t)})
	for _, name := range w.names {
		known := w.attestationOf(t, name)
		gamma.post(t, "/api/v1/devices", known)
		err := w.alpha.do(t.Context(), "PUT", "/api/v1/devices/"+devices[name].ID+"/attestation", known["attestation"], nil)
		if err != nil {
			t.Fatal(err)
		}
	}
	w.devices.args = slices.Insert(w.devices.args, 1, "--no-clock")
	w.devices.run(t)
	w.online(t, w.alpha)
	w.draftWith(t, time.Now(), map[string]any{"verifier": "Gamma"})
	eventually(t, handOverLimit, "all devices have moved", func() error {
		if err := w.decide(t.Context()); err != nil {
			return err
		}
		list, err := w.alpha.transfers(t.Context())
		if err != nil || len(list) != 1 || list[0].State != "COMPLETE" {
			return errors.Join(err, fmt.Errorf("transfers of Alpha: %+v", list))
		}
		return nil
	})
	list, err := w.alpha.transfers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []*provider{w.alpha, w.beta} {
		var rows page[struct {
			Endpoint string
			Verdict  struct{ Issuer, Tier string }
		}]
		p.get(t, "/api/v1/transfers/"+list[0].ID+"/rows", &rows)
		if len(rows.Items) != len(w.names) {
			t.Errorf("%s has %d rows", p.name, len(rows.Items))
		}
		for _, r := range rows.Items {
			if r.Verdict.Issuer != "Gamma" || r.Verdict.Tier != "affirming" {
				t.Errorf("%s at %s: verdict %+v, want Gamma's", r.Endpoint, p.name, r.Verdict)
			}
		}
	}
	for name, at := range w.ends(t) {
		if at != w.beta.name {
			t.Errorf("%s ended at %s", name, at)
		}
	}
}
