package objects

import "steward/lwm2m"

// AccessControlID is the object id of LwM2M Access Control (Core 1.2.2 §E.3).
const AccessControlID = 2

// Resources of LwM2M Access Control.
const (
	AccessObject   = 0
	AccessInstance = 1
	AccessList     = 2
	AccessOwner    = 3
)

// Rights is a set of operations that a server may perform on an instance.
type Rights uint16

// The rights of resource /2/x/2.
const (
	RightRead    Rights = 1 << iota // Read, Observe, Discover, Write-Attributes
	RightWrite                      // Write
	RightExecute                    // Execute
	RightDelete                     // Delete
	RightCreate                     // Create; means something for a whole object only
)

// Has reports whether all of r are in the set.
func (s Rights) Has(r Rights) bool { return s&r == r }

// AccessControl is an instance of LwM2M Access Control: who may do what with
// one object instance.
type AccessControl struct {
	Object   uint16
	Instance uint16            // lwm2m.NoID: the right to create instances of Object
	List     map[uint16]Rights // by short server id; 0 is the default for servers not listed
	Owner    uint16            // short server id; lwm2m.NoID: bootstrap
}

func (a *AccessControl) fields() []field {
	return []field{
		single(AccessObject, &a.Object, integer[uint16]()),
		single(AccessInstance, &a.Instance, integer[uint16]()),
		multiple(AccessList, &a.List, integer[Rights]()),
		single(AccessOwner, &a.Owner, integer[uint16]()),
	}
}

// DecodeAccessControl reads the instance at base.
func DecodeAccessControl(base lwm2m.Path, entries []lwm2m.Entry) (AccessControl, error) {
	return decode(base, entries, (*AccessControl).fields)
}

// Entries returns a as the instance at base.
func (a AccessControl) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, a.fields()) }
