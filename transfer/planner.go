package transfer

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
)

// The reasons for which a provider refuses what its partner sent.
var (
	// ErrInfo reports a DeviceUpdateInfo that is not for this provider, this
	// transfer or this mandate.
	ErrInfo = errors.New("info does not fit the mandate")
	// ErrOffer reports an offer that does not fit the mandate or the info.
	ErrOffer = errors.New("offer does not fit the mandate or the info")
	// ErrReady reports a READY receipt that disagrees with the offer.
	ErrReady = errors.New("receipt disagrees with the offer")
)

// An AnchorChange is one operation on the device's Truststore.
type AnchorChange struct {
	Do          Operation // OpCreate, OpWrite or OpDelete
	Instance    uint16    // of OpWrite and OpDelete
	Certificate []byte    // of OpCreate
	Purposes    Purposes  // of OpCreate and OpWrite, without signer bits
}

// PlanTruststore returns what turns the truststore of a device, as read, into one
// that the acceptance check will take for the offered anchors: it creates what is
// missing, corrects the purposes of what was staged before, and deletes what an
// earlier attempt left behind. own names the anchors of the outgoing provider
// itself, which are left alone. Carried out, the plan of the result is empty.
func PlanTruststore(have []Anchor, own []Thumbprint, want []OfferCertificate) []AnchorChange {
	var plan []AnchorChange
	mine := func(a *Anchor) bool { return a.Domain == Permanent || slices.Contains(own, a.Thumbprint()) }
	wanted := func(a *Anchor) bool {
		return slices.ContainsFunc(want, func(c OfferCertificate) bool { return bytes.Equal(c.Certificate, a.Certificate) })
	}
	for i := range have {
		if a := &have[i]; !mine(a) && !wanted(a) {
			plan = append(plan, AnchorChange{Do: OpDelete, Instance: a.Instance})
		}
	}
	for _, c := range want {
		purposes := c.Purposes &^ SignerPurposes
		i := slices.IndexFunc(have, func(a Anchor) bool { return bytes.Equal(a.Certificate, c.Certificate) })
		switch {
		case i < 0:
			plan = append(plan, AnchorChange{Do: OpCreate, Certificate: c.Certificate, Purposes: purposes})
		case !mine(&have[i]) && have[i].Purposes != purposes:
			plan = append(plan, AnchorChange{Do: OpWrite, Instance: have[i].Instance, Purposes: purposes})
		}
	}
	return plan
}

// JudgeInfo performs step 2 as far as the documents go: the info is addressed to
// self under this mandate, which is in force, and each device is named by it,
// with a window that meets the mandate's and sequence numbers within its limit.
// extra adds what only the provider knows of a device (its factory chain,
// whether it owns it already); nil adds nothing. JudgeInfo returns ErrInfo if the
// info as a whole is refused.
func JudgeInfo(
	info *Signed[Info], mandate *Signed[Mandate], self string, now time.Time, extra func(DevicePair) Reason,
) (Answer, error) {
	devices := func(yield func(DevicePair, error) bool) {
		for _, pair := range info.Body.Devices {
			if !yield(pair, nil) {
				return
			}
		}
	}
	return judgeInfo(info, devices, mandate, self, now, extra, nil)
}

// Judge is JudgeInfo, device by device. Each is told to each with its verdict, nil:
// nobody; an error of it ends the judgement, and so does a device that cannot be read.
func (s *InfoStream) Judge(mandate *Signed[Mandate], self string, now time.Time, extra func(DevicePair) Reason,
	each func(DevicePair, Verdict) error,
) (Answer, error) {
	return judgeInfo(&s.Head, s.Devices(), mandate, self, now, extra, each)
}

func judgeInfo(info *Signed[Info], devices iter.Seq2[DevicePair, error], mandate *Signed[Mandate], self string,
	now time.Time, extra func(DevicePair) Reason, each func(DevicePair, Verdict) error,
) (Answer, error) {
	if err := meant(&info.Body, mandate, self, now); err != nil {
		return Answer{}, err
	}
	m := &mandate.Body
	answer := Answer{Info: info.Hash, Transfer: info.Body.ID}
	named := m.named()
	for pair, err := range devices {
		if err != nil {
			return Answer{}, err
		}
		factory, err := pair.Factory.Hash()
		if err != nil {
			return Answer{}, fmt.Errorf("%w: %w", ErrInfo, err)
		}
		verdict := Verdict{Device: factory.Thumbprint(), Reason: m.judge(named(factory, pair.Factory), &pair.Switch)}
		if verdict.Reason == "" && extra != nil {
			verdict.Reason = extra(pair)
		}
		if each != nil {
			if err := each(pair, verdict); err != nil {
				return Answer{}, err
			}
		}
		answer.Devices = append(answer.Devices, verdict)
	}
	return answer, nil
}

// meant returns ErrInfo for an info that is not for self under the mandate.
func meant(i *Info, mandate *Signed[Mandate], self string, now time.Time) error {
	m := &mandate.Body
	if i.Audience != self || m.To != self || i.Issuer != m.From || i.Mandate != mandate.Hash {
		return fmt.Errorf("transfer: from %q to %q: %w", i.Issuer, i.Audience, ErrInfo)
	}
	if !m.InForce(now) {
		return fmt.Errorf("transfer: mandate has expired: %w", ErrInfo)
	}
	return nil
}

// named returns a Names that is quick for lists of many devices.
func (m *Mandate) named() func(Hash, FactoryCert) bool {
	listed := make(map[Hash]bool, len(m.Devices.Factory))
	for _, h := range m.Devices.Factory {
		listed[h] = true
	}
	return func(factory Hash, c FactoryCert) bool {
		if len(listed) > 0 || m.Devices.GroupName() != "" {
			return len(listed) == 0 || listed[factory]
		}
		leaf, err := c.X509()
		return err == nil && m.Names(factory, leaf.Subject.CommonName)
	}
}

// InForce reports whether the mandate has not expired.
func (m *Mandate) InForce(now time.Time) bool { return now.Add(-ClockSkew).Before(m.Expires.Time()) }

func (m *Mandate) judge(named bool, s *SwitchInfo) Reason {
	if !named {
		return "not in the mandate"
	}
	if s.Window.Latest <= m.Window.Earliest || s.Window.Earliest >= m.Window.Latest {
		return "window outside the mandate"
	}
	if m.NeedsAttestation() && s.RA == nil {
		return "no attestation data"
	}
	for _, manifest := range s.Manifests {
		if manifest.Sequence > m.SequenceLimit() {
			return "sequence number above the mandate's limit"
		}
	}
	return ""
}

// Accepted returns the hashes of the devices of info that the answer accepts.
// It returns ErrInfo if the answer is for another info, or does not answer for
// exactly its devices.
func (a *Answer) Accepted(info *Signed[Info]) ([]Hash, error) {
	if a.Info != info.Hash || !bytes.Equal(a.Transfer, info.Body.ID) || len(a.Devices) != len(info.Body.Devices) {
		return nil, fmt.Errorf("transfer: answer to another info: %w", ErrInfo)
	}
	reasons := make(map[Thumbprint]Reason, len(a.Devices))
	for _, d := range a.Devices {
		reasons[d.Device] = d.Reason
	}
	var accepted []Hash
	for _, pair := range info.Body.Devices {
		factory, err := pair.Factory.Hash()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInfo, err)
		}
		reason, answered := reasons[factory.Thumbprint()]
		if !answered {
			return nil, fmt.Errorf("transfer: no answer for %v: %w", factory.Thumbprint(), ErrInfo)
		}
		if reason == "" {
			accepted = append(accepted, factory)
		}
	}
	return accepted, nil
}

// OfferContext is what the outgoing provider holds an offer against.
type OfferContext struct {
	Self     string // the outgoing provider
	Mandate  *Signed[Mandate]
	Info     *Signed[Info]
	Accepted []Hash // as answered
	Now      time.Time
}

// VerifyOffer performs step 5: everything that a verified offer says against the
// mandate and the info. It returns ErrOffer with what is wrong.
func VerifyOffer(offer *Signed[Offer], c OfferContext) error {
	o, m := &offer.Body, &c.Mandate.Body
	destination, err := ParseDestination(o.Destination)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrOffer, err)
	}
	claims := []claim{
		{o.Audience == c.Self && m.From == c.Self, "audience"},
		{o.Issuer == m.To, "issuer"},
		{o.Mandate == c.Mandate.Hash, "mandate"},
		{m.InForce(c.Now), "expired mandate"},
		{c.Now.Add(-ClockSkew).Before(o.Expires.Time()), "expired offer"},
		{bytes.Equal(o.Transfer, c.Info.Body.ID), "transfer"},
		{o.Info == c.Info.Hash, "info"},
		{len(c.Accepted) > 0 && o.Accepted == AcceptedHash(c.Accepted), "devices"},
		{o.Window.Within(m.Window), "window outside the mandate"},
		{!m.NeedsAttestation() || destination.RAURI != "", "no attestation"},
		{destination.ResetProfile() != ResetKeepApplication || m.MayKeepApplication(), "reset profile"},
	}
	if err := firstFalse(ErrOffer, claims); err != nil {
		return err
	}
	for _, uri := range destination.URIs() {
		if _, err := HostOf(uri); err != nil {
			return fmt.Errorf("%w: %w", ErrOffer, err)
		}
	}
	if err := verifyAnchorSet(o.Anchors, &destination); err != nil {
		return err
	}
	return verifyWindows(o.Window, c)
}

// verifyAnchorSet demands certificates that parse and, among them, what the
// Destination cannot do without.
func verifyAnchorSet(anchors []OfferCertificate, d *Destination) error {
	var all Purposes
	for _, a := range anchors {
		if _, err := x509.ParseCertificate(a.Certificate); err != nil {
			return fmt.Errorf("%w: anchor: %w", ErrOffer, err)
		}
		all |= a.Purposes
	}
	needed := Enrol | DM
	if d.UpdateFirst {
		needed |= Update
	}
	if d.RAURI != "" {
		needed |= RA
	}
	if !all.Has(needed) {
		return fmt.Errorf("transfer: no anchor for %q: %w", needed&^all, ErrOffer)
	}
	return nil
}

func verifyWindows(w Window, c OfferContext) error {
	windows := make(map[Hash]Window, len(c.Info.Body.Devices))
	for _, pair := range c.Info.Body.Devices {
		if h, err := pair.Factory.Hash(); err == nil {
			windows[h] = pair.Switch.Window
		}
	}
	for _, factory := range c.Accepted {
		device, listed := windows[factory]
		if !listed {
			return fmt.Errorf("transfer: device %v is not in the info: %w", factory.Thumbprint(), ErrOffer)
		}
		if !w.Within(device) {
			return fmt.Errorf("transfer: window of device %v: %w", factory.Thumbprint(), ErrOffer)
		}
	}
	return nil
}

// Authorize returns the request for rights at CA2: one for each accepted device
// of the info, for the window of the offer.
func Authorize(info *Info, accepted []Hash, window Window) (Authorization, error) {
	var a Authorization
	wanted := make(map[Hash]bool, len(accepted))
	for _, h := range accepted {
		wanted[h] = true
	}
	for _, pair := range info.Devices {
		factory, err := pair.Factory.Hash()
		if err != nil {
			return nil, err
		}
		if wanted[factory] {
			a = append(a, AuthorizationEntry{FactoryCert: pair.Factory, Window: window})
		}
	}
	if len(a) != len(accepted) {
		return nil, fmt.Errorf("transfer: %d of %d devices are in the info: %w", len(a), len(accepted), ErrInfo)
	}
	return a, a.validate()
}
