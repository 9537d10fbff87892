// Package servertest holds a Store in memory, and the suite that every Store
// must pass.
package servertest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

// A Store is a server.Store in memory. The zero Store is empty and ready.
type Store struct {
	mu     sync.Mutex
	byID   map[string]server.Registration
	wanted map[fleet.ID]map[string]server.Wish // by names
	values map[fleet.ID]map[lwm2m.Path]Value
	rows   []audit.Row

	template server.Template
	profiles []server.LearnedProfile
}

// KeepProfile implements server.Profiles.
func (s *Store) KeepProfile(_ context.Context, p server.LearnedProfile) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, q := range s.profiles {
		if q.Secure == p.Secure && q.ID == p.ID {
			s.profiles[i] = p
			return nil
		}
	}
	s.profiles = append(s.profiles, p)
	s.profiles = s.profiles[max(len(s.profiles)-server.MaxProfiles, 0):]
	return nil
}

// EachProfile implements server.Profiles.
func (s *Store) EachProfile(_ context.Context, fn func(server.LearnedProfile)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.profiles {
		fn(p)
	}
	return nil
}

// A Value is the last known value of a path.
type Value struct {
	lwm2m.Value

	From server.Source
	At   time.Time
}

// Register implements server.Registrations.
func (s *Store) Register(_ context.Context, r server.Registration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byID == nil {
		s.byID = map[string]server.Registration{}
	}
	for id, old := range s.byID {
		if old.Device == r.Device {
			r.Rhythm = old.Rhythm
			delete(s.byID, id)
		}
	}
	s.byID[r.ID] = r
	s.audit("registration.register", r.Device)
	return nil
}

// Update implements server.Registrations.
func (s *Store) Update(_ context.Context, r server.Registration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.byID[r.ID]; !ok {
		return server.ErrNotRegistered
	}
	r.Rhythm = s.byID[r.ID].Rhythm
	s.byID[r.ID] = r
	s.audit("registration.update", r.Device)
	return nil
}

// Refresh implements server.Registrations.
func (s *Store) Refresh(_ context.Context, signs []server.Refresh) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range signs {
		r, ok := s.byID[n.ID]
		if !ok || r.Device != n.Device || !r.UpdatedAt.Before(n.UpdatedAt) {
			continue
		}
		r.Address, r.Lifetime, r.UpdatedAt, r.ExpiresAt = n.Address, n.Lifetime, n.UpdatedAt, n.ExpiresAt
		r.Rhythm = n.Rhythm
		s.byID[n.ID] = r
	}
	return nil
}

// Remove implements server.Registrations.
func (s *Store) Remove(_ context.Context, gone server.Registration, _, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.byID[gone.ID]
	if !ok || r.Device != gone.Device {
		return server.ErrNotRegistered
	}
	delete(s.byID, r.ID)
	s.audit("registration.remove", r.Device)
	return nil
}

// EachRegistration implements server.Registrations.
func (s *Store) EachRegistration(_ context.Context, fn func(server.Registration)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.byID {
		fn(r)
	}
	return nil
}

// Registered returns the registration that is stored of a device, and whether there
// is one.
func (s *Store) Registered(device fleet.ID) (server.Registration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.byID {
		if r.Device == device {
			return r, true
		}
	}
	return server.Registration{}, false
}

// Record implements server.Values.
func (s *Store) Record(_ context.Context, reports []server.Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.values == nil {
		s.values = map[fleet.ID]map[lwm2m.Path]Value{}
	}
	for _, r := range reports {
		if s.values[r.Device] == nil {
			s.values[r.Device] = map[lwm2m.Path]Value{}
		}
		if r.Past || s.values[r.Device][r.Entry.Path].At.After(r.At) {
			continue
		}
		s.values[r.Device][r.Entry.Path] = Value{r.Entry.Value, r.From, r.At}
	}
	return nil
}

// Want implements server.Values.
func (s *Store) Want(_ context.Context, device fleet.ID, t server.Target, on bool, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == nil {
		s.wanted = map[fleet.ID]map[string]server.Wish{}
	}
	if s.wanted[device] == nil {
		s.wanted[device] = map[string]server.Wish{}
	}
	old, had := s.wanted[device][t.Names()]
	if on == had && (!on || old.Target == t) {
		return nil
	}
	if on {
		s.wanted[device][t.Names()] = server.Wish{Target: t}
	} else {
		delete(s.wanted[device], t.Names())
	}
	action := "observation.want"
	if !on {
		action = "observation.cancel"
	}
	s.audit(action, device)
	return nil
}

// SetTemplate makes t the only template, for all devices; one without targets is none.
func (s *Store) SetTemplate(t server.Template) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.template = t
}

// Wanted implements server.Values.
func (s *Store) Wanted(_ context.Context, device fleet.ID) ([]server.Wish, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []server.Wish
	for _, w := range s.wanted[device] {
		out = append(out, w)
	}
	for _, t := range s.template.Targets {
		if _, own := s.wanted[device][t.Names()]; !own {
			out = append(out, server.Wish{Target: t, Template: s.template.Name})
		}
	}
	slices.SortFunc(out, func(a, b server.Wish) int { return strings.Compare(a.Names(), b.Names()) })
	return out, nil
}

// Value returns the last known value of p, and whether there is one.
func (s *Store) Value(device fleet.ID, p lwm2m.Path) (Value, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.values[device][p]
	return v, ok
}

// Registrations returns how many there are.
func (s *Store) Registrations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byID)
}

// Audited returns the actions of the rows written so far.
func (s *Store) Audited() (actions []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		actions = append(actions, r.Action)
	}
	return actions
}

func (s *Store) audit(action string, device fleet.ID) {
	s.rows = append(s.rows, audit.Row{Action: action, Subject: string(device)})
}
