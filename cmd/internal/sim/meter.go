package sim

import (
	"sync"

	"steward/lwm2m/coap"
)

// A phase is what bytes were spent on.
type phase string

// The phases that a link begins in; what its messages are for follows from their
// paths.
const (
	phaseEnrolment  phase = "enrolment"
	phaseRenewal    phase = "renewal"
	phaseManagement phase = "management"
	phaseUpdate     phase = "update"
)

const (
	// recordLimit is more than a DTLS record adds to a message: header, nonce, tag,
	// connection identifier and content type.
	recordLimit = 80
	maxPending  = 64  // datagrams whose purpose or size is not known yet
	maxTokens   = 512 // exchanges whose purpose is remembered
)

// A meter counts what one association sends and receives. The socket knows the
// size of a datagram and the engine its purpose: the meter brings both together.
type meter struct {
	counters *counters
	host     string
	begins   phase

	mu     sync.Mutex
	open   bool // the handshake is over
	last   string
	tokens map[string]string // phase by token
	out    []message         // traced, size unknown
	in     []int             // received, purpose unknown
}

type message struct {
	phase string
	size  int
}

// tap is told of every datagram by the socket.
func (m *meter) tap(sent bool, size int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.open:
		m.count("handshake_"+string(m.begins), sent, size)
	case !sent:
		m.in = append(m.in, size)
		if len(m.in) > maxPending {
			m.count("other", false, m.in[0])
			m.in = m.in[1:]
		}
	default:
		for i, o := range m.out {
			if size > o.size && size-o.size <= recordLimit {
				m.out = append(m.out[:i], m.out[i+1:]...)
				m.count(o.phase, true, size)
				return
			}
		}
		m.count("other", true, size) // an alert
	}
}

// established ends the handshake.
func (m *meter) established() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open = true
	m.counters.add(m.host, "handshake_"+string(m.begins), func(c *Count) { c.Handshakes++ })
}

// trace is told of every message by the engine: sent ones before they are sent,
// received ones after they were received.
func (m *meter) trace(sent bool, datagram []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	of := m.purpose(datagram)
	if sent {
		m.out = append(m.out, message{of, len(datagram)})
		if len(m.out) > maxPending {
			m.out = m.out[1:]
		}
		return
	}
	for i, size := range m.in {
		if size > len(datagram) && size-len(datagram) <= recordLimit {
			m.in = append(m.in[:i], m.in[i+1:]...)
			m.count(of, false, size)
			return
		}
	}
}

func (m *meter) count(of string, sent bool, size int) {
	m.counters.add(m.host, of, func(c *Count) {
		if sent {
			c.SentBytes += uint64(size) //nolint:gosec // a datagram's length
			c.SentMessages++
			return
		}
		c.ReceivedBytes += uint64(size) //nolint:gosec // likewise
		c.ReceivedMessages++
	})
}

// purpose returns the phase that a message belongs to: that of its path, or of
// the request that it answers.
func (m *meter) purpose(datagram []byte) string {
	parsed, err := coap.Parse(datagram)
	if err != nil || parsed.Code == coap.Empty {
		if m.last == "" {
			return "other"
		}
		return m.last
	}
	token := string(parsed.Token)
	if parsed.Code.IsRequest() {
		m.last = m.counters.phaseOf(parsed)
		if m.tokens == nil || len(m.tokens) > maxTokens {
			m.tokens = map[string]string{}
		}
		m.tokens[token] = m.last
		return m.last
	}
	if of, ok := m.tokens[token]; ok {
		m.last = of
		return of
	}
	return "management"
}

const optionPath = 11 // Uri-Path, RFC 7252 §5.10

// phaseOf names the phase of a request.
func (c *counters) phaseOf(m coap.Message) string {
	var path []string
	for _, o := range m.Options {
		if o.ID == optionPath {
			path = append(path, string(o.Value))
		}
	}
	at := func(i int) string {
		if i < len(path) {
			return path[i]
		}
		return ""
	}
	switch at(0) {
	case "rd":
		switch {
		case m.Code == coap.DELETE:
			return "deregistration"
		case len(path) > 1:
			return "registration_update"
		}
		return "registration"
	case "dp":
		return "send"
	case "est":
		return map[string]string{"crts": "crts", "sen": "enrolment", "sren": "renewal"}[at(1)]
	case "update", "5":
		return "firmware"
	case c.ids[0]:
		return "anchors"
	case c.ids[1]:
		return "enrolment_object"
	case c.ids[2]:
		return transferPhase(at(2))
	}
	return "management"
}

func transferPhase(resource string) string {
	phases := map[string]string{
		"0": "transfer_message", "13": "mandate", "1": "commit", "2": "abort", "9": "receipt",
		"11": "finalise", "12": "return",
	}
	if of, ok := phases[resource]; ok {
		return of
	}
	return "transfer_state"
}
