package demo

import (
	"crypto"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"time"

	"steward/cmd/internal/keys"
	"steward/est"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// userName is the owner of the devices, who orders the hand-over.
const userName = "Owner"

// A serviceUser signs the mandate with a key of its own.
type serviceUser struct {
	key      crypto.Signer
	cert     []byte
	identity json.RawMessage
}

func newServiceUser(dir string) (*serviceUser, error) {
	ring, err := keys.Open(keys.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	key, err := ring.Key(keys.Mandate)
	if err != nil {
		return nil, err
	}
	cert, err := est.NewRoot(est.RootOptions{Name: userName, Signer: key, Now: time.Now()})
	if err != nil {
		return nil, err
	}
	u := &serviceUser{key: key, cert: cert.Raw}
	u.identity, err = coordinator.SignIdentity(coordinator.Identity{
		Name: userName, Kind: coordinator.ServiceUser,
		Signing: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})),
	}, key)
	return u, err
}

// mandate orders the devices in dir from one provider to another; attest demands
// attestation.
func (u *serviceUser) mandate(from, to string, devices []transfer.Hash, latest time.Time, attest bool) (
	[]byte, error,
) {
	m := transfer.Mandate{
		Issuer: userName, IssuedAt: transfer.SecondsOf(time.Now()), Expires: transfer.SecondsOf(latest),
		ID: make([]byte, mandateID),
		MandateTerms: transfer.MandateTerms{
			From: from, To: to, Window: transfer.NewWindow(time.Now().Add(-time.Minute), latest),
		},
	}
	if attest {
		m.Attestation = &attest
	}
	_, _ = rand.Read(m.ID) // never fails (crypto/rand)
	m.Devices.Factory = devices
	return m.Sign(transfer.Signer{Key: u.key, Certificate: u.cert})
}

// mandateID is the length in bytes of a mandate's id.
const mandateID = 16
