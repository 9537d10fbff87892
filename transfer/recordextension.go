package transfer

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
)

// A RecordExtension is a later end of the window to which the incoming provider agreed.
type RecordExtension struct {
	Agreement []byte `cbor:"1,keyasint"` // COSE_Sign1
	Mandate   []byte `cbor:"2,keyasint"` // that covers it, COSE_Sign1
}

const maxExtensions = 64 // of one transfer

// extensions checks to what the incoming provider agreed after its offer.
func (c *recordCheck) extensions(m *Mandate) {
	for i, x := range c.record.Extensions {
		c.say("", fmt.Sprintf("extension %d is agreed by %s, under a mandate that covers it", i+1, m.To),
			c.extension(m, x))
	}
}

func (c *recordCheck) extension(first *Mandate, x RecordExtension) error {
	var agreed *Signed[Agreement]
	err := c.signedBy(first.To, func(by *x509.Certificate) (err error) {
		agreed, err = VerifyAgreement(x.Agreement, by)
		return err
	})
	if err != nil {
		return err
	}
	said, err := ParseMandate(x.Mandate)
	if err != nil {
		return err
	}
	var mandate *Signed[Mandate]
	err = c.signedBy(first.Issuer, func(by *x509.Certificate) (err error) {
		mandate, err = VerifyMandate(x.Mandate, by)
		return err
	})
	if err != nil {
		return err
	}
	a, m := &agreed.Body, &mandate.Body
	err = firstFalse(ErrRecord, []claim{
		{a.Issuer == first.To && a.Audience == first.From, "providers"},
		{bytes.Equal(a.Transfer, c.record.ID) && a.Offer == c.offer.Hash, "offer"},
		{a.Mandate == said.Hash, "mandate"},
		{m.From == first.From && m.To == first.To && m.Issuer == first.Issuer, "parties of the mandate"},
		{a.Window.Within(m.Window) && m.InForce(a.IssuedAt.Time()), "window of the mandate"},
	})
	if err == nil {
		c.windows = append(c.windows, a.Window)
		c.mandates = append(c.mandates, mandate.Hash)
	}
	return err
}

// within reports whether a window lies inside what was offered or agreed to later.
func (c *recordCheck) within(w Window) bool {
	return w.Within(c.offer.Body.Window) || slices.ContainsFunc(c.windows, w.Within)
}
