package leshan_test

import (
	"encoding/json"
	"errors"
	"flag"
	"math"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/machine/machinetest"
	"steward/objects/registry"
	"steward/web"
	"steward/web/compat/leshan"
)

var update = flag.Bool("update", false, "rewrite golden texts in testdata")

// golden compares v with a file that this package wrote, whose members are those of
// the serializers of leshan-demo-server 2.0.0 by their sources; no running server was
// asked.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	machinetest.Golden(t, "testdata/"+name+".json", string(text)+"\n", *update)
}

func device(queue bool) web.DeviceDetail {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return web.DeviceDetail{
		Device: web.Device{ID: "D1", Endpoint: "meter-1", Security: "psk", Version: "1.1", LastSeen: noon.Add(time.Minute)},
		Registration: &web.Registration{
			Location: "/rd/x7", Address: "192.0.2.1:5683", Seconds: 300, Binding: "U", Queue: queue, Asleep: queue, Since: noon,
		},
		Objects: []web.ObjectNode{
			{ID: 1, Version: "1.1", Instances: []uint16{0}}, {ID: 3, Instances: []uint16{0}}, {ID: 5},
		},
	}
}

// JacksonRegistrationSerializer, JacksonLinkSerializer.
func TestRegistration(t *testing.T) {
	golden(t, "registration", leshan.NewRegistration(device(false)))
	golden(t, "registration-queue", leshan.NewRegistration(device(true)))
	gone := device(false)
	gone.Registration = nil
	golden(t, "registration-gone", leshan.NewRegistration(gone))
}

// JacksonResponseSerializer around JacksonLwM2mNodeSerializer.
func TestRead(t *testing.T) {
	values := []web.Value{
		{Path: lwm2m.NewPath(9, 0, 0), Value: lwm2m.String("a")},
		{Path: lwm2m.NewPath(9, 0, 1), Value: lwm2m.Integer(math.MaxInt64)},
		{Path: lwm2m.NewPath(9, 0, 2), Value: lwm2m.Unsigned(math.MaxUint64)},
		{Path: lwm2m.NewPath(9, 0, 3), Value: lwm2m.Float(20)},
		{Path: lwm2m.NewPath(9, 0, 4), Value: lwm2m.Boolean(true)},
		{Path: lwm2m.NewPath(9, 0, 5), Value: lwm2m.Opaque([]byte{0xab, 1})},
		{Path: lwm2m.NewPath(9, 0, 6), Value: lwm2m.Time(1_700_000_000)},
		{Path: lwm2m.NewPath(9, 0, 7), Value: lwm2m.Objlnk(3, 0)},
		{Path: lwm2m.NewPath(9, 1, 8, 0), Value: lwm2m.Float(1.25e10)},
		{Path: lwm2m.NewPath(9, 1, 8, 4), Value: lwm2m.Float(-0.0005)},
	}
	for name, p := range map[string]lwm2m.Path{
		"read-object": lwm2m.NewPath(9), "read-instance": lwm2m.NewPath(9, 1), "read-resource": lwm2m.NewPath(9, 0, 1),
		"read-multiple": lwm2m.NewPath(9, 1, 8), "read-resource-instance": lwm2m.NewPath(9, 1, 8, 4),
	} {
		r := leshan.NewResponse("2.05", "")
		r.Content = leshan.NewNode(p, values, nil)
		golden(t, name, r)
	}
	golden(t, "changed", leshan.NewResponse("2.04", "never told"))
	golden(t, "refused", leshan.NewResponse("4.04", "no such thing"))
	golden(t, "unknown", leshan.NewResponse("4.99", ""))
	golden(t, "delayed", leshan.Delayed{Endpoint: "meter-1", Path: "/3/0/0", Request: "O1", Delayed: true})
}

// JacksonLwM2mNodeDeserializer.
func TestReadNode(t *testing.T) {
	at := lwm2m.NewPath(9, 0, 3)
	for _, row := range []struct {
		body string
		want lwm2m.Value
		err  error
	}{
		{`{"id":3,"kind":"singleResource","type":"STRING","value":"a"}`, lwm2m.String("a"), nil},
		{`{"id":3,"type":"integer","value":"9223372036854775807"}`, lwm2m.Integer(math.MaxInt64), nil},
		{`{"id":3,"type":"INTEGER","value":60}`, lwm2m.Integer(60), nil},
		{`{"id":3,"type":"UNSIGNED_INTEGER","value":"18446744073709551615"}`, lwm2m.Unsigned(math.MaxUint64), nil},
		{`{"id":3,"type":"FLOAT","value":"1.5"}`, lwm2m.Float(1.5), nil},
		{`{"id":3,"type":"BOOLEAN","value":true}`, lwm2m.Boolean(true), nil},
		{`{"id":3,"type":"OPAQUE","value":"ab01"}`, lwm2m.Opaque([]byte{0xab, 1}), nil},
		{`{"id":3,"type":"TIME","value":1700000000999}`, lwm2m.Time(1_700_000_000), nil},
		{`{"id":3,"type":"TIME","value":-1}`, lwm2m.Time(-1), nil},
		{`{"id":3,"type":"OBJLNK","value":{"objectId":3,"objectInstanceId":0}}`, lwm2m.Objlnk(3, 0), nil},

		{`[]`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":4,"type":"STRING","value":"a"}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"type":"STRING","value":"a"}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"value":"a"}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"type":"NONE","value":"a"}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"type":"STRING"}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"type":"INTEGER","value":"x"}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"type":"INTEGER","value":null}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"type":"OPAQUE","value":"abc"}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"type":"OPAQUE","value":1}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"type":"TIME","value":"now"}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"type":"TIME","value":null}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"type":"OBJLNK","value":{"objectId":3}}`, lwm2m.Value{}, web.ErrInvalid},
		{`{"id":3,"kind":"multiResource","type":"STRING","values":{"0":"a"}}`, lwm2m.Value{}, web.ErrNotBuilt},
	} {
		got, err := leshan.ReadNode(at, []byte(row.body))
		if got != row.want || !errors.Is(err, row.err) {
			t.Errorf("%s = %v, %v; want %v, %v", row.body, got, err, row.want, row.err)
		}
	}
}

func FuzzReadNode(f *testing.F) {
	f.Add([]byte(`{"id":3,"kind":"singleResource","type":"FLOAT","value":"1.5"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := leshan.ReadNode(lwm2m.NewPath(9, 0, 3), body)
		if (err == nil) != (v.Kind() != lwm2m.KindNone) {
			t.Errorf("= %v, %v", v, err)
		}
	})
}

// ObjectModelSerDes, ResourceModelSerDes.
func TestModels(t *testing.T) {
	objects := []web.ObjectNode{{ID: 4, Version: "1.3"}, {ID: 5}, {ID: 65000}}
	models := leshan.Models(objects, registry.Default())
	if len(models) != 2 || models[0].Version != "1.3" || models[1].ID != 5 {
		t.Fatalf("= %+v", models)
	}
	models[1].Resources = models[1].Resources[:3]
	golden(t, "model", models[1])
}

// EventServlet.
func TestEvents(t *testing.T) {
	for name, row := range map[string]struct {
		kind, data string
		queue      bool
	}{
		"event-registration":   {web.EventDevice, `{"kind":"registered"}`, true},
		"event-updated":        {web.EventDevice, `{"kind":"updated"}`, false},
		"event-deregistration": {web.EventDevice, `{"kind":"expired"}`, false},
		"event-notification":   {web.EventValue, `{"path":"/3/0/9","text":"80","kind":"integer"}`, false},
		"event-send":           {web.EventValue, `{"path":"/5/0/0","text":"ab01","kind":"opaque","sent":true}`, false},
		"event-old":            {web.EventValue, `{"path":"/3/0/9","text":"80"}`, false},
		"event-none":           {web.EventDevice, `{"kind":"lost"}`, true},
		"event-gateway":        {web.EventValue, `{"path":"/d01/3/0/9","text":"80","kind":"integer"}`, false},
		"event-other":          {web.EventCampaign, `{}`, false},
		"event-broken":         {web.EventValue, `[]`, false},
		"event-broken-state":   {web.EventDevice, `[]`, false},
	} {
		golden(t, name, leshan.Events(web.Event{Type: row.kind, Data: []byte(row.data)}, device(row.queue)))
	}
}
