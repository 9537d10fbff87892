package registry_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/objects/registry"
)

var _ lwm2m.Schema = (*registry.Registry)(nil)

func TestDefaultCounts(t *testing.T) {
	r := registry.Default()
	ids := map[uint16]bool{}
	resources := 0
	for _, o := range r.Objects() {
		ids[o.ID] = true
		resources += len(o.Resources)
		if !slices.IsSortedFunc(o.Resources, func(a, b registry.Resource) int { return int(a.ID) - int(b.ID) }) {
			t.Errorf("resources of %d version %s are out of order", o.ID, o.Version)
		}
	}
	if len(ids) != 327 || len(r.Objects()) != 424 || resources != 4506 {
		t.Errorf("Default() has %d objects, %d versions, %d resources, want 327, 424, 4506",
			len(ids), len(r.Objects()), resources)
	}
}

func TestObject(t *testing.T) {
	tests := []struct {
		id                 uint16
		version            string // "" is the newest
		want, name         string
		multiple, required bool
		resources          int
	}{
		{id: 0, want: "1.2", name: "LWM2M Security", multiple: true, required: true, resources: 31},
		{id: 0, version: "1.0", want: "1.0", name: "LWM2M Security", multiple: true, required: true, resources: 13},
		{id: 3, want: "1.2", name: "Device", required: true, resources: 23},
		{id: 5, want: "1.2", name: "Firmware Update", resources: 14},
		{id: 5, version: "1.1", want: "1.1", name: "Firmware Update", resources: 13},
		{id: 21, want: "2.0", name: "LWM2M OSCORE", multiple: true, resources: 7},
		{id: 3303, want: "1.1", name: "Temperature", multiple: true, resources: 12},
	}
	for _, tt := range tests {
		o, ok := registry.Default().Object(tt.id)
		if tt.version != "" {
			o, ok = registry.Default().Versioned(tt.id, tt.version)
		}
		if !ok || o.Version != tt.want || o.Name != tt.name || o.Multiple != tt.multiple ||
			o.Mandatory != tt.required || len(o.Resources) != tt.resources {
			t.Errorf("object %d %s = %s %q multiple %v mandatory %v, %d resources, %v; want %+v",
				tt.id, tt.version, o.Version, o.Name, o.Multiple, o.Mandatory, len(o.Resources), ok, tt)
		}
	}
	if _, ok := registry.Default().Object(42769); ok {
		t.Error("Object(42769) is known, want unknown without With")
	}
	if _, ok := registry.Default().Versioned(3, "9.9"); ok {
		t.Error("Versioned(3, 9.9) is known, want unknown")
	}
}

func TestResource(t *testing.T) {
	tests := []struct {
		object, resource uint16
		letters          string
		want             lwm2m.ResourceInfo
	}{
		{3, 0, "R", lwm2m.ResourceInfo{Name: "Manufacturer", Kind: lwm2m.KindString, Operations: lwm2m.OpRead}},
		{3, 4, "E", lwm2m.ResourceInfo{Name: "Reboot", Operations: lwm2m.OpExecute, Mandatory: true}},
		{3, 9, "R", lwm2m.ResourceInfo{
			Name: "Battery Level", Kind: lwm2m.KindInteger, Operations: lwm2m.OpRead, Range: "0..100", Units: "/100",
		}},
		{3, 11, "R", lwm2m.ResourceInfo{
			Name: "Error Code", Kind: lwm2m.KindInteger, Operations: lwm2m.OpRead,
			Multiple: true, Mandatory: true, Range: "0..32",
		}},
		{3, 13, "RW", lwm2m.ResourceInfo{
			Name: "Current Time", Kind: lwm2m.KindTime, Operations: lwm2m.OpRead | lwm2m.OpWrite,
		}},
		{3, 22, "R", lwm2m.ResourceInfo{
			Name: "ExtDevInfo", Kind: lwm2m.KindObjlnk, Operations: lwm2m.OpRead, Multiple: true,
		}},
		{0, 5, "", lwm2m.ResourceInfo{Name: "Secret Key", Kind: lwm2m.KindOpaque, Mandatory: true}},
		{5, 13, "RW", lwm2m.ResourceInfo{
			Name: "Maximum Defer Period", Kind: lwm2m.KindUnsigned,
			Operations: lwm2m.OpRead | lwm2m.OpWrite, Units: "s",
		}},
	}
	for _, tt := range tests {
		got, ok := registry.Default().Resource(tt.object, tt.resource)
		if !ok || got != tt.want {
			t.Errorf("Resource(%d, %d) = %+v, %v, want %+v", tt.object, tt.resource, got, ok, tt.want)
		}
		if l := (registry.Resource{ResourceInfo: got}).Letters(); l != tt.letters {
			t.Errorf("Letters of %d/%d = %q, want %q", tt.object, tt.resource, l, tt.letters)
		}
	}
	for _, p := range [][2]uint16{{3, 999}, {65000, 0}} {
		if got, ok := registry.Default().Resource(p[0], p[1]); ok {
			t.Errorf("Resource(%d, %d) = %+v, want unknown", p[0], p[1], got)
		}
	}
}

func TestWith(t *testing.T) {
	info := lwm2m.ResourceInfo{Name: "One", Kind: lwm2m.KindInteger}
	custom := registry.Object{ID: 42769, Version: "1.0", Name: "Custom", Resources: []registry.Resource{
		{ID: 7}, {ID: 1, ResourceInfo: info},
	}}
	device := registry.Object{ID: 3, Version: "1.2", Name: "Other"}
	r := registry.Default().With(custom, device)
	if got, ok := r.Resource(42769, 1); !ok || got != info {
		t.Errorf("Resource(42769, 1) = %+v, %v, want %+v", got, ok, info)
	}
	if o, _ := r.Object(3); o.Name != "Other" {
		t.Errorf("Object(3) = %q, want the replacement", o.Name)
	}
	// The replaced version has no resources, so an older one answers.
	if got, ok := r.Resource(3, 0); !ok || got.Name != "Manufacturer" {
		t.Errorf("Resource(3, 0) = %+v, %v, want the older version's", got, ok)
	}
	if o, _ := registry.Default().Object(3); o.Name != "Device" {
		t.Errorf("With changed its receiver: Object(3) = %q", o.Name)
	}
}

func TestExtend(t *testing.T) {
	r := registry.Default().With()
	custom := registry.Object{ID: 32001, Version: "1.0", Name: "Custom", Resources: []registry.Resource{{ID: 7}, {ID: 1}}}
	r.Extend(custom)
	if o, ok := r.Object(32001); !ok || o.Resources[0].ID != 1 {
		t.Errorf("Object(32001) after Extend = %+v, %v", o, ok)
	}
	if o, ok := r.With().Object(32001); !ok || o.Name != "Custom" {
		t.Errorf("Object(32001) of With = %+v, %v", o, ok)
	}
	if _, ok := r.Made().Object(32001); ok {
		t.Error("Made knows what Extend added")
	}
	r.Extend()
	if _, ok := r.Object(32001); ok || len(r.Objects()) != len(registry.Default().Objects()) {
		t.Errorf("Object(32001) is known after Extend without it; %d objects", len(r.Objects()))
	}
}

func TestCompareVersions(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"1.0", "1.0", 0}, {"1.9", "1.10", -1}, {"2.0", "1.10", 1}, {"", "1.0", -1}} {
		if got := registry.CompareVersions(tt.a, tt.b); got != tt.want {
			t.Errorf("CompareVersions(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	const (
		head   = "headings\n"
		device = "3\t1.0\t1.0\tDevice\turn\tSingle\tMandatory\n"
		model  = "3\t1.0\t1\tModel\tR\tSingle\tOptional\tString\t\t\n"
	)
	tests := []struct{ name, objects, resources string }{
		{"column missing", head + strings.TrimSuffix(device, "\tMandatory\n"), head},
		{"object id", head + strings.Replace(device, "3", "70000", 1), head},
		{"objects out of order", head + device + strings.Replace(device, "3", "2", 1), head},
		{"resource id", head + device, head + strings.Replace(model, "\t1\t", "\tx\t", 1)},
		{"object of a resource", head + device, head + strings.Replace(model, "3", "x", 1)},
		{"type", head + device, head + strings.Replace(model, "String", "Strang", 1)},
		{"object not listed", head + device, head + strings.Replace(model, "3", "4", 1)},
		{"nothing", "", ""},
	}
	for _, tt := range tests {
		if _, err := registry.Parse(tt.objects, tt.resources); !errors.Is(err, registry.ErrTable) {
			t.Errorf("%s: Parse = %v, want ErrTable", tt.name, err)
		}
	}
	if _, err := registry.Parse("# a comment\n"+head+device, head+model); err != nil {
		t.Errorf("Parse of a good table: %v", err)
	}
}
