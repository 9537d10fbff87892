package services_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m/fleet"
	"steward/web"
)

// endpoints lists the devices that f selects.
func (w *world) endpoints(t *testing.T, f web.DeviceFilter) string {
	t.Helper()
	list, err := w.Devices.ListDevices(t.Context(), f, web.Page{Size: 50})
	if err != nil {
		t.Errorf("ListDevices(%+v): %v", f, err)
	}
	var names []string
	for _, d := range list.Items {
		names = append(names, d.Endpoint)
	}
	return strings.Join(names, " ")
}

func newGroupWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for _, d := range []fleet.Device{
		{ID: "01A", Endpoint: "meter-1", Ownership: fleet.Owned, Tags: []string{"north", "meter"}},
		{ID: "01B", Endpoint: "meter-2", Ownership: fleet.Owned, Tags: []string{"south", "meter"}},
		{ID: "01C", Endpoint: "valve-1", Ownership: fleet.Left, Tags: []string{"north"}, NoSec: true},
	} {
		w.add(t, d)
	}
	return w
}

func TestGroups(t *testing.T) {
	w := newGroupWorld(t)
	for _, g := range []web.Group{
		{Name: "list", Kind: web.GroupStatic},
		{Name: "north", Kind: web.GroupDynamic, Filter: "?tag=north"},
		{Name: "ours", Kind: web.GroupDynamic, Filter: "ownership=owned&q=METER"},
		{Name: "all", Kind: web.GroupDynamic},
		{Name: "model", Kind: web.GroupDynamic, Filter: "model=M1"},
		{Name: "exposed", Kind: web.GroupDynamic, Filter: "exposed=CVE-1"},
	} {
		if got, err := w.Groups.PutGroup(t.Context(), alice, g); err != nil || got.CreatedBy != alice.String() {
			t.Fatalf("PutGroup(%+v) = %+v, %v", g, got, err)
		}
	}
	change := web.MemberChange{Add: []string{"01A", "ep:valve-1", "01A"}, Reason: "x"}
	if g, err := w.Groups.ChangeMembers(t.Context(), alice, "list", change); err != nil || g.Members != 2 {
		t.Fatalf("ChangeMembers = %+v, %v", g, err)
	}
	for _, tt := range []struct {
		filter web.DeviceFilter
		want   string
	}{
		{web.DeviceFilter{Group: "list"}, "meter-1 valve-1"},
		{web.DeviceFilter{Group: "list", Sort: web.SortNewest}, "valve-1 meter-1"},
		{web.DeviceFilter{Group: "list", Tag: "meter"}, "meter-1"},
		{web.DeviceFilter{Group: "north"}, "meter-1 valve-1"},
		{web.DeviceFilter{Group: "north", Tag: "meter"}, "meter-1"},
		{web.DeviceFilter{Group: "north", Ownership: "left"}, "valve-1"},
		{web.DeviceFilter{Group: "ours", Text: "-2"}, "meter-2"},
		{web.DeviceFilter{Group: "ours", Ownership: "left"}, ""},
		{web.DeviceFilter{Group: "model"}, ""},
		{web.DeviceFilter{Group: "model", Model: "M2"}, ""},
		{web.DeviceFilter{Group: "exposed", Exposed: "*"}, ""},
		{web.DeviceFilter{Group: "all", Sort: web.SortNewest}, "valve-1 meter-2 meter-1"},
	} {
		if got := w.endpoints(t, tt.filter); got != tt.want {
			t.Errorf("%+v = %q, want %q", tt.filter, got, tt.want)
		}
	}
	for _, f := range []web.DeviceFilter{{Group: "nobody"}, {Group: "exposed", Exposed: "CVE-2"}} {
		if _, err := w.Devices.ListDevices(t.Context(), f, web.Page{}); !errors.Is(err, web.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", f, err)
		}
	}
	for _, tt := range []struct {
		group, device string
		want          bool
	}{
		{"list", "01A", true},
		{"list", "01B", false},
		{"list", "ep:valve-1", true},
		{"list", "ep:nobody", false},
		{"north", "01C", true},
		{"north", "01B", false},
		{"ours", "01B", true},
		{"ours", "01C", false},
		{"all", "01C", true},
		{"all", "01Z", false},
	} {
		in, err := w.Groups.Contains(t.Context(), tt.group, tt.device)
		if err != nil || in != tt.want {
			t.Errorf("Contains(%s, %s) = %v, %v, want %v", tt.group, tt.device, in, err, tt.want)
		}
	}
	if _, err := w.Groups.Contains(t.Context(), "nobody", "01A"); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("Contains(nobody): %v", err)
	}
	// A group that is stored anew keeps its members; one that is removed loses them.
	again := web.Group{Name: "list", Kind: web.GroupStatic, Description: "two"}
	if g, err := w.Groups.PutGroup(t.Context(), alice, again); err != nil || g.Members != 2 || g.Description != "two" {
		t.Errorf("PutGroup again = %+v, %v", g, err)
	}
	if err := w.Groups.RemoveGroup(t.Context(), alice, "list"); err != nil {
		t.Error(err)
	}
	if g, err := w.Groups.PutGroup(t.Context(), alice, again); err != nil || g.Members != 0 {
		t.Errorf("PutGroup after removal = %+v, %v", g, err)
	}
	audit, err := w.Activity.ListAudit(t.Context(), web.AuditFilter{Subject: "list"}, web.Page{Size: 10})
	if err != nil || len(audit.Items) != 5 || audit.Items[3].Action != "group.members" ||
		audit.Items[3].Before != "0 devices" || audit.Items[3].After != "2 devices +01A +01C" {
		t.Errorf("audit = %+v, %v", audit.Items, err)
	}
}

func TestGroupsRefuse(t *testing.T) {
	w := newGroupWorld(t)
	static := web.Group{Name: "list", Kind: web.GroupStatic}
	if _, err := w.Groups.PutGroup(t.Context(), alice, static); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Groups.PutGroup(t.Context(), alice, web.Group{Name: "some", Kind: web.GroupDynamic}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		group web.Group
		want  error
	}{
		"no name":            {web.Group{Kind: web.GroupStatic}, web.ErrInvalid},
		"a slash":            {web.Group{Name: "a/b", Kind: web.GroupStatic}, web.ErrInvalid},
		"a path":             {web.Group{Name: "..", Kind: web.GroupStatic}, web.ErrInvalid},
		"a long name":        {web.Group{Name: strings.Repeat("a", 65), Kind: web.GroupStatic}, web.ErrInvalid},
		"no kind":            {web.Group{Name: "a"}, web.ErrInvalid},
		"a filter":           {web.Group{Name: "a", Kind: web.GroupStatic, Filter: "tag=a"}, web.ErrInvalid},
		"another kind":       {web.Group{Name: "list", Kind: web.GroupDynamic}, web.ErrConflict},
		"a group of a group": {web.Group{Name: "a", Kind: web.GroupDynamic, Filter: "group=list"}, web.ErrInvalid},
		"an order":           {web.Group{Name: "a", Kind: web.GroupDynamic, Filter: "sort=newest"}, web.ErrInvalid},
		"an unknown word":    {web.Group{Name: "a", Kind: web.GroupDynamic, Filter: "tagg=a"}, web.ErrInvalid},
		"a word twice":       {web.Group{Name: "a", Kind: web.GroupDynamic, Filter: "tag=a&tag=b"}, web.ErrInvalid},
		"no such state":      {web.Group{Name: "a", Kind: web.GroupDynamic, Filter: "state=odd"}, web.ErrInvalid},
		"no query":           {web.Group{Name: "a", Kind: web.GroupDynamic, Filter: "tag=%zz"}, web.ErrInvalid},
		"a long filter": {
			web.Group{Name: "a", Kind: web.GroupDynamic, Filter: "tag=" + strings.Repeat("a", web.MaxFilter)}, web.ErrInvalid,
		},
	} {
		if _, err := w.Groups.PutGroup(t.Context(), alice, tt.group); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	for name, tt := range map[string]struct {
		group  string
		change web.MemberChange
		want   error
	}{
		"nothing":         {"list", web.MemberChange{}, web.ErrInvalid},
		"nobody knows it": {"list", web.MemberChange{Add: []string{"01Z"}}, web.ErrInvalid},
		"dynamic":         {"some", web.MemberChange{Add: []string{"01A"}}, web.ErrConflict},
		"no group":        {"none", web.MemberChange{Remove: []string{"01A"}}, web.ErrNotFound},
	} {
		if _, err := w.Groups.ChangeMembers(t.Context(), alice, tt.group, tt.change); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if err := w.Groups.RemoveGroup(t.Context(), alice, "none"); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("RemoveGroup(none): %v", err)
	}
}

// TestGroupLimits fills groups and members to their bounds.
func TestGroupLimits(t *testing.T) {
	w := newWorld(t)
	for i := range sqlite.MaxGroups {
		g := web.Group{Name: fmt.Sprint("g", i), Kind: web.GroupStatic}
		if _, err := w.Groups.PutGroup(t.Context(), alice, g); err != nil {
			t.Fatal(err)
		}
	}
	more := web.Group{Name: "one more", Kind: web.GroupStatic}
	if _, err := w.Groups.PutGroup(t.Context(), alice, more); !errors.Is(err, web.ErrConflict) {
		t.Errorf("one group too many: %v", err)
	}
	all, err := w.Groups.Groups(t.Context())
	if err != nil || len(all) != sqlite.MaxGroups {
		t.Errorf("%d groups, %v", len(all), err)
	}
}
