package bench

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/objects/registry"
)

// Numbers of CoAP options (RFC 7252 §12.2, RFC 7641 §6).
const (
	optionObserve  = 6
	optionLocation = 8
	optionPath     = 11
	optionFormat   = 12
	optionQuery    = 15
	optionAccept   = 17
)

// Retransmission: the server's own parameters would hide loss for minutes.
const (
	ackTimeout = 2 * time.Second
	maxSends   = 4
)

// A reply is what answered an operation.
type reply struct {
	code     coap.Code
	reset    bool
	location []string
}

// A waiter is told what answered its operation, at most once, with the device locked.
type waiter interface{ answered(r reply) }

// message takes one message of the server. The caller holds mu.
func (d *device) message(datagram []byte) {
	m, err := coap.Parse(datagram)
	if err != nil {
		return
	}
	switch {
	case m.Code == coap.PUT:
		d.reply(take(&m))
	case m.Code.IsRequest():
		d.serve(&m)
	case m.Type == coap.ACK || m.Type == coap.RST:
		d.answered(&m)
	default: // a separate response has its token, which is the request's id
		if len(m.Token) == 2 {
			if m.Type == coap.CON {
				d.reply(coap.Message{Type: coap.ACK, ID: m.ID})
			}
			m.ID = binary.BigEndian.Uint16(m.Token)
			d.answered(&m)
		}
	}
}

// answered ends the operation under way, if m is its answer. The empty
// acknowledgement of a request is none: the response follows.
func (d *device) answered(m *coap.Message) {
	if d.wait == nil || m.ID != d.waitID || m.Code == coap.Empty && m.Type == coap.ACK && !d.waitEmpty {
		return
	}
	r := reply{code: m.Code, reset: m.Type == coap.RST}
	for _, o := range m.Options {
		if o.ID == optionLocation {
			r.location = append(r.location, string(o.Value))
		}
	}
	d.trace.answered()
	w := d.wait
	d.wait = nil
	w.answered(r)
}

func (d *device) reply(m coap.Message) {
	if raw, err := m.Append(nil); err == nil {
		_ = d.send(raw) // lost, as a datagram may be
	}
}

// serve answers a request of the server: Read and Observe of a path that we have
// by a value, everything else by 4.04.
func (d *device) serve(m *coap.Message) {
	answer := coap.Message{Type: coap.ACK, Code: coap.NotFound, ID: m.ID, Token: m.Token}
	if m.Type == coap.NON {
		answer.Type = coap.NON
	}
	var path []string
	observe, format := false, codec.SenMLCBOR
	for _, o := range m.Options {
		switch o.ID {
		case optionPath:
			path = append(path, string(o.Value))
		case optionObserve:
			observe = len(o.Value) == 0
		case optionAccept:
			format = uint16(number(o.Value)) //nolint:gosec // G115: two bytes
		default:
		}
	}
	text := "/" + strings.Join(path, "/")
	for k, p := range paths() {
		if m.Code != coap.GET || p.String() != text {
			continue
		}
		w := &d.watched[k]
		if !observe {
			w = &watched{}
		}
		w.format, w.on = format, true
		w.length = uint8(copy(w.token[:], m.Token)) //nolint:gosec // G115: at most 8
		if n, err := w.notification(p, m.ID); err == nil {
			n.Type = answer.Type
			if !observe {
				n.Options = n.Options[1:]
			}
			answer = n
		}
	}
	d.reply(answer)
}

// notification returns the next one of p as a message. The caller holds mu.
func (w *watched) notification(p lwm2m.Path, id uint16) (coap.Message, error) {
	w.sequence++
	const base, span = 20, 10
	value := lwm2m.Float(base + float64(w.sequence%span))
	body, err := codec.Encode(w.format, p, []lwm2m.Entry{{Path: p, Value: value}}, registry.Default())
	if err != nil {
		return coap.Message{}, err
	}
	return coap.Message{
		Type: coap.CON, Code: coap.Content, ID: id, Token: w.token[:w.length],
		Options: []coap.Option{
			{ID: optionObserve, Value: bytesOf(w.sequence)}, {ID: optionFormat, Value: bytesOf(uint32(w.format))},
		},
		Payload: body,
	}, nil
}

// number reads an option's unsigned integer (RFC 7252 §3.2).
func number(b []byte) (v uint32) {
	for _, c := range b[:min(len(b), 4)] {
		v = v<<8 | uint32(c)
	}
	return v
}

// bytesOf is the inverse of number.
func bytesOf(v uint32) []byte {
	b := binary.BigEndian.AppendUint32(nil, v)
	for len(b) > 0 && b[0] == 0 {
		b = b[1:]
	}
	return b
}

// Errors of an operation.
var (
	errNoAnswer     = errors.New("no answer")
	errNotConnected = errors.New("association ended")
	errNotObserved  = errors.New("not observed")
)

// A builder makes the message of an operation of a device, which is locked.
type builder func(d *device, id uint16) (coap.Message, error)

// token is the id of the message again: unique among a device's exchanges.
func token(id uint16) []byte { return binary.BigEndian.AppendUint16(nil, id) }

func segment(text string) coap.Option { return coap.Option{ID: optionPath, Value: []byte(text)} }

func query(text string) coap.Option { return coap.Option{ID: optionQuery, Value: []byte(text)} }

// post is a small request whose answer costs the server no database.
func post(_ *device, id uint16) (coap.Message, error) {
	return coap.Message{
		Type: coap.CON, Code: coap.POST, ID: id, Token: token(id),
		Options: []coap.Option{segment("bench")}, Payload: []byte("23.5"),
	}, nil
}

// ping is an empty confirmable message, answered by a reset (RFC 7252 §4.3).
func ping(_ *device, id uint16) (coap.Message, error) {
	return coap.Message{Type: coap.CON, ID: id}, nil
}

const (
	lifetime = "lt=86400"
	links    = "</1/0>,</3/0>,</3303/0>"
)

// register is a Register (Core 1.2.2 §6.2.1).
func register(d *device, id uint16) (coap.Message, error) { return registerFor(d, id, lifetime) }

func registerFor(d *device, id uint16, lifetime string) (coap.Message, error) {
	return coap.Message{
		Type: coap.CON, Code: coap.POST, ID: id, Token: token(id),
		Options: []coap.Option{
			segment("rd"),
			{ID: optionFormat, Value: bytesOf(uint32(codec.Link))},
			query("ep=" + d.socket.g.fleet.name(d.number)), query(lifetime), query("lwm2m=1.1"),
			query("b=U"),
		},
		Payload: []byte(links),
	}, nil
}

// update is an Update that changes nothing (§6.2.2).
func update(d *device, id uint16) (coap.Message, error) {
	m := coap.Message{Type: coap.CON, Code: coap.POST, ID: id, Token: token(id)}
	for _, s := range d.location {
		m.Options = append(m.Options, segment(s))
	}
	return m, nil
}

// notify is the next notification of the k-th path.
func notify(k int) builder {
	return func(d *device, id uint16) (coap.Message, error) {
		w := &d.watched[k]
		if !w.on {
			return coap.Message{}, errNotObserved
		}
		return w.notification(paths()[k], id)
	}
}
