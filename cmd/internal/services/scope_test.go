package services_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/cmd/internal/services"
	"steward/web"
	"steward/web/scope"
)

// bounded returns a context of an administrator of groups.
func bounded(t *testing.T, groups web.Scope) (context.Context, web.Actor) {
	t.Helper()
	actor := web.Actor{Name: "ann", Role: web.RoleAdmin, Via: web.ViaSession, Scope: groups}
	return web.WithActor(t.Context(), actor), actor
}

// TestScope asks the services over a database as somebody of two groups, one a list
// and one a filter: by list, by id, by endpoint, by filter, and for many devices.
func TestScope(t *testing.T) {
	w := newGroupWorld(t)
	everybody, root := bounded(t, "")
	all, err := w.Devices.ListDevices(everybody, web.DeviceFilter{}, web.Page{Size: 50})
	if err != nil || len(all.Items) < 3 {
		t.Fatalf("world of %d devices, %v", len(all.Items), err)
	}
	listed, filtered, foreign := all.Items[0], all.Items[1], all.Items[2]
	for _, g := range []web.Group{
		{Name: "list", Kind: web.GroupStatic}, {Name: "filter", Kind: web.GroupDynamic, Filter: "tag=mine"},
	} {
		if _, err := w.Groups.PutGroup(everybody, root, g); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Groups.ChangeMembers(everybody, root, "list", web.MemberChange{Add: []string{listed.ID}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Devices.ChangeTags(everybody, root, filtered.ID, web.TagChange{Add: []string{"mine"}}); err != nil {
		t.Fatal(err)
	}
	s := scope.Services(w.Services)
	ctx, ann := bounded(t, "deleted,filter,list")
	own, err := s.Devices.ListDevices(ctx, web.DeviceFilter{}, web.Page{Size: 50})
	if got := ids(own.Items); err != nil || !slices.Equal(got, ids([]web.Device{listed, filtered})) {
		t.Errorf("ListDevices = %v, %v", got, err)
	}
	for _, f := range []web.DeviceFilter{
		{Text: foreign.Endpoint}, {Tag: "none"}, {Text: foreign.Endpoint, Sort: web.SortNewest},
	} {
		if list, err := s.Devices.ListDevices(ctx, f, web.Page{Size: 50}); err != nil || len(list.Items) != 0 {
			t.Errorf("ListDevices(%+v) = %v, %v", f, ids(list.Items), err)
		}
	}
	for _, id := range []string{listed.ID, "ep:" + filtered.Endpoint} {
		if _, err := s.Devices.Device(ctx, id); err != nil {
			t.Errorf("Device(%s) = %v", id, err)
		}
	}
	for _, id := range []string{foreign.ID, "ep:" + foreign.Endpoint, "", "ep:", "none"} {
		if _, err := s.Devices.Device(ctx, id); !errors.Is(err, web.ErrNotFound) {
			t.Errorf("Device(%q) = %v, want ErrNotFound", id, err)
		}
	}
	b, err := services.NewBulk(t.Context(), services.BulkOptions{
		Services: s, DB: w.db, Schema: w.options.Registry, NewID: w.newID, Now: w.clock.Now, Events: w.options.Events,
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.PreviewBulk(ctx, ann, web.NewBulk{Action: web.BulkTag, Tag: "x", All: true})
	if err != nil || p.Total != 2 {
		t.Errorf("PreviewBulk of all = %+v, %v; want 2", p, err)
	}
	_, err = b.StartBulk(ctx, ann, web.NewBulk{Action: web.BulkTag, Tag: "x", Devices: []string{listed.ID, foreign.ID}})
	if !errors.Is(err, web.ErrInvalid) {
		t.Errorf("StartBulk with a device of others = %v", err)
	}
}

func ids(all []web.Device) (out []string) {
	for _, d := range all {
		out = append(out, strings.TrimSpace(d.ID))
	}
	slices.Sort(out)
	return out
}
