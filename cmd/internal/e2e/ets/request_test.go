package ets_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"
)

// begin sends a confirmable request and returns where its answer comes.
func (d *device) begin(method byte, path, query string, format int, body string, more ...option) <-chan message {
	d.mu.Lock()
	d.id++
	m := message{typ: con, code: method, id: d.id, token: fmt.Sprintf("t%d", d.id), payload: body, options: more}
	c := make(chan message, 16)
	d.replies[m.token], d.ends[m.id] = c, make(chan message, 16)
	d.mu.Unlock()
	for s := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		m.options = append(m.options, option{optPath, s})
	}
	for q := range strings.SplitSeq(query, "&") {
		if q != "" {
			m.options = append(m.options, option{optQuery, q})
		}
	}
	if format >= 0 {
		m.options = append(m.options, uintOption(optFormat, uint32(format)))
	}
	d.send(m.bytes())
	return c
}

// do sends a request and returns the answer; one without has code 0.
func (d *device) do(method byte, path, query string, format int, body string, more ...option) message {
	d.t.Helper()
	select {
	case m := <-d.begin(method, path, query, format, body, more...):
		return m
	case <-time.After(d.patient):
		return message{}
	}
}

// expect fails the test if an answer has another code.
func (d *device) expect(what string, m message, want int) message {
	d.t.Helper()
	if m.number() != want {
		d.t.Fatalf("%s: %d %q, want %d", what, m.number(), m.payload, want)
	}
	return m
}

const linkFormat = 40

// register registers and keeps the location.
func (d *device) register(query, links string) {
	d.t.Helper()
	m := d.expect("Register", d.do(2, "/rd", query, linkFormat, links), 201)
	location := m.texts(optLocation, "/", "/")
	if segments := strings.Split(location, "/"); len(segments) != 3 || segments[1] != "rd" || len(segments[2]) > 32 {
		d.t.Fatalf("Location-Path %q", location)
	}
	d.location = location
}

// update sends an Update and expects its code.
func (d *device) update(query string, want int) {
	d.t.Helper()
	d.expect("Update", d.do(2, d.location, query, -1, ""), want)
}

// notify sends a notification of an observation and returns the type of the
// message that ended it: ack or rst, or 255 if none came.
func (d *device) notify(typ byte, token string, sequence uint32, r reply) byte {
	d.mu.Lock()
	d.id++
	m := message{typ: typ, code: code(r.code), id: d.id, token: token, payload: r.body}
	c := make(chan message, 16)
	d.ends[m.id] = c
	d.mu.Unlock()
	if r.code < 400 {
		m.options = append(m.options, uintOption(optObserve, sequence))
	}
	if r.format >= 0 {
		m.options = append(m.options, uintOption(optFormat, uint32(r.format)))
	}
	d.send(m.bytes())
	select {
	case m := <-c:
		return m.typ
	case <-time.After(5 * time.Second):
		return 255
	}
}

func unhex(text string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		panic(err)
	}
	return string(b)
}
