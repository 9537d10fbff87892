package lwm2m

import (
	"fmt"
	"strings"
	"unique"
)

// maxPrefix is the length in bytes of the longest prefix of a device behind a
// gateway; known gateways number their devices with a few letters in front.
const maxPrefix = 64

// ParseNode is ParsePath for text that may have the prefix of a device behind a
// gateway in front, as in "/d01/3/0/0" (Gateway 1.1 §7). It returns ErrPath.
func ParseNode(text string) (Path, error) {
	rest, ok := strings.CutPrefix(text, "/")
	first, ids, more := strings.Cut(rest, "/")
	if !ok || first == "" || isDigit(first[0]) {
		return ParsePath(text)
	}
	if !more {
		return Path{}.Behind(first)
	}
	p, err := ParsePath("/" + ids)
	if err == nil && p.Len() == 0 {
		err = fmt.Errorf("%w: %q ends with a slash", ErrPath, text)
	}
	if err != nil {
		return Path{}, err
	}
	return p.Behind(first)
}

// Behind returns the node at p of the device that a gateway has under the prefix.
// It returns ErrPath for a prefix that no request can name, or that begins with a
// digit like the identifier of an object: those devices cannot be told from objects.
func (p Path) Behind(prefix string) (Path, error) {
	if prefix == "" || len(prefix) > maxPrefix || isDigit(prefix[0]) || strings.Trim(prefix, ".") == "" {
		return Path{}, fmt.Errorf("%w: prefix %.80q", ErrPath, prefix)
	}
	for i := range len(prefix) {
		if !unreserved(prefix[i]) {
			return Path{}, fmt.Errorf("%w: prefix %.80q", ErrPath, prefix)
		}
	}
	p.behind = unique.Make(prefix)
	return p, nil
}

// Gateway returns the prefix of the device behind a gateway that has the node, ""
// for a node of the device itself.
func (p Path) Gateway() string {
	if p.behind == (unique.Handle[string]{}) {
		return ""
	}
	return p.behind.Value()
}

// Own returns p as the device behind the gateway itself names it.
func (p Path) Own() Path {
	p.behind = unique.Handle[string]{}
	return p
}

// Under returns p behind the same gateway's device as q.
func (p Path) Under(q Path) Path {
	p.behind = q.behind
	return p
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// unreserved reports whether c stands for itself in a URI (RFC 3986 §2.3).
func unreserved(c byte) bool {
	return isDigit(c) || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-._~", c) >= 0
}
