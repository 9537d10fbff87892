// Package ets_test holds the conformance of the whole server stack: one test for
// each case of OMA's Enabler Test Specification in which the server has
// behaviour of its own, named by its id, and for what other suites ask of
// servers. The device's side is raw bytes: it shares no encoder, decoder or
// message layer with the server.
package ets_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Types of messages (RFC 7252 §3).
const (
	con byte = iota
	non
	ack
	rst
)

// Numbers of options.
const (
	optObserve  = 6
	optLocation = 8
	optPath     = 11
	optFormat   = 12
	optQuery    = 15
	optAccept   = 17
	optBlock2   = 23
	optBlock1   = 27
)

type option struct {
	number int
	value  string
}

// A message is one datagram.
type message struct {
	typ, code byte
	id        uint16
	token     string
	options   []option
	payload   string
}

// code makes a code of its usual writing without the dot: 205.
func code(n int) byte { return byte(n/100<<5 | n%100) }

// number is the opposite.
func (m message) number() int { return int(m.code>>5)*100 + int(m.code&31) }

func uintOption(number int, v uint32) option {
	b := binary.BigEndian.AppendUint32(nil, v)
	return option{number, strings.TrimLeft(string(b), "\x00")}
}

// bytes encodes m.
func (m message) bytes() []byte {
	b := []byte{1<<6 | m.typ<<4 | byte(len(m.token)), m.code, byte(m.id >> 8), byte(m.id)}
	b = append(b, m.token...)
	slices.SortStableFunc(m.options, func(x, y option) int { return x.number - y.number })
	last := 0
	for _, o := range m.options {
		delta, deltaMore := nibble(o.number - last)
		length, lengthMore := nibble(len(o.value))
		b = append(b, delta<<4|length)
		b = append(append(append(b, deltaMore...), lengthMore...), o.value...)
		last = o.number
	}
	if m.payload != "" {
		b = append(append(b, 0xff), m.payload...)
	}
	return b
}

func nibble(n int) (byte, []byte) {
	switch {
	case n < 13:
		return byte(n), nil
	case n < 269:
		return 13, []byte{byte(n - 13)}
	default:
		return 14, []byte{byte((n - 269) >> 8), byte(n - 269)}
	}
}

var errWire = errors.New("not a message")

// parse decodes a datagram.
func parse(b []byte) (m message, err error) {
	if len(b) < 4 || b[0]>>6 != 1 || len(b) < 4+int(b[0]&15) {
		return m, errWire
	}
	m.typ, m.code, m.id = b[0]>>4&3, b[1], binary.BigEndian.Uint16(b[2:])
	m.token, b = string(b[4:4+b[0]&15]), b[4+b[0]&15:]
	number := 0
	for len(b) > 0 && b[0] != 0xff {
		delta, length := int(b[0]>>4), int(b[0]&15)
		b = b[1:]
		if delta, b, err = extended(delta, b); err != nil {
			return m, err
		}
		if length, b, err = extended(length, b); err != nil || length > len(b) {
			return m, errWire
		}
		number += delta
		m.options = append(m.options, option{number, string(b[:length])})
		b = b[length:]
	}
	if len(b) > 0 {
		m.payload = string(b[1:])
	}
	return m, nil
}

func extended(n int, b []byte) (int, []byte, error) {
	switch {
	case n == 13 && len(b) > 0:
		return 13 + int(b[0]), b[1:], nil
	case n == 14 && len(b) > 1:
		return 269 + int(b[0])<<8 + int(b[1]), b[2:], nil
	case n < 13:
		return n, b, nil
	}
	return 0, nil, errWire
}

// option returns the value of a numeric option.
func (m message) option(number int) (v int, ok bool) {
	for _, o := range m.options {
		if o.number == number {
			for _, c := range []byte(o.value) {
				v = v<<8 | int(c)
			}
			return v, true
		}
	}
	return 0, false
}

// texts joins the options of a number, each behind a separator.
func (m message) texts(number int, first, next string) (text string) {
	for _, o := range m.options {
		if o.number == number {
			text += first + o.value
			first = next
		}
	}
	return text
}

var methods = map[byte]string{1: "GET", 2: "POST", 3: "PUT", 4: "DELETE", 5: "FETCH", 7: "iPATCH"}

// key is the method and path of a request.
func (m message) key() string {
	path := m.texts(optPath, "/", "/")
	if path == "" {
		path = "/"
	}
	return methods[m.code] + " " + path
}

// String writes a request as tests compare it.
func (m message) String() string {
	text := m.key() + m.texts(optQuery, "?", "&")
	if v, ok := m.option(optObserve); ok {
		text += " observe=" + strconv.Itoa(v)
	}
	if v, ok := m.option(optFormat); ok {
		text += " ct=" + strconv.Itoa(v)
	}
	if m.payload != "" {
		text += fmt.Sprintf(" %X", m.payload)
	}
	return text
}
