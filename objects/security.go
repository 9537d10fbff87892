package objects

import (
	"log/slog"

	"steward/lwm2m"
)

// SecurityID is the object id of LwM2M Security (Core 1.2.2 §E.1), the accounts
// that a bootstrap server writes. No device management server ever sees it.
const SecurityID = 0

// Resources of LwM2M Security.
const (
	SecurityURI         = 0
	SecurityBootstrap   = 1
	SecurityModeID      = 2
	SecurityIdentity    = 3
	SecurityServerKey   = 4
	SecuritySecretKey   = 5
	SecurityShortServer = 10
	SecurityHoldOff     = 11
	SecurityTimeout     = 12
	SecurityMatching    = 13
	SecuritySNI         = 14
	SecurityUsage       = 15
)

// A SecurityMode says what protects the connection to a server.
type SecurityMode uint8

// The security modes of resource /0/x/2.
const (
	ModePSK         SecurityMode = 0
	ModeRawKey      SecurityMode = 1
	ModeCertificate SecurityMode = 2
	ModeNoSec       SecurityMode = 3
	ModeEST         SecurityMode = 4 // certificate, got by Enrolment over Secure Transport
)

// String returns the mode in words.
func (m SecurityMode) String() string {
	return word(map[SecurityMode]string{
		ModePSK: "pre-shared key", ModeRawKey: "raw public key", ModeCertificate: "certificate",
		ModeNoSec: "none", ModeEST: "certificate by EST",
	}, m)
}

// Security is an instance of LwM2M Security: where a server is and what proves
// both sides.
type Security struct {
	URI         string
	Bootstrap   bool // the account of a bootstrap server
	Mode        SecurityMode
	Identity    []byte // PSK identity, raw public key or certificate of the client
	ServerKey   []byte // raw public key or certificate to expect; nil with PSK
	SecretKey   []byte // PSK or private key
	ShortServer uint16 // 0: absent, as in the account of a bootstrap server
	HoldOff     *int64 // seconds before a client-initiated bootstrap
	Timeout     *int64 // seconds until the bootstrap account goes; nil or 0: never
	Matching    *uint8 // 0 exact, 1 to 3 SHA-256, SHA-384, SHA-512 of what is expected
	SNI         string // "": the host of URI
	Usage       *uint8 // DANE certificate usage 0..3; nil: 3, domain-issued
}

// fields binds 3, 4 and 5 as optional, although the definition calls them
// mandatory, for servers leave them out where the mode does not use them.
func (s *Security) fields() []field {
	return []field{
		single(SecurityURI, &s.URI, text()),
		single(SecurityBootstrap, &s.Bootstrap, boolean()),
		single(SecurityModeID, &s.Mode, integer[SecurityMode]()),
		key(SecurityIdentity, &s.Identity),
		key(SecurityServerKey, &s.ServerKey),
		key(SecuritySecretKey, &s.SecretKey),
		nonzero(SecurityShortServer, &s.ShortServer, integer[uint16]()),
		optional(SecurityHoldOff, &s.HoldOff, integer[int64]()),
		optional(SecurityTimeout, &s.Timeout, integer[int64]()),
		optional(SecurityMatching, &s.Matching, unsigned[uint8]()),
		nonzero(SecuritySNI, &s.SNI, text()),
		optional(SecurityUsage, &s.Usage, unsigned[uint8]()),
	}
}

// DecodeSecurity reads the instance at base.
func DecodeSecurity(base lwm2m.Path, entries []lwm2m.Entry) (Security, error) {
	return decode(base, entries, (*Security).fields)
}

// Entries returns s as the instance at base.
func (s Security) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, s.fields()) }

// LogValue implements slog.LogValuer and leaves all keys out.
func (s Security) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("uri", s.URI),
		slog.Bool("bootstrap", s.Bootstrap),
		slog.String("mode", s.Mode.String()),
		slog.Int("short_server", int(s.ShortServer)),
	)
}
