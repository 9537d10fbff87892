package handshake

import (
	"encoding/binary"

	"golang.org/x/crypto/cryptobyte"

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

// body encodes h.
func (h *serverHello) body() []byte {
	b := cryptobyte.NewBuilder(make([]byte, 0, 128))
	b.AddUint16(version12)
	b.AddBytes(h.random[:])
	b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(h.sessionID) })
	b.AddUint16(h.suite)
	b.AddUint8(0) // no compression
	b.AddUint16LengthPrefixed(h.addExtensions)
	out, _ := b.Bytes() // never fails: every part is short
	return out
}

func (h *serverHello) addExtensions(b *cryptobyte.Builder) {
	add := func(present bool, typ uint16, body ...byte) {
		if present {
			b.AddUint16(typ)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(body) })
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
	add(h.recordSize > 0, extRecordSizeLimit, binary.BigEndian.AppendUint16(nil, h.recordSize)...)
	if h.cid != nil {
		add(true, extConnectionID, append([]byte{dtls.CIDLength}, h.cid...)...)
	}
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
