package dtls

import (
	"encoding/binary"
	"errors"
	"slices"
)

// Errors of a session.
var (
	// ErrReplay reports a record seen before or older than the window.
	ErrReplay = errors.New("dtls: replayed record")
	// ErrForged reports a record that its keys do not authenticate.
	ErrForged = errors.New("dtls: record not authentic")
	// ErrEpoch reports a record of another epoch than the session's.
	ErrEpoch = errors.New("dtls: record of another epoch")
	// ErrCID reports a record without the negotiated connection identifier, or with another.
	ErrCID = errors.New("dtls: record of another connection identifier")
	// ErrExhausted reports a session that has used up its sequence numbers; only a new
	// handshake helps (RFC 6347 §4.1).
	ErrExhausted = errors.New("dtls: sequence numbers exhausted")
	// ErrTooLong reports a message longer than the peer takes in one record (RFC 8449
	// §4); a smaller CoAP block helps.
	ErrTooLong = errors.New("dtls: longer than the peer takes")
)

// A Protection is the record protection of a session.
type Protection uint8

// The protections, all with keys of 128 bits.
const (
	CCM8 Protection = iota + 1 // AES_128_CCM_8, RFC 6655
	CCM                        // AES_128_CCM, RFC 6655
	GCM                        // AES_128_GCM, RFC 5288
)

// MaxPeerCID is the longest connection identifier in bytes that we accept from a
// peer; RFC 9146 allows 255. A client that asks for a longer one is served without
// any. Most ask for an empty one, and each byte is kept for every device.
const MaxPeerCID = 16

const (
	keyLength      = 16
	ivLength       = 4 // implicit part of the nonce
	explicitLength = 8 // explicit part, sent with each record
	nonceLength    = ivLength + explicitLength
	windowLength   = 64 // records; RFC 6347 §4.1.2.6 recommends it
	sessionEpoch   = 1  // there is no renegotiation: one handshake, one epoch
	maxCID         = MaxPeerCID
)

// tag returns the length in bytes of the authentication tag.
func (p Protection) tag() int {
	if p == CCM8 {
		return 8
	}
	return 16
}

// A Session protects the records of one established association. It holds no
// pointers, so that a table of them costs the collector nothing. Its methods
// are not safe for concurrent use.
type Session struct {
	readKey, writeKey [keyLength]byte
	readIV, writeIV   [ivLength]byte
	next              uint64 // sequence number of our next record
	newest            uint64 // highest sequence number authenticated
	window            uint64 // bit i: newest-i was seen; 0: nothing yet
	peerCID           [maxCID]byte
	localCID          [CIDLength]byte
	peerCIDLength     uint8
	hasCID            bool // the peer must send localCID
	protection        Protection
	limit             uint16 // longest plaintext the peer takes; 0: any
}

// KeyBlockLength is the length in bytes of a key block: the keys and the implicit
// nonces of both sides (RFC 5246 §6.3).
const KeyBlockLength = 2 * (keyLength + ivLength)

// SessionOptions are what a handshake has agreed on.
type SessionOptions struct {
	// Protection is CCM8, CCM or GCM.
	Protection Protection
	// KeyBlock are KeyBlockLength bytes, the client's halves first.
	KeyBlock []byte
	// Client makes the client's session of what is else the server's.
	Client bool
	// PeerCID is what our records must carry, up to MaxPeerCID bytes; empty: nothing.
	PeerCID []byte
	// CID is what the peer's records carry: CIDLength bytes, or none.
	CID []byte
	// Limit is the longest plaintext in bytes that the peer takes in a record
	// (RFC 6066 §4, RFC 8449 §4). Zero: any.
	Limit uint16
}

// NewSession makes the session of epoch 1, in which nothing was sent or
// received. It returns ErrState for lengths that do not fit.
func NewSession(o SessionOptions) (Session, error) {
	if o.Protection < CCM8 || o.Protection > GCM || len(o.KeyBlock) != KeyBlockLength || len(o.PeerCID) > maxCID ||
		len(o.CID) != 0 && len(o.CID) != CIDLength {
		return Session{}, ErrState
	}
	s := Session{protection: o.Protection, limit: o.Limit, hasCID: len(o.CID) > 0}
	b := o.KeyBlock
	parts := [][]byte{s.readKey[:], s.writeKey[:], s.readIV[:], s.writeIV[:]}
	if o.Client {
		parts = [][]byte{s.writeKey[:], s.readKey[:], s.writeIV[:], s.readIV[:]}
	}
	for _, part := range parts {
		b = b[copy(part, b):]
	}
	s.peerCIDLength = uint8(copy(s.peerCID[:], o.PeerCID)) //nolint:gosec // G115: at most maxCID
	copy(s.localCID[:], o.CID)
	return s, nil
}

// CID returns the identifier by which the peer addresses this session, and
// whether one was negotiated.
func (s *Session) CID() ([CIDLength]byte, bool) { return s.localCID, s.hasCID }

// Opened is a record that a session authenticated.
type Opened struct {
	Type      ContentType
	Plaintext []byte
	// Newest says that no later record was authenticated before: only then may
	// the peer's address follow the record's source (RFC 9146 §6).
	Newest bool
}

// Open authenticates r and appends its plaintext to dst. It returns ErrEpoch,
// ErrCID, ErrReplay, ErrTruncated or ErrForged, and has then changed nothing.
func (s *Session) Open(dst []byte, r Record) (Opened, error) {
	switch {
	case r.Epoch != sessionEpoch:
		return Opened{}, ErrEpoch
	case s.hasCID != (r.Type == TLS12CID), s.hasCID && [CIDLength]byte(r.CID) != s.localCID:
		return Opened{}, ErrCID
	case s.seen(r.Sequence):
		return Opened{}, ErrReplay
	}
	length := len(r.Fragment) - explicitLength - s.protection.tag()
	if length < 0 {
		return Opened{}, ErrTruncated
	}
	p, _ := protectors.Get().(*protector)
	defer protectors.Put(p)
	p.setNonce(&s.readIV, r.Fragment)
	extra := additionalData(p.extra[:0], r.Type, r.Header[3:11], r.CID, length)
	plain, err := p.open(s.protection, &s.readKey, dst, r.Fragment[explicitLength:], extra)
	if err != nil {
		return Opened{}, err
	}
	o := Opened{Type: r.Type, Plaintext: plain[len(dst):]}
	if r.Type == TLS12CID {
		if o.Type, o.Plaintext, err = unwrap(o.Plaintext); err != nil {
			return Opened{}, err
		}
	}
	o.Newest = s.mark(r.Sequence)
	return o, nil
}

// RepeatedFinished reports whether r is an authentic handshake record that was
// seen before: a peer that has lost our last flight repeats its own, and some do
// so under the old sequence number. It changes nothing.
func (s *Session) RepeatedFinished(r Record) bool {
	newest, window := s.newest, s.window
	s.window = 0
	o, err := s.Open(nil, r)
	s.newest, s.window = newest, window
	return err == nil && o.Type == Handshake
}

// Seal appends one record of type t that carries plaintext to dst. It returns
// ErrExhausted or ErrTooLong.
func (s *Session) Seal(dst []byte, t ContentType, plaintext []byte) ([]byte, error) {
	if s.next > sequenceMask {
		return dst, ErrExhausted
	}
	if s.limit > 0 && len(plaintext) > int(s.limit) {
		return dst, ErrTooLong
	}
	var sequence [8]byte // epoch and sequence number, which is the explicit nonce as well
	binary.BigEndian.PutUint64(sequence[:], sessionEpoch<<48|s.next)
	s.next++

	outer, inner := t, len(plaintext)
	cid := s.peerCID[:s.peerCIDLength]
	if len(cid) > 0 {
		outer, inner = TLS12CID, inner+1
	}
	total := explicitLength + inner + s.protection.tag()
	dst = slices.Grow(dst, headerLength+len(cid)+total)
	dst = append(dst, byte(outer), versionDTLS12>>8, versionDTLS12&0xff)
	dst = append(dst, sequence[:]...)
	dst = append(dst, cid...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(total)) //nolint:gosec // G115: callers send datagrams
	dst = append(dst, sequence[:]...)
	body := len(dst)
	dst = append(dst, plaintext...)
	if outer == TLS12CID {
		dst = append(dst, byte(t)) // RFC 9146 §4: real type, no padding
	}
	p, _ := protectors.Get().(*protector)
	defer protectors.Put(p)
	p.setNonce(&s.writeIV, sequence[:])
	extra := additionalData(p.extra[:0], outer, sequence[:], cid, inner)
	return p.seal(s.protection, &s.writeKey, dst, body, extra)
}

// additionalData appends what the AEAD authenticates besides the plaintext:
// RFC 5246 §6.2.3.3, or RFC 9146 §5.3 for records with a connection identifier.
func additionalData(dst []byte, t ContentType, sequence, cid []byte, length int) []byte {
	if t == TLS12CID {
		dst = append(dst, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
		dst = append(dst, byte(TLS12CID), uint8(len(cid))) //nolint:gosec // G115: at most maxCID
		dst = append(dst, byte(TLS12CID), versionDTLS12>>8, versionDTLS12&0xff)
		dst = append(dst, sequence...)
		dst = append(dst, cid...)
	} else {
		dst = append(dst, sequence...)
		dst = append(dst, byte(t), versionDTLS12>>8, versionDTLS12&0xff)
	}
	return binary.BigEndian.AppendUint16(dst, uint16(length)) //nolint:gosec // G115: a record's length
}

// unwrap splits a DTLSInnerPlaintext (RFC 9146 §4): content, type, zeros.
func unwrap(plain []byte) (ContentType, []byte, error) {
	for i, b := range slices.Backward(plain) {
		if b != 0 {
			return ContentType(b), plain[:i], nil
		}
	}
	return 0, nil, ErrContentType
}

// seen reports whether sequence was authenticated before or is too old to tell.
func (s *Session) seen(sequence uint64) bool {
	if s.window == 0 || sequence > s.newest {
		return false
	}
	age := s.newest - sequence
	return age >= windowLength || s.window>>age&1 == 1
}

// mark notes an authenticated record and reports whether it is the newest.
func (s *Session) mark(sequence uint64) bool {
	if s.window != 0 && sequence <= s.newest {
		s.window |= 1 << (s.newest - sequence)
		return false
	}
	if s.window == 0 {
		s.newest = sequence
	}
	s.window = s.window<<(sequence-s.newest) | 1 // a shift of 64 or more leaves 0
	s.newest = sequence
	return true
}
