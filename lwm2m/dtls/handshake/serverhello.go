package handshake

import (
	"encoding/binary"

	"steward/lwm2m/dtls"
)

// A serverHello is what we answer (RFC 5246 §7.4.1.3).
type serverHello struct {
	random    [randomLength]byte
	sessionID []byte
	suite     uint16

	// The extensions; each may answer an offer only. A server_name is acknowledged where
	// it made a difference (RFC 6066 §3): pion's clients end a handshake over it.
	serverName, masterSecret, renegotiation, points, ticket bool
	cid                                                     []byte // nil: absent
	maxFragment                                             uint8
	recordSize                                              uint16
	clientCert, serverCert                                  certType
}

// A certType is a certificate type that was agreed on (RFC 7250 §4.2).
type certType struct {
	agreed bool
	typ    uint8
}

// helloRoom is room for a ServerHello without a long session identifier.
const helloRoom = 128

// body encodes h.
func (h *serverHello) body() []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, helloRoom), version12)
	b = append(b, h.random[:]...)
	b = append(append(b, byte(len(h.sessionID))), h.sessionID...) //nolint:gosec // G115: at most maxSessionID
	b = binary.BigEndian.AppendUint16(b, h.suite)
	b = append(b, 0, 0, 0) // no compression; the length of the extensions
	at := len(b)
	b = h.appendExtensions(b)
	binary.BigEndian.PutUint16(b[at-2:], uint16(len(b)-at)) //nolint:gosec // G115: some dozen bytes
	return b
}

func (h *serverHello) appendExtensions(b []byte) []byte {
	add := func(present bool, typ uint16, body ...byte) {
		if present {
			b = binary.BigEndian.AppendUint16(b, typ)
			b = append(append(b, 0, byte(len(body))), body...) //nolint:gosec // G115: a few bytes
		}
	}
	add(h.renegotiation, extRenegotiation, 0)
	add(h.serverName, extServerName)
	add(h.masterSecret, extMasterSecret)
	add(h.points, extPointFormats, 1, uncompressed)
	add(h.ticket, extSessionTicket)
	add(h.clientCert.agreed, extClientCertType, h.clientCert.typ)
	add(h.serverCert.agreed, extServerCertType, h.serverCert.typ)
	add(h.maxFragment > 0, extMaxFragmentLength, h.maxFragment)
	add(h.recordSize > 0, extRecordSizeLimit, byte(h.recordSize>>8), byte(h.recordSize)) //nolint:gosec // G115: its bytes
	if h.cid != nil {
		var body [1 + dtls.CIDLength]byte
		body[0] = dtls.CIDLength
		copy(body[1:], h.cid)
		add(true, extConnectionID, body[:]...)
	}
	return b
}

// certificateRequest is the body of a CertificateRequest (RFC 5246 §7.4.4): ECDSA
// keys, EdDSA included (RFC 8422 §5.5), our schemes, and authorities unnamed.
func certificateRequest() []byte {
	const ecdsaSign = 64
	b := []byte{1, ecdsaSign, 0, byte(2 * len(schemes))} //nolint:gosec // G115: three
	for _, s := range schemes {
		b = binary.BigEndian.AppendUint16(b, uint16(s))
	}
	return append(b, 0, 0)
}
