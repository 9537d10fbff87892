package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// Limits of what is known of profiles; the oldest give way.
const (
	// MaxProfiles is the number of profiles that are known at a time.
	MaxProfiles     = 1024
	maxProfileLinks = 1 << 16 // of all of them: some 2 MB
	// maxKeptLinks is the longest profile that outlasts a restart: all that are kept are
	// read at the start.
	maxKeptLinks = 256
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

// A LearnedProfile is a profile as the Store keeps it.
type LearnedProfile struct {
	Secure   bool // learned of a device that proved who it is
	ID       lwm2m.Profile
	Root     string
	Formats  []uint16
	Objects  []ObjectLink
	Disputed bool // devices told different lists
}

// profiles are those that devices taught. A device that names one that is unknown gets
// 4.09, registers with its list, and teaches it.
type profiles struct {
	mu    sync.Mutex
	known map[profileKey]profile
	order []profileKey // the oldest first
	links int          // of all of them
}

// determine finds out what objects a device has, by the list in body and the
// profiles that it names. It returns ErrProfile if these do not tell.
func (s *Server) determine(
	ctx context.Context, r *Registration, p parameters, body []byte, who coap.Identity,
) error {
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
	learned, err := s.profiles.merge(r, keys)
	if err == nil && learned != nil && len(learned.Objects) <= maxKeptLinks {
		// The device is registered without it as well; another one teaches it again.
		s.failed(ctx, "profile of devices", s.o.Store.KeepProfile(ctx, *learned))
	}
	return err
}

// merge adds the objects of profiles to those of a list, or learns the profile of a
// list that is whole: that is returned, if it is news.
func (f *profiles) merge(r *Registration, keys []profileKey) (*LearnedProfile, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.whole() {
		if len(keys) == 1 {
			return f.learn(keys[0], profile{objects: r.Objects, root: r.Root, formats: r.Formats}), nil
		}
		return nil, nil //nolint:nilnil // there is nothing new
	}
	for _, k := range keys {
		known, ok := f.known[k]
		if !ok || known.disputed {
			return nil, ErrProfile
		}
		if r.Root == "" && len(r.Formats) == 0 {
			r.Root, r.Formats = known.root, known.formats
		}
		r.Objects = mergeLinks(r.Objects, known.objects)
	}
	if len(r.Objects) > maxLinks {
		return nil, fmt.Errorf("%w: %d links with those of the profiles", ErrParameter, len(r.Objects))
	}
	return nil, nil //nolint:nilnil // there is nothing new
}

// whole reports whether the list stands for itself: it has the objects that every
// device has, Server and Device. What comes beside a profile has not.
func (r *Registration) whole() bool { return r.Has(lwm2m.NewPath(1)) && r.Has(lwm2m.NewPath(3)) }

// learn notes what a profile stands for, and returns it if it is news. The caller
// holds mu.
func (f *profiles) learn(k profileKey, p profile) *LearnedProfile {
	old, known := f.known[k]
	if known {
		// A whole list may hold more than its profile, but not less.
		if !old.disputed && len(mergeLinks(p.objects, old.objects)) != len(p.objects) {
			f.links -= len(old.objects)
			f.known[k] = profile{disputed: true}
			return &LearnedProfile{Secure: k.secure, ID: k.id, Disputed: true}
		}
		return nil
	}
	for len(f.order) == MaxProfiles || f.links+len(p.objects) > maxProfileLinks {
		f.links -= len(f.known[f.order[0]].objects)
		delete(f.known, f.order[0])
		f.order = slices.Delete(f.order, 0, 1)
	}
	f.order = append(f.order, k)
	f.links += len(p.objects)
	f.known[k] = p
	return &LearnedProfile{
		Secure: k.secure, ID: k.id, Root: p.root, Formats: p.formats, Objects: p.objects, Disputed: p.disputed,
	}
}

// remember takes over what was learned in an earlier run of the program.
func (f *profiles) remember(p LearnedProfile) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.learn(profileKey{p.Secure, p.ID}, profile{
		objects: p.Objects, root: p.Root, formats: p.Formats, disputed: p.Disputed,
	})
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
