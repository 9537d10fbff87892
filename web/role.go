package web

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// A Role says what a person or a token may do: one word, or several joined by
// "+". Viewers are included in every other role, all roles in that of
// administrators. Releases, operations and keys are apart: who decides what may
// be installed does not thereby command devices, nor does who revokes.
type Role string

// The roles.
const (
	RoleNone     Role = ""         // nobody: signed out
	RoleViewer   Role = "viewer"   // sees everything but secrets
	RoleOperator Role = "operator" // commands devices, runs campaigns, drafts transfers
	RoleRelease  Role = "release"  // adds, approves and withdraws releases
	RoleSecurity Role = "security" // revokes, decides on certificates, sets keys of devices and factories
	RoleAdmin    Role = "admin"    // all of that; approves transfers, adds partners and people
)

// ErrRole reports a word that names no role.
var ErrRole = errors.New("unknown role")

// Roles lists the roles, the least first.
func Roles() []Role {
	return []Role{RoleViewer, RoleOperator, RoleRelease, RoleSecurity, RoleAdmin}
}

// AnyOf returns the need that each of roles meets.
func AnyOf(roles ...Role) Role {
	words := make([]string, len(roles))
	for i, r := range roles {
		words[i] = string(r)
	}
	return Role(strings.Join(words, "+"))
}

// ParseRole returns the role called name, its words in order and without those
// that others include. It returns ErrRole for others, the empty one included.
func ParseRole(name string) (Role, error) {
	has := map[Role]bool{}
	for word := range strings.SplitSeq(name, "+") {
		if !slices.Contains(Roles(), Role(word)) {
			return RoleNone, ErrRole
		}
		has[Role(word)] = true
	}
	if has[RoleAdmin] {
		return RoleAdmin, nil
	}
	if len(has) > 1 {
		delete(has, RoleViewer)
	}
	var roles []Role
	for _, r := range Roles() {
		if has[r] {
			roles = append(roles, r)
		}
	}
	return AnyOf(roles...), nil
}

// Includes reports whether who has role r may do what needs role need: of several
// words, one is enough. A word that is no role includes nothing but RoleNone.
func (r Role) Includes(need Role) bool {
	if need == RoleNone {
		return true
	}
	for has := range strings.SplitSeq(string(r), "+") {
		for want := range strings.SplitSeq(string(need), "+") {
			if Role(has).includes(Role(want)) {
				return true
			}
		}
	}
	return false
}

// includes compares single words.
func (r Role) includes(need Role) bool {
	if !slices.Contains(Roles(), r) {
		return false
	}
	return r == need || r == RoleAdmin || need == RoleViewer
}

// Covers reports whether r may do all that other may: who has r may give other
// away.
func (r Role) Covers(other Role) bool {
	for word := range strings.SplitSeq(string(other), "+") {
		if !r.Includes(Role(word)) {
			return false
		}
	}
	return true
}

// A Scope says which devices a person or a token sees and touches: those of the
// groups that it names, joined by commas. The empty one is all devices.
type Scope string

// maxScope bounds the groups of a scope: each is asked at each call.
const maxScope = 16

// ErrScope reports names that cannot be groups.
var ErrScope = errors.New("unusable groups")

// ParseScope returns the scope of groups, sorted and each once. It returns ErrScope
// for what is no name of a group, and for more than 16.
func ParseScope(groups []string) (Scope, error) {
	sorted := slices.Compact(slices.Sorted(slices.Values(groups)))
	for _, g := range sorted {
		if CheckGroupName(g) != nil {
			return "", ErrScope
		}
	}
	if len(sorted) > maxScope {
		return "", ErrScope
	}
	return Scope(strings.Join(sorted, ",")), nil
}

// All reports whether s is all devices.
func (s Scope) All() bool { return s == "" }

// Groups returns the groups in order; nil for all devices.
func (s Scope) Groups() []string {
	if s == "" {
		return nil
	}
	return strings.Split(string(s), ",")
}

// Covers reports whether whoever has s may give other away.
func (s Scope) Covers(other Scope) bool {
	if s.All() {
		return true
	}
	if other.All() {
		return false
	}
	own := s.Groups()
	for _, g := range other.Groups() {
		if !slices.Contains(own, g) {
			return false
		}
	}
	return true
}

// MarshalJSON writes the groups as an array.
func (s Scope) MarshalJSON() ([]byte, error) {
	groups := s.Groups()
	if groups == nil {
		groups = []string{}
	}
	return json.Marshal(groups)
}

// UnmarshalJSON reads an array of groups.
func (s *Scope) UnmarshalJSON(text []byte) error {
	var groups []string
	if err := json.Unmarshal(text, &groups); err != nil {
		return err
	}
	var err error
	*s, err = ParseScope(groups)
	return err
}
