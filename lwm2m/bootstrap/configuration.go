package bootstrap

import (
	"fmt"
	"slices"

	"steward/lwm2m"
)

// The objects of accounts (Core 1.2.2 §E).
const (
	securityObject = 0
	serverObject   = 1
	deviceObject   = 3

	securityURI       = 0
	securityBootstrap = 1
	securityShort     = 10
	serverShort       = 0
)

// Limits of a configuration.
const (
	maxAccounts  = 16
	maxInstances = 64
)

// A Configuration is what a device is to hold after its bootstrap.
type Configuration struct {
	Accounts []Account  // the servers, each once
	Objects  []Instance // whatever else, such as instances of object 2
	// Purge are objects of which every instance that is not wanted is deleted.
	// Objects 0 and 1 always are such; object 3 never is.
	Purge []uint16
}

// An Account is one server: instances of objects 0 and 1 with the same Short
// Server ID. Their instance identifiers are chosen for each device; the paths of
// entries count only below the instance.
type Account struct {
	Short    uint16 // 1..65534
	Security []lwm2m.Entry
	Server   []lwm2m.Entry
}

// An Instance is one instance of an object other than 0 and 1.
type Instance struct {
	Path    lwm2m.Path // two identifiers
	Entries []lwm2m.Entry
}

// Check returns ErrConfiguration, with the reason, for a configuration that
// cannot be written to any device.
func (c Configuration) Check() error {
	if len(c.Accounts) == 0 || len(c.Accounts) > maxAccounts {
		return fmt.Errorf("%w: %d server accounts, want 1 to %d", ErrConfiguration, len(c.Accounts), maxAccounts)
	}
	var seen []uint16
	for _, a := range c.Accounts {
		if a.Short == 0 || a.Short == lwm2m.NoID || slices.Contains(seen, a.Short) {
			return fmt.Errorf("%w: Short Server ID %d is reserved or given twice", ErrConfiguration, a.Short)
		}
		seen = append(seen, a.Short)
		if err := a.check(); err != nil {
			return err
		}
	}
	if err := checkInstances(c.Objects); err != nil {
		return err
	}
	if slices.Contains(c.Purge, deviceObject) {
		return fmt.Errorf("%w: object 3 is never deleted", ErrConfiguration)
	}
	return nil
}

// checkInstances checks what a device is to hold beside its accounts.
func checkInstances(all []Instance) error {
	if len(all) > maxInstances {
		return fmt.Errorf("%w: %d object instances, at most %d", ErrConfiguration, len(all), maxInstances)
	}
	for _, i := range all {
		if i.Path.Len() != 2 || len(i.Entries) == 0 || i.Path.Gateway() != "" {
			return fmt.Errorf("%w: %s is no object instance with values", ErrConfiguration, i.Path)
		}
		if o := i.Path.Object(); o == securityObject || o == serverObject {
			return fmt.Errorf("%w: %s belongs to an account", ErrConfiguration, i.Path)
		}
	}
	return nil
}

// check holds an account's entries against its Short Server ID.
func (a Account) check() error {
	short, ok := number(a.Security, securityShort)
	if !ok || short != int64(a.Short) {
		return fmt.Errorf("%w: /0/x/10 is not %d", ErrConfiguration, a.Short)
	}
	if short, ok = number(a.Server, serverShort); !ok || short != int64(a.Short) {
		return fmt.Errorf("%w: /1/x/0 is not %d", ErrConfiguration, a.Short)
	}
	if v, ok := resource(a.Security, securityURI); !ok || v.Text() == "" {
		return fmt.Errorf("%w: server %d has no URI", ErrConfiguration, a.Short)
	}
	if v, ok := resource(a.Security, securityBootstrap); ok {
		if itself, isBool := v.Bool(); !isBool || itself {
			return fmt.Errorf("%w: server %d is marked as a Bootstrap-Server", ErrConfiguration, a.Short)
		}
	}
	return nil
}

// resource returns the value of a single resource among an instance's entries.
func resource(entries []lwm2m.Entry, id uint16) (lwm2m.Value, bool) {
	for _, e := range entries {
		if e.Path.Len() == 3 && e.Path.ID(2) == id {
			return e.Value, true
		}
	}
	return lwm2m.Value{}, false
}

// number returns an integer resource, of whichever integer kind.
func number(entries []lwm2m.Entry, id uint16) (int64, bool) {
	v, ok := resource(entries, id)
	if !ok {
		return 0, false
	}
	if i, isInt := v.Int(); isInt {
		return i, true
	}
	u, isUint := v.Uint()
	return int64(u), isUint && u <= 1<<32 //nolint:gosec // G115: bounded
}

// under returns entries as those of the instance at base.
func under(base lwm2m.Path, entries []lwm2m.Entry) []lwm2m.Entry {
	out := make([]lwm2m.Entry, 0, len(entries))
	for _, e := range entries {
		p := base
		for i := 2; i < e.Path.Len(); i++ {
			p = p.Child(e.Path.ID(i))
		}
		e.Path = p
		out = append(out, e)
	}
	return out
}
