package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"steward/suit/rollout"
)

// insertParts stores the parts of a release in chunks.
func (tx *Tx) insertParts(release string, c rollout.Content) error {
	for _, part := range []struct {
		name rollout.Part
		data []byte
	}{{rollout.PartPush, c.Push}, {rollout.PartPull, c.Pull}, {rollout.PartImage, c.Image}} {
		for n := 0; n*rollout.ChunkSize < len(part.data); n++ {
			piece := part.data[n*rollout.ChunkSize : min((n+1)*rollout.ChunkSize, len(part.data))]
			if _, err := tx.Exec("chunk.insert", release, string(part.name), n, piece); err != nil {
				return err
			}
		}
	}
	_, err := tx.Exec("release.insert_content", release, marker(c.Push), marker(c.Pull), marker(c.Image))
	return err
}

// marker stands for a part that is stored in chunks.
func marker(part []byte) []byte {
	if part == nil {
		return nil
	}
	return []byte{1}
}

// Length implements rollout.Contents.
func (s Rollout) Length(ctx context.Context, release string, p rollout.Part) (n int, err error) {
	err = s.db.QueryRow(ctx, "chunk.length", release, string(p)).Scan(&n)
	if err == nil && n == 0 {
		err = rollout.ErrUnknown
	}
	return n, err
}

// Chunk implements rollout.Contents.
func (s Rollout) Chunk(ctx context.Context, release string, p rollout.Part, n int) (data []byte, err error) {
	err = s.db.QueryRow(ctx, "chunk.get", release, string(p), n).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		err = rollout.ErrUnknown
	}
	return data, err
}

// whole puts a part together; nil if marker is.
func (s Rollout) whole(ctx context.Context, release string, p rollout.Part, marker []byte) ([]byte, error) {
	if marker == nil {
		return nil, nil
	}
	rows, err := s.db.Query(ctx, "chunk.all", release, string(p))
	if err != nil {
		return nil, err
	}
	all := []byte{}
	pieces, err := collect(rows, func(r *sql.Rows) (data []byte, err error) {
		err = r.Scan(&data)
		return data, err
	})
	for _, piece := range pieces {
		all = append(all, piece...)
	}
	return all, err
}
