package scope

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"steward/lwm2m/audit"
	"steward/web"
)

// maxCounted is how many devices are counted for those who do not see all.
const maxCounted = 2000

type overviews struct{ *bounds }

// Overview implements web.Overviews. For those who do not see all devices it counts
// theirs, and nothing else.
func (s overviews) Overview(ctx context.Context, now time.Time) (web.Overview, error) {
	names, all, err := groupsOf(ctx)
	if err != nil {
		return web.Overview{}, err
	}
	o, err := s.bounds.Overview.Overview(ctx, now)
	if err != nil || all {
		return o, err
	}
	own := web.Overview{Provider: o.Provider}
	p := web.Page{Size: web.MaxPageSize}
	for own.Devices < maxCounted {
		list, err := devices(s).ListDevices(ctx, web.DeviceFilter{}, p)
		if err != nil {
			return web.Overview{}, err
		}
		for _, d := range list.Items {
			count(&own, d)
		}
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	note := "You see the devices of " + strings.Join(names, ", ") +
		"; certificates, updates and transfers are not counted."
	if p.After != "" {
		note += " Only the first of them are."
	}
	own.Notices = append(own.Notices, web.Notice{Level: web.LevelNeutral, Text: note, Link: "/devices"})
	return own, nil
}

func count(o *web.Overview, d web.Device) {
	switch d.State {
	case web.DeviceOnline:
		o.Devices, o.Online = o.Devices+1, o.Online+1
	case web.DeviceOffline:
		o.Devices, o.Offline = o.Devices+1, o.Offline+1
	case web.DeviceExpected:
		o.Devices, o.Expected = o.Devices+1, o.Expected+1
	case web.DeviceLeft:
		o.Left++
	}
}

type activity struct{ *bounds }

// ListAudit implements web.Activity. Those who do not see all devices see what
// happened to theirs, and what they did themselves.
func (s activity) ListAudit(ctx context.Context, f web.AuditFilter, p web.Page) (web.List[web.AuditRow], error) {
	_, all, err := groupsOf(ctx)
	if err != nil {
		return web.List[web.AuditRow]{}, err
	}
	if !all && f.Subject != "" {
		in, err := s.sees(ctx, f.Subject)
		if err != nil {
			return web.List[web.AuditRow]{}, err
		}
		all = in
	}
	if !all {
		own := web.ActorFrom(ctx).String()
		if f.Actor != "" && f.Actor != own {
			return web.List[web.AuditRow]{}, nil
		}
		f.Actor = own
	}
	return s.Activity.ListAudit(ctx, f, p)
}

// AuditChain implements web.Activity: the chain is whole or nothing.
func (s activity) AuditChain(ctx context.Context, after int64) ([]audit.Record, error) {
	if err := all(ctx); err != nil {
		return nil, err
	}
	return s.Activity.AuditChain(ctx, after)
}

type groups struct{ *bounds }

// Groups implements web.Groups.
func (s groups) Groups(ctx context.Context) ([]web.Group, error) {
	names, all, err := groupsOf(ctx)
	if err != nil {
		return nil, err
	}
	found, err := s.bounds.Groups.Groups(ctx)
	if err != nil || all {
		return found, err
	}
	return slices.DeleteFunc(found, func(g web.Group) bool { return !slices.Contains(names, g.Name) }), nil
}

// inside returns what is said of a group that does not exist of one that is not the
// actor's.
func inside(ctx context.Context, name string) error {
	names, all, err := groupsOf(ctx)
	if err == nil && !all && !slices.Contains(names, name) {
		err = web.NotFound("group", name)
	}
	return err
}

// Group implements web.Groups.
func (s groups) Group(ctx context.Context, name string) (web.Group, error) {
	if err := inside(ctx, name); err != nil {
		return web.Group{}, err
	}
	return s.bounds.Groups.Group(ctx, name)
}

// PutGroup implements web.Groups: nobody widens what bounds them.
func (s groups) PutGroup(ctx context.Context, by web.Actor, g web.Group) (web.Group, error) {
	if err := all(ctx); err != nil {
		return web.Group{}, err
	}
	return s.bounds.Groups.PutGroup(ctx, by, g)
}

// RemoveGroup implements web.Groups.
func (s groups) RemoveGroup(ctx context.Context, by web.Actor, name string) error {
	if err := all(ctx); err != nil {
		return err
	}
	return s.bounds.Groups.RemoveGroup(ctx, by, name)
}

// ChangeMembers implements web.Groups.
func (s groups) ChangeMembers(
	ctx context.Context, by web.Actor, name string, c web.MemberChange,
) (web.Group, error) {
	if err := all(ctx); err != nil {
		return web.Group{}, err
	}
	return s.bounds.Groups.ChangeMembers(ctx, by, name, c)
}

// Contains implements web.Groups.
func (s groups) Contains(ctx context.Context, name, device string) (bool, error) {
	if err := inside(ctx, name); err != nil {
		return false, err
	}
	return s.bounds.Groups.Contains(ctx, name, device)
}

type factories struct{ *bounds }

// FactoryAuthorities implements web.Factories.
func (s factories) FactoryAuthorities(ctx context.Context) ([]web.FactoryAuthority, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.Factories.FactoryAuthorities(ctx)
}

// AddFactoryAuthority implements web.Factories.
func (s factories) AddFactoryAuthority(
	ctx context.Context, by web.Actor, certificate []byte,
) (web.FactoryAuthority, error) {
	if err := all(ctx); err != nil {
		return web.FactoryAuthority{}, err
	}
	return s.Factories.AddFactoryAuthority(ctx, by, certificate)
}

// ImportDevice implements web.Factories: a new device is in no group yet.
func (s factories) ImportDevice(ctx context.Context, by web.Actor, d web.NewDevice) (web.Device, error) {
	if err := all(ctx); err != nil {
		return web.Device{}, err
	}
	return s.Factories.ImportDevice(ctx, by, d)
}

// ImportDevices implements web.Factories.
func (s factories) ImportDevices(
	ctx context.Context, by web.Actor, list []web.NewDevice,
) ([]web.ImportedDevice, error) {
	if err := all(ctx); err != nil {
		return nil, err
	}
	return s.Factories.ImportDevices(ctx, by, list)
}

type definitions struct{ *bounds }

// ObjectDefinitions implements web.Definitions.
func (s definitions) ObjectDefinitions(ctx context.Context) ([]web.ObjectDefinition, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.Definitions.ObjectDefinitions(ctx)
}

// AddObjectDefinitions implements web.Definitions.
func (s definitions) AddObjectDefinitions(
	ctx context.Context, by web.Actor, document []byte,
) ([]web.ObjectDefinition, error) {
	if err := all(ctx); err != nil {
		return nil, err
	}
	return s.Definitions.AddObjectDefinitions(ctx, by, document)
}

// RemoveObjectDefinition implements web.Definitions.
func (s definitions) RemoveObjectDefinition(ctx context.Context, by web.Actor, object uint16, version string) error {
	if err := all(ctx); err != nil {
		return err
	}
	return s.Definitions.RemoveObjectDefinition(ctx, by, object, version)
}

type settings struct{ *bounds }

// Retention implements web.Settings. Where files are on the machine is for those alone
// who administrate all of it.
func (s settings) Retention(ctx context.Context) (web.Retention, error) {
	if err := signedIn(ctx); err != nil {
		return web.Retention{}, err
	}
	out, err := s.Settings.Retention(ctx)
	if actor := web.ActorFrom(ctx); !actor.Role.Includes(web.RoleAdmin) || !actor.Scope.All() {
		out.AuditArchive = ""
	}
	return out, err
}

// DeviceSettings implements web.Settings.
func (s settings) DeviceSettings(ctx context.Context) (json.RawMessage, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.Settings.DeviceSettings(ctx)
}

type partners struct{ *bounds }

// ListPartners implements web.Partners.
func (s partners) ListPartners(ctx context.Context, p web.Page) (web.List[web.Partner], error) {
	if err := signedIn(ctx); err != nil {
		return web.List[web.Partner]{}, err
	}
	return s.Partners.ListPartners(ctx, p)
}

// Partner implements web.Partners.
func (s partners) Partner(ctx context.Context, id string) (web.Partner, error) {
	if err := signedIn(ctx); err != nil {
		return web.Partner{}, err
	}
	p, err := s.Partners.Partner(ctx, id)
	if all(ctx) != nil { // devices of others are named there
		p.Use = nil
	}
	return p, err
}

// AddPartner implements web.Partners.
func (s partners) AddPartner(ctx context.Context, by web.Actor, n web.NewPartner) (web.Partner, error) {
	if err := all(ctx); err != nil {
		return web.Partner{}, err
	}
	return s.Partners.AddPartner(ctx, by, n)
}

// SetPartnerState implements web.Partners.
func (s partners) SetPartnerState(
	ctx context.Context, by web.Actor, id string, c web.PartnerChange,
) (web.Partner, error) {
	if err := all(ctx); err != nil {
		return web.Partner{}, err
	}
	return s.Partners.SetPartnerState(ctx, by, id, c)
}

// SetPartnerLimits implements web.Partners.
func (s partners) SetPartnerLimits(ctx context.Context, by web.Actor, id string, l web.PartnerLimits) (
	web.Partner, error,
) {
	if err := all(ctx); err != nil {
		return web.Partner{}, err
	}
	return s.Partners.SetPartnerLimits(ctx, by, id, l)
}

// Identity implements web.Partners.
func (s partners) Identity(ctx context.Context) (json.RawMessage, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.Partners.Identity(ctx)
}
