package services_test

import (
	"slices"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
	"steward/web"
)

// Composite operations and attributes by the service that REST and dashboard call.
func TestCompositeOperations(t *testing.T) {
	w := newWorld(t)
	d := w.add(t, fleet.Device{Endpoint: "d"})
	w.online(t, d)
	ctx, level, zone := t.Context(), lwm2m.NewPath(3, 0, 9), lwm2m.NewPath(3, 0, 14)
	var asked []*coap.Request
	take := func(q *coap.Request) { asked = append(asked, q) }
	do := func(op web.Operation, res coap.Response, want error) web.Outcome {
		t.Helper()
		asked = nil
		f := func(q *coap.Request) (*coap.Response, error) { take(q); return &res, nil }
		w.peers.do, w.peers.observe = f, f
		out, err := w.Operations.Do(ctx, alice, "ep:d", op)
		wantError(t, string(op.Kind), err, want)
		return out
	}
	values := coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(codec.SenMLJSON),
		Payload: []byte(`[{"n":"/3/0/9","v":7},{"n":"/3/0/14","vs":"Z"}]`),
	}
	both := []lwm2m.Path{level, zone}
	out := do(web.Operation{Kind: web.OpReadComposite, Paths: both}, values, nil)
	if len(out.Values) != 2 || out.Values[0].Name != "Battery Level" || len(asked) != 1 || asked[0].Method != coap.FETCH {
		t.Errorf("read_composite = %+v, asked %+v", out, asked)
	}
	changed := coap.Response{Code: coap.Changed}
	entries := []lwm2m.Entry{
		{Path: zone, Value: lwm2m.String("Z")}, {Path: lwm2m.NewPath(1, 0, 1), Value: lwm2m.Integer(60)},
	}
	do(web.Operation{Kind: web.OpWriteComposite, Entries: entries}, changed, nil)
	if len(asked) != 1 || asked[0].Method != coap.IPATCH || w.audited(t, "device.write").Reason != "/3/0/14 /1/0/1" {
		t.Errorf("write_composite asked %+v, audited %+v", asked, w.audited(t, "device.write").Row)
	}
	gone := []lwm2m.Entry{{Path: lwm2m.NewPath(3, 0, 11, 1)}}
	do(web.Operation{Kind: web.OpWriteComposite, Entries: gone}, changed, web.ErrDevice) // not in 1.1
	do(web.Operation{Kind: web.OpWriteAttributes, Path: level, Attributes: []string{"pmin=1", "gt=5"}}, changed, nil)
	if len(asked) != 1 || !slices.Equal(asked[0].Query, []string{"pmin=1", "gt=5"}) {
		t.Errorf("write_attributes asked %+v", asked)
	}
	deep := 1
	for name, op := range map[string]web.Operation{
		"no paths":             {Kind: web.OpReadComposite},
		"a path too":           {Kind: web.OpReadComposite, Path: level, Paths: both},
		"twice":                {Kind: web.OpObserveComposite, Paths: []lwm2m.Path{level, level}},
		"too many":             {Kind: web.OpReadComposite, Paths: make([]lwm2m.Path, 65)},
		"paths of a read":      {Kind: web.OpRead, Path: level, Paths: both},
		"attributes of a read": {Kind: web.OpRead, Path: level, Attributes: []string{"pmin=1"}},
		"no attributes":        {Kind: web.OpWriteAttributes, Path: level},
		"contradiction":        {Kind: web.OpWriteAttributes, Path: level, Attributes: []string{"lt=5", "gt=1"}},
		"no attribute":         {Kind: web.OpWriteAttributes, Path: level, Attributes: []string{"pmin=1&gt=2"}},
		"no values":            {Kind: web.OpWriteComposite},
		"thresholds of several": {
			Kind: web.OpObserveComposite, Paths: both, Attributes: []string{"gt=1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			do(op, changed, web.ErrInvalid)
			if len(asked) != 0 {
				t.Errorf("asked %+v", asked)
			}
		})
	}
	do(web.Operation{Kind: web.OpDiscover, Path: level, Depth: &deep}, changed, web.ErrDevice) // not in 1.1
	do(web.Operation{Kind: web.OpObserveComposite, Paths: both}, values, web.ErrDevice)        // without Observe
	if left, err := w.db.Server().Wanted(ctx, d.ID); err != nil || len(left) != 0 {
		t.Errorf("a failed observe left %v, %v", left, err)
	}
	do(web.Operation{Kind: web.OpCancelComposite, Paths: both}, changed, nil)
	if text := w.audited(t, "device.write_attributes").Reason; !strings.Contains(text, "/3/0/9") {
		t.Errorf("audited %q", text)
	}
}
