package server

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/linkformat"
)

// Limits of an object list: far above what devices send, far below what hurts.
const (
	maxLinks   = 2048 // objects and instances of one device
	maxFormats = 32   // about thrice as many as there are
	maxSegment = 255  // bytes of a Uri-Path option (RFC 7252 §5.10)
	maxRoot    = 8    // segments of an alternate path
)

// applyLinks replaces the object list (§6.2.1). An Update that does not repeat
// the root link leaves alternate path and formats as they were, one that repeats it
// without "ct", as Leshan does, the formats.
func (r *Registration) applyLinks(body []byte) error {
	links, err := linkformat.Parse(string(body))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrParameter, err)
	}
	if len(links) > maxLinks {
		return fmt.Errorf("%w: %d links", ErrParameter, len(links))
	}
	if i := slices.IndexFunc(links, isRoot); i >= 0 {
		root, err := parseRoot(links[i].Target)
		if err != nil {
			return err
		}
		r.Root = root
		if announced, ok := links[i].Attribute("ct"); ok {
			r.Formats = formats(announced)
		}
	}
	r.Objects = objectLinks(links, r.Root)
	if len(r.Objects) == 0 {
		return fmt.Errorf("%w: no object in the list", ErrParameter)
	}
	return nil
}

// isRoot reports whether the link is that of the root: by its resource type,
// which may be one of several (RFC 6690 §3.1).
func isRoot(l linkformat.Link) bool {
	types, _ := l.Attribute("rt")
	return l.Target == "/" || slices.Contains(strings.Fields(types), "oma.lwm2m")
}

// parseRoot checks an alternate path: it must be one that requests can name.
func parseRoot(target string) (string, error) {
	root := strings.TrimSuffix(target, "/")
	if root == "" {
		return "", nil
	}
	rest, ok := strings.CutPrefix(root, "/")
	segments := strings.Split(rest, "/")
	if !ok || strings.ContainsAny(rest, "?#") || len(segments) > maxRoot {
		return "", fmt.Errorf("%w: root %.80q", ErrParameter, target)
	}
	for _, s := range segments {
		plain, err := url.PathUnescape(s)
		if err != nil || plain == "" || len(plain) > maxSegment {
			return "", fmt.Errorf("%w: root %.80q", ErrParameter, target)
		}
	}
	return root, nil
}

// objectLinks returns the objects and instances among the links, sorted, each
// once. Other resources of the device are none of our business.
func objectLinks(links []linkformat.Link, root string) []ObjectLink {
	var out []ObjectLink
	for _, l := range links {
		p, err := l.Path(root)
		if err != nil || p.Len() == 0 || p.Len() > 2 {
			continue
		}
		out = append(out, ObjectLink{Path: p, Version: version(l)})
	}
	// The link that names a version goes first, and is the one that stays.
	slices.SortStableFunc(out, func(a, b ObjectLink) int {
		if c := a.Path.Compare(b.Path); c != 0 {
			return c
		}
		return strings.Compare(b.Version, a.Version)
	})
	return slices.CompactFunc(out, func(a, b ObjectLink) bool { return a.Path == b.Path })
}

// version reads "ver", "" if it is absent or none.
func version(l linkformat.Link) string {
	v, _ := l.Attribute("ver")
	major, minor, ok := strings.Cut(v, ".")
	if _, err := strconv.ParseUint(major, 10, 8); err != nil || !ok {
		return ""
	}
	if _, err := strconv.ParseUint(minor, 10, 8); err != nil {
		return ""
	}
	return v
}

// formats reads "ct" of the root link: numbers separated by spaces.
func formats(ct string) (out []uint16) {
	for f := range strings.FieldsSeq(ct) {
		n, err := strconv.ParseUint(f, 10, 16)
		if err == nil && len(out) < maxFormats && !slices.Contains(out, uint16(n)) {
			out = append(out, uint16(n))
		}
	}
	return out
}

// pathsBelow rewrites the targets of links that were discovered below base without
// the alternate path, and drops those that are no path of the object tree. Behind a
// gateway they have the prefix of base, which may be missing in what it answers.
func pathsBelow(links []linkformat.Link, root string, base lwm2m.Path) []linkformat.Link {
	out := make([]linkformat.Link, 0, len(links))
	for _, l := range links {
		p, err := l.Path(root)
		if prefix := base.Gateway(); err != nil && prefix != "" {
			p, err = l.Path(root + "/" + prefix)
		}
		if err != nil {
			continue
		}
		out = append(out, linkformat.Link{Target: p.Under(base).String(), Attributes: l.Attributes})
	}
	return out
}

// instances returns the instances of the object at base that discovered links name.
func instances(links []linkformat.Link, base lwm2m.Path) (out []lwm2m.Path) {
	for _, l := range links {
		p, err := lwm2m.ParseNode(l.Target)
		if err == nil && p.Len() == 2 && base.Contains(p) {
			out = append(out, p)
		}
	}
	return out
}
