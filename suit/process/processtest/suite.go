package processtest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"steward/suit"
	"steward/suit/process"
)

// A Fixture opens the target under test for TestTarget.
type Fixture struct {
	// Component is one that the target has, with a capacity of at least 64 bytes;
	// Other is another.
	Component, Other suit.ComponentID
	// Open starts the device on its storage, new or as the last one left it.
	Open func(t *testing.T) process.Target
}

// TestTarget checks the contract of process.Target and process.Staging. newFixture
// returns a device on which nothing was installed and whose components hold
// nothing.
func TestTarget(t *testing.T, newFixture func(t *testing.T) Fixture) {
	t.Helper()
	rows := []struct {
		name string
		test func(*testing.T, Fixture)
	}{
		{"a new device", testNew},
		{"nothing shows before the commit", testCommit},
		{"an interrupted write is resumed", testResume},
		{"another update drops what was staged", testOther},
		{"discard drops what was staged", testDiscard},
		{"capacity is respected", testCapacity},
		{"swap exchanges", testSwap},
		{"booting changes nothing", testBoot},
		{"what is removed is absent", testRemove},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) { row.test(t, newFixture(t)) })
	}
}

// manifestA and manifestB are the digests of two updates.
func manifestA() suit.Digest { return suit.Digest{Algorithm: suit.SHA256, Value: []byte("a")} }
func manifestB() suit.Digest { return suit.Digest{Algorithm: suit.SHA256, Value: []byte("b")} }

func want() process.Image {
	return process.Image{Source: "coap://h/fw", Digest: "SHA-256 00", Size: 8}
}

func begin(t *testing.T, target process.Target, manifest suit.Digest) process.Staging {
	t.Helper()
	area, err := target.Begin(t.Context(), manifest)
	if err != nil {
		t.Fatalf("Begin: %v", err)
	}
	return area
}

// put writes text to a component, completely or not.
func put(t *testing.T, area process.Staging, id suit.ComponentID, text string, complete bool) {
	t.Helper()
	w, offset, done, err := area.Create(t.Context(), id, want())
	if err != nil || offset != 0 || done {
		t.Fatalf("Create = offset %d, done %v, %v, want a new image", offset, done, err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatalf("Write: %v", err)
	}
	end := w.Close
	if complete {
		end = w.Complete
	}
	if err := end(); err != nil {
		t.Fatalf("ending the write: %v", err)
	}
}

// content reads a component as area sees it; empty if it is absent.
func content(t *testing.T, area process.Staging, id suit.ComponentID) string {
	t.Helper()
	r, err := area.Read(t.Context(), id)
	if errors.Is(err, process.ErrAbsent) {
		return ""
	}
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	raw, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("reading a component: %v", err)
	}
	return string(raw)
}

func expect(t *testing.T, area process.Staging, id suit.ComponentID, text string) {
	t.Helper()
	if got := content(t, area, id); got != text {
		t.Errorf("component %v holds %q, want %q", id, got, text)
	}
}

func commit(t *testing.T, area process.Staging, sequence uint64) process.Installed {
	t.Helper()
	in := process.Installed{Sequence: sequence, Manifest: manifestA(), Envelope: []byte("envelope")}
	if err := area.Commit(t.Context(), in); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return in
}

func testNew(t *testing.T, f Fixture) {
	t.Helper()
	target := f.Open(t)
	if _, ok, err := target.Installed(t.Context()); ok || err != nil {
		t.Errorf("Installed = %v, %v on a new device", ok, err)
	}
	if _, err := target.Component(t.Context(), f.Component); err != nil {
		t.Errorf("Component: %v", err)
	}
	missing := suit.ComponentPath("no/such/component")
	if _, err := target.Component(t.Context(), missing); !errors.Is(err, process.ErrNoComponent) {
		t.Errorf("Component = %v, want %v", err, process.ErrNoComponent)
	}
	area := begin(t, target, manifestA())
	if _, err := area.Read(t.Context(), f.Component); !errors.Is(err, process.ErrAbsent) {
		t.Errorf("Read = %v, want %v", err, process.ErrAbsent)
	}
	if _, _, _, err := area.Create(t.Context(), missing, want()); !errors.Is(err, process.ErrNoComponent) {
		t.Errorf("Create = %v, want %v", err, process.ErrNoComponent)
	}
}

func testCommit(t *testing.T, f Fixture) {
	t.Helper()
	target := f.Open(t)
	area := begin(t, target, manifestA())
	put(t, area, f.Component, "firmware", true)
	expect(t, area, f.Component, "firmware")
	boot, err := f.Open(t).Boot(t.Context(), manifestA())
	if err != nil {
		t.Fatalf("Boot: %v", err)
	}
	expect(t, boot, f.Component, "")
	in := commit(t, area, 7)
	target = f.Open(t)
	got, ok, err := target.Installed(t.Context())
	if err != nil || !ok || got.Sequence != in.Sequence || !got.Manifest.Equal(in.Manifest) ||
		!bytes.Equal(got.Envelope, in.Envelope) {
		t.Errorf("Installed = %+v, %v, %v, want %+v", got, ok, err, in)
	}
	expect(t, begin(t, target, manifestB()), f.Component, "firmware")
}

func testResume(t *testing.T, f Fixture) {
	t.Helper()
	put(t, begin(t, f.Open(t), manifestA()), f.Component, "firm", false)
	area := begin(t, f.Open(t), manifestA())
	expect(t, area, f.Component, "")
	w, offset, done, err := area.Create(t.Context(), f.Component, want())
	if err != nil || offset != 4 || done {
		t.Fatalf("Create = offset %d, done %v, %v, want 4, false", offset, done, err)
	}
	if _, err := io.WriteString(w, "ware"); err != nil {
		t.Fatalf("Write: %v", err)
	}
	if err := w.Complete(); err != nil {
		t.Fatalf("Complete: %v", err)
	}
	area = begin(t, f.Open(t), manifestA())
	expect(t, area, f.Component, "") // until it is created again
	if _, _, done, err := area.Create(t.Context(), f.Component, want()); err != nil || !done {
		t.Errorf("Create = done %v, %v, want true", done, err)
	}
	expect(t, area, f.Component, "firmware")
	anonymous := want()
	anonymous.Digest = ""
	if _, offset, done, err := area.Create(t.Context(), f.Component, anonymous); offset != 0 || done || err != nil {
		t.Errorf("Create without digest = offset %d, done %v, %v, want 0, false", offset, done, err)
	}
}

func testOther(t *testing.T, f Fixture) {
	t.Helper()
	put(t, begin(t, f.Open(t), manifestA()), f.Component, "firmware", true)
	area := begin(t, f.Open(t), manifestB())
	expect(t, area, f.Component, "")
	put(t, area, f.Component, "other", false)
}

func testDiscard(t *testing.T, f Fixture) {
	t.Helper()
	area := begin(t, f.Open(t), manifestA())
	put(t, area, f.Component, "firmware", true)
	if err := area.Discard(t.Context()); err != nil {
		t.Fatalf("Discard: %v", err)
	}
	area = begin(t, f.Open(t), manifestA())
	expect(t, area, f.Component, "")
	put(t, area, f.Component, "other", true)
}

func testCapacity(t *testing.T, f Fixture) {
	t.Helper()
	target := f.Open(t)
	c, err := target.Component(t.Context(), f.Component)
	if err != nil {
		t.Fatalf("Component: %v", err)
	}
	area := begin(t, target, manifestA())
	large := process.Image{Source: "s", Size: c.Capacity + 1}
	if _, _, _, err := area.Create(t.Context(), f.Component, large); !errors.Is(err, process.ErrNoSpace) {
		t.Errorf("Create = %v, want %v", err, process.ErrNoSpace)
	}
	w, _, _, err := area.Create(t.Context(), f.Component, process.Image{Source: "s"})
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	if _, err := w.Write(make([]byte, c.Capacity+1)); !errors.Is(err, process.ErrNoSpace) {
		t.Errorf("Write = %v, want %v", err, process.ErrNoSpace)
	}
	if err := w.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func testSwap(t *testing.T, f Fixture) {
	t.Helper()
	area := begin(t, f.Open(t), manifestA())
	put(t, area, f.Component, "firmware", true)
	if err := area.Swap(t.Context(), f.Component, f.Other); !errors.Is(err, process.ErrAbsent) {
		t.Errorf("Swap = %v, want %v", err, process.ErrAbsent)
	}
	put(t, area, f.Other, "staged", true)
	if err := area.Swap(t.Context(), f.Component, f.Other); err != nil {
		t.Fatalf("Swap: %v", err)
	}
	commit(t, area, 1)
	area = begin(t, f.Open(t), manifestB())
	expect(t, area, f.Component, "staged")
	expect(t, area, f.Other, "firmware")
}

func testBoot(t *testing.T, f Fixture) {
	t.Helper()
	target := f.Open(t)
	area := begin(t, target, manifestA())
	put(t, area, f.Component, "firmware", true)
	commit(t, area, 1)
	boot, err := target.Boot(t.Context(), manifestA())
	if err != nil {
		t.Fatalf("Boot: %v", err)
	}
	expect(t, boot, f.Component, "firmware")
	put(t, boot, f.Other, "loaded", true)
	expect(t, boot, f.Other, "loaded")
	if err := target.Invoke(t.Context(), boot, f.Component, nil); err != nil {
		t.Errorf("Invoke: %v", err)
	}
	expect(t, begin(t, f.Open(t), manifestB()), f.Other, "")
}

// testRemove concerns targets that can empty components.
func testRemove(t *testing.T, f Fixture) {
	t.Helper()
	area := begin(t, f.Open(t), manifestA())
	remover, ok := area.(process.Remover)
	if !ok {
		t.Skip("this target empties no component")
	}
	put(t, area, f.Component, "firmware", true)
	if err := remover.Remove(t.Context(), f.Component); err != nil {
		t.Fatalf("Remove: %v", err)
	}
	expect(t, area, f.Component, "")
	if err := remover.Remove(t.Context(), suit.ComponentPath("no/such")); !errors.Is(err, process.ErrNoComponent) {
		t.Errorf("Remove = %v, want %v", err, process.ErrNoComponent)
	}
	commit(t, area, 1)
	expect(t, begin(t, f.Open(t), manifestB()), f.Component, "")
}
