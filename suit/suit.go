// Package suit reads and writes SUIT envelopes and manifests
// (draft-ietf-suit-manifest-37): strict decoding that keeps the signed bytes,
// deterministic encoding, digests, severable elements and texts. It performs no
// I/O and runs no command; package process does.
//
// Section numbers refer to that draft unless stated otherwise.
package suit

import (
	"errors"
	"fmt"
)

// The reasons for which an envelope or a manifest is refused. Each error of this
// package is a *DecodeError that wraps one of them.
var (
	// ErrEncoding reports bytes that are not deterministic CBOR (RFC 8949 §4.2)
	// or exceed a limit of the encoding.
	ErrEncoding = errors.New("not deterministic CBOR")
	// ErrStructure reports CBOR that does not fit the CDDL of the manifest.
	ErrStructure = errors.New("structure not as specified")
	// ErrVersion reports a manifest-version other than 1.
	ErrVersion = errors.New("unsupported manifest version")
	// ErrAlgorithm reports a digest algorithm that is not implemented or not
	// allowed.
	ErrAlgorithm = errors.New("unsupported digest algorithm")
	// ErrDigest reports content that differs from its SUIT_Digest.
	ErrDigest = errors.New("digest differs")
	// ErrUnauthenticated reports an element of the envelope to which the
	// manifest has no digest: nothing vouches for it.
	ErrUnauthenticated = errors.New("element not covered by the manifest")
	// ErrNotImplemented reports a feature of the SUIT documents that this
	// implementation does not have.
	ErrNotImplemented = errors.New("not implemented")
	// ErrOptions reports values that cannot be encoded.
	ErrOptions = errors.New("unusable manifest options")
)

// A Layer says how deep the decoder was when it found an error.
type Layer string

// The layers, from the outside.
const (
	LayerEnvelope  Layer = "envelope"
	LayerManifest  Layer = "manifest"
	LayerSeverable Layer = "severable"
	LayerContent   Layer = "content" // of the elements of the manifest
)

// A DecodeError says where an envelope is wrong, and why.
type DecodeError struct {
	Layer Layer
	Err   error // wraps a sentinel of this package
}

// Error implements error.
func (e *DecodeError) Error() string { return fmt.Sprintf("%s: %v", e.Layer, e.Err) }

// Unwrap returns the reason.
func (e *DecodeError) Unwrap() error { return e.Err }

// in wraps err, if there is one, with the layer.
func in(layer Layer, err error) error {
	if err == nil {
		return nil
	}
	return &DecodeError{Layer: layer, Err: err}
}

// The CBOR tags of SUIT (§12).
const (
	TagEnvelope = 107
	TagManifest = 1070
)

// ManifestVersion is the only manifest-version there is.
const ManifestVersion = 1
