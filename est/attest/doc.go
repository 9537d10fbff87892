// Package attest is remote attestation (RFC 9334): the nonce that a verifier
// gives a device, the evidence that the device signs, its appraisal, and the
// verdict that the verifier signs.
//
// Evidence is an Entity Attestation Token (RFC 9711) in a COSE_Sign1 of the
// attestation key of the device, which is known beforehand and never taken from
// the token. A verdict is an attestation result as of draft-ietf-rats-ear, with
// the trustworthiness vector of draft-ietf-rats-ar4si, in a COSE_Sign1 of the
// verifier. web/peer/transfer.cddl defines both.
//
// What is not authentic is refused with an error and changes nothing, so that
// nobody but the device can speak against it; what is authentic gets a verdict.
// The package performs no I/O; the time is a parameter.
package attest
