package coordinator_test

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"steward/est/esttest"
	"steward/transfer/coordinator"
)

func TestIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		p := w.alpha.partner(t, w.beta)
		if p.TLSKey() != coordinator.SPKI(parse(t, w.beta.tls)) ||
			p.SigningKey() != coordinator.SPKI(parse(t, w.beta.signer.Certificate)) || !p.Admitted() {
			t.Errorf("partner %+v", p)
		}
		file, err := w.beta.c.Identity()
		check(t, err)
		again, err := w.alpha.c.AddPartner(t.Context(), file, "other label", "operator:x")
		if err != nil || again.ID != p.ID {
			t.Errorf("AddPartner again = %+v, %v", again, err)
		}
		own, err := w.alpha.c.Identity()
		check(t, err)
		if _, err := w.alpha.c.AddPartner(t.Context(), own, "", "operator:x"); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("AddPartner of ourselves = %v, want ErrInvalid", err)
		}
		if _, err := w.alpha.c.SetPartnerState(t.Context(), p.ID, "gone", "operator:x", ""); !errors.Is(err,
			coordinator.ErrInvalid) {
			t.Errorf("SetPartnerState = %v, want ErrInvalid", err)
		}
		if _, err := w.alpha.c.SetPartnerState(t.Context(), "x", coordinator.Active, "", ""); !errors.Is(err,
			coordinator.ErrUnknown) {
			t.Errorf("SetPartnerState of nobody = %v, want ErrUnknown", err)
		}
	})
}

// TestIdentityRefusals changes a file in each part, and signs what is no identity.
func TestIdentityRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		raw, err := w.beta.c.Identity()
		check(t, err)
		good, err := coordinator.ParseIdentity(raw)
		check(t, err)
		sign := func(change func(*coordinator.Identity)) []byte {
			i := good
			i.Name = "Gamma"
			change(&i)
			file, err := coordinator.SignIdentity(i, w.beta.signer.Key)
			check(t, err)
			return file
		}
		part := func(name string, change func(string) string) []byte {
			var m map[string]string
			check(t, json.Unmarshal(raw, &m))
			m[name] = change(m[name])
			out, err := json.Marshal(m)
			check(t, err)
			return out
		}
		none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"steward/identity/1"}`))
		otherKey := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.alpha.signer.Certificate})
		tests := []struct {
			name string
			file []byte
			want error
		}{
			{"not JSON", []byte("x"), coordinator.ErrInvalid},
			{"too long", make([]byte, 65<<10), coordinator.ErrInvalid},
			{"more than one value", append([]byte(string(raw)), '{'), coordinator.ErrInvalid},
			{"payload altered", part("payload", func(s string) string { return "A" + s[1:] }), coordinator.ErrInvalid},
			{"signature altered", part("signature", func(s string) string {
				return strings.Repeat("A", len(s))
			}), coordinator.ErrInvalid},
			{"signature short", part("signature", func(s string) string { return s[:40] }), coordinator.ErrInvalid},
			{"alg none", part("protected", func(string) string { return none }), coordinator.ErrInvalid},
			{"signed by another key", sign(func(i *coordinator.Identity) {
				i.Signing = string(otherKey)
			}), coordinator.ErrInvalid},
			{"no name", sign(func(i *coordinator.Identity) { i.Name = "" }), coordinator.ErrInvalid},
			{"kind", sign(func(i *coordinator.Identity) { i.Kind = "friend" }), coordinator.ErrInvalid},
			{"http", sign(func(i *coordinator.Identity) { i.PeerURI = "http://x" }), coordinator.ErrInvalid},
			{"no TLS certificate", sign(func(i *coordinator.Identity) { i.TLS = "" }), coordinator.ErrInvalid},
			{"TLS key of another partner", sign(func(*coordinator.Identity) {}), coordinator.ErrPinned},
			{"name of another partner", sign(func(i *coordinator.Identity) {
				i.Name = "Beta"
				i.TLS = string(otherKey)
			}), coordinator.ErrPinned},
		}
		for _, tt := range tests {
			if _, err := w.alpha.c.AddPartner(t.Context(), tt.file, "", "operator:x"); !errors.Is(err, tt.want) {
				t.Errorf("AddPartner with %s = %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}

// TestServiceUser moves devices by the order of a service user, and refuses one that
// nobody known has signed.
func TestServiceUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		user := newUser(t, w)
		for _, p := range []*provider{w.alpha, w.beta} {
			_, err := p.c.AddPartner(t.Context(), user.file, "", "operator:carol")
			check(t, err)
		}
		w.start(t)
		w.mandate = user.mandate(t, w, user.signer)
		id := w.handOver(t)
		got, err := w.beta.c.Get(t.Context(), id)
		check(t, err)
		if got.Self || got.MandateIssuer != "User" {
			t.Errorf("mandate of %q, self %t", got.MandateIssuer, got.Self)
		}
		w.drive(t, id)
		w.moved(t, id)

		stranger := user.signer
		stranger.Key = esttest.Key(t)
		for name, m := range map[string][]byte{
			"wrong key": user.mandate(t, w, stranger), "self, in another's name": user.mandate(t, w, w.alpha.signer),
		} {
			_, err := w.alpha.c.Draft(t.Context(), coordinator.Draft{
				Partner: w.alpha.partner(t, w.beta).ID, Devices: []fleetID{"x"}, Mandate: m,
			})
			if !errors.Is(err, coordinator.ErrInvalid) {
				t.Errorf("Draft with a mandate by the %s = %v, want ErrInvalid", name, err)
			}
		}
	})
}

func TestNew(t *testing.T) {
	if _, err := coordinator.New(coordinator.Options{}); !errors.Is(err, coordinator.ErrOptions) {
		t.Errorf("New = %v, want ErrOptions", err)
	}
}

// TestIdentify refuses and audits keys that are pinned for nobody, or for a
// partner that is suspended.
func TestIdentify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 0)
		p := w.alpha.partner(t, w.beta)
		got, err := w.alpha.c.Identify(t.Context(), p.TLSKey(), "192.0.2.1:1")
		if err != nil || got.ID != p.ID {
			t.Errorf("Identify = %+v, %v", got, err)
		}
		_, err = w.alpha.c.Identify(t.Context(), [32]byte{1}, "192.0.2.1:1")
		if !errors.Is(err, coordinator.ErrForbidden) || w.alpha.refusals() != 1 {
			t.Errorf("Identify of an unpinned key = %v, %d audited", err, w.alpha.refusals())
		}
		_, err = w.alpha.c.SetPartnerState(t.Context(), p.ID, coordinator.Suspended, "operator:bob", "")
		check(t, err)
		_, err = w.alpha.c.Identify(t.Context(), p.TLSKey(), "192.0.2.1:1")
		if !errors.Is(err, coordinator.ErrForbidden) || w.alpha.refusals() != 2 {
			t.Errorf("Identify of a suspended partner = %v, %d audited", err, w.alpha.refusals())
		}
	})
}
