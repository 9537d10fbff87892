package coap

import "net/netip"

// A Role is the class of an association, which decides what it may ask for.
type Role string

// The classes of associations.
const (
	RoleNone        Role = ""            // nothing proved: NoSec
	RolePSK         Role = "psk"         // a pre-shared key for LwM2M
	RoleBootstrap   Role = "bootstrap"   // a key for the Bootstrap-Server
	RoleFactory     Role = "factory"     // a certificate of a listed factory CA
	RoleOperational Role = "operational" // a live certificate of our own CA
	RoleExpired     Role = "expired"     // the same, ended within a grace: for renewal alone
	RoleServer      Role = "server"      // the peer is a server that we dialled
	RoleRawKey      Role = "rawkey"      // a raw public key for LwM2M
)

// An Identity is what the handshake of an association proved. It is
// comparable; the zero Identity is that of a peer without security.
type Identity struct {
	Role Role
	Name string // common name of the certificate's subject, or whose the key is
	// Certificate is the SHA-256 of the leaf certificate's DER, or of the
	// SubjectPublicKeyInfo of a raw public key; zero without either.
	Certificate [32]byte
}

// A Peer is the far end of one association. Its dynamic value must be
// comparable and stay the same when the peer's address changes.
type Peer interface {
	// Send transmits one datagram. It must not retain the slice nor block for
	// long. ErrClosed says that the association is gone and has the effect of
	// Engine.Closed; any other error counts as a lost datagram.
	Send(datagram []byte) error
	// Identity returns what the handshake proved.
	Identity() Identity
	// Addr returns the peer's present address.
	Addr() netip.AddrPort
	// String names the peer in logs.
	String() string
}
