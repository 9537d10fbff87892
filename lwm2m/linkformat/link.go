// Package linkformat reads and writes CoRE links (RFC 6690 §2), the format of
// registrations and of the answers to Discover.
package linkformat

import (
	"errors"
	"fmt"
	"strings"

	"steward/lwm2m"
)

// Limits on a list of links, checked before anything is kept of it.
const (
	MaxLength     = 256 << 10 // bytes; a thousand instances take about ten thousand
	MaxLinks      = 8192      // Discover at depth 3 on the largest objects gives hundreds
	MaxAttributes = 32        // of one link; the standard knows about twenty
)

var (
	// ErrSyntax reports text that is not a list of links.
	ErrSyntax = errors.New("malformed link")
	// ErrDuplicate reports an attribute given twice in one link.
	ErrDuplicate = errors.New("attribute given twice")
	// ErrLimit reports a list beyond MaxLength, MaxLinks or MaxAttributes.
	ErrLimit = errors.New("too many links")
)

// A Link is one link: where it points and what is said about that.
type Link struct {
	Target     string // as written between the angle brackets
	Attributes []Attribute
}

// An Attribute is one parameter of a link.
type Attribute struct {
	Name     string
	Value    string // without quotes
	HasValue bool   // ";obs" and ";obs=" are different
}

// Attribute returns the value of the attribute called name and whether the link
// has such an attribute.
func (l Link) Attribute(name string) (string, bool) {
	for _, a := range l.Attributes {
		if a.Name == name {
			return a.Value, true
		}
	}
	return "", false
}

// Path returns the node that l points to below root, the alternate path of a
// client ("" or "/" for none). A slash at the end of the target is ignored, as
// bootstrap Discover prints one. It returns lwm2m.ErrPath.
func (l Link) Path(root string) (lwm2m.Path, error) {
	rest, ok := strings.CutPrefix(l.Target, strings.TrimSuffix(root, "/"))
	if !ok || (rest != "" && rest[0] != '/') {
		return lwm2m.Path{}, fmt.Errorf("%w: %q is not below %q", lwm2m.ErrPath, l.Target, root)
	}
	rest = strings.TrimSuffix(rest, "/")
	if rest == "" {
		rest = "/"
	}
	return lwm2m.ParsePath(rest)
}
