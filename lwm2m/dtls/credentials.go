// Package dtls holds DTLS 1.2 associations (RFC 6347) with connection
// identifiers (RFC 9146), apart from any socket: a Session protects records and
// ParseRecord reads their headers, Dial leads a handshake as client by pion's engine.
// Our own handshakes, of either side, are in the package handshake, and end in
// Established: keys and sequence numbers, so that an idle association is one small
// value without pointers.
package dtls

import (
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"errors"

	"steward/lwm2m/coap"
)

// Credentials are the secrets and the judgement of the server's side. Its
// methods are called from many goroutines at once.
type Credentials interface {
	// Certificate returns the chain and the key for the name a client asked for
	// (RFC 6066 §3); "" is a client that named none. An error ends the handshake.
	Certificate(serverName string) (*tls.Certificate, error)
	// PSK returns the key of identity, or ErrUnknownIdentity.
	PSK(identity []byte) (key []byte, err error)
	// Identify judges a peer that has proved possession of its key: chain is
	// what it sent, DER, leaf first, and pskIdentity is nil; or chain is nil. An
	// error refuses the handshake. It may be asked again about a peer whose
	// handshake was under way while associations were dropped.
	Identify(chain [][]byte, pskIdentity []byte) (coap.Identity, error)
}

// RawKeys are Credentials that know peers by raw public keys (RFC 7250), too. Our own
// raw public key is that of our certificate.
type RawKeys interface {
	// IdentifyKey judges a peer that has proved possession of the key of a
	// SubjectPublicKeyInfo, DER. An error refuses the handshake.
	IdentifyKey(spki []byte) (coap.Identity, error)
}

// A Resumer are Credentials that let the sessions of certificates be resumed.
type Resumer interface {
	// Resume says whether a peer may go on as who it was found to be by its
	// certificate: it may have been revoked since, or have expired. An error demands a
	// full handshake.
	Resume(coap.Identity) error
}

// A Recaller are Credentials that remember whom they judged.
type Recaller interface {
	// Recall returns who the peer with this leaf certificate is, given by its SHA-256, if
	// Identify would say the same and nothing has to be waited for.
	Recall(leaf [sha256.Size]byte) (coap.Identity, bool)
}

// ClientOptions are the credentials of the dialling side: a certificate with
// Verify, or a pre-shared key.
type ClientOptions struct {
	// Certificate is the client's chain with its key; nil sends none.
	Certificate *tls.Certificate
	// RawKey is our raw public key (RFC 7250), instead of a certificate.
	RawKey crypto.Signer
	// VerifyKey judges the server's raw public key, a SubjectPublicKeyInfo, DER. Nil
	// accepts none.
	VerifyKey func(spki []byte) error
	// PSKIdentity and PSK select the pre-shared key suites, when PSK is not empty.
	PSKIdentity, PSK []byte
	// Verify judges the server's chain, DER as sent, leaf first. It is required
	// without a PSK or VerifyKey: there are no default anchors.
	Verify func(chain [][]byte) error
	// Bound asks for an association that tells its channel binding.
	Bound bool
	// ServerName is sent in the server_name extension; an IP address or "" is not.
	ServerName string
	// CID asks the server for a connection identifier, so that the association
	// survives a change of our address.
	CID bool
}

// Errors of handshakes.
var (
	// ErrUnknownIdentity is what Credentials.PSK returns for an identity without a key.
	ErrUnknownIdentity = errors.New("dtls: unknown psk identity")
	// ErrTimeout reports a handshake that did not complete in its time.
	ErrTimeout = errors.New("dtls: handshake timed out")
	// ErrHandshake reports a handshake that failed, here or at the peer.
	ErrHandshake = errors.New("dtls: handshake failed")
	// ErrRefused reports a peer that our judgement (Identify, Verify, PSK) refused; it
	// wraps the reason.
	ErrRefused = errors.New("dtls: peer refused")
	// ErrNoVerify reports client options that name neither a PSK nor a Verify function.
	ErrNoVerify = errors.New("dtls: no psk and no verify function")
	// ErrSuite reports an association whose cipher suite Session does not know.
	ErrSuite = errors.New("dtls: unsupported cipher suite")
)
