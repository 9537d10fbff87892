package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"

	"steward/lwm2m"
	"steward/lwm2m/server"
)

// learned is the JSON of a server.LearnedProfile beside its key.
type learned struct {
	Root     string   `json:"root,omitempty"`
	Formats  []uint16 `json:"formats,omitempty"`
	Objects  []link   `json:"objects,omitempty"`
	Disputed bool     `json:"disputed,omitempty"`
}

// KeepProfile implements server.Profiles.
func (s Server) KeepProfile(ctx context.Context, p server.LearnedProfile) error {
	out := learned{Root: p.Root, Formats: p.Formats, Disputed: p.Disputed}
	for _, o := range p.Objects {
		out.Objects = append(out.Objects, link{o.Path.String(), o.Version})
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	return s.db.UpdateRepeatable(ctx, func(tx *Tx) error {
		if _, err := tx.Exec("learned_profile.put", p.Secure, p.ID.String(), string(text)); err != nil {
			return err
		}
		_, err := tx.Exec("learned_profile.trim", server.MaxProfiles)
		return err
	})
}

// EachProfile implements server.Profiles.
func (s Server) EachProfile(ctx context.Context, fn func(server.LearnedProfile)) error {
	rows, err := s.db.Query(ctx, "learned_profile.list")
	if err != nil {
		return err
	}
	all, err := collect(rows, scanProfileLearned)
	for _, p := range all {
		fn(p)
	}
	return err
}

func scanProfileLearned(r *sql.Rows) (p server.LearnedProfile, err error) {
	var id, text string
	if err := r.Scan(&p.Secure, &id, &text); err != nil {
		return p, err
	}
	ids, err := lwm2m.ParseProfiles(id)
	if err != nil {
		return p, err
	}
	var in learned
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return p, err
	}
	p.ID, p.Root, p.Formats, p.Disputed = ids[0], in.Root, in.Formats, in.Disputed
	for _, o := range in.Objects {
		at, err := lwm2m.ParsePath(o.Path)
		if err != nil {
			return p, err
		}
		p.Objects = append(p.Objects, server.ObjectLink{Path: at, Version: o.Version})
	}
	return p, nil
}
