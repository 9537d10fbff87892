package cose

import "github.com/fxamacker/cbor/v2"

// The bounds of what is decoded; all are checked before anything is allocated.
const (
	// MaxMessage is the length in bytes of the longest message accepted: the
	// payload of a transfer document of a whole batch fits well.
	MaxMessage = 4 << 20
	// MaxSignatures is the number of signatures in the longest COSE_Sign; a
	// receipt has two.
	MaxSignatures = 8

	maxHeaderPairs = 32   // no profile has more than a dozen parameters
	maxHeader      = 8192 // bytes of one header map: certificates are not sent in it
	maxNesting     = 8    // CWT claims with a confirmation key need 4
	maxElements    = 64   // of an array inside a header
)

// headerModes hold the one way to read and the one way to write.
type modes struct {
	dec cbor.DecMode
	enc cbor.EncMode
}

// deterministic is what RFC 8949 §4.2.1 demands. It is set once and never
// changed: the modes are immutable.
var deterministic = newModes()

func newModes() modes {
	dec, err := cbor.DecOptions{
		DupMapKey:        cbor.DupMapKeyEnforcedAPF,
		IndefLength:      cbor.IndefLengthForbidden,
		TagsMd:           cbor.TagsForbidden,
		IntDec:           cbor.IntDecConvertSignedOrFail,
		UTF8:             cbor.UTF8RejectInvalid,
		MaxNestedLevels:  maxNesting,
		MaxArrayElements: maxElements,
		MaxMapPairs:      maxHeaderPairs,
	}.DecMode()
	if err != nil {
		panic(err) // the options are constants
	}
	enc, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		panic(err)
	}
	return modes{dec: dec, enc: enc}
}
