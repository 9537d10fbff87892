package server

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// Limits of what is known of profiles; the oldest give way.
const (
	maxProfiles     = 1024
	maxProfileLinks = 1 << 16 // of all of them: some 2 MB
)

// A profileKey is a profile id. What devices without security teach counts for such
// devices only.
type profileKey struct {
	secure bool
	id     lwm2m.Profile
}

// A profile is the object list that a profile id stands for (§6.2.1), as a device
// told it that registered with both. How the hash in an id is made of a list is not
// said, so devices are believed.
type profile struct {
	objects  []ObjectLink
	root     string
	formats  []uint16
	disputed bool // devices told different lists: it counts for none
}

// profiles are those that devices taught. They are not kept: a device that names one
// that is unknown gets 4.09, registers with its list, and teaches it.
type profiles struct {
	mu    sync.Mutex
	known map[profileKey]profile
	order []profileKey // the oldest first
	links int          // of all of them
}

// determine finds out what objects a device has, by the list in body and the
// profiles that it names. It returns ErrProfile if these do not tell.
func (s *Server) determine(r *Registration, p parameters, body []byte, who coap.Identity) error {
	if !r.profiled(p) {
		return r.applyLinks(body)
	}
	ids, err := lwm2m.ParseProfiles(*p.profile)
	if err != nil {
		return err
	}
	r.Objects = nil
	if len(body) > 0 {
		if err := r.applyLinks(body); err != nil {
			return err
		}
	}
	keys := make([]profileKey, len(ids))
	for i, id := range ids {
		id.Hash, id.Name = strings.Clone(id.Hash), strings.Clone(id.Name) // not all of the message with them
		keys[i] = profileKey{who.Role != coap.RoleNone, id}
	}
	return s.profiles.merge(r, keys)
}

// merge adds the objects of profiles to those of a list, or learns the profile of a
// list that is whole.
func (f *profiles) merge(r *Registration, keys []profileKey) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.whole() {
		if len(keys) == 1 {
			f.learn(keys[0], profile{objects: r.Objects, root: r.Root, formats: r.Formats})
		}
		return nil
	}
	for _, k := range keys {
		known, ok := f.known[k]
		if !ok || known.disputed {
			return ErrProfile
		}
		if r.Root == "" && len(r.Formats) == 0 {
			r.Root, r.Formats = known.root, known.formats
		}
		r.Objects = mergeLinks(r.Objects, known.objects)
	}
	if len(r.Objects) > maxLinks {
		return fmt.Errorf("%w: %d links with those of the profiles", ErrParameter, len(r.Objects))
	}
	return nil
}

// whole reports whether the list stands for itself: it has the objects that every
// device has, Server and Device. What comes beside a profile has not.
func (r *Registration) whole() bool { return r.Has(lwm2m.NewPath(1)) && r.Has(lwm2m.NewPath(3)) }

// learn notes what a profile stands for. The caller holds mu.
func (f *profiles) learn(k profileKey, p profile) {
	old, known := f.known[k]
	if known {
		// A whole list may hold more than its profile, but not less.
		if !old.disputed && len(mergeLinks(p.objects, old.objects)) != len(p.objects) {
			f.links -= len(old.objects)
			f.known[k] = profile{disputed: true}
		}
		return
	}
	for len(f.order) == maxProfiles || f.links+len(p.objects) > maxProfileLinks {
		f.links -= len(f.known[f.order[0]].objects)
		delete(f.known, f.order[0])
		f.order = slices.Delete(f.order, 0, 1)
	}
	f.order = append(f.order, k)
	f.links += len(p.objects)
	f.known[k] = p
}

// mergeLinks returns the links of both lists, sorted, each once; those of the first
// count.
func mergeLinks(first, second []ObjectLink) []ObjectLink {
	if len(first) == 0 {
		return second
	}
	out := slices.Concat(first, second)
	slices.SortStableFunc(out, func(a, b ObjectLink) int { return a.Path.Compare(b.Path) })
	return slices.CompactFunc(out, func(a, b ObjectLink) bool { return a.Path == b.Path })
}
