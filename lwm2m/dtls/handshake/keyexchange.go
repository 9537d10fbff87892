package handshake

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"golang.org/x/crypto/cryptobyte"

	"steward/lwm2m/dtls"
)

// The named groups (RFC 8422 §5.1.1).
const (
	groupP256   = 23
	groupP384   = 24 // of certificates, and of servers that want it
	groupX25519 = 29

	namedCurve   = 3 // RFC 8422 §5.4
	uncompressed = 0 // RFC 8422 §5.1.2
	// maxIdentity bounds PSK identities: RFC 4279 §5.3 wants 128 bytes at least.
	maxIdentity = 256
)

// chooseGroup prefers P-256, which costs half as much as X25519 here. A client that
// lists none takes any (RFC 8422 §4). Zero is none.
func chooseGroup(list []byte) uint16 {
	switch {
	case list == nil || listed16(list, groupP256):
		return groupP256
	case listed16(list, groupX25519):
		return groupX25519
	default:
		return 0
	}
}

// curveOf returns the curve of a group, nil if it is none of ours.
func curveOf(group uint16) ecdh.Curve {
	switch group {
	case groupP256:
		return ecdh.P256()
	case groupP384:
		return ecdh.P384()
	case groupX25519:
		return ecdh.X25519()
	default:
		return nil
	}
}

// newShare makes an ephemeral key of one of our groups, for one handshake only.
func newShare(group uint16) (*ecdh.PrivateKey, error) {
	key, err := curveOf(group).GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", dtls.ErrHandshake, err)
	}
	return key, nil
}

// shareParams encodes ServerECDHParams (RFC 8422 §5.4).
func shareParams(group uint16, key *ecdh.PrivateKey) []byte {
	point := key.PublicKey().Bytes()
	out := binary.BigEndian.AppendUint16([]byte{namedCurve}, group)
	out = append(out, byte(len(point))) //nolint:gosec // G115: 65 at most
	return append(out, point...)
}

// agree computes the shared secret with a client's point, which must lie on the
// curve and not be of small order (RFC 8422 §5.11).
func agree(key *ecdh.PrivateKey, point []byte) ([]byte, error) {
	public, err := key.Curve().NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", dtls.ErrHandshake, err)
	}
	secret, err := key.ECDH(public)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", dtls.ErrHandshake, err)
	}
	return secret, nil
}

// A clientKeyExchange aliases its message (RFC 8422 §5.7, RFC 4279 §2, RFC 5489 §2).
type clientKeyExchange struct {
	identity []byte // of a PSK suite
	point    []byte // of an ECDHE suite
}

// parseClientKeyExchange reads what the suite demands and no more.
func parseClientKeyExchange(b []byte, s *suite) (x clientKeyExchange, ok bool) {
	in := cryptobyte.String(b)
	var identity, point cryptobyte.String
	if s.psk && (!in.ReadUint16LengthPrefixed(&identity) || len(identity) > maxIdentity) {
		return clientKeyExchange{}, false
	}
	if s.ecdhe && (!in.ReadUint8LengthPrefixed(&point) || len(point) == 0) {
		return clientKeyExchange{}, false
	}
	return clientKeyExchange{identity, point}, len(in) == 0
}

// parseCertificateVerify reads a scheme and a signature (RFC 5246 §7.4.8).
func parseCertificateVerify(b []byte) (s scheme, signature []byte, ok bool) {
	in := cryptobyte.String(b)
	var id uint16
	var sig cryptobyte.String
	if !in.ReadUint16(&id) || !in.ReadUint16LengthPrefixed(&sig) || len(sig) == 0 || len(in) != 0 {
		return 0, nil, false
	}
	return scheme(id), sig, true
}
