package handshake

import (
	"golang.org/x/crypto/cryptobyte"

	"steward/lwm2m/dtls"
)

// maxServerLength is maxLength for what servers send.
func maxServerLength(typ uint8) int {
	switch typ {
	case typeCertificate, typeCertificateRequest:
		return maxCertificate
	case typeHelloVerifyRequest, typeServerHello, typeServerKeyExchange, typeServerHelloDone, typeFinished:
		return maxSmall
	default:
		return 0
	}
}

// accepted is what a server has taken of our offers.
type accepted struct {
	version, suite uint16
	compression    uint8
	random         [randomLength]byte
	sessionID      []byte

	masterSecret         bool
	cid                  []byte // nil: absent
	clientCert, cert     certType
	serverName, points   bool
	renegotiation, other bool // other: one that nobody offered
}

// parseVerifyRequest reads a HelloVerifyRequest (RFC 6347 §4.2.1).
func parseVerifyRequest(b []byte) (cookie []byte, ok bool) {
	s := cryptobyte.String(b)
	var version uint16
	var c cryptobyte.String
	if !s.ReadUint16(&version) || version>>8 != versionMajor || !s.ReadUint8LengthPrefixed(&c) || len(s) != 0 {
		return nil, false
	}
	return present(c), true
}

// parseServerHello reads a ServerHello (RFC 5246 §7.4.1.3).
func parseServerHello(b []byte) (a accepted, ok bool) {
	s := cryptobyte.String(b)
	var id, extensions cryptobyte.String
	if !s.ReadUint16(&a.version) || !s.CopyBytes(a.random[:]) || !s.ReadUint8LengthPrefixed(&id) ||
		len(id) > maxSessionID || !s.ReadUint16(&a.suite) || !s.ReadUint8(&a.compression) {
		return accepted{}, false
	}
	a.sessionID = id
	if len(s) == 0 {
		return a, true
	}
	if !s.ReadUint16LengthPrefixed(&extensions) || len(s) != 0 {
		return accepted{}, false
	}
	seen := map[uint16]bool{}
	for len(extensions) > 0 {
		var typ uint16
		var body cryptobyte.String
		if !extensions.ReadUint16(&typ) || !extensions.ReadUint16LengthPrefixed(&body) || seen[typ] ||
			!a.take(typ, body) {
			return accepted{}, false
		}
		seen[typ] = true
	}
	return a, true
}

// take reads one extension of a ServerHello.
func (a *accepted) take(typ uint16, body cryptobyte.String) bool {
	switch typ {
	case extMasterSecret:
		a.masterSecret = true
		return len(body) == 0
	case extServerName:
		a.serverName = true
		return len(body) == 0
	case extRenegotiation: // RFC 5746 §3.4: of a first handshake it is empty
		a.renegotiation = true
		return len(body) == 1 && body[0] == 0
	case extPointFormats:
		a.points = true
		var list []byte
		return list8(&list, body) == 0
	case extConnectionID:
		var cid cryptobyte.String
		ok := body.ReadUint8LengthPrefixed(&cid) && len(body) == 0 && len(cid) <= dtls.MaxPeerCID
		a.cid = present(cid)
		return ok
	case extClientCertType:
		a.clientCert.agreed = true
		return body.ReadUint8(&a.clientCert.typ) && len(body) == 0
	case extServerCertType:
		a.cert.agreed = true
		return body.ReadUint8(&a.cert.typ) && len(body) == 0
	default:
		a.other = true
		return true
	}
}

// A serverKeyExchange aliases its message (RFC 8422 §5.4, RFC 4279 §2, RFC 5489 §2).
type serverKeyExchange struct {
	params    []byte // what is signed
	group     uint16
	point     []byte
	scheme    scheme
	signature []byte
}

// parseServerKeyExchange reads what the suite demands and no more. A hint of a
// pre-shared key is skipped: ours is chosen already.
func parseServerKeyExchange(b []byte, s *suite) (x serverKeyExchange, ok bool) {
	in := cryptobyte.String(b)
	var hint, point cryptobyte.String
	if s.psk && !in.ReadUint16LengthPrefixed(&hint) {
		return serverKeyExchange{}, false
	}
	if !s.ecdhe {
		return x, len(in) == 0
	}
	params := in
	var curve uint8
	if !in.ReadUint8(&curve) || curve != namedCurve || !in.ReadUint16(&x.group) ||
		!in.ReadUint8LengthPrefixed(&point) || len(point) == 0 {
		return serverKeyExchange{}, false
	}
	x.params, x.point = params[:len(params)-len(in)], point
	if s.psk {
		return x, len(in) == 0
	}
	x.scheme, x.signature, ok = parseCertificateVerify(in)
	return x, ok
}

// parseCertificateRequest reads the signature algorithms that a server takes
// (RFC 5246 §7.4.4). The authorities that it names are skipped: we have one
// certificate.
func parseCertificateRequest(b []byte) (algorithms []byte, ok bool) {
	s := cryptobyte.String(b)
	var types, list, authorities cryptobyte.String
	if !s.ReadUint8LengthPrefixed(&types) || len(types) == 0 || !s.ReadUint16LengthPrefixed(&list) ||
		len(list) == 0 || len(list)%2 != 0 || !s.ReadUint16LengthPrefixed(&authorities) || len(s) != 0 {
		return nil, false
	}
	return list, true
}
