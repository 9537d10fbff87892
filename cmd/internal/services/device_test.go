package services_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/web"
)

func newPeer(name string) *peer { return &peer{name} }

func (p *peer) Addr() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.1:5683") }

// all reads every part of a list of devices.
func all(t *testing.T, w *world, f web.DeviceFilter, size int) (out []web.Device) {
	t.Helper()
	p := web.Page{Size: size}
	for range 10000 {
		list, err := w.Devices.ListDevices(t.Context(), f, p)
		if err != nil {
			t.Fatal(err)
		}
		if len(list.Items) > size {
			t.Fatalf("a part of %d devices, asked for %d", len(list.Items), size)
		}
		out = append(out, list.Items...)
		if list.Next == "" {
			return out
		}
		if len(list.Next) > 256 {
			t.Fatalf("cursor of %d bytes", len(list.Next))
		}
		p.After = list.Next
	}
	t.Fatal("no end")
	return nil
}

// fleetOf seeds n devices: a third online, a third offline, a few of the rest.
func fleetOf(t *testing.T, w *world, n int) {
	t.Helper()
	for i := range n {
		d := fleet.Device{Endpoint: lwm2m.Endpoint(fmt.Sprintf("urn:dev:%04d%s", n-i, strings.Repeat("x", 200)))}
		switch i % 6 {
		case 4:
			d.Ownership = fleet.Expected
		case 5:
			d.Ownership = fleet.Left
		}
		if i%10 == 0 {
			d.Tags, d.NoSec = []string{"ten", "site \"A\""}, true
		}
		d = w.add(t, d)
		switch i % 6 {
		case 0:
			w.registered(t, d, time.Hour)
		case 1:
			w.registered(t, d, 0)
		case 2:
			w.registered(t, d, time.Second)
		}
	}
	w.clock.Advance(time.Minute)
}

func TestListDevices(t *testing.T) {
	const n = 1000
	w := newWorld(t)
	fleetOf(t, w, n)
	for _, c := range []struct {
		name string
		f    web.DeviceFilter
		want int
	}{
		{"all", web.DeviceFilter{}, n},
		{"online", web.DeviceFilter{State: web.DeviceOnline}, 334},
		{"offline", web.DeviceFilter{State: web.DeviceOffline}, 334},
		{"expected", web.DeviceFilter{State: web.DeviceExpected}, 166},
		{"left", web.DeviceFilter{State: web.DeviceLeft}, 166},
		{"owned", web.DeviceFilter{Ownership: "owned"}, 668},
		{"owned and online", web.DeviceFilter{Ownership: "owned", State: web.DeviceOnline}, 334},
		{"left and online", web.DeviceFilter{Ownership: "left", State: web.DeviceOnline}, 0},
		{"tag", web.DeviceFilter{Tag: "ten"}, 100},
		{"tag with quotes", web.DeviceFilter{Tag: `site "A"`}, 100},
		{"part of a tag", web.DeviceFilter{Tag: "te"}, 0},
		{"insecure", web.DeviceFilter{Insecure: true}, 67},
		{"text", web.DeviceFilter{Text: "DEV:000"}, 9},
		{"wildcards are text", web.DeviceFilter{Text: "%"}, 0},
		{"tag and state", web.DeviceFilter{Tag: "ten", State: web.DeviceOnline}, 34},
		{"no such campaign", web.DeviceFilter{Campaign: "c"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := all(t, w, c.f, 70)
			if len(got) != c.want {
				t.Errorf("ListDevices(%+v) = %d devices, want %d", c.f, len(got), c.want)
			}
			if !slices.IsSortedFunc(got, func(a, b web.Device) int { return strings.Compare(a.Endpoint, b.Endpoint) }) {
				t.Error("not in order of endpoints")
			}
			for _, d := range got {
				if c.f.State != "" && d.State != c.f.State {
					t.Errorf("%s is %s", d.Endpoint, d.State)
				}
			}
		})
	}
	// Nobody has registered with this server since it began, nor before.
	overview, err := w.Overview.Overview(t.Context(), w.clock.Now())
	if err != nil || overview.Devices != n || overview.Online != 0 || overview.Offline != 668 ||
		overview.Expected != 166 || overview.Left != 166 || overview.Provider != "Alpha" {
		t.Errorf("Overview = %+v, %v", overview, err)
	}
	if len(overview.Notices) != 1 || !strings.Contains(overview.Notices[0].Text, "without security") {
		t.Errorf("notices = %+v", overview.Notices)
	}
	for _, f := range []web.DeviceFilter{{State: "gone"}, {Ownership: "mine"}} {
		_, err := w.Devices.ListDevices(t.Context(), f, web.Page{})
		wantError(t, "ListDevices", err, web.ErrInvalid)
	}
	list, err := w.Devices.ListDevices(t.Context(), web.DeviceFilter{}, web.Page{Size: 1 << 30})
	if err != nil || len(list.Items) != web.MaxPageSize {
		t.Errorf("a huge page has %d devices, %v", len(list.Items), err)
	}
}

func TestDevice(t *testing.T) {
	w := newWorld(t)
	d := w.add(t, fleet.Device{Endpoint: "urn:dev:1", Tags: []string{"b", "a"}})
	w.registered(t, d, time.Hour)
	now := w.clock.Now()
	for path, text := range map[string]string{
		"/3/0/0": "ACME", "/3/0/1": "M1", "/3/0/3": "1.0", "/3/0/13": "x", "/30/0/1": "no", "/3303/0/5601/0": "y",
	} {
		p, err := lwm2m.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		err = w.db.Server().Record(t.Context(), []server.Report{{
			Device: d.ID, From: server.FromRead, Entry: lwm2m.Entry{Path: p, Value: lwm2m.String(text)}, At: now,
		}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.db.Server().Want(t.Context(), d.ID, server.Node(lwm2m.NewPath(3, 0)), true, "test"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{string(d.ID), "ep:urn:dev:1"} {
		got, err := w.Devices.Device(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got.State != web.DeviceOnline || got.Firmware != "1.0" || got.Manufacturer != "ACME" || got.Model != "M1" ||
			got.Security != "operational" || got.Version != "1.1" || !got.LastSeen.Equal(now) {
			t.Errorf("Device(%s) = %+v", id, got.Device)
		}
		if got.Registration == nil || got.Registration.Seconds != 3600 {
			t.Errorf("registration = %+v", got.Registration)
		}
		want := "[{3 Device  [0]} {3303 Temperature 1.1 [0 1]} {33333   [0]}]"
		if text := fmt.Sprint([]web.ObjectNode(got.Objects)); text != want {
			t.Errorf("objects = %s, want %s", text, want)
		}
	}
	for path, want := range map[string]int{"/": 6, "/3": 4, "/3/0": 4, "/3/0/1": 1, "/30": 1, "/3303/0/5601": 1, "/4": 0} {
		p, _ := lwm2m.ParsePath(path)
		got, err := w.Devices.Values(t.Context(), string(d.ID), p)
		if err != nil || len(got) != want {
			t.Errorf("Values(%s) = %d values, %v, want %d", path, len(got), err, want)
		}
		for _, v := range got {
			if v.Observed != lwm2m.NewPath(3, 0).Contains(v.Path) {
				t.Errorf("%s observed: %t", v.Path, v.Observed)
			}
		}
	}
	w.clock.Advance(2 * time.Hour)
	if err := w.server.Dismiss(t.Context(), d.ID, "test"); err != nil {
		t.Fatal(err)
	}
	got, err := w.Devices.Device(t.Context(), string(d.ID))
	if err != nil || got.State != web.DeviceOffline || got.Registration != nil || len(got.Objects) != 3 ||
		got.LastSeen.IsZero() {
		t.Errorf("offline: %+v, %v", got, err)
	}
}
