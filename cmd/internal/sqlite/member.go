package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// Candidates implements rollout.Members.
func (s Rollout) Candidates(ctx context.Context, f rollout.Filter, without string, after fleet.ID, limit int) (
	[]rollout.Candidate, error,
) {
	rows, err := s.db.Query(ctx, "member.candidates", f.Manufacturer, f.Model, f.Class, f.Tag, f.Version, without,
		string(after), limit)
	if err != nil {
		return nil, err
	}
	return collect(rows, scanCandidate)
}

func scanCandidate(r *sql.Rows) (c rollout.Candidate, err error) {
	err = r.Scan(&c.Device, &c.Endpoint, &c.Ownership, &c.Manufacturer, &c.Model, &c.Version, &c.Registered,
		&c.Sequence, &c.Busy)
	return c, err
}

// Known implements rollout.Members.
func (s Rollout) Known(ctx context.Context, ids []fleet.ID) ([]rollout.Candidate, error) {
	list, err := json.Marshal(append([]fleet.ID{}, ids...))
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, "member.known", string(list))
	if err != nil {
		return nil, err
	}
	return collect(rows, scanCandidate)
}

// Installed implements rollout.Members.
func (s Rollout) Installed(ctx context.Context, device fleet.ID) ([]rollout.Installed, error) {
	all, err := s.noted(ctx, "installed_manifest.of_device", device)
	if err != nil {
		return nil, err
	}
	own, err := s.lastDone(ctx, device)
	return append(all, own...), err
}

// lastDone returns what our last update has installed, if there was one.
func (s Rollout) lastDone(ctx context.Context, device fleet.ID) ([]rollout.Installed, error) {
	var details string
	var delivery rollout.Delivery
	err := s.db.QueryRow(ctx, "job.last_done", string(device)).Scan(&details, &delivery)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r rollout.Release
	if err := json.Unmarshal([]byte(details), &r); err != nil {
		return nil, err
	}
	return []rollout.Installed{{Digest: r.ManifestOf(delivery), Sequence: r.Sequence, Release: r.ID}}, nil
}
