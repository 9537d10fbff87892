package foreign_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/fxamacker/cbor/v2"
)

// The documents of transfer.cddl, as this partner reads and writes them.

type (
	pair2   [2]uint64 // window, account, reference
	purpose struct {
		_        struct{} `cbor:",toarray"`
		Name     []byte   // x5t, certificate
		Purposes uint64
	}
)

// The purposes of anchors.
const (
	enrolCA   = 1 << 0
	dm        = 1 << 1
	update    = 1 << 3
	ra        = 1 << 4
	suit      = 1 << 5
	transfers = 1 << 6
	mandates  = 1 << 7
	fallback  = 1 << 8
	signers   = 1<<5 | 1<<6 | 1<<7
)

type mandate struct {
	Issuer  string       `cbor:"1,keyasint"`
	Expires uint64       `cbor:"4,keyasint"`
	Issued  uint64       `cbor:"6,keyasint"`
	ID      []byte       `cbor:"7,keyasint"`
	Terms   mandateTerms `cbor:"-65537,keyasint"`
}

type mandateTerms struct {
	Window   pair2  `cbor:"16,keyasint"`
	From     string `cbor:"40,keyasint"`
	To       string `cbor:"41,keyasint"`
	Which    any    `cbor:"42,keyasint"` // hashes, or a name
	Attest   bool   `cbor:"43,keyasint,omitempty"`
	Sequence uint64 `cbor:"44,keyasint,omitempty"`
	Keep     bool   `cbor:"45,keyasint,omitempty"`
}

type devicePair struct {
	_       struct{} `cbor:",toarray"`
	Factory struct {
		Chain []byte `cbor:"33,keyasint"`
	}
	Switch switchInfo
}

type switchInfo struct {
	Earliest  uint64
	Latest    uint64
	Manifests []cbor.RawMessage
	Objects   [3]uint16
	RA        *raInfo // at the end, or not there at all
}

type raInfo struct {
	References []certHash `cbor:"1,keyasint"`
	Verifier   string     `cbor:"2,keyasint,omitempty"`
	Key        coseKey    `cbor:"3,keyasint"`
	Profile    int        `cbor:"4,keyasint,omitempty"`
}

type certHash struct {
	_     struct{} `cbor:",toarray"`
	Alg   int64
	Value []byte
}

type coseKey struct {
	Kind  int    `cbor:"1,keyasint"`
	Curve int    `cbor:"-1,keyasint"`
	X     []byte `cbor:"-2,keyasint"`
	Y     []byte `cbor:"-3,keyasint"`
}

func (s *switchInfo) fields() []any {
	return []any{&s.Earliest, &s.Latest, &s.Manifests, &s.Objects, &s.RA}
}

// MarshalCBOR implements cbor.Marshaler.
func (s switchInfo) MarshalCBOR() ([]byte, error) {
	fields := s.fields()
	if s.RA == nil {
		fields = fields[:4]
	}
	return encode(fields), nil
}

// UnmarshalCBOR implements cbor.Unmarshaler.
func (s *switchInfo) UnmarshalCBOR(raw []byte) error {
	var parts []cbor.RawMessage
	if err := decode(raw, &parts); err != nil {
		return err
	}
	fields := s.fields()
	if len(parts) != 4 && len(parts) != len(fields) {
		return refused("SwitchInfo of %d", len(parts))
	}
	for i, part := range parts {
		if err := decode(part, fields[i]); err != nil {
			return err
		}
	}
	return nil
}

type destination struct {
	Verifier    string    `cbor:"1,keyasint,omitempty"`
	Update      string    `cbor:"2,keyasint"`
	UpdateFirst bool      `cbor:"3,keyasint"`
	Enrol       string    `cbor:"4,keyasint"`
	Anchors     []purpose `cbor:"8,keyasint"`
	Grace       uint64    `cbor:"10,keyasint,omitempty"`
	Server      string    `cbor:"11,keyasint"`
	Account     pair2     `cbor:"18,keyasint"`
}

type offer struct {
	Issuer   string     `cbor:"1,keyasint"`
	Audience string     `cbor:"3,keyasint"`
	Expires  uint64     `cbor:"4,keyasint"`
	Issued   uint64     `cbor:"6,keyasint"`
	ID       []byte     `cbor:"7,keyasint"`
	Terms    offerTerms `cbor:"-65537,keyasint"`
}

type offerTerms struct {
	Destination []byte    `cbor:"0,keyasint"`
	Mandate     []byte    `cbor:"12,keyasint"`
	Info        []byte    `cbor:"14,keyasint"`
	Accepted    []byte    `cbor:"15,keyasint"`
	Window      pair2     `cbor:"16,keyasint"`
	Anchors     []purpose `cbor:"17,keyasint"` // certificates
	Transfer    []byte    `cbor:"46,keyasint"`
}

type transferMessage struct {
	Issuer    string       `cbor:"1,keyasint"`
	Subject   string       `cbor:"2,keyasint"`
	Audience  string       `cbor:"3,keyasint"`
	Expires   uint64       `cbor:"4,keyasint"`
	NotBefore uint64       `cbor:"5,keyasint"`
	ID        []byte       `cbor:"7,keyasint"`
	Terms     messageTerms `cbor:"-65537,keyasint"`
}

type messageTerms struct {
	Destination   []byte `cbor:"0,keyasint"`
	Fallback      string `cbor:"5,keyasint"`
	Epoch         uint64 `cbor:"6,keyasint"`
	Offer         []byte `cbor:"7,keyasint"`
	Mandate       []byte `cbor:"12,keyasint,omitempty"`
	FallbackEnrol string `cbor:"13,keyasint"`
	Factory       []byte `cbor:"21,keyasint"`
}

type receipt struct {
	Subject string       `cbor:"2,keyasint"`
	ID      []byte       `cbor:"7,keyasint"`
	Terms   receiptTerms `cbor:"-65537,keyasint"`

	hash []byte // of the signed object
}

type receiptTerms struct {
	Epoch       uint64 `cbor:"6,keyasint"`
	State       uint64 `cbor:"20,keyasint"`
	Factory     []byte `cbor:"21,keyasint"`
	Message     []byte `cbor:"22,keyasint"`
	Destination []byte `cbor:"23,keyasint"`
	Boots       uint64 `cbor:"24,keyasint"`
	Powered     uint64 `cbor:"25,keyasint"`
	SPKI        []byte `cbor:"26,keyasint"`
	Truststore  []byte `cbor:"27,keyasint"`
	Installed   []any  `cbor:"28,keyasint"`
	Operational []byte `cbor:"29,keyasint,omitempty"`
	Wiped       []any  `cbor:"30,keyasint,omitempty"`
	Error       int64  `cbor:"31,keyasint,omitempty"`
	Previous    []byte `cbor:"32,keyasint,omitempty"`
}

// The states of label 20 that this partner meets.
const (
	ready     = 1
	done      = 8
	finalised = 9

	returning  = 10 // FALLBACK
	fallenBack = 11
)

// bodies of /peer/v1.
type (
	answer struct {
		Info     []byte  `cbor:"14,keyasint"`
		Transfer []byte  `cbor:"46,keyasint"`
		Devices  [][]any `cbor:"47,keyasint"`
	}
	approval struct {
		Offer    []byte `cbor:"7,keyasint"`
		Transfer []byte `cbor:"46,keyasint"`
	}
	readyBody struct {
		Transfer []byte `cbor:"46,keyasint"`
		Receipt  []byte `cbor:"48,keyasint"`
	}
	completion struct {
		Transfer []byte   `cbor:"46,keyasint"`
		Receipts [][]byte `cbor:"48,keyasint"`
		Verdict  []byte   `cbor:"49,keyasint,omitempty"`
	}
)

var errDocument = errors.New("document refused")

func refused(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDocument, fmt.Sprintf(format, args...))
}

// encode returns v in deterministic CBOR (RFC 8949 §4.2.1).
func encode(v any) []byte {
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	raw, err := mode.Marshal(v)
	if err != nil {
		panic(err) // all documents here encode
	}
	return raw
}

// decode reads exactly one value, which has the members of v and no others.
func decode(raw []byte, v any) error {
	mode, err := cbor.DecOptions{
		DupMapKey: cbor.DupMapKeyEnforcedAPF, ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
		IndefLength: cbor.IndefLengthForbidden,
	}.DecMode()
	if err != nil {
		return err
	}
	return mode.Unmarshal(raw, v)
}

// decodeLoose is decode for what has members that this partner has no use for.
func decodeLoose(raw []byte, v any) error { return cbor.Unmarshal(raw, v) }

func hashOf(parts ...[]byte) []byte {
	sum := sha256.Sum256(bytes.Join(parts, nil))
	return sum[:]
}

// x5t is the first half of a certificate's hash.
func x5t(certificate []byte) []byte { return hashOf(certificate)[:16] }
