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
	a, m, before := &agreed.Body, &mandate.Body, c.offer.Body.Window
	if n := len(c.windows); n > 0 {
		before = c.windows[n-1].window
	}
	err = firstFalse(ErrRecord, []claim{
		{a.Issuer == first.To && a.Audience == first.From, "providers"},
		{bytes.Equal(a.Transfer, c.record.ID) && a.Offer == c.offer.Hash, "offer"},
		{a.Mandate == said.Hash, "mandate"},
		{m.From == first.From && m.To == first.To && m.Issuer == first.Issuer, "parties of the mandate"},
		{a.Window.Earliest == before.Earliest && a.Window.Latest > before.Latest, "a later end"},
		{a.IssuedAt.Time().Add(-ClockSkew).Before(before.Latest.Time()), "agreed to when the window had passed"},
		{a.Window.Within(m.Window) && m.InForce(a.IssuedAt.Time()), "window of the mandate"},
		{m.AsStrictAs(first), "demands of the mandate"},
	})
	if err == nil {
		c.windows = append(c.windows, extended{a.Window, mandate})
	}
	return err
}

// An extended is a window that was agreed to later, and the mandate that covers it.
type extended struct {
	window  Window
	mandate *Signed[Mandate]
}

// within reports whether a window lies inside what was offered, or agreed to later for
// the device.
func (c *deviceCheck) within(w Window) bool {
	return w.Within(c.offer.Body.Window) || slices.ContainsFunc(c.windows, func(e extended) bool {
		return w.Within(e.window) && c.named(e.mandate)
	})
}

// under reports whether a mandate is that of the transfer or of an extension, and names
// the device.
func (c *deviceCheck) under(mandate Hash) bool {
	return mandate == c.mandate.Hash || slices.ContainsFunc(c.windows, func(e extended) bool {
		return mandate == e.mandate.Hash && c.named(e.mandate)
	})
}

func (c *deviceCheck) named(m *Signed[Mandate]) bool {
	return m.Body.Names(c.hash, c.factory.Subject.CommonName)
}

// A RecordRevision is what was told of the devices, and answered, before it was revised.
type RecordRevision struct {
	Info   []byte `cbor:"1,keyasint"`
	Answer []byte `cbor:"2,keyasint"`
}

// answers checks the offer against the information that it names: the present one, or
// one that was revised while the devices were staged, when an offer goes on.
func (c *recordCheck) answers(m *Mandate, accepted []Hash) error {
	info := c.info
	for _, r := range c.record.Revised {
		if c.offer.Body.Info == info.Hash {
			break
		}
		said, err := ParseInfo(r.Info)
		if err != nil || said.Hash != c.offer.Body.Info {
			continue
		}
		err = c.signedBy(m.From, func(by *x509.Certificate) (err error) {
			info, err = VerifyInfo(r.Info, by)
			return err
		})
		if err != nil {
			return err
		}
		answer, err := ParseAnswer(r.Answer)
		if err != nil {
			return err
		}
		if accepted, err = answer.Accepted(info); err != nil {
			return err
		}
	}
	return VerifyOffer(c.offer, OfferContext{
		Self: m.From, Mandate: c.mandate, Info: info, Accepted: accepted, Now: c.offer.Body.IssuedAt.Time(),
	})
}
