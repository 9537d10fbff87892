package dtls

// NewTestSessions makes the two ends of an association with fixed keys, suite 1
// to 3, next being the first sequence number of a.
func NewTestSessions(kind uint8, next uint64, withCID bool) (a, b *Session) {
	a, b = &Session{suite: suite(kind), next: next}, &Session{suite: suite(kind)}
	for i := range a.writeKey {
		a.writeKey[i], b.readKey[i] = byte(i), byte(i)
	}
	if withCID {
		b.hasCID, a.peerCIDLength = true, CIDLength
		copy(a.peerCID[:], b.localCID[:])
	}
	return a, b
}
