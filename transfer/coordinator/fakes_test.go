package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// peers carries calls of one provider to the other, which identifies the caller by
// its TLS key as the listener does.
type peers struct{ from *provider }

func (p peers) Post(ctx context.Context, to coordinator.Partner, call coordinator.Call) ([]byte, error) {
	server, partner, err := p.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	fault := p.from.world.faults.Load().at(p.from, "posts "+string(call.Action))
	switch fault {
	case faultRequest:
		return nil, coordinator.ErrPartnerAway
	case faultHeld:
		go func() {
			time.Sleep(20 * time.Second)
			_, _ = server.coordinator().Receive(context.WithoutCancel(ctx), partner, call)
		}()
		return nil, coordinator.ErrPartnerAway
	case faultOff:
		p.from.world.devices[0].offFor(3 * testGrace)
	}
	server.mu.Lock()
	lost := server.lose[call.Action] > 0 || fault == faultAnswer
	server.lose[call.Action]--
	server.calls = append(server.calls, call)
	server.mu.Unlock()
	reply, err := server.coordinator().Receive(ctx, partner, call)
	if fault == faultTwice {
		reply, err = server.coordinator().Receive(ctx, partner, call)
	}
	if lost {
		return nil, coordinator.ErrPartnerAway
	}
	return reply.Body, wire(err)
}

func (p peers) Status(ctx context.Context, to coordinator.Partner, id string) (coordinator.Status, error) {
	server, partner, err := p.reach(ctx, to)
	if err != nil {
		return coordinator.Status{}, err
	}
	s, err := server.coordinator().StatusFor(ctx, partner, id)
	return s, wire(err)
}

func (p peers) Right(ctx context.Context, to coordinator.Partner, id, device string) ([]byte, error) {
	server, partner, err := p.reach(ctx, to)
	if err != nil {
		return nil, err
	}
	raw, err := server.coordinator().RightFor(ctx, partner, id, device)
	return raw, wire(err)
}

func (p peers) reach(ctx context.Context, to coordinator.Partner) (*provider, coordinator.Partner, error) {
	server := p.from.world.by(to.PeerURI)
	if server.unreachable() || p.from.unreachable() {
		return nil, coordinator.Partner{}, coordinator.ErrPartnerAway
	}
	partner, err := server.coordinator().Identify(ctx, coordinator.SPKI(parse(p.from.world.t, p.from.tls)), "192.0.2.1")
	return server, partner, wire(err)
}

// wire is what remains of an error on the way.
func wire(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, coordinator.ErrUnknown), errors.Is(err, coordinator.ErrState),
		errors.Is(err, coordinator.ErrInvalid), errors.Is(err, coordinator.ErrKeyReused):
		return fmt.Errorf("%w: %s", coordinator.ErrDeclined, err.Error())
	default:
		return fmt.Errorf("%w: %s", coordinator.ErrPartnerAway, err.Error())
	}
}

// devices is a provider's access to the devices that are registered with it.
type devices struct{ p *provider }

func (x devices) find(id fleet.ID) (*device, error) {
	if x.p.unreachable() {
		return nil, coordinator.ErrUnreachable
	}
	known, err := x.p.fleet.Device(context.Background(), id)
	for _, d := range x.p.world.devices {
		if err == nil && fleet.Factory(d.Factory) == known.Factory || err != nil && d.id(x.p) == id {
			return d, nil
		}
	}
	return nil, coordinator.ErrUnreachable
}

// do performs an operation and loses the answer if that is asked for.
func (x devices) do(id fleet.ID, op transfer.Operation, p lwm2m.Path, fn func(*device) error) error {
	d, err := x.find(id)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s %d", op, p.Object())
	if p.Len() > 2 {
		name += fmt.Sprintf("/%d", p.ID(2))
	}
	perform := func() error { return d.operate(x.p, op, p, func() error { return fn(d) }) }
	if x.p.world.filter != nil {
		if mine, err := x.p.world.filter(name, perform); mine {
			return err
		}
	}
	switch x.p.world.faults.Load().at(x.p, name) {
	case faultRequest:
		return coordinator.ErrUnreachable
	case faultAnswer:
		_ = perform()
		return coordinator.ErrUnreachable
	case faultTwice:
		_ = perform()
	case faultHeld:
		go func() {
			time.Sleep(20 * time.Second)
			_ = perform()
		}()
		return coordinator.ErrUnreachable
	case faultOff:
		d.offFor(3 * testGrace)
	}
	err = perform()
	x.p.mu.Lock()
	defer x.p.mu.Unlock()
	if x.p.deaf[name] > 0 {
		x.p.deaf[name]--
		return coordinator.ErrUnreachable
	}
	return err
}

func (x devices) Read(_ context.Context, id fleet.ID, p lwm2m.Path) (out []lwm2m.Entry, err error) {
	err = x.do(id, transfer.OpRead, p, func(d *device) error { out = d.read(p); return nil })
	return out, err
}

func (x devices) Write(_ context.Context, id fleet.ID, p lwm2m.Path, v lwm2m.Value) error {
	return x.do(id, transfer.OpWrite, p, func(d *device) error { return d.write(p, v) })
}

func (x devices) Create(_ context.Context, id fleet.ID, object uint16, entries []lwm2m.Entry) error {
	return x.do(id, transfer.OpCreate, lwm2m.NewPath(object), func(d *device) error { return d.create(entries) })
}

func (x devices) Execute(_ context.Context, id fleet.ID, p lwm2m.Path, args string) error {
	return x.do(id, transfer.OpExecute, p, func(d *device) error { return d.execute(p, args) })
}

func (x devices) Observe(_ context.Context, id fleet.ID, p lwm2m.Path) error {
	return x.do(id, transfer.OpRead, p, func(*device) error { return nil })
}

func (x devices) Delete(_ context.Context, id fleet.ID, p lwm2m.Path) error {
	return x.do(id, transfer.OpDelete, p, func(d *device) error { return d.tr.DeleteAnchor(p.ID(1)) })
}

func (x devices) ReadFactory(_ context.Context, f fleet.Factory, p lwm2m.Path) (out []lwm2m.Entry, err error) {
	for _, d := range x.p.world.devices {
		if fleet.Factory(d.Factory) == f {
			err = d.operate(x.p, transfer.OpRead, p, func() error { out = d.read(p); return nil })
			return out, err
		}
	}
	return nil, coordinator.ErrUnreachable
}

func (x devices) Dismiss(_ context.Context, id fleet.ID, _ string) error {
	for _, d := range x.p.world.devices {
		d.mu.Lock()
		if d.at == x.p && d.id(x.p) == id {
			d.at = nil
		}
		d.mu.Unlock()
	}
	return nil
}

// fleetStore keeps devices in memory.
type fleetStore struct {
	mu sync.Mutex
	m  map[fleet.ID]fleet.Device
}

func (s *fleetStore) find(is func(fleet.Device) bool) (fleet.Device, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.m { // at most one is
		if is(d) {
			return d, nil
		}
	}
	return fleet.Device{}, fleet.ErrUnknown
}

func (s *fleetStore) Device(_ context.Context, id fleet.ID) (fleet.Device, error) {
	return s.find(func(d fleet.Device) bool { return d.ID == id })
}

func (s *fleetStore) ByFactory(_ context.Context, f fleet.Factory) (fleet.Device, error) {
	return s.find(func(d fleet.Device) bool { return d.Factory == f })
}

func (s *fleetStore) ByEndpoint(_ context.Context, e lwm2m.Endpoint) (fleet.Device, error) {
	return s.find(func(d fleet.Device) bool { return d.Endpoint == e })
}

func (s *fleetStore) Put(_ context.Context, d fleet.Device, _, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = map[fleet.ID]fleet.Device{}
	}
	s.m[d.ID] = d
	return nil
}
