package transfer

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"math"
	"slices"
	"time"
)

// WipeClasses number what is wiped, for the WipeReport of receipts.
var WipeClasses = map[DeviceEffect]uint64{
	StepWipeKeys: 1, DoWipeTransport: 2, DoWipeApplication: 3, StepWipeAnchors: 4,
}

// wipe notes that a class was wiped since COMMITTED; nothing for other effects.
func (n *nvm) wipe(do DeviceEffect) {
	class, ok := WipeClasses[do]
	if ok && !slices.Contains(n.Wiped, class) {
		n.Wiped = append(slices.Clone(n.Wiped), class)
	}
}

// steps are the steps that a device performs itself. Each changes the state that
// is about to be saved together with the progress it makes: after a power cut it
// either has happened or is performed for the first time.
var steps = map[DeviceEffect]func(*Device, *nvm) error{
	StepMakeKey:      (*Device).makeNextKey,
	StepReceipt:      (*Device).makeReceipt,
	StepKeepFallback: (*Device).keepFallback,
	StepWipeKeys:     (*Device).wipeKeys,
	StepWipeAnchors:  (*Device).wipeAnchors,
	StepUnstage:      (*Device).unstage,
	StepForget:       (*Device).forget,
	StepBackKey:      (*Device).makeBackKey,
	StepAdopt:        (*Device).adopt,
	StepRestore:      (*Device).restore,
	StepNewAccount:   (*Device).newAccount,
}

func (d *Device) newKey() ([]byte, error) {
	key, err := d.o.NewKey()
	if err != nil {
		return nil, fmt.Errorf("transfer: new key: %w", err)
	}
	return marshalKey(key)
}

func (d *Device) makeNextKey(n *nvm) (err error) {
	n.Next, err = d.newKey()
	return err
}

// makeBackKey keeps the key of an earlier turn: its SPKI may be known to CA1.
func (d *Device) makeBackKey(n *nvm) (err error) {
	if len(n.Back) == 0 {
		n.Back, err = d.newKey()
	}
	return err
}

// keepFallback sets aside what leads back to the former provider: its server, its
// enrolment server, and the anchors that stand for them and for its signers,
// which nothing else could set again.
func (d *Device) keepFallback(n *nvm) error {
	signed, _, err := n.message()
	if err != nil {
		return err
	}
	record := &fallRecord{Home: n.Home}
	record.Home.ServerURI, record.Home.EnrollURI = signed.Body.FallbackURI, signed.Body.FallbackEnrollURI
	record.Home.BootstrapURI = "" // the wipe includes the bootstrap account
	for _, a := range n.Truststore {
		if a.Domain == Current && !a.Staged && a.Purposes&(DM|Enrol|SignerPurposes) != 0 {
			record.Anchors = append(record.Anchors, a)
		}
	}
	n.Fall, n.Home = record, Home{}
	return nil
}

func (d *Device) wipeKeys(n *nvm) error {
	n.Key, n.Cert, n.Renew, n.Former, n.FormerCert, n.Retired = nil, nil, nil, nil, nil, nil
	if n.State == InFall {
		n.Home = Home{}
	}
	n.wipe(StepWipeKeys)
	return nil
}

// wipeAnchors reduces the former provider's servers to purpose fallback and
// removes its other anchors.
func (d *Device) wipeAnchors(n *nvm) error {
	var kept []Anchor
	for _, a := range n.Truststore {
		if a.Domain == Current {
			if a.Purposes&(DM|Enrol) == 0 || a.Staged {
				continue
			}
			a.Purposes = Fallback
		}
		kept = append(kept, a)
	}
	n.Truststore = kept
	n.wipe(StepWipeAnchors)
	return nil
}

func (d *Device) unstage(n *nvm) error {
	n.Truststore = slices.DeleteFunc(slices.Clone(n.Truststore), func(a Anchor) bool { return a.Domain == Pending })
	return nil
}

// forget drops the message, whose hash alone remains, so that a repeated Abort or
// Finalise is recognised.
func (d *Device) forget(n *nvm) error {
	n.Message, n.Mandate, n.Next, n.Back, n.Fall = nil, nil, nil, nil, nil
	n.Fresh, n.FreshRefused = nil, false
	n.Digest, n.ReadyHash = Hash{}, Hash{}
	n.Turns, n.NoReturn, n.Told = 0, false, false
	return nil
}

// adopt makes the new domain the current one: all anchors but the permanent ones
// and those of label 8 go, and the signer bits of label 8 are set.
func (d *Device) adopt(n *nvm) error {
	_, destination, err := n.message()
	if err != nil {
		return err
	}
	var kept []Anchor
	for _, a := range n.Truststore {
		switch a.Domain {
		case Permanent:
			kept = append(kept, a)
		case Pending:
			i := slices.IndexFunc(destination.Anchors, func(r AnchorRef) bool { return r.Thumbprint == a.Thumbprint() })
			if i >= 0 {
				a.Domain, a.Purposes = Current, destination.Anchors[i].Purposes
				kept = append(kept, a)
			}
		case Current:
		}
	}
	n.Truststore, n.Fall, n.Back = kept, nil, nil
	n.Counter = 0 // commands of the new signer count from 1
	return nil
}

// restore gives the former provider its domain back.
func (d *Device) restore(n *nvm) error {
	if n.Fall == nil {
		return fmt.Errorf("transfer: no fallback record: %w", ErrState)
	}
	var kept []Anchor
	for _, a := range n.Truststore {
		if a.Domain == Permanent {
			kept = append(kept, a)
		}
	}
	kept = append(kept, n.Fall.Anchors...)
	n.Truststore, n.Home = kept, n.Fall.Home
	return nil
}

func (d *Device) newAccount(n *nvm) error {
	_, destination, err := n.message()
	if err != nil {
		return err
	}
	n.Home = homeOf(destination)
	return nil
}

func homeOf(d *Destination) Home {
	return Home{ServerURI: d.ServerURI, EnrollURI: d.EnrollURI, BootstrapURI: d.BootstrapURI, Account: d.Account}
}

// makeReceipt signs a receipt of the state that n is in.
func (d *Device) makeReceipt(n *nvm) error {
	signed, destination, err := n.message()
	if err != nil {
		return err
	}
	second, spki, err := d.secondSigner(n)
	if err != nil {
		return err
	}
	installed, _ := d.o.Firmware()
	r := Receipt{Subject: d.subject, ID: signed.Body.ID, ReceiptTerms: ReceiptTerms{
		Epoch: uint64(n.Epoch), State: n.State, Message: signed.Hash, Destination: HashOf(signed.Body.Destination),
		Boots: n.Boots, Powered: powered(n.InState), SPKI: spki, Truststore: TruststoreDigest(n.Truststore),
		Installed: installed, Factory: d.factory, Error: n.Error,
	}}
	if len(second.Certificate) > 0 {
		r.Operational = HashOf(second.Certificate)
	}
	if len(n.Wiped) > 0 {
		r.Wiped = &WipeReport{Profile: uint64(destination.ResetProfile()), Classes: n.Wiped}
	}
	switch n.State {
	case Finalised, FellBack:
		r.Previous = n.LastHash
	case Ready:
	default:
		r.Previous = n.ReadyHash
	}
	raw, err := r.Sign(Signer{d.o.FactoryKey, d.o.FactoryCertificate}, second)
	if err != nil {
		return err
	}
	parsed, err := ParseReceipt(raw)
	if err != nil {
		return err
	}
	n.Receipt = raw
	switch n.State {
	case Ready:
		n.ReadyHash, n.LastHash, n.Digest = parsed.Hash, parsed.Hash, r.Truststore
	case Committed: // hangs aside
	default:
		n.LastHash = parsed.Hash
	}
	return nil
}

func powered(d time.Duration) uint64 {
	return uint64(min(max(d/time.Second, 0), math.MaxInt32))
}

// secondSigner returns who signs beside the factory key, and label 26.
func (d *Device) secondSigner(n *nvm) (Signer, Hash, error) {
	enrolled := n.Next
	switch n.State {
	case InFall:
		enrolled = n.Back
	case Done, Finalised: // that of READY, also where a fresh one took its place
		if len(n.Next) == 0 {
			enrolled = n.Key
		}
	case FellBack:
		enrolled = n.Key
	default:
	}
	key, err := parseKey(enrolled)
	if err != nil {
		return Signer{}, Hash{}, err
	}
	spki, err := SPKIHash(key.Public())
	if err != nil {
		return Signer{}, Hash{}, err
	}
	if len(n.Cert) == 0 {
		return Signer{Key: key}, spki, nil
	}
	operational, err := parseKey(n.Key)
	return Signer{operational, n.Cert}, spki, err
}

// certifies checks that a certificate is for key.
func certifies(der []byte, key crypto.Signer) error {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("transfer: %w: %w", ErrCertificate, err)
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(certificate.PublicKey) {
		return fmt.Errorf("transfer: %w", ErrCertificate)
	}
	return nil
}
