package ets_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A reply is what a device answers. A zero code is no answer at all, 1 an
// acknowledgement without one.
type reply struct {
	code    int
	format  int // -1: none
	body    string
	observe bool
	path    string // Location-Path
}

// A device is a client of raw bytes, which answers by a table and keeps what it
// was asked.
type device struct {
	t       *testing.T
	send    func(datagram []byte) // to the server
	patient time.Duration         // how long it waits for an answer
	inbox   chan []byte
	quit    chan struct{} // closed when the test ends
	ended   chan struct{}

	mu       sync.Mutex
	answers  map[string]func(message) reply
	asked    []message
	replies  map[string]chan message // by token
	ends     map[uint16]chan message // acknowledgements and resets, by message id
	uploads  map[string]string       // bodies that come in blocks
	deaf     bool
	id       uint16
	location string
}

// newDevice starts a device that answers 4.04 to everything.
func newDevice(t *testing.T, send func([]byte)) *device {
	t.Helper()
	d := &device{
		t: t, send: send, patient: 100 * time.Second,
		inbox: make(chan []byte, 1024), quit: make(chan struct{}), ended: make(chan struct{}),
		answers: map[string]func(message) reply{}, replies: map[string]chan message{}, ends: map[uint16]chan message{},
		uploads: map[string]string{},
	}
	go d.listen()
	t.Cleanup(func() { close(d.quit); <-d.ended })
	return d
}

// arrive takes a datagram of the server, unless the test has ended.
func (d *device) arrive(datagram []byte) {
	select {
	case d.inbox <- slices.Clone(datagram):
	case <-d.quit:
	}
}

func (d *device) listen() {
	defer close(d.ended)
	for {
		select {
		case <-d.quit:
			return
		case b := <-d.inbox:
			m, err := parse(b)
			if err != nil {
				d.t.Errorf("the server sent %x: %v", b, err)
				continue
			}
			d.take(m)
		}
	}
}

func (d *device) take(m message) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.deaf {
		return
	}
	switch {
	case m.typ == rst, m.typ == ack && m.code == 0:
		if c, ok := d.ends[m.id]; ok {
			c <- m
		}
	case m.number() >= 200:
		if m.typ == con {
			d.send(message{typ: ack, id: m.id}.bytes())
		}
		if c, ok := d.replies[m.token]; ok {
			c <- m
		}
	default:
		d.serve(m)
	}
}

// serve answers a request; blocks of a body are collected (RFC 7959).
func (d *device) serve(m message) {
	key := m.key()
	block, blocks := m.option(optBlock1)
	if blocks {
		d.uploads[key] += m.payload
		if block>>4 == 0 {
			d.uploads[key] = m.payload
		}
		if block&8 != 0 {
			d.respond(m, reply{code: 231, format: -1}, option{optBlock1, option1(m, optBlock1)})
			return
		}
		m.payload = d.uploads[key]
	}
	d.asked = append(d.asked, m)
	answer := reply{code: 404, format: -1}
	if f, ok := d.answers[key]; ok {
		answer = f(m)
	}
	if blocks {
		d.respond(m, answer, option{optBlock1, option1(m, optBlock1)})
		return
	}
	d.respond(m, answer)
}

func option1(m message, number int) string {
	for _, o := range m.options {
		if o.number == number {
			return o.value
		}
	}
	return ""
}

// respond sends a piggybacked answer, in blocks of 1024 bytes if it is long.
func (d *device) respond(m message, r reply, more ...option) {
	out := message{typ: ack, code: code(r.code), id: m.id, token: m.token, options: more, payload: r.body}
	if m.typ == non {
		d.id++
		out.typ, out.id = non, d.id
	}
	switch r.code {
	case 0:
		return
	case 1:
		out = message{typ: ack, id: m.id}
	}
	if r.format >= 0 && r.code > 1 {
		out.options = append(out.options, uintOption(optFormat, uint32(r.format)))
	}
	if r.observe {
		out.options = append(out.options, uintOption(optObserve, 1))
	}
	for s := range strings.SplitSeq(strings.Trim(r.path, "/"), "/") {
		if s != "" {
			out.options = append(out.options, option{optLocation, s})
		}
	}
	if len(r.body) > 1024 {
		v, _ := m.option(optBlock2)
		from := v >> 4 * 1024
		rest := r.body[from:]
		block := v>>4<<4 | 6
		if len(rest) > 1024 {
			rest, block = rest[:1024], block|8
		}
		out.payload = rest
		out.options = append(out.options, uintOption(optBlock2, uint32(block)))
	}
	d.send(out.bytes())
}

// on has requests answered by f, which may not use the device.
func (d *device) on(key string, f func(message) reply) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.answers[key] = f
}

// says has requests answered by code, and a body in hex.
func (d *device) says(key string, code int, formatAndBody ...string) {
	r := reply{code: code, format: -1}
	if len(formatAndBody) == 2 {
		r.format, _ = strconv.Atoi(formatAndBody[0])
		r.body = unhex(formatAndBody[1])
	}
	d.on(key, func(m message) reply {
		r := r
		v, ok := m.option(optObserve)
		r.observe = ok && v == 0
		return r
	})
}

// hears sets whether the device hears anything.
func (d *device) hears(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.deaf = !on
}

// taken returns what the device was asked since the last call.
func (d *device) taken() []message {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := d.asked
	d.asked = nil
	return out
}

// wants compares what the device was asked since the last call.
func (d *device) wants(want ...string) []message {
	d.t.Helper()
	got := d.taken()
	var texts []string
	for _, m := range got {
		texts = append(texts, m.String())
	}
	if !slices.Equal(texts, want) {
		d.t.Errorf("the device was asked\n%s\nwant\n%s", strings.Join(texts, "\n"), strings.Join(want, "\n"))
	}
	return got
}
