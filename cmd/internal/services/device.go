package services

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/objects/registry"
	"steward/web"
)

// devices implements web.Devices.
type devices struct{ *base }

// Security of a device as web.Device names it.
const (
	securityOperational = "operational"
	securityNone        = "nosec"
)

// ListDevices implements web.Devices. Its cursors are ids, for endpoints may be
// longer than a cursor.
func (s *devices) ListDevices(ctx context.Context, f web.DeviceFilter, p web.Page) (web.List[web.Device], error) {
	q, err := s.selection(ctx, f)
	if err != nil {
		return web.List[web.Device]{}, err
	}
	q.Limit = limit(p)
	if p.After != "" {
		last, err := s.DB.Devices().Device(ctx, fleet.ID(p.After))
		if errors.Is(err, fleet.ErrUnknown) {
			return web.List[web.Device]{}, errCursor()
		}
		if err != nil {
			return web.List[web.Device]{}, translate(err)
		}
		if q.After = string(last.Endpoint); q.Newest {
			q.After = p.After
		}
	}
	if q.Ownership == nobody {
		return web.List[web.Device]{Items: []web.Device{}}, nil
	}
	rows, err := s.view.Devices(ctx, q)
	if err != nil {
		return web.List[web.Device]{}, translate(err)
	}
	return paged(p, rows, func(l sqlite.DeviceLine) string { return string(l.ID) },
		func(l sqlite.DeviceLine) (web.Device, error) { return showDevice(l, q.Now), nil })
}

// stateOf says how a device stands to us now.
func stateOf(l sqlite.DeviceLine, now time.Time) web.DeviceState {
	switch {
	case l.Ownership == fleet.Left:
		return web.DeviceLeft
	case l.Ownership == fleet.Expected:
		return web.DeviceExpected
	case l.Registered(now):
		return web.DeviceOnline
	}
	return web.DeviceOffline
}

func showDevice(l sqlite.DeviceLine, now time.Time) web.Device {
	d := web.Device{
		ID: string(l.ID), Endpoint: string(l.Endpoint), State: stateOf(l, now), Version: string(l.Version),
		Firmware: l.Firmware, Manufacturer: l.Manufacturer, Model: l.Model, Tags: l.Tags,
		LastSeen: l.SeenAt, CreatedAt: l.CreatedAt,
	}
	if l.Factory != (fleet.Factory{}) {
		d.Factory = hex.EncodeToString(l.Factory[:])
	}
	if !l.SeenAt.IsZero() {
		d.Security = securityOperational
		if l.Key != "" {
			d.Security = string(l.Key)
		}
		if l.NoSec { // whoever may come without security is shown so
			d.Security = securityNone
		}
	}
	return d
}

// detailRows bounds the certificates and transfers on a device's page; the lists
// have them all.
const detailRows = 50

// Device implements web.Devices.
func (s *devices) Device(ctx context.Context, id string) (web.DeviceDetail, error) {
	l, err := s.find(ctx, id)
	if err != nil {
		return web.DeviceDetail{}, err
	}
	now := s.Now()
	out := web.DeviceDetail{Device: showDevice(l, now)}
	r, err := s.DB.Server().OfDevice(ctx, l.ID)
	switch {
	case err == nil:
		if out.Registration = showRegistration(r, now); out.Registration != nil {
			out.Registration.Transport = s.Server.Transport(l.ID)
		}
		if out.Registration != nil && r.Queue {
			p := s.Server.Presence(l.ID)
			out.Registration.Asleep, out.Registration.WakesAt = p.Asleep, p.Wake
		}
		out.Objects = s.objects(r.Objects)
	case errors.Is(err, server.ErrNotRegistered):
		// What it told before is still worth to be seen.
		if out.Objects, err = s.heardObjects(ctx, l.ID); err != nil {
			return web.DeviceDetail{}, translate(err)
		}
	default:
		return web.DeviceDetail{}, translate(err)
	}
	if err := s.succession(ctx, &out, l.ID); err != nil {
		return out, err
	}
	if err := s.retired(ctx, &out, l.ID); err != nil {
		return out, err
	}
	if out.Behind, err = s.behind(ctx, l.ID); err != nil || l.Factory == (fleet.Factory{}) {
		return out, err
	}
	origin, err := s.CA.KeyOrigin(ctx, est.Hash(l.Factory))
	if err != nil {
		return out, translate(err)
	}
	out.KeyOrigin = string(origin)
	err = s.belongings(ctx, &out, l.Factory)
	return out, err
}

// belongings adds certificates and transfers of a device to its page.
func (s *devices) belongings(ctx context.Context, out *web.DeviceDetail, factory fleet.Factory) error {
	now := s.Now()
	certificates, err := s.view.Certificates(ctx, sqlite.CertificateQuery{
		Factory: est.Hash(factory), Now: now, Limit: detailRows,
	})
	if err != nil {
		return translate(err)
	}
	for _, c := range certificates {
		out.Certificates = append(out.Certificates, showCertificate(c, now))
	}
	transfers, err := s.view.TransfersOf(ctx, factory, detailRows)
	if err != nil {
		return translate(err)
	}
	if out.Custody, err = s.custody(ctx, transfers); err != nil {
		return err
	}
	for _, r := range transfers {
		out.Transfers = append(out.Transfers, r.Transfer)
		if r.Reached() {
			out.Epoch = max(out.Epoch, r.Epoch)
		}
	}
	return nil
}

// showRegistration returns nil for one whose lifetime is over.
func showRegistration(r server.Registration, now time.Time) *web.Registration {
	if !r.ExpiresAt.IsZero() && !r.ExpiresAt.After(now) {
		return nil
	}
	return &web.Registration{
		Location: "/rd/" + r.ID, Address: r.Address, Lifetime: r.Lifetime, Seconds: int64(r.Lifetime / time.Second),
		Binding: r.Binding, Queue: r.Queue, Since: r.RegisteredAt, ExpiresAt: r.ExpiresAt,
	}
}

// objects groups the links of a registration by object, with the names that the
// registry knows.
func (s *devices) objects(links []server.ObjectLink) []web.ObjectNode {
	var out []web.ObjectNode
	at := map[uint16]int{}
	for _, l := range links {
		id := l.Path.Object()
		i, ok := at[id]
		if !ok {
			i = len(out)
			at[id] = i
			out = append(out, web.ObjectNode{ID: id})
		}
		if l.Version != "" {
			out[i].Version = l.Version
		}
		if l.Path.Len() > 1 {
			out[i].Instances = append(out[i].Instances, l.Path.ID(1))
		}
	}
	for i := range out {
		out[i].Name = objectName(s.Registry, out[i].ID, out[i].Version)
		slices.Sort(out[i].Instances)
		out[i].Instances = slices.Compact(out[i].Instances)
	}
	slices.SortFunc(out, func(a, b web.ObjectNode) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func objectName(r *registry.Registry, id uint16, version string) string {
	if o, ok := r.Versioned(id, version); ok {
		return o.Name
	}
	o, _ := r.Object(id) // "" if nobody knows it
	return o.Name
}

// heardObjects returns the objects of which values were heard.
func (s *devices) heardObjects(ctx context.Context, id fleet.ID) ([]web.ObjectNode, error) {
	values, err := s.view.ValuesBelow(ctx, id, lwm2m.Path{})
	if err != nil {
		return nil, err
	}
	var links []server.ObjectLink
	for _, v := range values {
		if v.Path.Gateway() != "" {
			continue
		}
		p := v.Path.Prefix(min(v.Path.Len(), 2)) //nolint:mnd // object and instance
		if len(links) == 0 || links[len(links)-1].Path != p {
			links = append(links, server.ObjectLink{Path: p})
		}
	}
	return s.objects(links), nil
}

// Values implements web.Devices.
func (s *devices) Values(ctx context.Context, id string, path lwm2m.Path) ([]web.Value, error) {
	l, err := s.find(ctx, id)
	if err != nil {
		return nil, err
	}
	return s.values(ctx, l.ID, path)
}

// values returns the values last heard at and below path.
func (b *base) values(ctx context.Context, id fleet.ID, path lwm2m.Path) ([]web.Value, error) {
	last, err := b.view.ValuesBelow(ctx, id, path)
	if err != nil {
		return nil, translate(err)
	}
	show, err := b.shower(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make([]web.Value, 0, len(last))
	for _, v := range last {
		out = append(out, show(v.Entry, v.At))
	}
	return out, nil
}

// shower returns how values of a device are shown.
func (b *base) shower(ctx context.Context, id fleet.ID) (func(lwm2m.Entry, time.Time) web.Value, error) {
	wanted, err := b.DB.Server().Wanted(ctx, id)
	if err != nil {
		return nil, translate(err)
	}
	return func(e lwm2m.Entry, at time.Time) web.Value {
		v := web.Value{Path: e.Path, Value: e.Value, At: at}
		v.Observed = slices.ContainsFunc(wanted, func(w server.Wish) bool { return w.Contains(e.Path) })
		if e.Path.Len() > 2 { //nolint:mnd // object, instance, resource
			info, _ := b.Registry.Resource(e.Path.ID(0), e.Path.ID(2))
			v.Name, v.Units = info.Name, info.Units
		}
		return v
	}, nil
}
