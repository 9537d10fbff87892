package author_test

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"os/exec"
	"slices"
	"testing"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/cose"
)

// python is Debian's: it has the modules of packages python3-cbor2 and
// python3-cryptography.
const python = "/usr/bin/python3"

// missing is the exit status of the checker without its modules.
const missing = 77

// A job is what the checker reads.
type job struct {
	Envelope string            `json:"envelope"`
	Keys     []any             `json:"keys"`
	KEK      string            `json:"kek,omitempty"`
	Private  string            `json:"private,omitempty"`
	Payloads map[string]string `json:"payloads"`
}

// A verdict is what it writes.
type verdict struct {
	Sequence   uint64           `json:"sequence"`
	Components int              `json:"components"`
	Algorithms []cose.Algorithm `json:"algorithms"`
	Matched    int              `json:"matched"`
	Severed    []suit.Element   `json:"severed"`
	Found      []string         `json:"found"`
}

// check runs the checker, written in another language on other libraries.
func check(t *testing.T, j job) (verdict, error) {
	t.Helper()
	in, err := json.Marshal(j)
	if err != nil {
		t.Fatalf("Marshal: %v", err)
	}
	c := exec.CommandContext(t.Context(), python, "testdata/check.py")
	var out, complaint bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(in), &out, &complaint
	err = c.Run()
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case failed && exit.ExitCode() == missing:
		t.Skipf("python3-cbor2 or python3-cryptography is missing: %s", complaint.String())
	case failed:
		return verdict{}, errors.New(complaint.String())
	case err != nil:
		t.Skipf("%s is missing: %v", python, err)
	}
	var v verdict
	if err := json.Unmarshal(out.Bytes(), &v); err != nil {
		t.Fatalf("verdict %q: %v", out.String(), err)
	}
	return v, nil
}

func publicPEM(t *testing.T, s *cose.Signer) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(s.Public())
	if err != nil {
		t.Fatalf("MarshalPKIXPublicKey: %v", err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// newJob is for an envelope signed by signers, then with a code.
func newJob(t *testing.T, raw []byte, payloads map[string][]byte, mac bool, signers ...*cose.Signer) job {
	t.Helper()
	j := job{Envelope: hex.EncodeToString(raw), Payloads: map[string]string{}}
	for _, s := range signers {
		j.Keys = append(j.Keys, publicPEM(t, s))
	}
	if mac {
		j.Keys = append(j.Keys, map[string]string{"secret": hex.EncodeToString(bytes.Repeat([]byte{9}, 32))})
	}
	for uri, content := range payloads {
		j.Payloads[uri] = hex.EncodeToString(content)
	}
	return j
}

// TestIndependentChecker has envelopes made here verified by a program that shares
// no code with this module: encoding, digests, signatures, decryption, images.
func TestIndependentChecker(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	two := plan(served("fw", "firmware"), served("cfg", "settings"))
	two.Text = options().Text
	two.Sever = []suit.Element{suit.ElementInstall}
	inline := served("cfg", "secret settings")
	inline.Slots[0].Inline, inline.Encryption = true, &cose.Encryption{Recipients: []*cose.RecipientKey{w.toDevice}}
	inner, payloads := build(t, plan(served("modem", "modem image")), w.operator)
	root := plan(served("fw", "firmware"))
	root.ID = suit.ComponentPath("root.suit")
	root.Dependencies = []author.Dependency{{Component: suit.ComponentPath("dep/modem.suit"), Envelope: inner}}
	sha384 := plan(served("fw", "firmware"))
	sha384.Digest, sha384.Device = suit.SHA384, author.VendorID("one.example")
	kek := func(k byte, n int) string { return hex.EncodeToString(bytes.Repeat([]byte{k}, n)) }
	device := hex.EncodeToString(w.device.Bytes())
	tests := []struct {
		name         string
		plan         author.Plan
		signers      []*cose.Signer
		mac          bool
		kek, private string
		want         verdict
	}{
		{
			name: "ESP256", plan: plan(served("fw", "x")), signers: []*cose.Signer{w.author},
			want: verdict{Components: 1, Matched: 2},
		},
		{name: "Ed25519", plan: sha384, signers: []*cose.Signer{w.ed}, want: verdict{Components: 1, Matched: 2}},
		{
			name: "ES384 and a code", plan: plan(served("fw", "x")), signers: []*cose.Signer{w.p384}, mac: true,
			want: verdict{Components: 1, Matched: 2},
		},
		{
			name: "two components, severed", plan: two, signers: []*cose.Signer{w.author, w.operator},
			want: verdict{Components: 2, Matched: 4, Severed: []suit.Element{suit.ElementInstall, suit.ElementText}},
		},
		{name: "A/B", plan: plan(slots()), signers: []*cose.Signer{w.author}, want: verdict{Components: 1, Matched: 2}},
		{
			name: "encrypted to a device", plan: plan(encrypted("firmware", cose.A128GCM, w.toDevice, w.toGroup)),
			signers: []*cose.Signer{w.author}, private: device, want: verdict{Components: 2, Matched: 3},
		},
		{
			name: "encrypted to a group", plan: plan(encrypted("firmware", cose.A128CTR, w.toGroup)),
			signers: []*cose.Signer{w.author}, kek: kek(7, 16), want: verdict{Components: 2, Matched: 3},
		},
		{
			name: "ChaCha20", plan: plan(encrypted("firmware", cose.ChaCha20Poly1305, w.toAll)),
			signers: []*cose.Signer{w.author}, kek: kek(8, 32), want: verdict{Components: 2, Matched: 3},
		},
		{
			name: "encrypted inside the manifest", plan: plan(inline), signers: []*cose.Signer{w.author}, private: device,
			want: verdict{Components: 1, Matched: 2},
		},
		{
			name: "dependency", plan: root, signers: []*cose.Signer{w.author},
			want: verdict{Components: 2, Matched: 2, Found: []string{"dependency 1"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			raw, served := build(t, test.plan, test.signers...)
			if test.mac {
				var err error
				if raw, err = author.Countersign(raw, nil, w.mac); err != nil {
					t.Fatalf("Countersign: %v", err)
				}
			}
			maps.Copy(served, payloads)
			j := newJob(t, raw, served, test.mac, test.signers...)
			j.KEK, j.Private = test.kek, test.private
			got, err := check(t, j)
			if err != nil {
				t.Fatalf("the checker refuses: %v", err)
			}
			if got.Sequence != 7 || got.Components != test.want.Components || got.Matched != test.want.Matched ||
				!slices.Equal(got.Severed, test.want.Severed) || !slices.Equal(got.Found, test.want.Found) {
				t.Errorf("checker found %+v, want %+v", got, test.want)
			}
			for i, s := range test.signers {
				if got.Algorithms[i] != s.Algorithm() {
					t.Errorf("checker found %v, want %v", got.Algorithms[i], s.Algorithm())
				}
			}
		})
	}
}

// TestCheckerRefuses shows that the checker does check.
func TestCheckerRefuses(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	raw, payloads := build(t, plan(served("fw", "firmware")), w.author)
	good := newJob(t, raw, payloads, false, w.author)
	if _, err := check(t, good); err != nil {
		t.Fatalf("the checker refuses: %v", err)
	}
	other := newJob(t, raw, payloads, false, w.operator)
	changed := good
	changed.Payloads = map[string]string{"coap://h/fw": hex.EncodeToString([]byte("Firmware"))}
	for name, j := range map[string]job{"another key": other, "another image": changed} {
		if _, err := check(t, j); err == nil {
			t.Errorf("%s: the checker accepts", name)
		}
	}
	for _, at := range []int{len(raw) / 3, len(raw) / 2, len(raw) - 1} {
		flipped := bytes.Clone(raw)
		flipped[at] ^= 1
		if _, err := check(t, newJob(t, flipped, payloads, false, w.author)); err == nil {
			t.Errorf("byte %d changed: the checker accepts", at)
		}
	}
}
