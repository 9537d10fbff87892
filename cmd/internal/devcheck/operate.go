package devcheck

import (
	"context"
	"errors"
	"fmt"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/objects"
	"steward/transfer"
)

// ErrSilent reports a device that does not answer, or is not registered.
var ErrSilent = errors.New("the device does not answer")

// A link is a way to a device: over its registration or, on its way back, over the
// association by its factory certificate.
type link struct {
	engine  *coap.Engine
	session session
	schema  lwm2m.Schema
	limit   time.Duration // of one operation
}

// do asks in each format that may do, until one is understood.
func (l *link) do(
	ctx context.Context, r coap.Request, path lwm2m.Path, formats []uint16, set func(*coap.Request, uint16) error,
) (res *coap.Response, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.limit)
	defer cancel()
	r.Path = path.Segments()
	if l.session.peer == nil {
		return nil, ErrSilent
	}
	for _, f := range formats {
		try := r
		if err := set(&try, f); err != nil {
			return nil, err
		}
		if res, err = l.engine.Do(ctx, l.session.peer, &try); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrSilent, err)
		}
		if res.Code != coap.NotAcceptable && res.Code != coap.UnsupportedContentFormat {
			return res, nil
		}
	}
	return res, nil
}

// read returns the entries at a path, or the code of a refusal.
func (l *link) read(ctx context.Context, path lwm2m.Path, kind lwm2m.Kind) ([]lwm2m.Entry, coap.Code, error) {
	formats := codec.Choose(l.session.version, l.session.formats, path, kind)
	res, err := l.do(ctx, coap.Request{Method: coap.GET}, path, formats, func(r *coap.Request, f uint16) error {
		r.Accept = coap.FormatID(f)
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	if !res.Code.IsSuccess() {
		return nil, res.Code, nil
	}
	f, _ := res.ContentFormat.ID()
	entries, err := codec.Decode(f, path, res.Payload, l.schema)
	return entries, res.Code, err
}

// put writes or creates, by the method.
func (l *link) put(ctx context.Context, method coap.Code, path lwm2m.Path, entries ...lwm2m.Entry) (coap.Code, error) {
	kind := lwm2m.KindNone
	if path.Len() == 3 && len(entries) == 1 {
		kind = entries[0].Value.Kind()
	}
	formats := codec.ChooseWrite(l.session.version, l.session.formats, path, kind)
	res, err := l.do(ctx, coap.Request{Method: method}, path, formats, func(r *coap.Request, f uint16) (err error) {
		r.ContentFormat = coap.FormatID(f)
		r.Payload, err = codec.Encode(f, path, entries, l.schema)
		return err
	})
	if err != nil {
		return 0, err
	}
	return res.Code, nil
}

// write writes one resource.
func (l *link) write(ctx context.Context, path lwm2m.Path, v lwm2m.Value) (coap.Code, error) {
	return l.put(ctx, coap.PUT, path, lwm2m.Entry{Path: path, Value: v})
}

// remove deletes an instance.
func (l *link) remove(ctx context.Context, path lwm2m.Path) (coap.Code, error) {
	return l.plain(ctx, coap.Request{Method: coap.DELETE}, path)
}

// execute runs a resource.
func (l *link) execute(ctx context.Context, path lwm2m.Path, arguments string) (coap.Code, error) {
	r := coap.Request{Method: coap.POST, Payload: []byte(arguments)}
	if arguments != "" {
		r.ContentFormat = coap.FormatID(codec.Text)
	}
	return l.plain(ctx, r, path)
}

func (l *link) plain(ctx context.Context, r coap.Request, path lwm2m.Path) (coap.Code, error) {
	res, err := l.do(ctx, r, path, []uint16{0}, func(*coap.Request, uint16) error { return nil })
	if err != nil {
		return 0, err
	}
	return res.Code, nil
}

// A snapshot is what a server sees of the three objects.
type snapshot struct {
	transfer   objects.Transfer
	state      transfer.DeviceState
	truststore []transfer.Anchor // in the order of instances; Staged is not seen
}

// look reads the objects.
func (l *link) look(ctx context.Context, ids objects.IDs) (s snapshot, err error) {
	object := lwm2m.NewPath(ids.Transfer, 0)
	entries, code, err := l.read(ctx, object, lwm2m.KindNone)
	if err != nil || !code.IsSuccess() {
		return s, readError(object, code, err)
	}
	if s.transfer, err = objects.DecodeTransfer(object, entries); err != nil {
		return s, err
	}
	if s.state, err = transfer.DeviceStateOf(uint64(s.transfer.State)); err != nil {
		return s, err
	}
	object = lwm2m.NewPath(ids.Truststore)
	entries, code, err = l.read(ctx, object, lwm2m.KindNone)
	if err != nil || !code.IsSuccess() {
		return s, readError(object, code, err)
	}
	s.truststore, err = anchorsIn(object, entries)
	return s, err
}

func readError(path lwm2m.Path, code coap.Code, err error) error {
	if err == nil {
		err = fmt.Errorf("answers %s", code)
	}
	return fmt.Errorf("read of %s: %w", path, err)
}

// anchorsIn decodes a truststore as read.
func anchorsIn(object lwm2m.Path, entries []lwm2m.Entry) (anchors []transfer.Anchor, err error) {
	last := lwm2m.Path{}
	for _, e := range entries {
		instance := e.Path.Prefix(2)
		if !object.Contains(e.Path) || instance == last {
			continue
		}
		last = instance
		t, err := objects.DecodeTruststore(instance, entries)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", instance, err)
		}
		a := transfer.Anchor{
			Instance: instance.ID(1), Certificate: t.Certificate, Purposes: transfer.Purposes(t.Purposes),
			Domain: transfer.Domain(t.Domain),
		}
		if thumbprint := a.Thumbprint(); string(thumbprint[:]) != string(t.Thumbprint) {
			return nil, fmt.Errorf("%s: Thumbprint is not that of Certificate", instance)
		}
		anchors = append(anchors, a)
	}
	return anchors, nil
}
