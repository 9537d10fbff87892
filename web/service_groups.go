package web

import (
	"context"
	"time"
	"unicode"
)

// Groups keeps sets of devices with names: lists that people keep, and filters. What
// a person may do can be bounded by groups, so nobody whose rights are may change them.
type Groups interface {
	// Groups returns all groups in order of their names; there are 200 at most.
	Groups(ctx context.Context) ([]Group, error)
	// Group returns the group called name.
	Group(ctx context.Context, name string) (Group, error)
	// PutGroup stores g in place of that of the same name; the members of a static
	// group stay. It returns ErrConflict for another kind than before.
	PutGroup(ctx context.Context, by Actor, g Group) (Group, error)
	// RemoveGroup deletes a group, not its devices.
	RemoveGroup(ctx context.Context, by Actor, name string) error
	// ChangeMembers adds devices to a static group and takes others out. It returns
	// ErrConflict for a dynamic one.
	ChangeMembers(ctx context.Context, by Actor, name string, c MemberChange) (Group, error)
	// Contains reports whether a device, by its id or "ep:" and its endpoint, is in a
	// group now. It costs two look-ups by key, however large group and inventory are.
	// A device that nobody knows is in none.
	Contains(ctx context.Context, name, device string) (bool, error)
}

// A GroupKind says how a group has its devices.
type GroupKind string

// The kinds of groups.
const (
	GroupStatic  GroupKind = "static"  // those that people put in
	GroupDynamic GroupKind = "dynamic" // those that a filter selects, whenever it is asked
)

// A Group is a set of devices with a name.
type Group struct {
	Name        string    `json:"name"`
	Kind        GroupKind `json:"kind"`
	Filter      string    `json:"filter,omitempty"` // of a dynamic one: a DeviceFilter as the query of an address
	Description string    `json:"description,omitempty"`
	Members     int       `json:"members"` // of a static one
	CreatedAt   time.Time `json:"created_at,omitzero"`
	CreatedBy   string    `json:"created_by,omitempty"`
}

// A MemberChange adds devices to a group and takes others out.
type MemberChange struct {
	Add    Array[string] `json:"add,omitempty"` // ids, or "ep:" and endpoints
	Remove Array[string] `json:"remove,omitempty"`
	Reason string        `json:"reason,omitempty"`
}

// maxGroupName is the longest name of a group, in characters.
const maxGroupName = 64

// CheckGroupName returns ErrInvalid for a name that no group may have: it is 1 to 64
// letters, digits, spaces and . _ -, and neither begins nor ends with a space.
func CheckGroupName(name string) error {
	runes := []rune(name)
	good := len(runes) > 0 && len(runes) <= maxGroupName && runes[0] != ' ' && runes[len(runes)-1] != ' ' &&
		name != "." && name != ".."
	for _, r := range runes {
		good = good && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == ' ' || r == '.' || r == '_' || r == '-')
	}
	if !good {
		return Invalid("name", "1 to 64 letters, digits, spaces and . _ -")
	}
	return nil
}

func (missing) Groups(context.Context) ([]Group, error) { return nil, ErrNotBuilt }

func (missing) Group(context.Context, string) (Group, error) { return Group{}, ErrNotBuilt }

func (missing) PutGroup(context.Context, Actor, Group) (Group, error) { return Group{}, ErrNotBuilt }

func (missing) RemoveGroup(context.Context, Actor, string) error { return ErrNotBuilt }

func (missing) ChangeMembers(context.Context, Actor, string, MemberChange) (Group, error) {
	return Group{}, ErrNotBuilt
}

func (missing) Contains(context.Context, string, string) (bool, error) { return false, ErrNotBuilt }
