package handshake

import (
	"slices"

	"golang.org/x/crypto/cryptobyte"
)

// The extensions that count.
const (
	extServerName          = 0      // RFC 6066 §3
	extMaxFragmentLength   = 1      // RFC 6066 §4
	extSupportedGroups     = 10     // RFC 8422 §5.1.1
	extPointFormats        = 11     // RFC 8422 §5.1.2
	extSignatureAlgorithms = 13     // RFC 5246 §7.4.1.4.1
	extClientCertType      = 19     // RFC 7250 §3
	extServerCertType      = 20     // RFC 7250 §3
	extMasterSecret        = 23     // RFC 7627
	extRecordSizeLimit     = 28     // RFC 8449
	extSessionTicket       = 35     // RFC 5077
	extConnectionID        = 54     // RFC 9146
	extRenegotiation       = 0xff01 // RFC 5746
)

const (
	certX509         = 0 // RFC 7250 §3
	certRawPublicKey = 2

	minRecordSize = 64      // RFC 8449 §4: a smaller limit is illegal
	maxRecordSize = 1 << 14 // RFC 5246 §6.2.1: what we take ourselves
	// maxExtensions bounds the search for duplicates.
	maxExtensions = 64
)

// offers are the client's extensions that count, aliasing its hello. A nil slice is
// an extension that is absent.
type offers struct {
	serverName                       string
	groups, points, signatures       []byte
	clientCertTypes, serverCertTypes []byte
	ticket, cid, renegotiation       []byte
	masterSecret                     bool
	maxFragment                      uint8  // code of RFC 6066 §4, 0: absent
	recordSize                       uint16 // 0: absent
}

// parseOffers reads the extensions of a ClientHello. Unknown ones, among them
// trusted_ca_keys, are skipped; one that comes twice or is malformed fails.
func parseOffers(extensions []byte) (o offers, a alert, ok bool) {
	s := cryptobyte.String(extensions)
	var types [maxExtensions]uint16
	for n := 0; len(s) > 0; n++ {
		var typ uint16
		var body cryptobyte.String
		if n == maxExtensions || !s.ReadUint16(&typ) || !s.ReadUint16LengthPrefixed(&body) ||
			slices.Contains(types[:n], typ) {
			return offers{}, alertDecodeError, false
		}
		types[n] = typ
		if read := readers[typ]; read != nil {
			if a := read(&o, body); a != 0 {
				return offers{}, a, false
			}
		}
	}
	return o, 0, true
}

// readers read the bodies of extensions; the alert 0 is none.
var readers = map[uint16]func(o *offers, body cryptobyte.String) alert{
	extServerName:          (*offers).readServerName,
	extMaxFragmentLength:   (*offers).readMaxFragment,
	extSupportedGroups:     func(o *offers, b cryptobyte.String) alert { return list16(&o.groups, b) },
	extPointFormats:        func(o *offers, b cryptobyte.String) alert { return list8(&o.points, b) },
	extSignatureAlgorithms: func(o *offers, b cryptobyte.String) alert { return list16(&o.signatures, b) },
	extClientCertType:      func(o *offers, b cryptobyte.String) alert { return list8(&o.clientCertTypes, b) },
	extServerCertType:      func(o *offers, b cryptobyte.String) alert { return list8(&o.serverCertTypes, b) },
	extMasterSecret:        (*offers).readMasterSecret,
	extRecordSizeLimit:     (*offers).readRecordSize,
	extSessionTicket:       func(o *offers, b cryptobyte.String) alert { o.ticket = present(b); return 0 },
	extConnectionID:        (*offers).readCID,
	extRenegotiation:       (*offers).readRenegotiation,
}

// present is b, but never nil.
func present(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// list8 reads a list of bytes with one byte of length, which is not empty.
func list8(to *[]byte, body cryptobyte.String) alert {
	var list cryptobyte.String
	if !body.ReadUint8LengthPrefixed(&list) || len(list) == 0 || len(body) != 0 {
		return alertDecodeError
	}
	*to = list
	return 0
}

// list16 reads a list of 16-bit values, which is not empty.
func list16(to *[]byte, body cryptobyte.String) alert {
	var list cryptobyte.String
	if !body.ReadUint16LengthPrefixed(&list) || len(list) == 0 || len(list)%2 != 0 || len(body) != 0 {
		return alertDecodeError
	}
	*to = list
	return 0
}

func (o *offers) readServerName(body cryptobyte.String) alert {
	const hostName = 0
	var names cryptobyte.String
	if !body.ReadUint16LengthPrefixed(&names) || len(names) == 0 || len(body) != 0 {
		return alertDecodeError
	}
	for len(names) > 0 {
		var typ uint8
		var name cryptobyte.String
		if !names.ReadUint8(&typ) || !names.ReadUint16LengthPrefixed(&name) || len(name) == 0 {
			return alertDecodeError
		}
		if typ != hostName {
			continue
		}
		if o.serverName != "" || len(name) > 255 {
			return alertDecodeError
		}
		o.serverName = string(name)
	}
	return 0
}

func (o *offers) readMaxFragment(body cryptobyte.String) alert {
	if !body.ReadUint8(&o.maxFragment) || len(body) != 0 {
		return alertDecodeError
	}
	if o.maxFragment < 1 || o.maxFragment > 4 {
		return alertIllegalParameter
	}
	return 0
}

func (o *offers) readMasterSecret(body cryptobyte.String) alert {
	o.masterSecret = true
	if len(body) != 0 {
		return alertDecodeError
	}
	return 0
}

func (o *offers) readRecordSize(body cryptobyte.String) alert {
	if !body.ReadUint16(&o.recordSize) || len(body) != 0 {
		return alertDecodeError
	}
	if o.recordSize < minRecordSize {
		return alertIllegalParameter
	}
	return 0
}

func (o *offers) readCID(body cryptobyte.String) alert {
	var cid cryptobyte.String
	if !body.ReadUint8LengthPrefixed(&cid) || len(body) != 0 {
		return alertDecodeError
	}
	o.cid = present(cid)
	return 0
}

// readRenegotiation refuses anything but the empty value of a first handshake
// (RFC 5746 §3.6).
func (o *offers) readRenegotiation(body cryptobyte.String) alert {
	var data cryptobyte.String
	if !body.ReadUint8LengthPrefixed(&data) || len(body) != 0 {
		return alertDecodeError
	}
	if len(data) != 0 {
		return alertHandshakeFailure
	}
	o.renegotiation = present(data)
	return 0
}

// limit is the longest plaintext the client takes in a record, 0 if it did not say:
// record_size_limit goes before max_fragment_length (RFC 8449 §5).
func (o *offers) limit() uint16 {
	switch {
	case o.recordSize > 0:
		return min(o.recordSize, maxRecordSize)
	case o.maxFragment > 0:
		return 256 << o.maxFragment
	default:
		return 0
	}
}
