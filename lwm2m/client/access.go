package client

import (
	"context"
	"fmt"
	"slices"

	"steward/lwm2m"
)

// Resources and rights of object Access Control (Core 1.2.2 §E.3).
const (
	accessOf       = 0 // object
	accessInstance = 1
	accessList     = 2
	accessOwner    = 3

	rightRead    = 1 << 0 // also Observe, Discover and Write-Attributes
	rightWrite   = 1 << 1
	rightExecute = 1 << 2
	rightDelete  = 1 << 3
	rightCreate  = 1 << 4
	rightsOwner  = rightRead | rightWrite | rightExecute | rightDelete
)

// may returns ErrUnauthorized unless the server of s has a right at p, by object
// Access Control (§8.2). Without that object, and with one server, all is
// permitted.
func (c *Client) may(ctx context.Context, s Session, p lwm2m.Path, right uint64) error {
	if !c.controlled(s) || c.rights(ctx, s, p)&right != 0 {
		return nil
	}
	return fmt.Errorf("%w: access to %v", ErrUnauthorized, p)
}

// controlled reports whether access rights count for the session.
func (c *Client) controlled(s Session) bool {
	if _, ok := c.objects[accessObject]; !ok || s.Bootstrap {
		return false
	}
	server, ok := c.objects[serverObject]
	return !ok || len(server.Instances()) > 1
}

// rights returns what the server of s may do at p: at an instance, or for an
// object, whether it may create and, as far as instances allow, read.
func (c *Client) rights(ctx context.Context, s Session, p lwm2m.Path) uint64 {
	instance := uint16(lwm2m.NoID)
	if p.Len() > 1 {
		instance = p.ID(1)
	}
	switch {
	case p.Object() == accessObject && p.Len() == 1:
		return rightRead
	case p.Object() == accessObject:
		if owner, _ := c.value(ctx, s, p.Prefix(2).Child(accessOwner)).Uint(); owner == uint64(s.Server) {
			return rightRead | rightWrite
		}
		return rightRead
	case p.Object() == serverObject && p.Len() > 1:
		if short, _ := c.value(ctx, s, p.Prefix(2).Child(shortServer)).Uint(); short == uint64(s.Server) {
			return rightsOwner &^ rightDelete
		}
	}
	granted := c.granted(ctx, s, p.Object(), instance)
	if p.Len() == 1 {
		return granted | rightRead // what is below is looked at one by one
	}
	return granted
}

// granted looks for the instance of Access Control that speaks of an object
// instance, and returns what it says of the server.
func (c *Client) granted(ctx context.Context, s Session, object, instance uint16) uint64 {
	at, ok := c.accessTo(ctx, s, object, instance)
	if !ok {
		return 0
	}
	list := at.Child(accessList)
	if own, ok := c.value(ctx, s, list.Child(s.Server)).Uint(); ok {
		return own
	}
	if owner, ok := c.value(ctx, s, at.Child(accessOwner)).Uint(); ok && owner == uint64(s.Server) {
		return rightsOwner
	}
	others, _ := c.value(ctx, s, list.Child(0)).Uint()
	return others
}

// accessTo returns the instance of Access Control for an object instance.
func (c *Client) accessTo(ctx context.Context, s Session, object, instance uint16) (lwm2m.Path, bool) {
	for _, id := range c.objects[accessObject].Instances() {
		at := lwm2m.NewPath(accessObject, id)
		of, _ := c.value(ctx, s, at.Child(accessOf)).Uint()
		which, _ := c.value(ctx, s, at.Child(accessInstance)).Uint()
		if of == uint64(object) && which == uint64(instance) {
			return at, true
		}
	}
	return lwm2m.Path{}, false
}

// visible returns the entries that the server of s may read, and ErrUnauthorized
// if these are none of some.
func (c *Client) visible(ctx context.Context, s Session, p lwm2m.Path, entries []lwm2m.Entry) ([]lwm2m.Entry, error) {
	if !c.controlled(s) || len(entries) == 0 {
		return entries, nil
	}
	allowed := map[lwm2m.Path]bool{}
	out := slices.DeleteFunc(entries, func(e lwm2m.Entry) bool {
		at := e.Path.Prefix(instanceDepth)
		ok, known := allowed[at]
		if !known {
			ok = c.may(ctx, s, at, rightRead) == nil
			allowed[at] = ok
		}
		return !ok
	})
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: access to %v", ErrUnauthorized, p)
	}
	return out, nil
}

// owned makes the server of s the owner of an instance that it has created.
func (c *Client) owned(ctx context.Context, s Session, p lwm2m.Path) error {
	access, ok := c.objects[accessObject].(Provisioner)
	if !ok || !c.controlled(s) {
		return nil
	}
	taken := c.objects[accessObject].Instances()
	for id := range uint16(lwm2m.NoID) {
		if slices.Contains(taken, id) {
			continue
		}
		at := lwm2m.NewPath(accessObject, id)
		return access.Provision(ctx, s, at, []lwm2m.Entry{
			{Path: at.Child(accessOf), Value: lwm2m.Integer(int64(p.Object()))},
			{Path: at.Child(accessInstance), Value: lwm2m.Integer(int64(p.ID(1)))},
			{Path: at.Child(accessList).Child(s.Server), Value: lwm2m.Integer(rightsOwner)},
			{Path: at.Child(accessOwner), Value: lwm2m.Integer(int64(s.Server))},
		})
	}
	return nil
}

// disowned forgets the rights to an instance that is gone.
func (c *Client) disowned(ctx context.Context, s Session, p lwm2m.Path) error {
	access, ok := c.objects[accessObject].(Provisioner)
	if !ok || !c.controlled(s) {
		return nil
	}
	if at, ok := c.accessTo(ctx, s, p.Object(), p.ID(1)); ok {
		return access.Erase(ctx, s, at)
	}
	return nil
}
