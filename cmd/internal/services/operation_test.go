package services_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/web"
)

// answer makes a device answer everything alike.
func (w *world) answer(res *coap.Response, err error) {
	f := func(*coap.Request) (*coap.Response, error) { return res, err }
	w.peers.do, w.peers.observe = f, f
}

// operationsOn is one valid operation of each kind.
func operationsOn() []web.Operation {
	leaf := lwm2m.NewPath(3, 0, 14)
	value := []lwm2m.Entry{{Path: leaf, Value: lwm2m.String("+01:00")}}
	return []web.Operation{
		{Kind: web.OpRead, Path: leaf},
		{Kind: web.OpDiscover, Path: lwm2m.NewPath(3)},
		{Kind: web.OpObserve, Path: leaf},
		{Kind: web.OpWrite, Path: leaf, Entries: value},
		{Kind: web.OpUpdate, Path: lwm2m.NewPath(3, 0), Entries: value},
		{Kind: web.OpExecute, Path: lwm2m.NewPath(3, 0, 4), Arguments: "0='1'"},
		{Kind: web.OpCreate, Path: lwm2m.NewPath(3), Entries: value},
		{Kind: web.OpDelete, Path: lwm2m.NewPath(3, 0)},
	}
}

func TestOperationErrors(t *testing.T) {
	w := newWorld(t)
	d := w.add(t, fleet.Device{Endpoint: "d"})
	for _, c := range []struct {
		name   string
		online bool
		res    *coap.Response
		err    error
		want   error
		coap   string
	}{
		{name: "not registered", want: web.ErrUnreachable},
		{
			name: "refused", online: true, res: &coap.Response{Code: coap.MethodNotAllowed, Payload: []byte("no\x1b[31m")},
			want: web.ErrDevice, coap: "4.05",
		},
		{
			name: "broken", online: true, res: &coap.Response{Code: coap.InternalServerError},
			want: web.ErrDevice, coap: "5.00",
		},
		{name: "silent", online: true, err: coap.ErrTimeout, want: web.ErrTimeout},
		{name: "caller's patience", online: true, err: context.DeadlineExceeded, want: web.ErrTimeout},
		{name: "caller gone", online: true, err: context.Canceled, want: web.ErrUnavailable},
		{name: "reset", online: true, err: coap.ErrReset, want: web.ErrUnreachable},
		{name: "closed", online: true, err: coap.ErrClosed, want: web.ErrUnreachable},
		{name: "busy", online: true, err: coap.ErrBusy, want: web.ErrUnavailable},
		{name: "too large", online: true, err: coap.ErrTooLarge, want: web.ErrTooLarge},
		{name: "out of step", online: true, err: coap.ErrBlock, want: web.ErrDevice},
		{name: "something else", online: true, err: errors.New("secret path"), want: web.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.online {
				w.online(t, d)
			}
			w.answer(c.res, c.err)
			for _, op := range operationsOn() {
				_, err := w.Operations.Do(t.Context(), alice, string(d.ID), op)
				wantError(t, string(op.Kind), err, c.want)
				known := (*web.Error)(nil)
				if !errors.As(err, &known) || known.CoAP != c.coap || strings.ContainsAny(known.Detail, "\x1b") ||
					strings.Contains(known.Detail, "secret") {
					t.Errorf("%s = %+v", op.Kind, known)
				}
			}
			if wanted, err := w.db.Server().Wanted(t.Context(), d.ID); err != nil || len(wanted) != 0 {
				t.Errorf("a failed observe left %v, %v", wanted, err)
			}
		})
	}
	row := w.audited(t, "device.delete")
	if row.Actor != "operator:alice" || row.Subject != string(d.ID) || row.Reason != "/3/0" || row.After != "unavailable" {
		t.Errorf("audit row = %+v", row.Row)
	}
}

func TestUnreadableAnswer(t *testing.T) {
	w := newWorld(t)
	d := w.add(t, fleet.Device{Endpoint: "d"})
	w.online(t, d)
	for _, c := range []struct {
		name string
		res  coap.Response
		op   web.OperationKind
	}{
		{"malformed TLV", coap.Response{ContentFormat: coap.FormatID(codec.TLV), Payload: []byte{0xc8, 0, 9}}, web.OpRead},
		{"unknown format", coap.Response{ContentFormat: coap.FormatID(999), Payload: []byte{1}}, web.OpRead},
		{"malformed links", coap.Response{Payload: []byte("</3/0")}, web.OpDiscover},
		{"odd location", coap.Response{LocationPath: []string{"x"}}, web.OpCreate},
	} {
		c.res.Code = coap.Content
		w.answer(&c.res, nil)
		_, err := w.Operations.Do(t.Context(), alice, string(d.ID), web.Operation{Kind: c.op, Path: lwm2m.NewPath(3)})
		wantError(t, c.name, err, web.ErrDevice)
	}
}

func TestOperationInput(t *testing.T) {
	w := newWorld(t)
	d := w.add(t, fleet.Device{Endpoint: "d"})
	for _, op := range []web.Operation{
		{},
		{Kind: "reboot", Path: lwm2m.NewPath(3)},
		{Kind: web.OpRead},
		{Kind: web.OpWrite, Path: lwm2m.NewPath(3)},
		{Kind: web.OpExecute, Path: lwm2m.NewPath(3, 0)},
		{Kind: web.OpExecute, Path: lwm2m.NewPath(3, 0, 4), Arguments: "a"},
		{Kind: web.OpDelete, Path: lwm2m.NewPath(3)},
		{Kind: web.OpCreate, Path: lwm2m.NewPath(3, 0, 1)},
		{Kind: web.OpWrite, Path: lwm2m.NewPath(3, 0), Entries: []lwm2m.Entry{{Path: lwm2m.NewPath(1, 0, 1)}}},
		{Kind: web.OpWrite, Path: lwm2m.NewPath(3, 0), Entries: []lwm2m.Entry{{Path: lwm2m.NewPath(3, 0)}}},
	} {
		_, err := w.Operations.Do(t.Context(), alice, string(d.ID), op)
		wantError(t, string(op.Kind)+" "+op.Path.String(), err, web.ErrInvalid)
	}
}

func TestOperations(t *testing.T) {
	w := newWorld(t)
	d := w.add(t, fleet.Device{Endpoint: "d"})
	w.online(t, d)
	ctx, leaf := t.Context(), lwm2m.NewPath(3, 0, 14)
	w.answer(&coap.Response{Code: coap.Content, ContentFormat: coap.FormatID(codec.Text), Payload: []byte("+02:00")}, nil)
	out, err := w.Operations.Do(ctx, alice, "ep:d", web.Operation{Kind: web.OpRead, Path: leaf})
	if err != nil || len(out.Values) != 1 || out.Values[0].Value.Text() != "+02:00" || out.Values[0].Name != "UTC Offset" {
		t.Errorf("read = %+v, %v", out, err)
	}
	w.answer(&coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(codec.Link), Payload: []byte("</3/0/14>;pmin=1"),
	}, nil)
	out, err = w.Operations.Do(ctx, alice, "ep:d", web.Operation{Kind: web.OpDiscover, Path: lwm2m.NewPath(3)})
	if err != nil || out.Links != "</3/0/14>;pmin=1" {
		t.Errorf("discover = %+v, %v", out, err)
	}
	w.answer(&coap.Response{Code: coap.Created, LocationPath: []string{"3", "7"}}, nil)
	out, err = w.Operations.Do(ctx, alice, "ep:d", web.Operation{Kind: web.OpCreate, Path: lwm2m.NewPath(3)})
	if err != nil || out.Path != "/3/7" {
		t.Errorf("create = %+v, %v", out, err)
	}
	w.answer(&coap.Response{Code: coap.Changed}, nil)
	for _, op := range operationsOn() {
		if !slices.Contains([]web.OperationKind{web.OpWrite, web.OpUpdate, web.OpExecute, web.OpDelete}, op.Kind) {
			continue
		}
		if _, err := w.Operations.Do(ctx, alice, string(d.ID), op); err != nil {
			t.Errorf("%s = %v", op.Kind, err)
		}
	}
	for _, action := range []string{"device.write", "device.execute", "device.delete", "device.create"} {
		if row := w.audited(t, action); row.Actor != "operator:alice" || row.After != "done" {
			t.Errorf("audit row = %+v", row.Row)
		}
	}
	if err := w.db.Server().Want(ctx, d.ID, server.Node(leaf), true, "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Operations.Do(ctx, alice, "ep:d", web.Operation{Kind: web.OpCancelObserve, Path: leaf}); err != nil {
		t.Errorf("cancel = %v", err)
	}
	if row := w.audited(t, "observation.cancel"); row.Actor != "operator:alice" {
		t.Errorf("audit row = %+v", row.Row)
	}
}
