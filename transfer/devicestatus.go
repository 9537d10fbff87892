package transfer

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
	"time"
)

// Status is what the Transfer object shows.
type Status struct {
	State    DeviceState
	Error    int64 // of the last message refused (ErrorCode), or label 31
	Epoch    uint32
	Window   Window // of the message; zero without one
	Message  Hash   // of the last message accepted; zero: none
	Receipt  []byte // newest, untagged; nil: none
	Retired  []byte // newest Retirement, untagged; nil: none
	Attempts uint64 // at the current activity
	Boots    uint64
	// InState and SinceCommit are powered time, Grace how much of the latter the
	// device gives the new domain; zero without a message.
	InState     time.Duration
	SinceCommit time.Duration
	Grace       time.Duration
}

// Status returns the present values.
func (d *Device) Status() Status {
	s := Status{
		State: d.nv.State, Error: d.nv.Error, Epoch: d.nv.Epoch, Message: d.nv.Hash, Receipt: bytes.Clone(d.nv.Receipt),
		Retired:  bytes.Clone(d.nv.Retired),
		Attempts: d.nv.Attempts, Boots: d.nv.Boots, InState: d.nv.InState,
	}
	if d.refusal != 0 {
		s.Error = d.refusal
	}
	if signed, destination, err := d.nv.message(); err == nil {
		s.Window, s.Grace, s.SinceCommit = signed.Body.Window(), destination.GracePeriod(), d.nv.Since
	}
	return s
}

// Subject returns the endpoint name.
func (d *Device) Subject() string { return d.subject }

// Home returns the provider that the device serves or is about to serve: the
// zero Home from COMMITTED until it has enrolled anew.
func (d *Device) Home() Home { return d.nv.Home }

// Truststore returns the anchors in the order of their instances.
func (d *Device) Truststore() []Anchor {
	anchors := slices.Clone(d.nv.Truststore)
	slices.SortFunc(anchors, func(a, b Anchor) int { return int(a.Instance) - int(b.Instance) })
	return anchors
}

// Trusted returns the anchors that count for purpose now.
func (d *Device) Trusted(purpose Purposes) []Anchor {
	return Trusted(d.nv.Truststore, d.nv.State, purpose)
}

// Operational returns the operational key and certificate; ok is false if there
// is none, as before the first enrolment and from COMMITTED to ENROL.
func (d *Device) Operational() (key crypto.Signer, certificate []byte, ok bool) {
	if len(d.nv.Cert) == 0 {
		return nil, nil, false
	}
	key, err := parseKey(d.nv.Key)
	return key, bytes.Clone(d.nv.Cert), err == nil
}

// EnrolmentKey returns the key for an enrolment or renewal at the current
// domain, outside any transfer. It stays the same, over power cuts, until
// SetOperational. It returns ErrState unless the device is at rest or in READY.
func (d *Device) EnrolmentKey() (crypto.Signer, error) {
	if err := d.mayEnrol(); err != nil {
		return nil, err
	}
	return d.keptKey(func(n *nvm) *[]byte { return &n.Renew })
}

func (d *Device) mayEnrol() error {
	if !d.nv.State.AtRest() && d.nv.State != Ready {
		return fmt.Errorf("transfer: enrolment in %s: %w", d.nv.State, ErrState)
	}
	return nil
}

// SetEnrollURI is the Write of the enrolment server's URI.
func (d *Device) SetEnrollURI(uri string) error {
	if _, err := HostOf(uri); err != nil {
		return err
	}
	return d.change(func(n *nvm) error { n.Home.EnrollURI = uri; return nil })
}

// CreateAnchor is the Create of an instance of Truststore; instance -1 lets the
// device choose. The anchor is staged. It returns ErrDuplicate, ErrSignerBits,
// ErrFull or ErrSyntax.
func (d *Device) CreateAnchor(instance int, certificate []byte, purposes Purposes) (id uint16, err error) {
	err = d.change(func(n *nvm) (err error) {
		n.Truststore, id, err = createAnchor(n.Truststore, instance, certificate, purposes)
		return err
	})
	return id, err
}

// WritePurposes is the Write of resource Purposes. It returns ErrNoAnchor or
// ErrSignerBits.
func (d *Device) WritePurposes(instance uint16, purposes Purposes) error {
	return d.change(func(n *nvm) (err error) {
		n.Truststore, err = writePurposes(n.Truststore, instance, purposes)
		return err
	})
}

// DeleteAnchor is the Delete of an instance of Truststore. It returns ErrNoAnchor.
func (d *Device) DeleteAnchor(instance uint16) error {
	return d.change(func(n *nvm) (err error) {
		n.Truststore, err = deleteAnchor(n.Truststore, instance)
		return err
	})
}

// CommandAnchors is the Write of resource Command: an Anchors message of the
// present transfer signer, or of the mandate signer that the factory has set, who
// recovers a device whose transfer signer was stolen or lost (§7). Each has a counter
// of its own, so that a thief of the one cannot use up that of the other. It returns
// ErrSigner, ErrSignature, ErrCounter or ErrNoAnchor.
func (d *Device) CommandAnchors(raw []byte) error {
	unproven, err := ParseAnchors(raw)
	if err != nil {
		return err
	}
	f := d.facts()
	signers, err := f.signers(TransferSigner, unproven.Signer)
	owner := err == nil && len(signers) == 0
	if owner {
		factory := f.owned(Permanent)
		signers, err = factory.signers(MandateSigner, unproven.Signer)
	}
	if err != nil || len(signers) == 0 {
		return fmt.Errorf("transfer: anchors: %w", ErrSigner)
	}
	signed, err := VerifyAnchors(raw, signers[0])
	if err != nil {
		return err
	}
	return d.change(func(n *nvm) (err error) {
		last := &n.Counter
		if owner {
			last = &n.OwnerCounter
		}
		if signed.Body.Counter <= *last {
			return fmt.Errorf("transfer: counter %d, last %d: %w", signed.Body.Counter, *last, ErrCounter)
		}
		*last = signed.Body.Counter
		n.Truststore, err = applyAnchors(n.Truststore, signed.Body.Anchors)
		return err
	})
}

// change is update for what READY freezes.
func (d *Device) change(f func(*nvm) error) error {
	if !d.nv.State.AtRest() {
		return fmt.Errorf("transfer: truststore in %s: %w", d.nv.State, ErrState)
	}
	return d.update(f)
}

// PartyOf tells what the peer of a session is, for the rule table: the server at
// host (as HostOf gives it) whose certificate chains to the anchor with that
// thumbprint.
func (d *Device) PartyOf(anchor Thumbprint, host string) Party {
	type candidate struct {
		party   Party
		uri     string
		purpose Purposes
		domain  Domain
	}
	var candidates []candidate
	switch n := &d.nv; {
	case n.State.AtRest() || n.State == Ready:
		candidates = []candidate{
			{CurrentDM, n.Home.ServerURI, DM, Current}, {CurrentBoot, n.Home.BootstrapURI, Bootstrap, Current},
		}
	case n.State == Register || n.State == Done:
		candidates = []candidate{{NewDM, n.Home.ServerURI, DM, Pending}}
	case n.State == InFall && n.Fall != nil:
		candidates = []candidate{{FallbackDM, n.Fall.Home.ServerURI, Fallback, Current}}
	}
	for _, c := range candidates {
		there, err := HostOf(c.uri)
		stands := slices.ContainsFunc(d.Trusted(c.purpose), func(a Anchor) bool {
			return a.Domain == c.domain && a.Thumbprint() == anchor
		})
		if err == nil && there == host && stands {
			return c.party
		}
	}
	return AnyoneElse
}
