package services_test

import (
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/web"
)

// The devices behind a gateway, from what it said last, stand on its page; so do
// their values.
func TestBehindAGateway(t *testing.T) {
	w := newWorld(t)
	d := w.add(t, fleet.Device{Endpoint: "gw"})
	end, err := lwm2m.ParseNode("/d01/3303/0/5700")
	if err != nil {
		t.Fatal(err)
	}
	values := map[lwm2m.Path]lwm2m.Value{
		lwm2m.NewPath(25, 0, 0): lwm2m.String("sensor"), lwm2m.NewPath(25, 0, 1): lwm2m.String("d01"),
		lwm2m.NewPath(25, 0, 3): lwm2m.Corelnk("</d01/3303/0>,</d01/3/0>,</d01/3/0/1>,</3/1>"),
		lwm2m.NewPath(25, 1, 0): lwm2m.String("odd"), lwm2m.NewPath(25, 1, 1): lwm2m.String("1"),
		lwm2m.NewPath(25, 2, 1): lwm2m.String("d02"), lwm2m.NewPath(25, 2, 3): lwm2m.Corelnk("<<"),
		end: lwm2m.Float(20),
	}
	var reports []server.Report
	for p, v := range values {
		reports = append(reports, server.Report{
			Device: d.ID, From: server.FromNotify, Entry: lwm2m.Entry{Path: p, Value: v}, At: w.clock.Now(),
		})
	}
	if err := w.db.Server().Record(t.Context(), reports); err != nil {
		t.Fatal(err)
	}
	got, err := w.Devices.Device(t.Context(), "ep:gw")
	if err != nil || len(got.Behind) != 3 {
		t.Fatalf("%+v, %v", got.Behind, err)
	}
	if first := got.Behind[0]; first.ID != "sensor" || len(first.Objects) != 3 || first.Objects[2] != end.Prefix(2) {
		t.Errorf("first %+v", first)
	}
	if got.Behind[1].Problem == "" || got.Behind[2].Problem != "" || len(got.Behind[2].Objects) != 0 {
		t.Errorf("others %+v", got.Behind[1:])
	}
	for _, o := range got.Objects {
		if o.ID == 3303 {
			t.Error("an object of a device behind it is shown as its own")
		}
	}
	below, err := w.Devices.Values(t.Context(), "ep:gw", end.Prefix(0))
	if err != nil || len(below) != 1 || below[0].Path != end || below[0].Units == "" && below[0].Name == "" {
		t.Errorf("values behind it %+v, %v", below, err)
	}
	if q, err := web.ParseSeriesQuery(end.String(), nil); err != nil || q.Path != end {
		t.Errorf("series %+v, %v", q, err)
	}
}
