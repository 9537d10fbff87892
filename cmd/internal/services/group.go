package services

import (
	"context"
	"errors"
	"strings"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m/fleet"
	"steward/web"
)

// groups implements web.Groups.
type groups struct{ *base }

// Groups implements web.Groups.
func (s *groups) Groups(ctx context.Context) ([]web.Group, error) {
	all, err := s.DB.Groups().All(ctx)
	if err != nil {
		return nil, translate(err)
	}
	out := make([]web.Group, len(all))
	for i, g := range all {
		out[i] = showGroup(g)
	}
	return out, nil
}

func showGroup(g sqlite.Group) web.Group {
	return web.Group{
		Name: g.Name, Kind: web.GroupKind(g.Kind), Filter: g.Filter, Description: g.Description, Members: g.Members,
		CreatedAt: g.CreatedAt, CreatedBy: g.CreatedBy,
	}
}

// Group implements web.Groups.
func (s *groups) Group(ctx context.Context, name string) (web.Group, error) {
	g, err := s.DB.Groups().Group(ctx, name)
	return showGroup(g), aboutGroup(name, err)
}

// aboutGroup translates an error of the group called name.
func aboutGroup(name string, err error) error {
	switch {
	case errors.Is(err, sqlite.ErrNoGroup):
		return notFound("group", name)
	case errors.Is(err, sqlite.ErrGroup):
		return conflict(printable(err.Error()))
	}
	return translate(err)
}

// PutGroup implements web.Groups.
func (s *groups) PutGroup(ctx context.Context, by web.Actor, g web.Group) (web.Group, error) {
	if err := errors.Join(web.CheckGroupName(g.Name), checkText("description", g.Description, maxReason)); err != nil {
		return web.Group{}, translate(err)
	}
	stored := sqlite.Group{
		Name: g.Name, Kind: string(g.Kind), Description: g.Description, CreatedAt: s.Now(), CreatedBy: by.String(),
	}
	switch g.Kind {
	case web.GroupStatic:
		if g.Filter != "" {
			return web.Group{}, web.Invalid("filter", "a static group has none")
		}
	case web.GroupDynamic:
		var err error
		if stored.Filter, err = s.checkFilter(g.Filter); err != nil {
			return web.Group{}, err
		}
	default:
		return web.Group{}, web.Invalid("kind", "static or dynamic")
	}
	if err := s.DB.Groups().Put(ctx, stored); err != nil {
		return web.Group{}, aboutGroup(g.Name, err)
	}
	return s.Group(ctx, g.Name)
}

// checkFilter returns the filter of a dynamic group as it is stored: each condition
// once, in one order.
func (s *groups) checkFilter(text string) (string, error) {
	f, err := web.ParseStoredFilter(text)
	if err != nil {
		return "", err
	}
	if f.Group != "" || f.Sort != "" {
		return "", web.Invalid("filter", "groups are not made of groups, and have no order")
	}
	if _, err := s.plainSelection(f); err != nil {
		return "", err
	}
	return f.Query().Encode(), nil
}

// RemoveGroup implements web.Groups.
func (s *groups) RemoveGroup(ctx context.Context, by web.Actor, name string) error {
	return aboutGroup(name, s.DB.Groups().Remove(ctx, name, by.String()))
}

// ChangeMembers implements web.Groups.
func (s *groups) ChangeMembers(
	ctx context.Context, by web.Actor, name string, c web.MemberChange,
) (web.Group, error) {
	if err := checkText("reason", c.Reason, maxReason); err != nil {
		return web.Group{}, err
	}
	add, err := s.members(ctx, "add", c.Add)
	if err != nil {
		return web.Group{}, err
	}
	remove, err := s.members(ctx, "remove", c.Remove)
	if err != nil {
		return web.Group{}, err
	}
	if len(add)+len(remove) == 0 {
		return web.Group{}, web.Invalid("add", "nothing to add or remove")
	}
	if err := s.DB.Groups().Change(ctx, name, add, remove, by.String(), c.Reason); err != nil {
		return web.Group{}, aboutGroup(name, err)
	}
	return s.Group(ctx, name)
}

func (s *groups) members(ctx context.Context, field string, names []string) ([]fleet.ID, error) {
	if len(names) == 0 {
		return nil, nil
	}
	ids, err := s.targets(ctx, names, fleet.Expected, fleet.Owned, fleet.Left)
	return ids, about(field, err)
}

// Contains implements web.Groups.
func (s *groups) Contains(ctx context.Context, name, device string) (bool, error) {
	if strings.HasPrefix(device, endpointPrefix) {
		line, err := s.find(ctx, device)
		if errors.Is(err, web.ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		device = string(line.ID)
	}
	kind, filter, err := s.DB.Groups().Plain(ctx, name)
	if err != nil {
		return false, aboutGroup(name, err)
	}
	if kind == sqlite.GroupStatic {
		in, err := s.DB.Groups().Has(ctx, name, fleet.ID(device))
		return in, translate(err)
	}
	q, err := s.storedSelection(filter)
	if err != nil || q.Ownership == nobody {
		return false, err
	}
	in, err := s.view.Matches(ctx, fleet.ID(device), q)
	return in, translate(err)
}
