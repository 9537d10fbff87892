// Package cose signs and verifies COSE_Sign1, COSE_Sign, COSE_Mac0 and COSE_Mac
// messages (RFC 9052) and encrypts with COSE_Encrypt, strictly: the encoding is
// deterministic, the algorithm is protected and bound to the key, critical labels
// are understood, no label stands in both header maps. It adds to go-cose, on which
// it stands, what that library leaves to its callers, message authentication codes,
// encryption, and the fully specified algorithms of RFC 9864. It performs no I/O.
//
// Section numbers refer to RFC 9052 unless stated otherwise.
package cose

import "errors"

// The reasons for which messages, keys and options are refused.
var (
	// ErrSyntax reports bytes that are no COSE message in deterministic CBOR
	// (RFC 8949 §4.2), or more than the limits allow.
	ErrSyntax = errors.New("malformed COSE message")
	// ErrHeader reports header parameters that §3.1 forbids: a label in both
	// maps, an algorithm that is missing or not protected, a wrong type.
	ErrHeader = errors.New("unacceptable COSE header")
	// ErrCritical reports a crit parameter that names a label which the caller
	// does not understand (§3.1), or that is itself malformed.
	ErrCritical = errors.New("critical COSE header parameter not understood")
	// ErrAlgorithm reports an algorithm that this package does not implement.
	ErrAlgorithm = errors.New("unsupported COSE algorithm")
	// ErrKey reports a key that does not serve the algorithm asked for.
	ErrKey = errors.New("key does not serve the algorithm")
	// ErrPayload reports a payload inside a message that was to be detached,
	// or none where one is needed.
	ErrPayload = errors.New("payload attached or missing against expectation")
	// ErrSignature reports a signature that does not verify.
	ErrSignature = errors.New("signature does not verify")
	// ErrNoRecipient reports encrypted content without a recipient for whom a key
	// at hand was made.
	ErrNoRecipient = errors.New("not encrypted to this recipient")
	// ErrDecrypt reports a key or content that does not decrypt: it was changed,
	// or encrypted with another key.
	ErrDecrypt = errors.New("decryption failed")
	// ErrOptions reports a call that asks for an impossible message.
	ErrOptions = errors.New("unusable COSE options")
)

// The labels of header parameters that this package reads or writes
// (IANA "COSE Header Parameters").
const (
	LabelAlgorithm   int64 = 1
	LabelCritical    int64 = 2
	LabelContentType int64 = 3
	LabelKeyID       int64 = 4
	LabelIV          int64 = 5
	LabelCWTClaims   int64 = 15 // RFC 9597
	LabelType        int64 = 16 // RFC 9596
)
