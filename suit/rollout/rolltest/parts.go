package rolltest

import (
	"bytes"
	"errors"
	"testing"

	"steward/suit/rollout"
)

// A ContentStore keeps releases and reads their parts piece by piece.
type ContentStore interface {
	rollout.Releases
	rollout.Contents
}

// TestContents checks that a Store keeps the promises of rollout.Contents. open
// returns an empty one.
func TestContents(t *testing.T, open func(t *testing.T) ContentStore) {
	t.Helper()
	s, ctx := open(t), t.Context()
	long := bytes.Repeat([]byte("0123456789abcdef"), rollout.ChunkSize/8) // two chunks
	c := rollout.Content{Push: long[:rollout.ChunkSize+1], Image: long, Text: long[:rollout.ChunkSize+7]}
	c.Cipher, c.Key = long[5:], long[:rollout.ChunkSize+9]
	if err := s.AddRelease(ctx, release("01", 1), c); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[rollout.Part][]byte{
		rollout.PartPush: c.Push, rollout.PartImage: c.Image, rollout.PartText: c.Text,
		rollout.PartCipher: c.Cipher, rollout.PartKey: c.Key,
	} {
		testPart(t, s, part, want)
	}
	if _, err := s.Length(ctx, "01", rollout.PartPull); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("Length of no part = %v, want ErrUnknown", err)
	}
	if _, err := s.Chunk(ctx, "02", rollout.PartPush, 0); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("Chunk of no release = %v, want ErrUnknown", err)
	}
	if got, err := s.Content(ctx, "01"); err != nil || !bytes.Equal(got.Image, c.Image) || got.Pull != nil ||
		!bytes.Equal(got.Text, c.Text) {
		t.Errorf("Content = %d, %d, %d bytes, %v", len(got.Push), len(got.Pull), len(got.Image), err)
	}
}

func testPart(t *testing.T, s ContentStore, part rollout.Part, want []byte) {
	t.Helper()
	ctx := t.Context()
	if n, err := s.Length(ctx, "01", part); err != nil || n != len(want) {
		t.Errorf("Length(%s) = %d, %v, want %d", part, n, err, len(want))
	}
	var got []byte
	for n := range 2 {
		piece, err := s.Chunk(ctx, "01", part, n)
		if err != nil || len(piece) > rollout.ChunkSize {
			t.Errorf("Chunk(%s, %d) = %d bytes, %v", part, n, len(piece), err)
		}
		got = append(got, piece...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s came back as %d other bytes", part, len(got))
	}
	if _, err := s.Chunk(ctx, "01", part, 2); !errors.Is(err, rollout.ErrUnknown) {
		t.Errorf("Chunk(%s) beyond the end = %v, want ErrUnknown", part, err)
	}
}
