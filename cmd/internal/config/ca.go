package config

import "fmt"

// A Hierarchy is how a provider's CA is placed when it is made.
type Hierarchy string

// The hierarchies. Two providers with HierarchySubordinate may be below one
// permanent CA.
const (
	HierarchyOwn         Hierarchy = "own"         // a root of its own, an issuing CA below
	HierarchySubordinate Hierarchy = "subordinate" // an issuing CA below somebody else's
	HierarchySingle      Hierarchy = "single"      // a root that issues everything, factory certificates too
)

// CA says how the provider's CA is made.
type CA struct {
	// Hierarchy is that of a CA to be made. "": own, or what there is.
	Hierarchy Hierarchy `toml:"hierarchy"`
}

func (c CA) check() error {
	switch c.Hierarchy {
	case "", HierarchyOwn, HierarchySubordinate, HierarchySingle:
		return nil
	}
	return fmt.Errorf("%w: ca.hierarchy: %.40q; own, subordinate or single", ErrConfig, c.Hierarchy)
}
