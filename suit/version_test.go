package suit_test

import (
	"encoding/hex"
	"errors"
	"slices"
	"testing"

	"steward/suit"
)

// TestVersionMatch has the examples of draft-ietf-suit-update-management §4.4.
func TestVersionMatch(t *testing.T) {
	t.Parallel()
	match := func(c suit.Comparison, v ...int64) suit.VersionMatch {
		return suit.VersionMatch{Comparison: c, Version: v}
	}
	tests := []struct {
		match suit.VersionMatch
		have  suit.Version
		want  bool
	}{
		{match(suit.Equal, 1), suit.Version{1, 7, 3}, true},
		{match(suit.Equal, 1), suit.Version{2}, false},
		{match(suit.GreaterEqual, 1, 0), suit.Version{1, 0, 5}, true},
		{match(suit.Lesser, 1, 10), suit.Version{1, 9, 9}, true},
		{match(suit.Lesser, 1, 10), suit.Version{1, 10}, false},
		{match(suit.Lesser, 2, 0, 0), suit.Version{2, 0, -1, 1}, true},
		{match(suit.Greater, 2, 0, -1), suit.Version{2, 0, -2}, false},
		{match(suit.Greater, 2, 0, -3), suit.Version{2, 0, -2}, true},
		{match(suit.Greater, 2, 0, -1), suit.Version{2}, true},
		{match(suit.LesserEqual, 1, 2), suit.Version{1, 2}, true},
		{match(9, 1), suit.Version{1}, false},
	}
	for _, test := range tests {
		if got := test.match.Holds(test.have); got != test.want {
			t.Errorf("%v %v = %v, want %v", test.have, test.match, got, test.want)
		}
	}
	for want, v := range map[string]suit.Version{
		"1.2.3": {1, 2, 3}, "1.2-rc.3": {1, 2, -1, 3}, "1.2-beta": {1, 2, -2}, "1.2.3-alpha.4": {1, 2, 3, -3, 4},
	} {
		if got := v.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
		if got, err := suit.ParseVersion(want); err != nil || !slices.Equal(got, v) {
			t.Errorf("ParseVersion(%q) = %v, %v", want, got, err)
		}
	}
	for _, text := range []string{"", "v1", "1.", "1.2.3.4", "1-gamma", "1.2-rc.", "-1", "9999999999"} {
		if _, err := suit.ParseVersion(text); !errors.Is(err, suit.ErrStructure) {
			t.Errorf("ParseVersion(%q) = %v, want %v", text, err, suit.ErrStructure)
		}
	}
}

// TestExtensionParameters refuses what does not fit the CDDL of the extensions.
func TestExtensionParameters(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		key  suit.Key
		in   string // inside the byte string
		ok   bool
	}{
		{"version", suit.ParameterVersion, "820181" + "01", true},
		{"comparison 6", suit.ParameterVersion, "820681" + "01", false},
		{"empty version", suit.ParameterVersion, "820180", false},
		{"begins with a pre-release", suit.ParameterVersion, "82018120", false},
		{"two pre-releases", suit.ParameterVersion, "820183012021", false},
		{"pre-release -4", suit.ParameterVersion, "8201820123", false},
		{"wait", suit.ParameterWaitInfo, "a20120051903e8", true},
		{"wait for another device", suit.ParameterWaitInfo, "a1048241018182018101", true},
		{"wait for nothing", suit.ParameterWaitInfo, "a0", false},
		{"wait event 10", suit.ParameterWaitInfo, "a10a00", false},
		{"wait for a negative time", suit.ParameterWaitInfo, "a10520", false},
		{"wait for no version", suit.ParameterWaitInfo, "a10482410180", false},
		{"metadata", suit.ParameterComponentDetails, "a501040502" + "06c1190100" + "07c100" + "081903e8", true},
		{"file type 4", suit.ParameterComponentDetails, "a10504", false},
		{"time without tag", suit.ParameterComponentDetails, "a10600", false},
		{"unknown metadata", suit.ParameterComponentDetails, "a10900", false},
	}
	for _, test := range tests {
		raw, err := hex.DecodeString(test.in)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		_, err = suit.NewParameter(test.key, raw)
		if (err == nil) != test.ok || err != nil && !errors.Is(err, suit.ErrStructure) {
			t.Errorf("%s: NewParameter = %v", test.name, err)
		}
	}
	w := suit.Wait{
		Events: map[suit.WaitEvent]int64{suit.WaitPower: -1}, Other: []byte{1},
		Versions: []suit.VersionMatch{{Comparison: suit.Equal, Version: suit.Version{1}}},
	}
	p, err := suit.NewParameter(suit.ParameterWaitInfo, w)
	if err != nil {
		t.Fatalf("NewParameter: %v", err)
	}
	if got := p.Wait(); got.Events[suit.WaitPower] != -1 || len(got.Versions) != 1 || got.Other[0] != 1 {
		t.Errorf("Wait = %+v", got)
	}
}

// TestShake compares with the empty message of FIPS 202's examples.
func TestShake(t *testing.T) {
	t.Parallel()
	tests := map[suit.DigestAlgorithm]string{
		suit.SHAKE128: "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
		suit.SHAKE256: "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f" +
			"d75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be",
	}
	for alg, want := range tests {
		d, err := suit.Sum(alg, nil)
		if got := hex.EncodeToString(d.Value); err != nil || got != want {
			t.Errorf("%v = %s, %v, want %s", alg, got, err, want)
		}
		h, err := alg.New()
		if err != nil {
			t.Fatalf("New: %v", err)
		}
		if h.Size() != len(d.Value) || len(h.Sum([]byte{1})) != 1+h.Size() {
			t.Errorf("%v: size %d", alg, h.Size())
		}
		h.Write([]byte("a"))
		if other := h.Sum(nil); hex.EncodeToString(other) == want {
			t.Errorf("%v: Sum ended the writing", alg)
		}
	}
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	e, err := suit.Decode(loadVector(t, "trustdomains_example1_process"), suit.Limits{})
	if err != nil {
		t.Fatalf("Decode: %v", err)
	}
	m, err := e.Manifest()
	if err != nil {
		t.Fatalf("Manifest: %v", err)
	}
	id, ok := m.Component(1)
	if d, is := m.Dependency(1); !ok || !is || id != d.Prefix || id != suit.ComponentPath("dependent.suit") {
		t.Errorf("Component(1) = %v, %v", id, ok)
	}
	if _, ok := m.Component(2); ok || m.ID != suit.ComponentPath("depending.suit") {
		t.Errorf("manifest = %+v", m)
	}
	if got := suit.ComponentPath("a").Join(suit.ComponentPath("b/c")); got != suit.ComponentPath("a/b/c") {
		t.Errorf("Join = %v", got)
	}
	for name, m := range map[string]*suit.Manifest{
		"unnamed beyond the components": {
			Components: []suit.ComponentID{suit.ComponentPath("fw")}, Dependencies: []suit.Dependency{{Index: 1}},
		},
		"index too large": {
			Components:   []suit.ComponentID{suit.ComponentPath("fw")},
			Dependencies: []suit.Dependency{{Index: 300, Prefix: suit.ComponentPath("dep")}},
		},
	} {
		if _, err := m.Envelope(suit.SHA256); !errors.Is(err, suit.ErrOptions) {
			t.Errorf("%s: Envelope = %v, want %v", name, err, suit.ErrOptions)
		}
	}
}
