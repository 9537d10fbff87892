package transfer

import (
	"crypto/x509"
	"errors"
	"fmt"

	"steward/suit/cose"
)

// ErrRetirement reports a retirement that does not prove what it is to prove.
var ErrRetirement = errors.New("the retirement does not prove it")

// A Retirement is a device's signed account that, told to retire, it has erased what it
// held for its provider. It is signed as a Receipt is: by the factory key and by the
// operational key. So it is of data and settings, and says nothing of keys. It moves the
// device nowhere, and belongs to no chain of receipts.
type Retirement struct {
	Subject         string `cbor:"2,keyasint"`
	Nonce           []byte `cbor:"10,keyasint"` // of the order, by which it is fresh
	RetirementTerms `cbor:"-65537,keyasint"`
}

// RetirementTerms are what the device states.
type RetirementTerms struct {
	Epoch       uint64      `cbor:"6,keyasint"` // of the last hand-over
	Factory     Hash        `cbor:"21,keyasint"`
	Boots       uint64      `cbor:"24,keyasint"`
	Installed   []Installed `cbor:"28,keyasint"`
	Operational Hash        `cbor:"29,keyasint"`
	Wiped       WipeReport  `cbor:"30,keyasint"` // before it was signed
}

const retirements = twiceSigned("retirement")

func (r *Retirement) validate() error {
	if r.Epoch > 1<<32-1 || len(r.Installed) > maxInstalled || len(r.Wiped.Classes) > maxClasses ||
		len(r.Nonce) != len(Order{}.Hash) {
		return fmt.Errorf("transfer: retirement: %w", ErrValue)
	}
	for _, m := range r.Installed {
		if err := m.Digest.validate(); err != nil {
			return err
		}
	}
	if r.Factory.IsZero() || r.Operational.IsZero() {
		return fmt.Errorf("transfer: empty hash in retirement: %w", ErrValue)
	}
	return validateText("subject", r.Subject)
}

// sign returns the retirement, untagged, signed by both keys.
func (r Retirement) sign(factory, operational Signer) ([]byte, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	payload, err := encode(r)
	if err != nil {
		return nil, err
	}
	first, err := factory.signer()
	if err != nil {
		return nil, err
	}
	second, err := operational.signer()
	if err != nil {
		return nil, err
	}
	return retirements.sign(payload, first, second)
}

func parseRetirement(raw []byte) (*Retirement, *cose.Sign, error) {
	message, err := retirements.open(raw)
	if err != nil {
		return nil, nil, err
	}
	r := &Retirement{}
	if err := decode(message.Payload, MaxReceipt, r); err != nil {
		return nil, nil, fmt.Errorf("retirement: %w", err)
	}
	return r, message, r.validate()
}

// ParseRetirement reads a retirement whose signatures are not checked. It returns
// ErrTooLarge, ErrSyntax or ErrValue.
func ParseRetirement(raw []byte) (*Retirement, error) {
	r, _, err := parseRetirement(raw)
	return r, err
}

// VerifyRetirement reads a retirement and checks both signatures, that it is of the device
// with those certificates, and that application and data were erased. It returns ErrSigner,
// ErrSignature or ErrRetirement, beside the errors of ParseRetirement.
func VerifyRetirement(raw []byte, factory, operational *x509.Certificate) (*Retirement, error) {
	r, message, err := parseRetirement(raw)
	if err != nil {
		return nil, err
	}
	for i, by := range []*x509.Certificate{factory, operational} {
		kid, err := keyID(&message.Signatures[i].Headers)
		if err != nil || kid != KeyIDOf(by.Raw) {
			return nil, fmt.Errorf("transfer: retirement, signature %d: %w", i, ErrSigner)
		}
		if err := retirements.verify(message, i, by.PublicKey); err != nil {
			return nil, err
		}
	}
	erased := false
	for _, class := range r.Wiped.Classes {
		erased = erased || class == WipeClasses[DoWipeApplication]
	}
	return r, firstFalse(ErrRetirement, []claim{
		{r.Factory == HashOf(factory.Raw) && r.Subject == factory.Subject.CommonName, "device"},
		{r.Operational == HashOf(operational.Raw), "operational certificate"},
		{erased && r.Wiped.Profile != uint64(ResetKeepApplication), "what was erased"},
	})
}

// MayRetire returns why the device must not erase itself now for that order: its epoch is
// that of the device, and the rest a nonce of the server's. It returns ErrState unless the
// device is at rest with a certificate, ErrBusy while something is installed, and ErrOrder.
func (d *Device) MayRetire(o Order) error {
	if _, installing := d.o.Firmware(); installing || len(d.nv.Pending) > 0 {
		return fmt.Errorf("transfer: retirement: %w", ErrBusy)
	}
	if !d.nv.State.AtRest() || len(d.nv.Cert) == 0 {
		return fmt.Errorf("transfer: retirement in %s: %w", d.nv.State, ErrState)
	}
	if o.Epoch != d.nv.Epoch {
		return fmt.Errorf("transfer: retirement, epoch %d: %w", o.Epoch, ErrOrder)
	}
	return nil
}

// Retire signs that data and application were erased as reset says, which the program
// around the device has done by now (MayRetire). It changes nothing else: the
// certificate goes with the reset that follows (FactoryReset). It returns the errors of MayRetire.
func (d *Device) Retire(o Order, reset Reset) error {
	if err := d.MayRetire(o); err != nil {
		return err
	}
	operational, err := parseKey(d.nv.Key)
	if err != nil {
		return err
	}
	installed, _ := d.o.Firmware()
	raw, err := Retirement{Subject: d.subject, Nonce: o.Hash[:], RetirementTerms: RetirementTerms{
		Epoch: uint64(d.nv.Epoch), Factory: d.factory, Boots: d.nv.Boots, Installed: installed,
		Operational: HashOf(d.nv.Cert),
		Wiped:       WipeReport{Profile: uint64(reset), Classes: []uint64{WipeClasses[DoWipeApplication]}},
	}}.sign(Signer{d.o.FactoryKey, d.o.FactoryCertificate}, Signer{operational, d.nv.Cert})
	if err != nil {
		return err
	}
	return d.update(func(n *nvm) error { n.Retired = raw; return nil })
}
