package transfer

import (
	"errors"
	"fmt"

	"steward/lwm2m/dcbor"
)

// The bounds of what is decoded. All are checked before anything is allocated.
const (
	// MaxMessage is the length in bytes of the longest TransferMessage that a
	// device accepts (§5, E1). Ours stay within 512.
	MaxMessage = 1024
	// MaxReceipt is the length in bytes of the longest receipt: two signatures,
	// and the manifests of a device with several components.
	MaxReceipt = 4096
	// MaxSmall is the length in bytes of the longest document about one device
	// or one transfer: an offer with its certificates, a status, a verdict.
	MaxSmall = 64 << 10
	// MaxBatch is the length in bytes of the longest document that lists the
	// devices of a batch: 10,000 devices at their 420 bytes, as a JWS.
	MaxBatch = 8 << 20
	// MaxDevices is the number of devices in the largest batch.
	MaxDevices = 20_000
	// MaxAnchors is the number of anchors of the largest domain.
	MaxAnchors = 16
	// MaxCertificate is the length in bytes of the longest certificate.
	MaxCertificate = 4096
	// MaxURI is the length in bytes of the longest URI of a Destination.
	MaxURI = 255
	// maxText bounds names and reasons, and URIs with them.
	maxText = 255
	// maxID bounds identifiers: a UUID is 16 bytes, a ULID as text 26.
	maxID = 32
	// maxTime is the last second of the year 9999: what X.509 can express.
	maxTime Seconds = 253402300799
	// maxDepth is the nesting of DeviceUpdateInfo, the deepest of the bodies:
	// info, pair, switch, manifests, reference, digest; and room for a COSE_Key.
	maxDepth = 10
)

// The reasons for which a body is refused.
var (
	// ErrSyntax reports bytes that are not the message in deterministic CBOR:
	// malformed, an unknown or missing label, a wrong type, a longer form.
	ErrSyntax = errors.New("malformed message")
	// ErrTooLarge reports more bytes than the limit of the kind.
	ErrTooLarge = errors.New("message too large")
	// ErrValue reports a value outside its range: an empty name, a window that
	// ends before it begins, a URI that is too long.
	ErrValue = errors.New("value out of range")
)

// strict reads and writes all bodies. The largest map, the labels of a receipt, has 14
// members.
var strict = dcbor.New(dcbor.Limits{Depth: maxDepth, Elements: MaxDevices, Pairs: 32})

// encode returns v in deterministic CBOR.
func encode(v any) ([]byte, error) {
	raw, err := strict.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("transfer: %w: %w", ErrValue, err)
	}
	return raw, nil
}

// decode reads raw into v. Encoding v again must give raw: that refuses longer
// forms of integers, unsorted maps, null for an absent member and, since only
// optional members are left out of an encoding, missing ones.
func decode(raw []byte, limit int, v any) error {
	if len(raw) > limit {
		return fmt.Errorf("transfer: %d bytes of at most %d: %w", len(raw), limit, ErrTooLarge)
	}
	if err := strict.Read(raw, v); err != nil {
		return fmt.Errorf("transfer: %w: %w", ErrSyntax, err)
	}
	return nil
}
