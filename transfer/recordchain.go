package transfer

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Hop is a device's way from one provider to the next, as a record proves it.
type Hop struct {
	From     string `json:"from"`
	To       string `json:"to"`
	Transfer string `json:"transfer"` // id, hex
	Epoch    uint64 `json:"epoch"`    // of the device, which rises with each

	factory Hash
	origin  Hash // factory certificate with which it had come to From, before re-keys that are proved
	final   Hash // of the FINALISED receipt
	came    Hash // of that by which it had come to From; zero: not said
}

// A Custody is who has had a device, one after the other.
type Custody struct {
	Device string `json:"device"` // common name of its factory certificate
	Hops   []Hop  `json:"hops"`
	Proved bool   `json:"proved"` // without a gap
	Why    string `json:"why,omitempty"`
}

// Names returns the providers in order.
func (c *Custody) Names() string {
	names := []string{}
	for i, h := range c.Hops {
		if i == 0 {
			names = append(names, h.From)
		}
		names = append(names, h.To)
	}
	return strings.Join(names, " → ")
}

// A ChainReport is what an auditor finds in the records of several hand-overs.
type ChainReport struct {
	Records []*RecordReport `json:"records"` // in the order given
	Custody []Custody       `json:"custody"` // in order of devices
	// Statements are about the records together.
	Statements []Statement `json:"statements"`
	Proved     bool        `json:"proved"` // everything is, of each record too
}

// CheckChain verifies records of hand-overs one after the other as a chain of custody,
// offline: each record as CheckRecord does, that the same names sign with the same keys,
// and for each device that who gives it is who got it before, by the receipt that it came
// with, that its epoch rose, and that its factory certificate is the same or has taken
// the place of the one before by proof of both keys. Both providers' records of one hand-over are one hop.
func CheckChain(all [][]byte, known []*x509.Certificate) (*ChainReport, error) {
	out := &ChainReport{Proved: true}
	hops := map[string][]Hop{}
	keys := map[string]Hash{}
	for i, raw := range all {
		c, err := checkRecord(raw, known)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", i+1, err)
		}
		out.Records = append(out.Records, c.report)
		out.Proved = out.Proved && c.report.Proved
		out.sameKeys(keys, c.signers)
		for subject, h := range c.hops {
			hops[subject] = mergeHop(hops[subject], h)
		}
	}
	for _, subject := range slices.Sorted(maps.Keys(hops)) {
		custody := Custody{Device: subject, Hops: hops[subject], Proved: true}
		slices.SortStableFunc(custody.Hops, func(a, b Hop) int { return cmp.Compare(a.Epoch, b.Epoch) })
		if err := custody.check(); err != nil {
			custody.Proved, custody.Why, out.Proved = false, err.Error(), false
		}
		out.Custody = append(out.Custody, custody)
	}
	return out, nil
}

// sameKeys demands that a name has one key for messages in all records.
func (r *ChainReport) sameKeys(keys map[string]Hash, signers []signatory) {
	for _, s := range signers {
		if s.Verifier {
			continue
		}
		key := HashOf(s.certificate.RawSubjectPublicKeyInfo)
		if before, ok := keys[s.Name]; ok && before != key {
			r.Proved = false
			r.Statements = append(r.Statements, Statement{
				What: s.Name + " signs with one key in all records", Why: fmt.Sprintf("it has %v and %v", before, key),
			})
		}
		keys[s.Name] = key
	}
}

// mergeHop adds a hop, unless the other side's record of it is there; what only one of
// them says, who gave the device, counts.
func mergeHop(all []Hop, h Hop) []Hop {
	for i := range all {
		if at := &all[i]; at.Transfer == h.Transfer && at.final == h.final {
			if at.came.IsZero() {
				at.came, at.origin = h.came, h.origin
			}
			return all
		}
	}
	return append(all, h)
}

func (c *Custody) check() error {
	if first := c.Hops[0]; !first.came.IsZero() {
		return fmt.Errorf("the record by which it had come to %s is missing: %w", first.From, ErrRecord)
	}
	for i, h := range c.Hops[1:] {
		before := c.Hops[i]
		if err := firstFalse(ErrRecord, []claim{
			{h.From == before.To, fmt.Sprintf("%s gave it, while %s had it", h.From, before.To)},
			{h.Epoch > before.Epoch, "its epoch did not rise"},
			{h.came.IsZero() || h.came == before.final, "it had come to " + h.From + " by another hand-over"},
			{!h.came.IsZero() || h.Epoch == before.Epoch+1, "how it had come is not said, and its epoch leaves room for more"},
			{h.origin == before.factory, "another factory certificate, and no proof of its re-key"},
		}); err != nil {
			return err
		}
	}
	return nil
}
