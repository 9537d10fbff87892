package transfer_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"

	"steward/est/c509"
	"steward/transfer"
)

func TestInfoRoundTrip(t *testing.T) {
	w := newWorld(t)
	info := w.info(transfer.Hash{1})
	profile := int64(7)
	other := w.pair()
	other.Factory = transfer.FactoryCert{X5T: &transfer.CertHash{Alg: transfer.SHA256, Value: make([]byte, 32)}}
	other.Switch.Manifests = nil
	other.Switch.RA = &transfer.RAInfo{
		References: []transfer.CertHash{transfer.NewCertHash(transfer.Hash{3})}, Verifier: "coaps://ra", Profile: &profile,
		Key: []byte{0xa1, 0x01, 0x02},
	}
	other.Switch.Objects.Truststore = 10
	info.Devices = append(info.Devices, other)
	info.Devices[0].Switch.Manifests[0].URI = "coaps://alpha.example/m/1"

	raw := must(info.Sign(w.sp1.signer()))(t)
	signed, err := transfer.VerifyInfo(raw, w.sp1.cert)
	if err != nil {
		t.Fatal(err)
	}
	signed.Body.Devices[1].Switch.Manifests = nil // empty and nil are the same array
	if !reflect.DeepEqual(signed.Body, info) {
		t.Errorf("VerifyInfo = %+v\nwant %+v", signed.Body, info)
	}
	if pair, ok := signed.Body.Device(w.factoryHash()); !ok || pair.Switch.Manifests[0].URI == "" {
		t.Errorf("Device = %+v, %t", pair, ok)
	}
	parts := strings.Split(string(raw), ".")
	head := must(base64.RawURLEncoding.DecodeString(parts[0]))(t)
	body := must(base64.RawURLEncoding.DecodeString(parts[1]))(t)
	if want := transfer.HashOf(append(head, body...)); signed.Hash != want {
		t.Errorf("Hash = %v, want %v", signed.Hash, want)
	}
	if parsed, err := transfer.ParseInfo(raw); err != nil || parsed.Signer != transfer.KeyIDOf(w.sp1.cert.Raw) {
		t.Errorf("ParseInfo = %+v, %v", parsed, err)
	}
	t.Logf("DeviceUpdateInfo: header %d bytes, one device %d bytes", len(head),
		len(must(transfer.EncodeDevices(info.Devices[:1]))(t)))
}

// jwsOf signs any header and payload as ES256, as an independent stack would.
func jwsOf(t *testing.T, header map[string]any, payload []byte, p party) []byte {
	t.Helper()
	head := must(json.Marshal(header))(t)
	return jwsRaw(t, head, payload, p)
}

func jwsRaw(t *testing.T, head, payload []byte, p party) []byte {
	t.Helper()
	input := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(payload)
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, p.key.(*ecdsa.PrivateKey), digest[:])
	check(t, err)
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return []byte(input + "." + base64.RawURLEncoding.EncodeToString(signature))
}

func (w *world) infoHeader(t *testing.T) map[string]any {
	t.Helper()
	raw := must(w.info(transfer.Hash{1}).Sign(w.sp1.signer()))(t)
	head, _, _ := strings.Cut(string(raw), ".")
	var header map[string]any
	check(t, json.Unmarshal(must(base64.RawURLEncoding.DecodeString(head))(t), &header))
	return header
}

func TestInfoHeader(t *testing.T) {
	w := newWorld(t)
	payload := must(transfer.EncodeDevices(w.info(transfer.Hash{1}).Devices))(t)
	base := w.infoHeader(t)
	with := func(change func(map[string]any)) []byte {
		header := maps.Clone(base)
		change(header)
		return jwsOf(t, header, payload, w.sp1)
	}
	set := func(name string, value any) []byte { return with(func(h map[string]any) { h[name] = value }) }
	drop := func(name string) []byte { return with(func(h map[string]any) { delete(h, name) }) }
	crit := []string{"aud", "iat", "iss", "jti", "mandate", "ver"}
	none := base64.RawURLEncoding.EncodeToString(must(json.Marshal(map[string]any{"alg": "none"}))(t)) + "." +
		base64.RawURLEncoding.EncodeToString(payload) + "."
	noneFull := with(func(h map[string]any) { h["alg"] = "none" })
	valid := set("kid", "ignored, not critical")
	cut := strings.LastIndexByte(string(valid), '.')
	twice := strings.Replace(string(must(json.Marshal(base))(t)), `"aud":"Beta"`, `"aud":"Gamma","aud":"Beta"`, 1)
	tests := []struct {
		name string
		raw  []byte
		err  error
	}{
		{"other header parameter that is not critical", valid, nil},
		{"RFC 7515 §4.1.1 alg none, unsigned", []byte(none), transfer.ErrAlgorithm},
		{"alg none in the whole header", noneFull, transfer.ErrAlgorithm},
		{"alg ES384", set("alg", "ES384"), transfer.ErrAlgorithm},
		{"alg HS256", set("alg", "HS256"), transfer.ErrAlgorithm},
		{"RFC 7515 §4.1.11 unknown critical", set("crit", append([]string{"exp"}, crit...)), transfer.ErrCritical},
		{"critical names the absent", with(func(h map[string]any) { delete(h, "iat") }), transfer.ErrCritical},
		{"critical twice", set("crit", append([]string{"ver"}, crit...)), transfer.ErrCritical},
		{"critical lists alg", set("crit", append([]string{"alg"}, crit...)), transfer.ErrCritical},
		{"mandate not critical", set("crit", []string{"ver"}), transfer.ErrCritical},
		{"no crit", drop("crit"), transfer.ErrCritical},
		{"other type", set("typ", "JWT"), transfer.ErrSyntax},
		{"other content", set("cty", "json"), transfer.ErrSyntax},
		{"other version", set("ver", 2), transfer.ErrSyntax},
		{"no certificate", drop("x5c"), transfer.ErrSyntax},
		{"short mandate", set("mandate", "AAAA"), transfer.ErrSyntax},
		{"parameter twice", jwsRaw(t, []byte(twice), payload, w.sp1), transfer.ErrSyntax},
		{"not an object", jwsRaw(t, []byte(`[]`), payload, w.sp1), transfer.ErrSyntax},
		{"no issuer", set("iss", ""), transfer.ErrValue},
		{
			"certificate of another", set("x5c", []string{base64.StdEncoding.EncodeToString(w.sp2.cert.Raw)}),
			transfer.ErrSigner,
		},
		{"signed by another", jwsOf(t, base, payload, w.sp2), transfer.ErrSignature},
		{"signature cut", valid[:len(valid)-4], transfer.ErrSignature},
		{"no signature", valid[:cut+1], transfer.ErrSignature},
		{"COSE_Sign1, cut", []byte{0xd2, 0x84}, transfer.ErrSyntax},
		{"empty", nil, transfer.ErrSyntax},
		{"header too long", set("kid", strings.Repeat("x", 20_000)), transfer.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := transfer.VerifyInfo(tt.raw, w.sp1.cert); !errors.Is(err, tt.err) {
				t.Errorf("VerifyInfo = %v, want %v", err, tt.err)
			}
		})
	}
}

func TestDevicesRefuseBadInput(t *testing.T) {
	w := newWorld(t)
	good := must(transfer.EncodeDevices([]transfer.DevicePair{w.pair()}))(t)
	if _, err := transfer.ParseDevices(good); err != nil {
		t.Fatal(err)
	}
	change := func(f func(*transfer.DevicePair)) []transfer.DevicePair {
		pair := w.pair()
		f(&pair)
		return []transfer.DevicePair{pair}
	}
	tests := []struct {
		name string
		in   []transfer.DevicePair
	}{
		{"none", nil},
		{"twice", []transfer.DevicePair{w.pair(), w.pair()}},
		{"no certificate", change(func(p *transfer.DevicePair) { p.Factory = transfer.FactoryCert{} })},
		{"two certificates", change(func(p *transfer.DevicePair) { p.Factory.C5C = []byte{1} })},
		{"window backwards", change(func(p *transfer.DevicePair) { p.Switch.Window.Latest = 1 })},
		{"empty digest", change(func(p *transfer.DevicePair) { p.Switch.Manifests[0].Digest.Value = nil })},
		{"RA without references", change(func(p *transfer.DevicePair) { p.Switch.RA = &transfer.RAInfo{} })},
	}
	for _, tt := range tests {
		if _, err := transfer.EncodeDevices(tt.in); !errors.Is(err, transfer.ErrValue) {
			t.Errorf("EncodeDevices(%s) = %v, want ErrValue", tt.name, err)
		}
	}
	if _, err := (transfer.FactoryCert{X5Chain: []byte{1}}).X509(); !errors.Is(err, transfer.ErrValue) {
		t.Errorf("X509 of a malformed certificate = %v, want ErrValue", err)
	}
	if c, err := w.pair().Factory.X509(); err != nil || !c.Equal(w.factory.cert) {
		t.Errorf("X509 = %v, %v", c, err)
	}
}

func TestFactoryCertInC509(t *testing.T) {
	w := newWorld(t)
	short, err := c509.FromDER(w.factory.cert.Raw)
	if err != nil {
		t.Fatal(err)
	}
	f := transfer.FactoryCert{C5C: short}
	if got, err := f.X509(); err != nil || !got.Equal(w.factory.cert) {
		t.Errorf("X509 = %v, %v", got, err)
	}
	if got, err := f.Hash(); err != nil || got != transfer.HashOf(w.factory.cert.Raw) {
		t.Errorf("Hash = %x, %v, want that of the DER", got, err)
	}
	native, err := c509.Options{}.SignCertificate(w.factory.cert.Raw, w.factory.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		in   []byte
		err  error
	}{
		{"natively signed", native, transfer.ErrNotImplemented},
		{"malformed", []byte{1}, transfer.ErrValue},
		{"DER", w.factory.cert.Raw, transfer.ErrValue},
	} {
		f := transfer.FactoryCert{C5C: tt.in}
		if got, err := f.X509(); !errors.Is(err, tt.err) {
			t.Errorf("%s: X509 = %v, %v, want %v", tt.name, got, err, tt.err)
		}
		if got, err := f.Hash(); !errors.Is(err, tt.err) {
			t.Errorf("%s: Hash = %x, %v, want %v", tt.name, got, err, tt.err)
		}
	}
}
