package minimal

import "bytes"

// A message is a TransferMessage, in place.
type message struct {
	sign1

	issuer, subject, audience []byte
	expires, notBefore        uint64
	epoch                     uint64
	fallback, fallbackEnroll  []byte
	mandate                   []byte // its hash; nil: none
	factory                   []byte

	// of the Destination
	verifier, update, enroll, server, bootstrap []byte
	anchors                                     []byte // the pairs of label 8
	count                                       int
	reset                                       uint64
}

// Numbers of members of the maps, least and most.
const (
	messageMembers                     = 7
	leastTerms, mostTerms              = 6, 7
	leastDestination, mostDestination  = 6, 10
	mandateMembers                     = 5
	leastMandateTerms, mostMandateTerm = 4, 7
	defaultReset                       = 1
	mostReset                          = 3
)

// parseMessage performs E1.
func parseMessage(raw []byte, m *message) bool {
	if len(raw) > maxMessage || !parseSign1(raw, &m.sign1) {
		return false
	}
	r := reader{b: m.payload}
	r.members(messageMembers, messageMembers)
	r.label(1)
	m.issuer = r.text()
	r.label(2)
	m.subject = r.text()
	r.label(3)
	m.audience = r.text()
	r.label(4)
	m.expires = r.uint(maxTime)
	r.label(5)
	m.notBefore = r.uint(maxTime)
	r.label(7)
	r.id()
	r.private()
	destination := m.terms(&r)
	return r.done() && m.destination(destination)
}

// terms reads the private claim and returns the Destination.
func (m *message) terms(r *reader) []byte {
	n := r.members(leastTerms, mostTerms)
	r.label(0)
	destination := r.string(majorBytes, 1, maxMessage)
	r.label(5)
	m.fallback = r.text()
	r.label(6)
	m.epoch = r.uint(1<<32 - 1)
	r.bad = r.bad || m.epoch == 0
	r.label(7)
	r.named()
	if r.optional(12) {
		m.mandate = r.named()
		n--
	}
	r.label(13)
	m.fallbackEnroll = r.text()
	r.label(21)
	m.factory = r.named()
	r.bad = r.bad || n != leastTerms
	return destination
}

// members reads the head of a map and returns its number of members.
func (r *reader) members(least, most uint64) uint64 {
	n := r.head(majorMap)
	r.bad = r.bad || n < least || n > most
	return n
}

// destination reads the Destination.
func (m *message) destination(raw []byte) bool {
	r := reader{b: raw}
	n := r.members(leastDestination, mostDestination)
	if r.optional(1) {
		m.verifier = r.text()
		n--
	}
	r.label(2)
	m.update = r.text()
	r.label(3)
	r.bool()
	r.label(4)
	m.enroll = r.text()
	r.label(8)
	m.readAnchors(&r)
	m.reset = defaultReset
	if r.optional(9) {
		m.reset = r.uint(mostReset)
		n--
	}
	if r.optional(10) {
		r.uint(maxGrace)
		n--
	}
	r.label(11)
	m.server = r.text()
	r.label(18)
	r.array(2)
	r.bad = r.uint(1<<16-2) == 0 || r.bad
	r.bad = r.uint(1<<31-1) == 0 || r.bad
	if r.optional(19) {
		m.bootstrap = r.text()
		n--
	}
	return r.done() && n == leastDestination
}

// readAnchors reads label 8: no name twice, no purpose that does not exist.
func (m *message) readAnchors(r *reader) {
	n := r.head(majorArray)
	if r.bad || n == 0 || n > maxAnchors {
		r.bad = true
		return
	}
	m.anchors, m.count = r.b, int(n)
	for i := range m.count {
		name, purposes := r.anchor()
		r.bad = r.bad || purposes == 0
		before := reader{b: m.anchors}
		for range i {
			other, _ := before.anchor()
			r.bad = r.bad || string(other) == string(name)
		}
		if r.bad {
			return
		}
	}
}

// A mandate is the owner's order, in place.
type mandate struct {
	sign1

	from, to         []byte
	earliest, latest uint64

	names bool // this device, or a group
	keeps bool // the application may be kept
}

// parseMandate reads a mandate, and whether it names the device.
func parseMandate(raw []byte, f *Facts, m *mandate) bool {
	if !parseSign1(untag(raw), &m.sign1) {
		return false
	}
	r := reader{b: m.payload}
	r.members(mandateMembers, mandateMembers)
	r.label(1)
	r.text()
	r.label(4)
	r.bad = r.uint(maxTime) == 0 || r.bad
	r.label(6)
	r.bad = r.uint(maxTime) == 0 || r.bad
	r.label(7)
	r.id()
	r.private()
	n := r.members(leastMandateTerms, mostMandateTerm)
	r.label(16)
	r.array(2)
	m.earliest = r.uint(maxTime)
	m.latest = r.uint(maxTime)
	r.bad = r.bad || m.earliest >= m.latest
	r.label(40)
	m.from = r.text()
	r.label(41)
	m.to = r.text()
	r.label(42)
	m.names = r.devices(f)
	if r.optional(43) {
		r.bool()
		n--
	}
	if r.optional(44) {
		r.head(majorUint)
		n--
	}
	if r.optional(45) {
		m.keeps = r.bool()
		n--
	}
	return r.done() && n == leastMandateTerms
}

// devices reads label 42: the name of a group, which names everybody, or how the names of
// devices begin, and "*"; or hashes.
func (r *reader) devices(f *Facts) (named bool) {
	if r.next() == majorText {
		prefix, begins := bytes.CutSuffix(r.text(), []byte{'*'})
		return !begins || bytes.HasPrefix(f.Subject, prefix)
	}
	n := r.head(majorArray)
	r.bad = r.bad || n == 0
	for ; n > 0 && !r.bad; n-- {
		h := r.hash()
		named = named || string(h) == string(f.Factory[:])
	}
	return named
}
