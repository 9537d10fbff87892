package rollout_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"steward/suit"
	"steward/suit/author"
	"steward/suit/rollout"
)

// TestTextsAreSevered checks that devices which learn the version from the manifest
// are not sent its texts, and that the digest of the manifest stays.
func TestTextsAreSevered(t *testing.T) {
	version, err := suit.ParseVersion("3.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []suit.Version{nil, version} {
		plan := author.Plan{
			Vendor: vendor, Class: class, Sequence: 4, Version: v,
			Images: []author.Image{{Component: suit.ComponentPath("fw"), Slots: []author.Slot{{
				Payload: []byte("image"), URI: "#fw", Integrated: true,
			}}}},
			Text: []suit.Text{{Language: "en", Manifest: map[suit.TextKey]string{
				suit.TextManifestDescription: "what people read",
			}}},
		}
		built, err := plan.Build()
		if err != nil {
			t.Fatal(err)
		}
		raw := built.Envelope.Encode()
		r, c, err := rollout.ImportRelease("R", "r", "x", raw, nil, func(*suit.Envelope) error { return nil }, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if severed := c.Text != nil; severed != (v != nil) || bytes.Contains(c.Push, []byte("people")) == severed {
			t.Errorf("version %v: texts of %d bytes, envelope of %d, was %d", v, len(c.Text), len(c.Push), len(raw))
		}
		e, err := suit.Decode(c.Push, suit.Limits{})
		if err != nil || !e.Digest.Equal(r.Manifest[0]) {
			t.Errorf("version %v: another manifest (%v)", v, err)
		}
		if v != nil && (r.Version != "3.1" || !bytes.Contains(c.Text, []byte("people"))) {
			t.Errorf("version %q, texts %q", r.Version, c.Text)
		}
	}
}

// TestImportComparesPayloads checks that a payload which no signature covers is
// compared with its digest before anybody is sent it.
func TestImportComparesPayloads(t *testing.T) {
	accept := func(*suit.Envelope) error { return nil }
	e, err := suit.Decode(envelope(t, 2, "", "fw", "modem"), suit.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := rollout.ImportRelease("R", "r", "x", e.Encode(), nil, accept, time.Time{}); err != nil {
		t.Errorf("ImportRelease = %v", err)
	}
	e.Integrated["#modem"] = []byte("something else")
	_, _, err = rollout.ImportRelease("R", "r", "x", e.Encode(), nil, accept, time.Time{})
	if !errors.Is(err, rollout.ErrRelease) {
		t.Errorf("ImportRelease of another payload = %v, want ErrRelease", err)
	}
}
