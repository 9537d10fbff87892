// Package minimal is the acceptance check of the trust transfer (E1 to E11) for
// devices with little memory, as a reference to port: one pass over the message as it
// lies in its buffer, no copies, no allocation, no recursion. Beside the message and
// the truststore it takes a hash state and, on a 32-bit machine, some 300 bytes. What it decides is what
// transfer.Accept decides, for truststores with keys on P-256; tests hold the two
// against each other.
//
// Everything here has its like in C: a slice is a pointer and a length into the
// message, Hash is the streaming SHA-256 of the crypto library, Verify its ECDSA.
package minimal

// Purposes of anchors, as bits (label 8).
const (
	purposeEnrol    = 1 << 0
	purposeDM       = 1 << 1
	purposeTransfer = 1 << 6
	purposeMandate  = 1 << 7
	purposeFallback = 1 << 8
	signers         = 1<<5 | purposeTransfer | purposeMandate
	known           = purposeFallback<<1 - 1
)

// Domains of anchors, as resource Domain numbers them.
const (
	current            = 1
	permanent, pending = 0, 2
)

// Bounds.
const (
	maxMessage = 1024
	maxMandate = 4096
	maxText    = 255
	maxID      = 32
	maxAnchors = 16
	maxGrace   = 90 * 24 * 60 * 60
	maxTime    = 253402300799 // the last second of the year 9999
	clockSkew  = 120          // seconds
	hashLength = 32
	x5tLength  = 16
	kidLength  = 8
	sigLength  = 64 // R and S
)

// An Anchor is an entry of the truststore. Its key is the business of Verify.
type Anchor struct {
	Thumbprint [x5tLength]byte // first bytes of the certificate's SHA-256, kid among them
	Purposes   uint16
	Domain     uint8
	Staged     bool // created by a session since the device was last in READY
}

// Facts are what the check knows of the device.
type Facts struct {
	AtRest     bool   // IDLE, FINALISED, FELL_BACK or EXPIRED
	Ready      bool   // READY
	Installing bool   // an update is on the way, or not confirmed
	Epoch      uint32 // of the message accepted last
	Stored     []byte // in READY, the message as it was written
	Subject    []byte // commonName of the factory certificate
	Factory    [hashLength]byte
	Anchors    []Anchor
	ServerURI  []byte // of the present LwM2M server
	EnrollURI  []byte // of the present EST server
	Mandate    []byte // resource Mandate; empty: none
	Now        int64  // Unix time; 0 without a clock
}

// A Hash is a streaming SHA-256.
type Hash interface {
	Reset()
	Write(part []byte) (int, error)
	Sum(to []byte) []byte
}

// A Check holds what the check works in. It may be used again, by one at a time.
type Check struct {
	Hash Hash
	// Verify reports whether signature, R and S of 32 bytes each, is that of digest
	// by the key of an anchor.
	Verify func(anchor int, digest *[hashLength]byte, signature []byte) bool

	message message
	mandate mandate
	digest  [hashLength]byte
	head    [3]byte
}
