// Package objects gives Go types to the objects that Steward itself works with:
// the core objects 0 to 5 of LwM2M, those that updates use, and the three objects
// of the trust transfer, whose ids are configuration. Each type converts to and from the entries that
// codecs read and write; everything else about objects is in objects/registry.
//
// Decoding takes the entries below one object instance and ignores the others,
// and resources that the type does not have, for those are never errors (Core
// 1.2.2 §5.1). It returns ErrMissing if a mandatory resource is absent, ErrType
// if a value has another type or range, and ErrShape if a single resource came
// with resource instances or the reverse.
package objects

import (
	"errors"
	"fmt"

	"steward/lwm2m"
	"steward/objects/registry"
)

// Errors of the Decode functions.
var (
	ErrMissing = errors.New("mandatory resource missing")
	ErrType    = errors.New("resource of the wrong type")
	ErrShape   = errors.New("single resource with instances, or multiple one without")
)

// ErrIDs reports object ids that cannot be used for the custom objects.
var ErrIDs = errors.New("unusable object ids")

// The range of object ids that OMA reserves for tests. Products must not ship
// with an id of it.
const (
	testFirst = 42769
	testLast  = 42800
)

// IDs are the object ids under which devices and servers of one deployment know
// the three objects of the trust transfer.
type IDs struct {
	Truststore uint16
	Enrolment  uint16
	Transfer   uint16
}

// DefaultIDs are ids of OMA's test range, for demonstrations and tests.
var DefaultIDs = IDs{Truststore: 42769, Enrolment: 42770, Transfer: 42771}

// Validate returns ErrIDs unless the ids are three different ones that the OMA
// registry gives to no other object. Ids of the test range need allowTest.
func (ids IDs) Validate(allowTest bool) error {
	all := [...]uint16{ids.Truststore, ids.Enrolment, ids.Transfer}
	for i, id := range all {
		if id == lwm2m.NoID {
			return fmt.Errorf("%w: %d names nothing", ErrIDs, id)
		}
		if o, taken := registry.Default().Object(id); taken {
			return fmt.Errorf("%w: %d is %q", ErrIDs, id, o.Name)
		}
		if id >= testFirst && id <= testLast && !allowTest {
			return fmt.Errorf("%w: %d is of the test range, which must not ship", ErrIDs, id)
		}
		if id == all[(i+1)%len(all)] {
			return fmt.Errorf("%w: %d twice", ErrIDs, id)
		}
	}
	return nil
}

// Definitions describes the three objects under the given ids, for a registry.
func Definitions(ids IDs) []registry.Object {
	define := func(id uint16, name string, multiple bool, resources []registry.Resource) registry.Object {
		return registry.Object{
			ID: id, Version: "1.0", LwM2M: "1.1", Name: name, URN: fmt.Sprintf("urn:oma:lwm2m:x:%d", id),
			Multiple: multiple, Resources: resources,
		}
	}
	return []registry.Object{
		define(ids.Truststore, "Truststore", true, truststoreResources()),
		define(ids.Enrolment, "Enrolment", false, enrolmentResources()),
		define(ids.Transfer, "Trust Transfer", false, transferResources()),
	}
}

// Combinations of operations, as definitions write them.
const (
	opR  = lwm2m.OpRead
	opW  = lwm2m.OpWrite
	opRW = lwm2m.OpRead | lwm2m.OpWrite
	opE  = lwm2m.OpExecute
)

func resource(id uint16, name string, ops lwm2m.Operations, kind lwm2m.Kind, mandatory bool) registry.Resource {
	return registry.Resource{ID: id, ResourceInfo: lwm2m.ResourceInfo{
		Name: name, Kind: kind, Operations: ops, Mandatory: mandatory,
	}}
}
