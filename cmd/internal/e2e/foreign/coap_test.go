package foreign_test

import (
	"context"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/plgd-dev/go-coap/v3/message"
	"github.com/plgd-dev/go-coap/v3/message/codes"
	"github.com/plgd-dev/go-coap/v3/udp/coder"
)

// A coapRequest is what is asked, in one piece.
type coapRequest struct {
	code    codes.Code
	path    string
	query   []string
	format  int // Content-Format; -1: none
	accept  int // -1: any
	payload []byte
}

// A coapResponse is what is answered, in one piece.
type coapResponse struct {
	code     codes.Code
	format   int // -1: none
	payload  []byte
	location []string
}

// A link exchanges CoAP messages over one association, in both roles.
type link struct {
	conn   net.Conn
	handle func(coapRequest) coapResponse

	mu      sync.Mutex
	mid     int32
	waiting map[string]chan message.Message // by token
	said    map[int32][]byte                // answers by message id, for what comes twice; nil: not yet
	parts   map[string][]byte               // of bodies that come in blocks, by path
}

func newLink(conn net.Conn, handle func(coapRequest) coapResponse) *link {
	return &link{
		conn: conn, handle: handle, waiting: map[string]chan message.Message{}, said: map[int32][]byte{},
		parts: map[string][]byte{},
	}
}

const maxDatagram = 2048

// serve reads messages until the association ends.
func (l *link) serve() {
	buf := make([]byte, maxDatagram)
	for {
		n, err := l.conn.Read(buf)
		if err != nil {
			return
		}
		m := message.Message{Options: make(message.Options, 0, 16)}
		if _, err := coder.DefaultCoder.Decode(append([]byte(nil), buf[:n]...), &m); err != nil {
			continue
		}
		l.take(m)
	}
}

func (l *link) take(m message.Message) {
	switch {
	case m.Code == codes.Empty && m.Type == message.Confirmable: // ping
		l.send(message.Message{Type: message.Reset, MessageID: m.MessageID})
	case m.Code == codes.Empty:
	case m.Code < 32:
		l.mu.Lock()
		before, known := l.said[m.MessageID]
		if !known {
			l.said[m.MessageID] = nil // it is being answered
		}
		l.mu.Unlock()
		if known {
			if before != nil {
				_, _ = l.conn.Write(before)
			}
			return
		}
		go l.respond(m)
	default:
		if m.Type == message.Confirmable {
			l.send(message.Message{Type: message.Acknowledgement, MessageID: m.MessageID})
		}
		l.mu.Lock()
		waiting := l.waiting[string(m.Token)]
		l.mu.Unlock()
		if waiting != nil {
			select {
			case waiting <- m:
			default:
			}
		}
	}
}

func (l *link) send(m message.Message) []byte {
	buf := make([]byte, maxDatagram)
	n, err := coder.DefaultCoder.Encode(m, buf)
	if err != nil {
		panic(err) // all messages here fit
	}
	_, _ = l.conn.Write(buf[:n]) // a message lost is a message lost
	return buf[:n]
}

// respond answers one request, block-wise if it comes or goes so (RFC 7959).
func (l *link) respond(m message.Message) {
	path, _ := m.Options.Path() // a missing path is empty
	r := coapRequest{
		code: m.Code, path: strings.TrimPrefix(path, "/"), payload: m.Payload,
		format: option(m, message.ContentFormat), accept: option(m, message.Accept),
	}
	r.query, _ = m.Options.Queries()
	out := message.Message{Type: message.Acknowledgement, MessageID: m.MessageID, Token: m.Token}
	if m.Type == message.NonConfirmable {
		out.Type = message.NonConfirmable
	}
	if block := option(m, message.Block1); block >= 0 {
		l.mu.Lock()
		if block>>4 == 0 {
			l.parts[r.path] = nil
		}
		l.parts[r.path] = append(l.parts[r.path], m.Payload...)
		r.payload = l.parts[r.path]
		l.mu.Unlock()
		out.Options = set(out.Options, message.Block1, uint32(block))
		if block&8 != 0 {
			out.Code = codes.Continue
			l.answer(out)
			return
		}
	}
	l.finish(m, out, l.handle(r))
}

// finish sends the part of a response that was asked for.
func (l *link) finish(m, out message.Message, res coapResponse) {
	out.Code, out.Payload = res.code, res.payload
	if res.format >= 0 {
		out.Options = set(out.Options, message.ContentFormat, uint32(res.format))
	}
	for _, part := range res.location {
		out.Options = out.Options.Add(message.Option{ID: message.LocationPath, Value: []byte(part)})
	}
	block := option(m, message.Block2)
	if block < 0 {
		block = 6 // 1,024 bytes
	}
	size := 16 << (block & 7)
	if begin := block >> 4 * size; option(m, message.Block2) >= 0 || len(res.payload) > size {
		end := min(begin+size, len(res.payload))
		out.Payload = res.payload[min(begin, end):end]
		value := block &^ 8
		if end < len(res.payload) {
			value |= 8
		}
		out.Options = set(out.Options, message.Block2, uint32(value))
	}
	l.answer(out)
}

func (l *link) answer(out message.Message) {
	raw := l.send(out)
	l.mu.Lock()
	l.said[out.MessageID] = raw
	l.mu.Unlock()
}

var errNoAnswer = errors.New("no answer")

// ask sends a request and waits for the whole answer.
func (l *link) ask(ctx context.Context, r coapRequest) (coapResponse, error) {
	var whole coapResponse
	for num := 0; ; num++ {
		m, err := l.exchange(ctx, r, num)
		if err != nil {
			return whole, err
		}
		whole.code, whole.format = m.Code, option(m, message.ContentFormat)
		whole.payload = append(whole.payload, m.Payload...)
		if block := option(m, message.Block2); block < 0 || block&8 == 0 {
			return whole, nil
		}
	}
}

func (l *link) exchange(ctx context.Context, r coapRequest, num int) (message.Message, error) {
	token := make([]byte, 8)
	_, _ = rand.Read(token) // never fails
	answers := make(chan message.Message, 1)
	l.mu.Lock()
	l.mid = (l.mid + 1) & 0xffff
	m := message.Message{Type: message.Confirmable, MessageID: l.mid, Code: r.code, Token: token, Payload: r.payload}
	l.waiting[string(token)] = answers
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.waiting, string(token))
		l.mu.Unlock()
	}()
	for part := range strings.SplitSeq(r.path, "/") {
		m.Options = m.Options.Add(message.Option{ID: message.URIPath, Value: []byte(part)})
	}
	if r.format >= 0 {
		m.Options = set(m.Options, message.ContentFormat, uint32(r.format))
	}
	if r.accept >= 0 {
		m.Options = set(m.Options, message.Accept, uint32(r.accept))
	}
	if num > 0 {
		m.Options = set(m.Options, message.Block2, uint32(num<<4|6))
	}
	for range 15 {
		l.send(m)
		select {
		case answer := <-answers:
			return answer, nil
		case <-ctx.Done():
			return message.Message{}, ctx.Err()
		case <-time.After(2 * time.Second):
		}
	}
	return message.Message{}, errNoAnswer
}

// option returns a number in an option, or -1.
func option(m message.Message, id message.OptionID) int {
	v, err := m.Options.GetUint32(id)
	if err != nil {
		return -1
	}
	return int(v)
}

// set adds an option with the shortest encoding of a number.
func set(options message.Options, id message.OptionID, v uint32) message.Options {
	buf := make([]byte, 4)
	out, _, err := options.SetUint32(buf, id, v)
	if err != nil {
		panic(err)
	}
	return out
}
