package minimal

import "bytes"

// Accept performs the acceptance check on a message as written and returns 0, or the
// number of the check that refuses it, 1 to 11. Nothing is stored: that is for the
// caller, after 0. In READY the message that is stored is accepted again.
func (c *Check) Accept(f *Facts, raw []byte) int {
	c.message, c.mandate = message{}, mandate{}
	m := &c.message
	if !parseMessage(raw, m) {
		return 1
	}
	if f.Ready && len(f.Stored) > 0 && bytes.Equal(raw, f.Stored) {
		return 0
	}
	for _, step := range [...]func(*Check, *Facts, *message) int{
		checkSignature, checkTarget, checkTimes, checkAnchors, checkURIs, checkState, checkMandate,
	} {
		if refused := step(c, f, m); refused != 0 {
			return refused
		}
	}
	return 0
}

// aadMessage and aadMandate keep a signature of one kind from serving as another.
const (
	aadMessage = "steward/message/1"
	aadMandate = "steward/mandate/1"
)

// checkSignature performs E2 and E3.
func checkSignature(c *Check, f *Facts, m *message) int {
	switch found, good := c.signedBy(f, &m.sign1, aadMessage, purposeTransfer, false); {
	case !found:
		return 2
	case !good:
		return 3
	}
	return 0
}

// signedBy looks for an anchor of the current or permanent domain with a purpose that
// the key identifier may mean, and for one of those whose key has signed; factory: of the
// permanent domain.
func (c *Check) signedBy(f *Facts, s *sign1, aad string, purpose uint16, factory bool) (found, good bool) {
	hashed := false
	for i := range f.Anchors {
		a := &f.Anchors[i]
		if a.Domain == pending || a.Staged || a.Purposes&purpose == 0 || !bytes.Equal(a.Thumbprint[:kidLength], s.kid) {
			continue
		}
		if factory && a.Domain != permanent {
			continue
		}
		found = true
		if !s.p256 || len(s.signature) != sigLength {
			continue
		}
		if !hashed {
			c.hashSigned(s, aad)
			hashed = true
		}
		if c.Verify(i, &c.digest, s.signature) {
			return true, true
		}
	}
	return found, false
}

// checkTarget performs E4 and E5.
func checkTarget(_ *Check, f *Facts, m *message) int {
	switch {
	case !bytes.Equal(m.factory, f.Factory[:]) || !bytes.Equal(m.subject, f.Subject):
		return 4
	case m.epoch != uint64(f.Epoch)+1:
		return 5
	}
	return 0
}

// checkTimes performs E6. The beginning of the window is tested at Commit.
func checkTimes(_ *Check, f *Facts, m *message) int {
	if m.notBefore >= m.expires || f.Now != 0 && f.Now-clockSkew >= int64(m.expires) { //nolint:gosec // up to maxTime
		return 6
	}
	return 0
}

// checkAnchors performs E7: what is staged is what label 8 lists, signer bits apart;
// an anchor that is there for good with as much need not be staged.
func checkAnchors(_ *Check, f *Facts, m *message) int {
	for i := range f.Anchors {
		a := &f.Anchors[i]
		if !a.Staged {
			continue
		}
		listed, r := false, reader{b: m.anchors}
		for range m.count {
			name, purposes := r.anchor()
			listed = listed || bytes.Equal(name, a.Thumbprint[:]) && purposes&^signers == uint64(a.Purposes)
		}
		if !listed {
			return 7
		}
	}
	r := reader{b: m.anchors}
	for range m.count {
		name, purposes := r.anchor()
		if !held(f, name, purposes&^signers) {
			return 7
		}
	}
	return 0
}

// held reports whether an anchor of label 8 is staged, pending, or there with at least
// these purposes.
func held(f *Facts, name []byte, purposes uint64) bool {
	for i := range f.Anchors {
		a := &f.Anchors[i]
		if bytes.Equal(name, a.Thumbprint[:]) &&
			(a.Staged || a.Domain == pending || uint64(a.Purposes)&purposes == purposes) {
			return true
		}
	}
	return false
}

// checkURIs performs E8 and E9.
func checkURIs(_ *Check, f *Facts, m *message) int {
	for _, uri := range [...][]byte{m.update, m.enroll, m.server, m.fallback, m.fallbackEnroll} {
		if _, ok := parseURI(uri); !ok {
			return 8
		}
	}
	for _, uri := range [...][]byte{m.verifier, m.bootstrap} { // those that may be absent
		if _, ok := parseURI(uri); len(uri) > 0 && !ok {
			return 8
		}
	}
	if !leadsBack(f, m.fallback, f.ServerURI, purposeDM) || !leadsBack(f, m.fallbackEnroll, f.EnrollURI, purposeEnrol) {
		return 9
	}
	return 0
}

func leadsBack(f *Facts, there, here []byte, purpose uint16) bool {
	a, _ := parseURI(there)
	b, ok := parseURI(here)
	if !ok || a.port != b.port || !bytes.EqualFold(a.host, b.host) {
		return false
	}
	for i := range f.Anchors {
		if x := &f.Anchors[i]; x.Domain == current && !x.Staged && x.Purposes&purpose != 0 {
			return true
		}
	}
	return false
}

// checkState performs E10.
func checkState(_ *Check, f *Facts, _ *message) int {
	if !f.AtRest || f.Installing {
		return 10
	}
	return 0
}

// checkMandate performs E11, where there is a mandate signer. One that the factory has set
// stands alone.
func checkMandate(c *Check, f *Facts, m *message) int {
	needed, factory := false, false
	for i := range f.Anchors {
		a := &f.Anchors[i]
		held := !a.Staged && a.Domain != pending && a.Purposes&purposeMandate != 0
		needed, factory = needed || held, factory || held && a.Domain == permanent
	}
	if !needed {
		return 0
	}
	order := &c.mandate
	if len(f.Mandate) > maxMandate || !parseMandate(f.Mandate, f, order) {
		return 11
	}
	if _, good := c.signedBy(f, &order.sign1, aadMandate, purposeMandate, factory); !good {
		return 11
	}
	c.hashObject(&order.sign1)
	if !bytes.Equal(m.mandate, c.digest[:]) || !order.names || m.reset == 0 && !order.keeps {
		return 11
	}
	if !bytes.Equal(order.from, m.issuer) || !bytes.Equal(order.to, m.audience) ||
		m.notBefore < order.earliest || m.expires > order.latest {
		return 11
	}
	return 0
}

// hashSigned puts the digest of the Sig_structure (RFC 9052 §4.4) into c.digest:
// ["Signature1", protected, aad, payload].
func (c *Check) hashSigned(s *sign1, aad string) {
	const array4, text10 = 0x84, 0x6a
	c.Hash.Reset()
	c.head = [3]byte{array4, text10}
	c.write(c.head[:2])
	c.writeString("Signature1")
	c.writeHead(len(s.protected))
	c.write(s.protected)
	c.writeHead(len(aad))
	c.writeString(aad)
	c.writeHead(len(s.payload))
	c.write(s.payload)
	c.Hash.Sum(c.digest[:0])
}

// hashObject puts the hash of the signed object into c.digest: protected and payload.
func (c *Check) hashObject(s *sign1) {
	c.Hash.Reset()
	c.write(s.protected)
	c.write(s.payload)
	c.Hash.Sum(c.digest[:0])
}

// writeHead hashes the head of a byte string of up to 65,535 bytes.
func (c *Check) writeHead(n int) {
	const bstr, one, two = 0x40, 24, 25
	switch {
	case n < one:
		c.head[0] = bstr | byte(n) //nolint:gosec // below 24
		c.write(c.head[:1])
	case n <= 0xff:
		c.head[0], c.head[1] = bstr|one, byte(n)
		c.write(c.head[:2])
	default:
		c.head = [3]byte{bstr | two, byte(n >> 8), byte(n)} //nolint:gosec // cut on purpose
		c.write(c.head[:])
	}
}

func (c *Check) write(part []byte) { _, _ = c.Hash.Write(part) } // a hash never fails to write

// writeString hashes a constant, byte by byte: it is short, and no copy is made of it.
func (c *Check) writeString(s string) {
	for i := range len(s) {
		c.head[0] = s[i]
		c.write(c.head[:1])
	}
}
