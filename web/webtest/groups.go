package webtest

import (
	"context"

	"steward/web"
)

func (f *Fake) group() web.Group {
	return web.Group{
		Name: f.Text, Kind: web.GroupDynamic, Filter: "tag=" + f.Text, Description: f.Text, Members: 3, CreatedAt: Noon,
		CreatedBy: f.Text,
	}
}

// Groups implements web.Groups.
func (f *Fake) Groups(context.Context) ([]web.Group, error) {
	if f.Empty {
		return nil, nil
	}
	static := f.group()
	static.Kind, static.Filter = web.GroupStatic, ""
	return []web.Group{f.group(), static}, nil
}

// Group implements web.Groups.
func (f *Fake) Group(_ context.Context, name string) (web.Group, error) {
	g := f.group()
	g.Name = name
	return g, nil
}

// PutGroup implements web.Groups.
func (f *Fake) PutGroup(_ context.Context, by web.Actor, g web.Group) (web.Group, error) {
	return f.group(), f.note("PutGroup", by, "", g)
}

// RemoveGroup implements web.Groups.
func (f *Fake) RemoveGroup(_ context.Context, by web.Actor, name string) error {
	return f.note("RemoveGroup", by, "", name)
}

// ChangeMembers implements web.Groups.
func (f *Fake) ChangeMembers(_ context.Context, by web.Actor, _ string, c web.MemberChange) (web.Group, error) {
	return f.group(), f.note("ChangeMembers", by, "", c)
}

// Contains implements web.Groups.
func (f *Fake) Contains(context.Context, string, string) (bool, error) { return !f.Empty, nil }
