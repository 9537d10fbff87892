package handshake

import (
	"encoding/binary"

	"steward/lwm2m/dtls"
)

// A suite is a cipher suite. All use SHA-256 for their PRF.
type suite struct {
	id         uint16
	name       string
	psk, ecdhe bool // how the premaster secret comes about; without psk, certificates
	protection dtls.Protection
}

// suites are those of RFC 7925 §4, RFC 7251, RFC 5289, RFC 6655, RFC 5487 and RFC 8442.
var suites = []suite{
	{0xc0ae, "ECDHE_ECDSA_WITH_AES_128_CCM_8", false, true, dtls.CCM8},
	{0xc0ac, "ECDHE_ECDSA_WITH_AES_128_CCM", false, true, dtls.CCM},
	{0xc02b, "ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", false, true, dtls.GCM},
	{0xd003, "ECDHE_PSK_WITH_AES_128_CCM_8_SHA256", true, true, dtls.CCM8},
	{0xd005, "ECDHE_PSK_WITH_AES_128_CCM_SHA256", true, true, dtls.CCM},
	{0xd001, "ECDHE_PSK_WITH_AES_128_GCM_SHA256", true, true, dtls.GCM},
	{0xc0a8, "PSK_WITH_AES_128_CCM_8", true, false, dtls.CCM8},
	{0xc0a4, "PSK_WITH_AES_128_CCM", true, false, dtls.CCM},
	{0x00a8, "PSK_WITH_AES_128_GCM_SHA256", true, false, dtls.GCM},
}

const (
	suiteRenegotiation = 0x00ff // TLS_EMPTY_RENEGOTIATION_INFO_SCSV, RFC 5746 §3.3
	suiteFallback      = 0x5600 // TLS_FALLBACK_SCSV, RFC 7507
)

// suiteOf returns the suite with an id, nil if it is none of ours.
func suiteOf(id uint16) *suite {
	for i := range suites {
		if suites[i].id == id {
			return &suites[i]
		}
	}
	return nil
}

// chooseSuite returns the first of the client's suites that we can serve: it names
// them in order of its preference (RFC 5246 §7.4.1.2). Nil is none.
func chooseSuite(list []byte, usable func(*suite) bool) *suite {
	for ; len(list) >= 2; list = list[2:] {
		if s := suiteOf(binary.BigEndian.Uint16(list)); s != nil && usable(s) {
			return s
		}
	}
	return nil
}
