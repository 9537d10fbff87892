package rolltest

import (
	"context"

	"steward/suit/rollout"
)

// part returns a part of a release; nil: there is none.
func (s *Store) part(release string, p rollout.Part) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.contents[release]
	return map[rollout.Part][]byte{
		rollout.PartPush: c.Push, rollout.PartPull: c.Pull, rollout.PartImage: c.Image, rollout.PartText: c.Text,
		rollout.PartCipher: c.Cipher, rollout.PartKey: c.Key,
	}[p]
}

// Length implements rollout.Contents.
func (s *Store) Length(_ context.Context, release string, p rollout.Part) (int, error) {
	if all := s.part(release, p); all != nil {
		return len(all), nil
	}
	return 0, rollout.ErrUnknown
}

// Chunk implements rollout.Contents.
func (s *Store) Chunk(_ context.Context, release string, p rollout.Part, n int) ([]byte, error) {
	all := s.part(release, p)
	if n < 0 || n*rollout.ChunkSize >= len(all) {
		return nil, rollout.ErrUnknown
	}
	return all[n*rollout.ChunkSize : min((n+1)*rollout.ChunkSize, len(all))], nil
}
