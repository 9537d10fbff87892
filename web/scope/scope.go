// Package scope bounds what people and tokens see and touch to the devices of their
// groups. It stands between the services and those who show them: pages, REST,
// exports and events. Every method of every service is written out, so that a new
// one does not compile before somebody has decided what it is to those who may not
// see all devices.
package scope

import (
	"context"
	"errors"

	"steward/web"
)

// Services returns s for people whose rights may be bounded by groups. Who acts
// stands in the context; nobody gets ErrSignedOut.
func Services(s web.Services) web.Services {
	l := &bounds{s.Complete()}
	return web.Services{
		Overview: overviews{l}, Activity: activity{l}, Devices: devices{l}, Operations: operations{l},
		Observations: observations{l}, Groups: groups{l}, Factories: factories{l}, Bootstraps: bootstraps{l},
		Series: series{l}, Definitions: definitions{l}, Traces: traces{l}, Certificates: certificates{l},
		Passwords: passwords{l}, Upstream: upstream{l}, Requests: requests{l}, Publication: publications{l},
		Enrolments: enrolments{l}, Releases: releases{l}, Bills: bills{l}, Vulnerabilities: vulnerabilities{l},
		Campaigns: campaigns{l}, Transfers: transfers{l}, Partners: partners{l}, Settings: settings{l},
		Bulks: bulks{l}, Views: views{l}, Upkeep: upkeep{l}, Attestations: attestations{l},
		Rounds: attestationRounds{l}, Records: records{l}, Mandates: mandates{l}, Webhooks: webhooks{l},
	}
}

// bounds asks what the actor of a context may see.
type bounds struct{ web.Services }

// errBeyond refuses what concerns more devices than those of one's groups.
var errBeyond = &web.Error{Is: web.ErrForbidden, Detail: "this concerns devices beyond your groups"}

// groups returns those of the actor; nil with all devices.
func groupsOf(ctx context.Context) (names []string, all bool, err error) {
	actor := web.ActorFrom(ctx)
	if actor.Role == web.RoleNone {
		return nil, false, web.ErrSignedOut
	}
	return actor.Scope.Groups(), actor.Scope.All(), nil
}

// all returns nil for those who see all devices.
func all(ctx context.Context) error {
	_, all, err := groupsOf(ctx)
	if err == nil && !all {
		err = errBeyond
	}
	return err
}

// signedIn returns nil for everybody but nobody.
func signedIn(ctx context.Context) error {
	_, _, err := groupsOf(ctx)
	return err
}

// sees reports whether the actor may see a device; "" is none.
func (b *bounds) sees(ctx context.Context, device string) (bool, error) {
	names, all, err := groupsOf(ctx)
	if err != nil || all {
		return all, err
	}
	if device == "" {
		return false, nil
	}
	for _, name := range names {
		in, err := b.Groups.Contains(ctx, name, device)
		if err != nil && !errors.Is(err, web.ErrNotFound) { // a group that was deleted has no devices
			return false, err
		}
		if in {
			return true, nil
		}
	}
	return false, nil
}

// device returns nil if the actor may see a device, else what is said of one that
// does not exist.
func (b *bounds) device(ctx context.Context, id string) error {
	in, err := b.sees(ctx, id)
	if err == nil && !in {
		err = web.NotFound("device", id)
	}
	return err
}

// devicesAll is device for several.
func (b *bounds) devicesAll(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if err := b.device(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// maxLooks is how many pages are searched for what the actor may see; then the
// answer is a shorter page, from which one goes on.
const maxLooks = 10

// sift returns a page of what the actor may see. A page may be shorter than asked.
func sift[T any](
	ctx context.Context, p web.Page, list func(web.Page) (web.List[T], error), keep func(T) (bool, error),
) (web.List[T], error) {
	_, all, err := groupsOf(ctx)
	if err != nil {
		return web.List[T]{}, err
	}
	if all {
		return list(p)
	}
	var out web.List[T]
	for range maxLooks {
		page, err := list(p)
		if err != nil {
			return web.List[T]{}, err
		}
		if out.Items, err = kept(page.Items, keep); err != nil {
			return web.List[T]{}, err
		}
		out.Next, p.After = page.Next, page.Next
		if len(out.Items) > 0 || out.Next == "" {
			break
		}
	}
	return out, nil
}

// kept returns the items that keep says so of.
func kept[T any](items []T, keep func(T) (bool, error)) (out []T, err error) {
	for _, item := range items {
		in, err := keep(item)
		if err != nil {
			return nil, err
		}
		if in {
			out = append(out, item)
		}
	}
	return out, nil
}

// maxWhole is how large a campaign or a hand-over may be that those see who are
// bounded by groups: each of its devices is looked up.
const maxWhole = 1000

// whole reports whether the actor may see all devices of something that has total
// of them. of lists them.
func (b *bounds) whole(
	ctx context.Context, total int, of func(web.Page) (ids []string, next string, err error),
) (bool, error) {
	_, all, err := groupsOf(ctx)
	if err != nil || all {
		return all, err
	}
	if total == 0 || total > maxWhole {
		return false, nil
	}
	seen, p := 0, web.Page{Size: web.MaxPageSize}
	for {
		ids, next, err := of(p)
		if err != nil {
			return false, err
		}
		own, err := kept(ids, func(id string) (bool, error) { return b.sees(ctx, id) })
		if seen += len(own); err != nil || len(own) < len(ids) || seen > maxWhole {
			return false, err
		}
		if next == "" {
			return seen > 0, nil
		}
		p.After = next
	}
}
