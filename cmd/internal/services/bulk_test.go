package services_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"steward/cmd/internal/services"
	"steward/web"
)

// newBulk adds bulk actions to a world; nothing works them off yet.
func newBulk(t *testing.T, w *world) *services.Bulk {
	t.Helper()
	b, err := services.NewBulk(t.Context(), services.BulkOptions{
		Services: w.Services, DB: w.db, Schema: w.options.Registry, NewID: w.newID, Now: w.clock.Now,
		Events: w.options.Events,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// runBulk works off what is asked for until the test ends.
func runBulk(t *testing.T, b *services.Bulk) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// finish starts n, waits for its end, and returns it with its results as text.
func finish(t *testing.T, b *services.Bulk, n web.NewBulk) (web.Bulk, string) {
	t.Helper()
	started, err := b.StartBulk(t.Context(), alice, n)
	if err != nil {
		t.Fatalf("StartBulk(%+v): %v", n, err)
	}
	for started.State == "running" {
		runtime.Gosched()
		if started, err = b.Bulk(t.Context(), started.ID); err != nil {
			t.Fatal(err)
		}
	}
	list, err := b.BulkResults(t.Context(), started.ID, web.BulkFilter{}, web.Page{Size: 50})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range list.Items {
		if r.Operation != "" {
			r.Detail += "asked: " + r.Progress
		}
		lines = append(lines, r.Device+" "+r.State+" "+r.Detail)
	}
	return started, strings.Join(lines, "; ")
}

func TestBulk(t *testing.T) {
	w := newGroupWorld(t)
	if _, err := w.Groups.PutGroup(t.Context(), alice, web.Group{Name: "list", Kind: web.GroupStatic}); err != nil {
		t.Fatal(err)
	}
	b := newBulk(t, w)
	runBulk(t, b)
	for _, tt := range []struct {
		what    string
		do      web.NewBulk
		done    int
		results string
		then    web.DeviceFilter
		left    string
	}{
		{
			"a tag for those that match",
			web.NewBulk{Action: web.BulkTag, Tag: "new", Filter: "tag=meter"},
			2,
			"01A done ; 01B done ",
			web.DeviceFilter{Tag: "new"},
			"meter-1 meter-2",
		},
		{
			"a tag off by name",
			web.NewBulk{Action: web.BulkUntag, Tag: "new", Devices: []string{"ep:meter-2", "01B"}},
			1,
			"01B done ",
			web.DeviceFilter{Tag: "new"},
			"meter-1",
		},
		{
			"all into a group",
			web.NewBulk{Action: web.BulkGroup, Group: "list", All: true},
			3,
			"01A done ; 01B done ; 01C done ",
			web.DeviceFilter{Group: "list"},
			"meter-1 meter-2 valve-1",
		},
		{
			"one out of it",
			web.NewBulk{Action: web.BulkUngroup, Group: "list", Devices: []string{"01C"}},
			1,
			"01C done ",
			web.DeviceFilter{Group: "list"},
			"meter-1 meter-2",
		},
		{
			"a device that is away",
			web.NewBulk{Action: web.BulkExecute, Path: "/3/0/4", Devices: []string{"01A"}},
			1,
			"01A done asked: queued",
			web.DeviceFilter{Group: "list"},
			"meter-1 meter-2",
		},
		{
			"no certificates",
			web.NewBulk{Action: web.BulkRevoke, Reason: "lost", Devices: []string{"01A"}},
			1,
			"01A done 0 certificates",
			web.DeviceFilter{Group: "list"},
			"meter-1 meter-2",
		},
	} {
		got, results := finish(t, b, tt.do)
		if got.State != "done" || got.Done != tt.done || got.Done+got.Failed != got.Total || results != tt.results {
			t.Errorf("%s: %+v\n%q, want\n%q", tt.what, got, results, tt.results)
		}
		if left := w.endpoints(t, tt.then); left != tt.left {
			t.Errorf("%s: then %+v = %q, want %q", tt.what, tt.then, left, tt.left)
		}
	}
	list, err := b.ListBulks(t.Context(), web.Page{Size: 4})
	if err != nil || len(list.Items) != 4 || list.Items[0].Action != web.BulkRevoke {
		t.Fatalf("ListBulks = %+v, %v", list, err)
	}
	rest, err := b.ListBulks(t.Context(), web.Page{Size: 4, After: list.Next})
	if err != nil || len(rest.Items) != 2 || rest.Next != "" || rest.Items[1].What != "give the tag new" {
		t.Errorf("ListBulks after %s = %+v, %v", list.Next, rest, err)
	}
	of := web.AuditFilter{Subject: "01B", Action: "device.tags"}
	tags, err := w.Activity.ListAudit(t.Context(), of, web.Page{Size: 9})
	if err != nil || len(tags.Items) != 2 || tags.Items[0].Before != "meter new south" ||
		tags.Items[0].After != "meter south" {
		t.Errorf("audit of tags = %+v, %v", tags.Items, err)
	}
}

func TestBulkRefuses(t *testing.T) {
	w := newGroupWorld(t)
	dynamic := web.Group{Name: "some", Kind: web.GroupDynamic, Filter: "tag=meter"}
	if _, err := w.Groups.PutGroup(t.Context(), alice, dynamic); err != nil {
		t.Fatal(err)
	}
	b := newBulk(t, w)
	one := []string{"01A"}
	admin, operator := web.RoleAdmin, web.RoleOperator
	for name, tt := range map[string]struct {
		by   web.Role
		do   web.NewBulk
		want error
	}{
		"no action":         {admin, web.NewBulk{Devices: one}, web.ErrInvalid},
		"a viewer":          {web.RoleViewer, web.NewBulk{Action: web.BulkTag, Tag: "a", Devices: one}, web.ErrForbidden},
		"revoking operator": {operator, web.NewBulk{Action: web.BulkRevoke, Reason: "x", Devices: one}, web.ErrForbidden},
		"revoking silently": {admin, web.NewBulk{Action: web.BulkRevoke, Devices: one}, web.ErrInvalid},
		"nobody":            {admin, web.NewBulk{Action: web.BulkTag, Tag: "a"}, web.ErrInvalid},
		"unknown device":    {admin, web.NewBulk{Action: web.BulkTag, Tag: "a", Devices: []string{"01Z"}}, web.ErrInvalid},
		"no match":          {admin, web.NewBulk{Action: web.BulkTag, Tag: "a", Filter: "q=zzz"}, web.ErrInvalid},
		"an unknown filter": {admin, web.NewBulk{Action: web.BulkTag, Tag: "a", Filter: "x=zzz"}, web.ErrInvalid},
		"no tag":            {admin, web.NewBulk{Action: web.BulkTag, Devices: one}, web.ErrInvalid},
		"no group":          {admin, web.NewBulk{Action: web.BulkGroup, Group: "x", Devices: one}, web.ErrNotFound},
		"a dynamic group":   {admin, web.NewBulk{Action: web.BulkGroup, Group: "some", Devices: one}, web.ErrInvalid},
		"no path":           {admin, web.NewBulk{Action: web.BulkRead, Path: "x", Devices: one}, web.ErrInvalid},
		"an object":         {admin, web.NewBulk{Action: web.BulkWrite, Path: "/1/0", Devices: one}, web.ErrInvalid},
		"a bad value":       {admin, web.NewBulk{Action: web.BulkWrite, Path: "/1/0/1", Devices: one}, web.ErrInvalid},
	} {
		by := web.Actor{Name: "bob", Role: tt.by}
		if _, err := b.StartBulk(t.Context(), by, tt.do); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	p, err := b.PreviewBulk(t.Context(), alice, web.NewBulk{Filter: "group=some"})
	if err != nil || p.Total != 2 || p.States["offline"] != 2 || len(p.First) != 2 {
		t.Errorf("PreviewBulk = %+v, %v", p, err)
	}
}

// TestBulkInterrupted starts the program anew before anything was done: nothing is
// done later by surprise.
func TestBulkInterrupted(t *testing.T) {
	w := newGroupWorld(t)
	b := newBulk(t, w)
	started, err := b.StartBulk(t.Context(), alice, web.NewBulk{Action: web.BulkTag, Tag: "new", All: true})
	if err != nil {
		t.Fatal(err)
	}
	later := newBulk(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := later.Run(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := later.Bulk(t.Context(), started.ID)
	if err != nil || got.State != "interrupted" || got.Done != 0 {
		t.Errorf("after a restart: %+v, %v", got, err)
	}
	open, err := later.BulkResults(t.Context(), started.ID, web.BulkFilter{State: "open"}, web.Page{Size: 9})
	if err != nil || len(open.Items) != 3 {
		t.Errorf("open = %+v, %v", open, err)
	}
	if left := w.endpoints(t, web.DeviceFilter{Tag: "new"}); left != "" {
		t.Errorf("tagged nevertheless: %s", left)
	}
	for range 16 { // the queue is bounded
		_, err = b.StartBulk(t.Context(), alice, web.NewBulk{Action: web.BulkTag, Tag: "new", All: true})
	}
	if !errors.Is(err, web.ErrUnavailable) {
		t.Errorf("one too many: %v", err)
	}
}

func TestViews(t *testing.T) {
	w := newWorld(t)
	bob, eve := web.Actor{Name: "bob", Role: web.RoleViewer}, web.Actor{Name: "eve", Role: web.RoleViewer}
	mine, err := w.Views.PutView(t.Context(), bob, web.SavedView{
		Name: "cold", Query: "?state=offline&q=&columns=model&columns=seen&page_token=x",
	})
	if err != nil || mine.Query != "columns=model&columns=seen&state=offline" || mine.Shared {
		t.Fatalf("PutView = %+v, %v", mine, err)
	}
	again, err := w.Views.PutView(t.Context(), bob, web.SavedView{Name: "cold", Query: "tag=a"})
	if err != nil || again.ID != mine.ID || again.Query != "tag=a" {
		t.Errorf("PutView again = %+v, %v", again, err)
	}
	shared, err := w.Views.PutView(t.Context(), alice, web.SavedView{Name: "all", Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[web.Actor]int{bob: 2, eve: 1} {
		if all, err := w.Views.Views(t.Context(), who); err != nil || len(all) != want {
			t.Errorf("Views(%s) = %+v, %v, want %d", who, all, err, want)
		}
	}
	for name, err := range map[string]error{
		"share as a viewer": second(w.Views.PutView(t.Context(), bob, web.SavedView{Name: "x", Shared: true})),
		"remove as viewer":  w.Views.RemoveView(t.Context(), bob, shared.ID),
	} {
		if !errors.Is(err, web.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, v := range []web.SavedView{
		{Query: "tag=a"},
		{Name: "x", Query: "evil=1"},
		{Name: "x", Query: "page_size=5"},
		{Name: "x", Query: "%zz"},
		{Name: "x", Query: "columns=%00"},
		{Name: "\x00"},
	} {
		if _, err := w.Views.PutView(t.Context(), bob, v); !errors.Is(err, web.ErrInvalid) {
			t.Errorf("PutView(%+v): %v", v, err)
		}
	}
	if err := w.Views.RemoveView(t.Context(), eve, mine.ID); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("another's view: %v", err)
	}
	if err := errors.Join(w.Views.RemoveView(t.Context(), bob, mine.ID),
		w.Views.RemoveView(t.Context(), alice, shared.ID)); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }
