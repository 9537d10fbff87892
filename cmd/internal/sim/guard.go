package sim

import (
	"context"
	"errors"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/client"
	"steward/lwm2m/coap"
	"steward/transfer"
)

// requestKey marks the context of a request from a server, as opposed to what the
// client reads for itself.
type requestKey struct{}

// guardPatience is how long a request of the new provider's server waits for the
// device to note that it is registered there: the server may ask as soon as it
// has answered.
const guardPatience = 10 * time.Second

// guarded is an object behind the rule table of the trust transfer (§3).
type guarded struct {
	client.Object

	l *life
}

// permit returns nil if the rule table lets the peer of s do op at p.
func (l *life) permit(ctx context.Context, s client.Session, op transfer.Operation, p lwm2m.Path) error {
	patience := time.NewTimer(guardPatience)
	defer patience.Stop()
	ids := l.d.b.IDs()
	place := transfer.PlaceOf(p, transfer.ObjectIDs{
		Truststore: ids.Truststore, Enrolment: ids.Enrolment, Transfer: ids.Transfer,
	})
	_, asked := ctx.Value(requestKey{}).(bool)
	for {
		l.mu.Lock()
		state, changed, party := l.state, l.changed, l.party(s.Peer)
		l.mu.Unlock()
		if transfer.Permitted(state, party, op, place) {
			return nil
		}
		registering := state == transfer.Register && party == transfer.NewDM
		if registering && !asked && p.Object() == serverID && op == transfer.OpRead {
			return nil // the client looks up its own settings
		}
		if !registering || !asked {
			return client.ErrUnauthorized
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return client.ErrUnauthorized
		case <-patience.C:
			return client.ErrUnauthorized
		}
	}
}

// party returns what a peer is to the device. The caller holds mu.
func (l *life) party(p coap.Peer) transfer.Party {
	k := l.links.of(p)
	if k == nil {
		return transfer.AnyoneElse
	}
	for _, anchor := range k.stands {
		if party := l.tr.PartyOf(anchor, k.host); party != transfer.AnyoneElse {
			return party
		}
	}
	return transfer.AnyoneElse
}

// Read implements client.Object.
func (g guarded) Read(ctx context.Context, s client.Session, p lwm2m.Path) ([]lwm2m.Entry, error) {
	if err := g.l.permit(ctx, s, transfer.OpRead, p); err != nil {
		return nil, err
	}
	return g.Object.Read(ctx, s, p)
}

// Write implements client.Object.
func (g guarded) Write(
	ctx context.Context, s client.Session, p lwm2m.Path, entries []lwm2m.Entry, replace bool,
) error {
	if err := g.l.permit(ctx, s, transfer.OpWrite, p); err != nil {
		return err
	}
	return g.Object.Write(ctx, s, p, entries, replace)
}

// Execute implements client.Object.
func (g guarded) Execute(ctx context.Context, s client.Session, p lwm2m.Path, args string) error {
	if err := g.l.permit(ctx, s, transfer.OpExecute, p); err != nil {
		return err
	}
	return g.Object.Execute(ctx, s, p, args)
}

// Create implements client.Object.
func (g guarded) Create(
	ctx context.Context, s client.Session, instance int, entries []lwm2m.Entry,
) (uint16, error) {
	if err := g.l.permit(ctx, s, transfer.OpCreate, lwm2m.NewPath(g.ID())); err != nil {
		return 0, err
	}
	return g.Object.Create(ctx, s, instance, entries)
}

// Delete implements client.Object.
func (g guarded) Delete(ctx context.Context, s client.Session, p lwm2m.Path) error {
	if err := g.l.permit(ctx, s, transfer.OpDelete, p); err != nil {
		return err
	}
	return g.Object.Delete(ctx, s, p)
}

// Resources implements client.Lister.
func (g guarded) Resources(instance uint16) []uint16 {
	if lister, ok := g.Object.(client.Lister); ok {
		return lister.Resources(instance)
	}
	return nil
}

// Watch implements client.Watcher.
func (g guarded) Watch(changed func(...lwm2m.Path)) {
	if watcher, ok := g.Object.(client.Watcher); ok {
		watcher.Watch(changed)
	}
}

// answers translates what the transfer's machine refuses into response codes.
var answers = []struct { // never changed
	err  error
	code coap.Code
}{
	{transfer.ErrNoAnchor, coap.NotFound},
	{transfer.ErrSignerBits, coap.Unauthorized},
	{transfer.ErrState, coap.MethodNotAllowed},
	{transfer.ErrBusy, coap.ServiceUnavailable},
	{transfer.ErrFull, coap.RequestEntityTooLarge},
	{ErrNotImplemented, coap.NotImplemented},
}

// answer makes err, of the transfer's machine, what a server gets to see.
func answer(err error) error {
	if err == nil {
		return nil
	}
	code := coap.BadRequest
	for _, a := range answers {
		if errors.Is(err, a.err) {
			code = a.code
			break
		}
	}
	return &client.CodeError{Code: code, Diagnostic: err.Error()}
}
