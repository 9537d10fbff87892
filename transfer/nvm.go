package transfer

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"time"
)

// Home is the provider that a device belongs to, as its Security, Server and
// Enrolment objects say.
type Home struct {
	ServerURI    string  `cbor:"1,keyasint"`
	EnrollURI    string  `cbor:"2,keyasint"`
	BootstrapURI string  `cbor:"3,keyasint"` // empty: none
	Account      Account `cbor:"4,keyasint"`
}

// nvm is everything of a device that survives a power cut. Values are never
// changed in place: a changed copy is saved and takes the place of the old one.
type nvm struct {
	State      DeviceState    `cbor:"1,keyasint"`
	Pending    []DeviceEffect `cbor:"2,keyasint"` // what is left of the last transition
	Epoch      uint32         `cbor:"3,keyasint"`
	Boots      uint64         `cbor:"4,keyasint"`
	InState    time.Duration  `cbor:"5,keyasint"` // powered
	Since      time.Duration  `cbor:"6,keyasint"` // powered, since COMMITTED
	Truststore []Anchor       `cbor:"7,keyasint"`
	Home       Home           `cbor:"8,keyasint"`
	Key        []byte         `cbor:"9,keyasint"` // operational; keys are PKCS #8
	Cert       []byte         `cbor:"10,keyasint"`
	Next       []byte         `cbor:"11,keyasint"` // key for CA2
	Back       []byte         `cbor:"12,keyasint"` // key for CA1 on the way back
	Renew      []byte         `cbor:"13,keyasint"` // key for a renewal at rest
	Mandate    []byte         `cbor:"14,keyasint"`
	Counter    uint64         `cbor:"15,keyasint"` // of the last Anchors command
	Message    []byte         `cbor:"16,keyasint"` // as written
	Hash       Hash           `cbor:"17,keyasint"` // of the message; outlives it
	Digest     Hash           `cbor:"18,keyasint"` // of the truststore in READY
	Receipt    []byte         `cbor:"19,keyasint"` // newest
	ReadyHash  Hash           `cbor:"20,keyasint"` // of the READY receipt
	LastHash   Hash           `cbor:"21,keyasint"` // of the newest receipt of the chain
	Fall       *fallRecord    `cbor:"22,keyasint,omitempty"`
	Wiped      []uint64       `cbor:"23,keyasint"`
	Error      int64          `cbor:"24,keyasint"`
	Attempts   uint64         `cbor:"25,keyasint"`
	Turns      uint64         `cbor:"26,keyasint"` // how often FALLBACK and ENROL alternated
	NoReturn   bool           `cbor:"27,keyasint"` // refused or returned: the new domain is closed
	Told       bool           `cbor:"28,keyasint"` // the DONE receipt was acknowledged
	Former     []byte         `cbor:"29,keyasint"` // key of the certificate before, until that in use has served
	FormerCert []byte         `cbor:"30,keyasint"`
	// Fresh takes the place of Next after an attestation or an update (§4, step 11);
	// FreshRefused says that CA2 does not know it, so that Next is the one to enrol.
	Fresh        []byte `cbor:"31,keyasint,omitempty"`
	FreshRefused bool   `cbor:"32,keyasint,omitempty"`
	OwnerCounter uint64 `cbor:"33,keyasint,omitempty"` // of the service user's last Anchors command
	Retired      []byte `cbor:"34,keyasint,omitempty"` // newest Retirement
}

// fallRecord is what the device keeps of its former provider until FINALISED.
type fallRecord struct {
	Home    Home     `cbor:"1,keyasint"`
	Anchors []Anchor `cbor:"2,keyasint"` // with the purposes they had
}

// maxRecord bounds a journal record: a full truststore, twice, and a message.
const maxRecord = 2*MaxInstances*MaxCertificate + 64<<10

func (n *nvm) encode() ([]byte, error) { return encode(n) }

func decodeNVM(raw []byte) (*nvm, error) {
	n := &nvm{}
	if err := decode(raw, maxRecord, n); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	return n, nil
}

// message returns the stored message and its Destination.
func (n *nvm) message() (*Signed[Message], *Destination, error) {
	signed, err := ParseMessage(n.Message)
	if err != nil {
		return nil, nil, err
	}
	destination, err := ParseDestination(signed.Body.Destination)
	if err != nil {
		return nil, nil, err
	}
	return signed, &destination, nil
}

func marshalKey(key crypto.Signer) ([]byte, error) {
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("transfer: key: %w", err)
	}
	return raw, nil
}

func parseKey(raw []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(raw)
	if err != nil {
		return nil, fmt.Errorf("transfer: key: %w", err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("transfer: key: %w", ErrSigner)
	}
	return signer, nil
}

// SPKIHash returns the SHA-256 of a key's SubjectPublicKeyInfo: what a right is
// bound to. It returns ErrSigner for a key that X.509 does not know.
func SPKIHash(public crypto.PublicKey) (Hash, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Hash{}, fmt.Errorf("transfer: %w: %w", ErrSigner, err)
	}
	return HashOf(der), nil
}
