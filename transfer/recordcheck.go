package transfer

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// A Statement is one thing that a Record proves, or does not.
type Statement struct {
	Device string `json:"device,omitempty"` // "": about the transfer as a whole
	What   string `json:"what"`
	Proved bool   `json:"proved"`
	Why    string `json:"why,omitempty"` // not, in words
}

// A RecordReport is what an auditor finds in a Record.
type RecordReport struct {
	Provider string        `json:"provider"`
	Transfer string        `json:"transfer"` // id, hex
	State    string        `json:"state"`
	From     string        `json:"from"`
	To       string        `json:"to"`
	IssuedAt time.Time     `json:"issued_at"`
	Parties  []RecordParty `json:"parties"`
	// Devices counts them by how they ended.
	Devices    map[string]int `json:"devices"`
	Statements []Statement    `json:"statements"`
	// Disruption is the longest time that a device was without service.
	Disruption time.Duration `json:"disruption"`
	Proved     bool          `json:"proved"` // all statements are
}

// A RecordParty is somebody who signed, to be compared with what the auditor knows.
type RecordParty struct {
	Name        string `json:"name"`
	Fingerprint Hash   `json:"fingerprint"` // SHA-256 of its certificate
	Known       bool   `json:"known"`       // to the auditor
}

// CheckRecord verifies a signed record offline: every signature in it, that the
// documents belong together, and that each device's receipts prove its end. known
// are certificates that the auditor trusts to be those of the parties; where there
// are none the record's own are believed, and the report's fingerprints are to be
// compared. It returns an error for what cannot be read at all.
func CheckRecord(raw []byte, known []*x509.Certificate) (*RecordReport, error) {
	c, err := checkRecord(raw, known)
	if err != nil {
		return nil, err
	}
	return c.report, nil
}

func checkRecord(raw []byte, known []*x509.Certificate) (*recordCheck, error) {
	signed, err := parseRecord(raw)
	if err != nil {
		return nil, err
	}
	r := &signed.Record
	c := &recordCheck{record: r, seen: map[Hash]int{}, hops: map[string]Hop{}, report: &RecordReport{
		Provider: r.Provider, Transfer: fmt.Sprintf("%x", r.ID), State: r.State, IssuedAt: r.IssuedAt.Time(),
		Devices: map[string]int{}, Proved: true,
	}}
	c.parties(known)
	c.say("", "the record is signed by "+r.Provider, c.signedBy(r.Provider, signed.verify))
	c.documents()
	for i := range r.Devices {
		c.device(&r.Devices[i])
	}
	if c.info != nil {
		c.say("", "it has every device of the information, once", c.complete())
	}
	return c, nil
}

// A recordCheck is one look at a record.
type recordCheck struct {
	record  *Record
	report  *RecordReport
	signers []signatory

	mandate  *Signed[Mandate]
	owner    []Anchor // that who signed the mandate is to devices; none: no service user
	info     *Signed[Info]
	offer    *Signed[Offer]
	windows  []extended // of extensions
	accepted map[Hash]bool
	listed   map[Hash]DevicePair // in the information
	seen     map[Hash]int        // in the record
	departed bool                // a device of it was told to go
	hops     map[string]Hop      // proved, by the common name of the device
}

// A signatory is a party whose certificate could be read.
type signatory struct {
	RecordSigner

	certificate *x509.Certificate
}

func (c *recordCheck) say(device, what string, err error) {
	s := Statement{Device: device, What: what, Proved: err == nil}
	if err != nil {
		s.Why = err.Error()
		c.report.Proved = false
	}
	c.report.Statements = append(c.report.Statements, s)
}

// parties reads the certificates, and holds them against what is known.
func (c *recordCheck) parties(known []*x509.Certificate) {
	for _, p := range c.record.Parties {
		cert, err := x509.ParseCertificate(p.Certificate)
		is := slices.ContainsFunc(known, func(k *x509.Certificate) bool { return bytes.Equal(k.Raw, p.Certificate) })
		c.report.Parties = append(c.report.Parties,
			RecordParty{Name: p.Name, Fingerprint: HashOf(p.Certificate), Known: is})
		if err != nil {
			c.say("", "the certificate of "+p.Name, err)
			continue
		}
		if len(known) > 0 && !is {
			continue // what it has signed is not proved
		}
		if s, ok := c.sameKey(cert, p.Name); ok { // one of them speaks for both
			c.say("", p.Name+" has a key of its own", fmt.Errorf("it is that of %s: %w", s, ErrRecord))
			continue
		}
		c.signers = append(c.signers, signatory{p, cert})
	}
}

// sameKey returns the name of another party with the key of a certificate.
func (c *recordCheck) sameKey(cert *x509.Certificate, name string) (string, bool) {
	i := slices.IndexFunc(c.signers, func(s signatory) bool {
		return s.Name != name && bytes.Equal(s.certificate.RawSubjectPublicKeyInfo, cert.RawSubjectPublicKeyInfo)
	})
	if i < 0 {
		return "", false
	}
	return c.signers[i].Name, true
}

// complete demands that no device is left out or stands twice, and that a person
// approved before any went.
func (c *recordCheck) complete() error {
	for hash := range c.listed {
		if n := c.seen[hash]; n != 1 {
			return fmt.Errorf("device %v stands there %d times: %w", hash, n, ErrRecord)
		}
	}
	approved := func(a RecordApproval) bool { return a.By != "" && a.At != 0 }
	if c.departed && !slices.ContainsFunc(c.record.Approvals, approved) {
		return fmt.Errorf("nobody at %s has approved it: %w", c.record.Provider, ErrRecord)
	}
	return nil
}

// signedBy tries the certificates with which a party signs messages.
func (c *recordCheck) signedBy(name string, verify func(*x509.Certificate) error) error {
	err := fmt.Errorf("no known certificate of %q: %w", name, ErrSigner)
	for _, s := range c.signers {
		if s.Name == name && !s.Verifier {
			if err = verify(s.certificate); err == nil {
				return nil
			}
		}
	}
	return err
}

// documents checks what was agreed.
func (c *recordCheck) documents() {
	r := c.record
	mandate, err := ParseMandate(r.Mandate)
	if err == nil {
		c.report.From, c.report.To = mandate.Body.From, mandate.Body.To
		err = c.signedBy(mandate.Body.Issuer, func(by *x509.Certificate) (err error) {
			if c.mandate, err = VerifyMandate(r.Mandate, by); err == nil && mandate.Body.Issuer != mandate.Body.From {
				c.owner = []Anchor{{Certificate: by.Raw, Purposes: MandateSigner, Domain: Permanent}}
			}
			return err
		})
	}
	c.say("", "the mandate is signed by its service user", err)
	if c.mandate == nil {
		return
	}
	m := &c.mandate.Body
	c.say("", "the devices' information is signed by "+m.From,
		c.signedBy(m.From, func(by *x509.Certificate) (err error) {
			c.info, err = VerifyInfo(r.Info, by)
			return err
		}))
	if c.info == nil {
		return
	}
	i := &c.info.Body
	c.say("", "it is for this transfer, under that mandate", firstFalse(ErrInfo, []claim{
		{i.Issuer == m.From && i.Audience == m.To, "providers"},
		{i.Mandate == c.mandate.Hash, "mandate"},
		{bytes.Equal(i.ID, r.ID), "transfer"},
		{m.From != m.To && r.Provider == c.side(), "provider of the record"},
	}))
	c.listed = make(map[Hash]DevicePair, len(i.Devices))
	for _, pair := range i.Devices {
		if hash, err := pair.Factory.Hash(); err == nil {
			c.listed[hash] = pair
		}
	}
	c.agreed(m)
}

// side returns who makes a record of that kind.
func (c *recordCheck) side() string {
	if c.record.Incoming {
		return c.mandate.Body.To
	}
	return c.mandate.Body.From
}

// agreed checks answer and offer, where it came to that.
func (c *recordCheck) agreed(m *Mandate) {
	r := c.record
	if len(r.Answer) == 0 {
		return
	}
	answer, err := ParseAnswer(r.Answer)
	var accepted []Hash
	if err == nil {
		accepted, err = answer.Accepted(c.info)
	}
	c.accepted = make(map[Hash]bool, len(accepted))
	for _, hash := range accepted {
		c.accepted[hash] = true
	}
	c.say("", m.To+" answered for each device", err)
	if len(r.Offer) == 0 || err != nil {
		return
	}
	c.say("", "the offer is signed by "+m.To, c.signedBy(m.To, func(by *x509.Certificate) (err error) {
		c.offer, err = VerifyOfferSignature(r.Offer, by)
		return err
	}))
	if c.offer == nil {
		return
	}
	c.say("", "the offer answers that information and mandate", c.answers(m, accepted))
	c.extensions(m)
}

// device checks what the record says of one.
func (c *recordCheck) device(d *RecordDevice) {
	factory, err := x509.ParseCertificate(d.Factory)
	if err != nil {
		c.say(d.Endpoint, "its factory certificate", err)
		return
	}
	c.report.Devices[d.State]++
	if d.Committed != 0 && d.Active >= d.Committed {
		c.report.Disruption = max(c.report.Disruption, d.Active.Time().Sub(d.Committed.Time()))
	}
	if c.mandate == nil || c.info == nil {
		return
	}
	hash := HashOf(d.Factory)
	_, listed := c.listed[hash]
	c.seen[hash]++
	c.say(d.Endpoint, "it is in mandate and information", firstFalse(ErrInfo, []claim{
		{c.mandate.Body.Names(hash, factory.Subject.CommonName), "mandate"}, {listed, "information"},
	}))
	s := deviceCheck{recordCheck: c, d: d, hash: hash, factory: factory, receipts: map[DeviceState]*Signed[Receipt]{}}
	s.check()
}
