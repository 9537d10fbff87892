package lwm2m

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrQuery reports query parameters that cannot be read.
var ErrQuery = errors.New("malformed query")

// MaxParameters is the number of parameters in the longest query: Register has
// seven, Write-Attributes ten.
const MaxParameters = 16

// A Parameter is one Uri-Query option, "name" or "name=value".
type Parameter struct {
	Name, Value string
	HasValue    bool // "pmin" and "pmin=" are different
}

// String returns the text of the option.
func (p Parameter) String() string {
	if p.HasValue {
		return p.Name + "=" + p.Value
	}
	return p.Name
}

// ParseQuery reads Uri-Query options. It returns ErrQuery if there are too many
// of them or one has no name or comes twice.
func ParseQuery(options []string) ([]Parameter, error) {
	if len(options) > MaxParameters {
		return nil, fmt.Errorf("%w: %d parameters", ErrQuery, len(options))
	}
	out := make([]Parameter, 0, len(options))
	for _, o := range options {
		var p Parameter
		p.Name, p.Value, p.HasValue = strings.Cut(o, "=")
		if p.Name == "" || strings.ContainsFunc(o, isControl) {
			return nil, fmt.Errorf("%w: %q", ErrQuery, o)
		}
		for _, q := range out {
			if q.Name == p.Name {
				return nil, fmt.Errorf("%w: %q twice", ErrQuery, p.Name)
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// A Profile is one identifier of a "pid" parameter (§6.2.1): the hash of an
// object list, or a name that OMA or a vendor gave to one.
type Profile struct {
	Suite int    // RFC 6920 §9.4 suite identifier, 1..6; 0 for a name
	Hash  string // lower-case hex; "" for a name
	Name  string // such as "oma:x" or "v:x"; "" for a hash
}

// String returns the identifier as it stands in "pid".
func (p Profile) String() string {
	if p.Name != "" {
		return p.Name
	}
	return strconv.Itoa(p.Suite) + ":" + p.Hash
}

// ParseProfiles reads the value of "pid": one identifier or a comma-separated
// list, in quotes or not. It returns ErrQuery.
func ParseProfiles(text string) ([]Profile, error) {
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' {
		text = text[1 : n-1]
	}
	var out []Profile
	for one := range strings.SplitSeq(text, ",") {
		scheme, rest, ok := strings.Cut(one, ":")
		switch {
		case !ok || rest == "" || len(out) == MaxParameters:
			return nil, fmt.Errorf("%w: profile %q", ErrQuery, one)
		case scheme == "oma" || scheme == "v":
			out = append(out, Profile{Name: one})
		case len(scheme) == 1 && scheme[0] >= '1' && scheme[0] <= '6' && strings.Trim(rest, "0123456789abcdef") == "":
			out = append(out, Profile{Suite: int(scheme[0] - '0'), Hash: rest})
		default:
			return nil, fmt.Errorf("%w: profile %q", ErrQuery, one)
		}
	}
	return out, nil
}
