package transfer

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"steward/est/attest"
)

// ErrRecord reports a record that does not prove what it says.
var ErrRecord = errors.New("the record does not prove it")

// A deviceCheck is the look at one device of a record.
type deviceCheck struct {
	*recordCheck

	d        *RecordDevice
	hash     Hash // of its factory certificate
	factory  *x509.Certificate
	message  *Signed[Message]
	receipts map[DeviceState]*Signed[Receipt] // the last of each state
	joined   bool                             // its re-keys are proved
}

func (c *deviceCheck) claim(what string, err error) { c.say(c.d.Endpoint, what, err) }

func (c *deviceCheck) check() {
	if len(c.d.Message) > 0 {
		c.claim("its order is signed by "+c.mandate.Body.From+", as offered", c.order())
	}
	if len(c.d.Receipts) > 0 {
		c.claim("its receipts are signed by its keys", c.read())
	}
	if len(c.d.Verdict) > 0 {
		c.claim("its attestation is signed by a verifier", c.verdict())
	}
	if len(c.d.Rekeys) > 0 {
		err := c.rekeyed()
		c.claim("its factory certificate has taken the place of that with which it had come", err)
		c.joined = err == nil
	}
	if RowState(c.d.State) == RowFailedUpd && len(c.d.Message)+len(c.d.Receipts) == 0 {
		return // its last update failed: it was never asked to leave
	}
	switch RowState(c.d.State) {
	case RowFinalised, RowRevokedOld:
		err := c.arrived()
		c.claim("it belongs to "+c.mandate.Body.To, err)
		if err == nil {
			c.hop()
		}
		if !c.record.Incoming {
			c.claim("its former certificates are revoked", c.revoked())
		}
	case RowFellBack:
		c.claim("it is at "+c.mandate.Body.From+" again", c.returned())
	case RowReady, RowCommitted, RowAttested, RowUpdated, RowEnrolled, RowActive, RowOrphanRisk, RowReturned, RowUnknown,
		RowFailedUpd, RowRAFailed, RowEnrolFailed:
		c.claim("where it belongs", fmt.Errorf("the record was made while it was %s: %w", c.d.State, ErrRecord))
	case RowListed, RowRejected, RowStaged, RowDelivered, RowAborted, RowExpired:
		if len(c.d.Receipts) > 0 {
			c.claim("it never left "+c.mandate.Body.From, c.stayed())
		}
	default:
		c.claim("where it belongs", fmt.Errorf("state %.40q: %w", c.d.State, ErrRecord))
	}
}

// left returns what every device must show that was told to go.
func (c *deviceCheck) left() error {
	c.departed = true
	return firstFalse(ErrRecord, []claim{
		{c.accepted[c.hash], "the device was not accepted"},
		{c.record.Incoming || c.message != nil, "there is no order"},
	})
}

// stayed refuses receipts of a device that has gone and did not come back.
func (c *deviceCheck) stayed() error {
	for state := range c.receipts {
		if state != Ready && state != FellBack && c.receipts[FellBack] == nil {
			return fmt.Errorf("there is a %s receipt: %w", state, ErrRecord)
		}
	}
	return nil
}

// order checks the TransferMessage.
func (c *deviceCheck) order() error {
	if c.offer == nil {
		return fmt.Errorf("no offer: %w", ErrRecord)
	}
	err := c.signedBy(c.mandate.Body.From, func(by *x509.Certificate) (err error) {
		c.message, err = VerifyMessage(c.d.Message, by)
		return err
	})
	if err != nil {
		return err
	}
	m, o := &c.message.Body, &c.offer.Body
	return firstFalse(ErrRecord, []claim{
		{m.Issuer == c.mandate.Body.From && m.Audience == c.mandate.Body.To, "providers"},
		{m.Factory == HashOf(c.d.Factory), "device"},
		{bytes.Equal(m.ID, c.record.ID), "transfer"},
		{m.Offer == c.offer.Hash, "offer"},
		{bytes.Equal(m.Destination, o.Destination), "destination"},
		{m.Mandate.IsZero() || c.under(m.Mandate), "mandate"},
		{c.within(m.Window()), "window"},
	})
}

// read checks the signatures of the receipts: that of the factory key always, the
// second where the operational certificate is the provider's own.
func (c *deviceCheck) read() error {
	for _, raw := range c.d.Receipts {
		said, err := ParseReceipt(raw)
		if err != nil {
			return err
		}
		var signed *Signed[Receipt]
		operational, err := c.operational(said.Body.Operational)
		switch {
		case err != nil:
			return err
		case operational == nil && !said.Body.Operational.IsZero(): // of the other provider's CA
			if signed, err = VerifyFactoryReceipt(raw, c.factory); err == nil && c.issues(said.Body.State) {
				err = fmt.Errorf("the operational certificate is left out: %w", ErrRecord)
			}
		default:
			signed, err = VerifyReceipt(raw, c.factory, operational)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", said.Body.State, err)
		}
		if c.message != nil && signed.Body.Message != c.message.Hash {
			return fmt.Errorf("%s receipt of another order: %w", said.Body.State, ErrRecord)
		}
		c.receipts[signed.Body.State] = signed
	}
	return nil
}

// issues reports whether the operational certificate of a device in that state is of
// the CA of the record's provider, which knows it.
func (c *deviceCheck) issues(state DeviceState) bool {
	if c.record.Incoming {
		return state == Done || state == Finalised
	}
	return state == Ready || state == FellBack
}

// operational returns the certificate with that hash, nil where the record has none.
func (c *deviceCheck) operational(hash Hash) (*x509.Certificate, error) {
	for _, known := range c.d.Certificates {
		if HashOf(known.DER) == hash {
			return x509.ParseCertificate(known.DER)
		}
	}
	return nil, nil //nolint:nilnil // it is the other provider's to know
}

func (c *deviceCheck) verdict() error {
	ra := c.listed[c.hash].Switch.RA
	other := ra != nil && strings.HasPrefix(ra.Verifier, "https://") // than that of the incoming provider
	for _, s := range c.signers {
		if !s.Verifier || s.Name != c.mandate.Body.To && !other || s.Name == c.mandate.Body.To && other {
			continue
		}
		verdict, err := attest.VerifyVerdict(c.d.Verdict, s.certificate)
		if err != nil {
			continue
		}
		return firstFalse(ErrRecord, []claim{
			{verdict.Issuer == s.Name && verdict.Device == attest.Hash(HashOf(c.d.Factory)), "verdict on another device"},
			{verdict.Tier != attest.TierAffirming || c.about(verdict), "verdict on another key or order"},
		})
	}
	return fmt.Errorf("verdict: %w", ErrSigner)
}

// about reports whether a verdict speaks of the key and order of the READY receipt.
func (c *deviceCheck) about(v *attest.Verdict) bool {
	ready := c.receipts[Ready]
	return ready != nil && v.Key == attest.Hash(ready.Body.SPKI) && v.Message == attest.Hash(ready.Body.Message)
}

// permanent are the anchors that the factory put into the device.
func (c *deviceCheck) permanent() []Anchor {
	for _, der := range c.record.Permanent {
		if ca, err := x509.ParseCertificate(der); err == nil && c.factory.CheckSignatureFrom(ca) == nil {
			return append([]Anchor{{Certificate: der, Purposes: Enrol | Fallback, Domain: Permanent}}, c.owner...)
		}
	}
	return nil
}

// arrived demands the receipts by which a device is let go.
func (c *deviceCheck) arrived() error {
	ready, done, final := c.receipts[Ready], c.receipts[Done], c.receipts[Finalised]
	if c.offer == nil || ready == nil || final == nil {
		return fmt.Errorf("offer, READY or FINALISED receipt is missing: %w", ErrRecord)
	}
	a, b := &ready.Body, &final.Body
	err := firstError(c.left(), CompareReady(ready, ReadyContext{
		Offer: c.offer, Device: c.listed[c.hash], Subject: c.factory.Subject.CommonName, Permanent: c.permanent(),
		Now: c.offer.Body.IssuedAt.Time(), // the window is the device's to watch
	}), firstFalse(ErrRecord, []claim{
		{a.Factory == b.Factory && a.Message == b.Message && a.Epoch == b.Epoch, "READY and FINALISED receipts"},
		{a.SPKI == b.SPKI, "key"},
	}), c.attested())
	if err != nil {
		return err
	}
	if done == nil { // it was lost, and the device finalised by itself
		return c.finalisedAlone(a, b)
	}
	if err := CompareDone(ready, done); err != nil {
		return err
	}
	return CompareFinalised(done, final, &c.offer.Body, c.permanent())
}

// hop notes the way that the device is proved to have gone.
func (c *deviceCheck) hop() {
	h := Hop{
		From: c.mandate.Body.From, To: c.mandate.Body.To, Transfer: c.report.Transfer, factory: c.hash,
		Epoch: c.receipts[Finalised].Body.Epoch, final: c.receipts[Finalised].Hash,
	}
	copy(h.came[:], c.d.Came)
	h.origin = c.hash
	if c.joined {
		h.origin = HashOf(c.d.Rekeys[0].Former)
	}
	c.hops[c.factory.Subject.CommonName] = h
}

// finalisedAlone is CompareFinalised without the receipt in between.
func (c *deviceCheck) finalisedAlone(ready, final *Receipt) error {
	o := &c.offer.Body
	destination, err := ParseDestination(o.Destination)
	if err != nil {
		return err
	}
	return firstFalse(ErrRecord, []claim{
		{!final.Previous.IsZero() && final.Destination == ready.Destination, "chain"},
		{!final.Operational.IsZero() && final.Operational != ready.Operational, "operational certificate"},
		{Trusts(final.Truststore, c.permanent(), &destination, o.Anchors, Finalised), "truststore"},
	})
}

// attested demands the verdict that mandate or offer ask for.
func (c *deviceCheck) attested() error {
	destination, err := ParseDestination(c.offer.Body.Destination)
	if err != nil || destination.RAURI == "" && !c.mandate.Body.NeedsAttestation() {
		return err
	}
	v, err := attest.ParseVerdict(c.d.Verdict)
	if err != nil || v.Tier != attest.TierAffirming {
		return fmt.Errorf("there is no affirming verdict: %w", ErrRecord)
	}
	return nil // verdict has looked at who gave it, and on what
}

// revoked demands the revocation of all that the former provider had issued.
func (c *deviceCheck) revoked() error {
	for _, known := range c.d.Certificates {
		if known.RevokedAt == 0 {
			return fmt.Errorf("certificate %v is not revoked: %w", HashOf(known.DER), ErrRecord)
		}
	}
	if len(c.d.Certificates) == 0 {
		return fmt.Errorf("no certificate: %w", ErrRecord)
	}
	return nil
}

// returned demands the receipt by which a device is taken back.
func (c *deviceCheck) returned() error {
	ready, back := c.receipts[Ready], c.receipts[FellBack]
	if ready == nil || back == nil {
		return fmt.Errorf("READY or FELL_BACK receipt is missing: %w", ErrRecord)
	}
	return firstError(c.left(), CompareFellBack(ready, back))
}
