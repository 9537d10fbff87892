package client

import (
	"context"
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/coap"
)

// A Session is who asks for an operation: the server account behind the
// association that the request came by.
type Session struct {
	Identity  coap.Identity // what the server proved
	Server    uint16        // short server id; 0 if the account has none
	Bootstrap bool          // the account of a bootstrap server
	Peer      coap.Peer
}

// An Object is one LwM2M object of the device. Its methods are called
// concurrently and must not wait for the Client: of its methods they may call
// Changed, SetLifetime, RequestUpdate and Detach.
//
// Errors become response codes: ErrNotFound, ErrMethodNotAllowed,
// ErrUnauthorized and ErrBadRequest, a *CodeError for any other code, and 5.00
// for every error else. The Client has checked before that instances exist and
// that the schema, where it knows the resource, allows the operation.
type Object interface {
	// ID returns the object id.
	ID() uint16
	// Version returns the version of the object's definition, such as "1.1".
	Version() string
	// Instances returns the ids of the instances that exist, ascending.
	Instances() []uint16
	// Read returns the values at and below p: the object, an instance, a
	// resource or a resource instance. Of an instance it leaves out what cannot
	// be read.
	Read(ctx context.Context, s Session, p lwm2m.Path) ([]lwm2m.Entry, error)
	// Write changes the node at p, an instance or below. All entries stand at or
	// below p. With replace, what is not listed goes: the resource instances of
	// a multiple resource, the optional resources of an instance.
	Write(ctx context.Context, s Session, p lwm2m.Path, entries []lwm2m.Entry, replace bool) error
	// Execute runs the resource at p. The arguments are well-formed.
	Execute(ctx context.Context, s Session, p lwm2m.Path, args string) error
	// Create makes an instance and returns its id. If instance is -1 the object
	// chooses one, and the entries stand below instance lwm2m.NoID.
	Create(ctx context.Context, s Session, instance int, entries []lwm2m.Entry) (uint16, error)
	// Delete removes an instance, or an instance of a multiple resource.
	Delete(ctx context.Context, s Session, p lwm2m.Path) error
}

// A Lister is an Object that knows its resources, also those that cannot be
// read; Discover asks it. Of other objects it shows what can be read.
type Lister interface {
	// Resources returns the ids of the resources of an instance, ascending.
	Resources(instance uint16) []uint16
}

// A Watcher is an Object whose values change by themselves.
type Watcher interface {
	// Watch sets the function to call, with the paths, after values changed. It
	// does not block.
	Watch(changed func(...lwm2m.Path))
}

// hidden reports whether no device management server may ever see the object
// (Core 1.2.2 §E.1, §E.21): Security, OSCORE, COSE.
func hidden(object uint16) bool { return object == 0 || object == 21 || object == 23 }

// find returns the object at the top of p and checks what all operations have
// in common: the object is there and visible, and so is the instance if p has
// one.
func (c *Client) find(s Session, p lwm2m.Path) (Object, error) {
	if p.Len() == 0 {
		return nil, ErrMethodNotAllowed
	}
	if hidden(p.Object()) && !s.Bootstrap {
		return nil, ErrUnauthorized
	}
	o, ok := c.objects[p.Object()]
	if !ok || (p.Len() > 1 && !hasInstance(o, p.ID(1))) {
		return nil, ErrNotFound
	}
	if p.Len() == lwm2m.MaxDepth && c.o.Version == lwm2m.Version10 {
		return nil, ErrMethodNotAllowed // resource instances have paths since 1.1
	}
	return o, nil
}

func hasInstance(o Object, id uint16) bool {
	return slices.Contains(o.Instances(), id)
}

// allows reports whether the resource at or above p supports op. What the
// schema does not know is for the object to judge, and bootstrap may do all.
func (c *Client) allows(s Session, p lwm2m.Path, op lwm2m.Operations) bool {
	if p.Len() < 3 || s.Bootstrap || c.o.Schema == nil {
		return true
	}
	info, known := c.o.Schema.Resource(p.Object(), p.ID(2))
	return !known || info.Operations.Has(op)
}
