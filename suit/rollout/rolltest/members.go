package rolltest

import (
	"cmp"
	"context"
	"slices"

	"steward/lwm2m/fleet"
	"steward/suit/rollout"
)

// Know tells the Store of devices. Their tags are not kept: a Filter by tag fits
// none.
func (s *Store) Know(devices ...rollout.Candidate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices = append(s.devices, devices...)
	slices.SortFunc(s.devices, func(a, b rollout.Candidate) int { return cmp.Compare(a.Device, b.Device) })
}

// Candidates implements rollout.Members.
func (s *Store) Candidates(_ context.Context, f rollout.Filter, without string, after fleet.ID, limit int) (
	out []rollout.Candidate, err error,
) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		fits := (f.Manufacturer == "" || f.Manufacturer == d.Manufacturer) && (f.Model == "" || f.Model == d.Model) &&
			(f.Version == "" || f.Version == d.Version) && (f.Class == "" || f.Class == s.class(d.Device)) && f.Tag == ""
		_, in := s.jobs[key{without, d.Device}]
		if fits && !in && d.Device > after && len(out) < limit {
			out = append(out, s.known(d))
		}
	}
	return out, nil
}

// Known implements rollout.Members.
func (s *Store) Known(_ context.Context, ids []fleet.ID) (out []rollout.Candidate, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if slices.Contains(ids, d.Device) {
			out = append(out, s.known(d))
		}
	}
	return out, nil
}

// known adds what jobs tell of a device. The caller holds mu.
func (s *Store) known(d rollout.Candidate) rollout.Candidate {
	d.Sequence = s.installed[d.Device].Sequence
	if j, ok := s.open(d.Device); ok {
		c, _ := find(s.campaigns, func(c rollout.Campaign) bool { return c.ID == j.Campaign })
		d.Busy = c.Name
	}
	return d
}

func (s *Store) class(device fleet.ID) string {
	r, _ := find(s.releases, func(r rollout.Release) bool { return r.ID == s.installed[device].Release })
	return r.Class
}

// Installed implements rollout.Members.
func (s *Store) Installed(_ context.Context, device fleet.ID) ([]rollout.Installed, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.installed[device]
	if !ok {
		return nil, nil
	}
	return []rollout.Installed{i}, nil
}
