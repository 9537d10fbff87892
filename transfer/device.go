package transfer

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The reasons for which a device refuses an event.
var (
	// ErrOrder reports an Execute that names another message, or none.
	ErrOrder = errors.New("names another message")
	// ErrBusy reports an event that comes while the steps of the last transition
	// are not finished.
	ErrBusy = errors.New("steps of the last transition are pending")
	// ErrEffect reports a Done for something that is not the current step.
	ErrEffect = errors.New("not the current step")
	// ErrCertificate reports a certificate that is not for the key enrolled.
	ErrCertificate = errors.New("certificate is not for this key")
	// ErrProvisioned reports a journal that already holds a device, or one that
	// holds none.
	ErrProvisioned = errors.New("device is provisioned already, or not at all")
	// ErrState reports a change that the present state forbids.
	ErrState = errors.New("not in this state")
	// ErrCounter reports an Anchors command that is not newer than the last.
	ErrCounter = errors.New("command is not newer than the last")
)

// DeviceOptions configure a Device.
type DeviceOptions struct {
	Journal            Journal
	FactoryKey         crypto.Signer
	FactoryCertificate []byte // DER; its commonName is the endpoint name
	// NewKey makes a key whose private part PKCS #8 can express.
	NewKey func() (crypto.Signer, error)
	// Firmware returns the manifests in force, and whether an installation is on
	// the way or not yet confirmed. Nil means none.
	Firmware func() (installed []Installed, installing bool)
	// ReadyLimit is how long READY lasts on a device without a clock, powered;
	// zero means DefaultGrace.
	ReadyLimit time.Duration
}

// A Device is the device's side of the protocol: its truststore, its keys and
// the machine of DeviceTable, on a Journal. It performs no I/O: see the package
// comment for the loop around it. It is not safe for concurrent use. A time of
// zero means that the device has no clock.
//
// After an error of the Journal the Device must be dropped and opened again, as
// after a power cut.
type Device struct {
	o       DeviceOptions
	subject string
	factory Hash
	nv      nvm
	refusal int64 // of the last message refused; not kept
}

// Provision writes the first record of a device's life to an empty journal: what
// the factory put into it. Instances of anchors are numbered in the order given.
// It returns ErrProvisioned if the journal is not empty.
func Provision(j Journal, home Home, anchors []Anchor) error {
	raw, err := j.Load()
	if err != nil {
		return fmt.Errorf("transfer: journal: %w", err)
	}
	if raw != nil {
		return fmt.Errorf("transfer: %w", ErrProvisioned)
	}
	if len(anchors) > MaxInstances {
		return fmt.Errorf("transfer: %d anchors: %w", len(anchors), ErrFull)
	}
	n := nvm{State: Idle, Home: home, Truststore: slices.Clone(anchors)}
	for i := range n.Truststore {
		n.Truststore[i].Instance = uint16(i)
	}
	if raw, err = n.encode(); err != nil {
		return err
	}
	if err := j.Save(raw); err != nil {
		return fmt.Errorf("transfer: journal: %w", err)
	}
	return nil
}

// OpenDevice starts a device from its journal: it counts the boot and resumes
// the transition that a power cut interrupted. It returns ErrProvisioned for an
// empty journal.
func OpenDevice(o DeviceOptions) (*Device, error) {
	certificate, err := x509.ParseCertificate(o.FactoryCertificate)
	if err != nil {
		return nil, fmt.Errorf("transfer: factory certificate: %w", err)
	}
	if o.Journal == nil || o.FactoryKey == nil || o.NewKey == nil {
		return nil, fmt.Errorf("transfer: device options: %w", ErrValue)
	}
	if o.Firmware == nil {
		o.Firmware = func() ([]Installed, bool) { return nil, false }
	}
	if o.ReadyLimit <= 0 {
		o.ReadyLimit = DefaultGrace
	}
	raw, err := o.Journal.Load()
	if err != nil {
		return nil, fmt.Errorf("transfer: journal: %w", err)
	}
	if raw == nil {
		return nil, fmt.Errorf("transfer: %w", ErrProvisioned)
	}
	n, err := decodeNVM(raw)
	if err != nil {
		return nil, err
	}
	d := &Device{o: o, subject: certificate.Subject.CommonName, factory: HashOf(o.FactoryCertificate), nv: *n}
	if err := d.update(func(n *nvm) error { n.Boots++; n.Told = false; return nil }); err != nil {
		return nil, err
	}
	return d, d.settle()
}

// update saves a changed copy of the state and makes it the state.
func (d *Device) update(change func(*nvm) error) error {
	n := d.nv
	if err := change(&n); err != nil {
		return err
	}
	raw, err := n.encode()
	if err != nil {
		return err
	}
	if err := d.o.Journal.Save(raw); err != nil {
		return fmt.Errorf("transfer: journal: %w", err)
	}
	d.nv = n
	return nil
}

// fire performs the transition for event, with change in the same journal write,
// and then the steps that need nobody else.
func (d *Device) fire(event DeviceEvent, change func(*nvm) error) error {
	row, err := DeviceTable().Step(d.nv.State, event)
	if err != nil {
		return fmt.Errorf("transfer: device: %w", err)
	}
	if d.busy() {
		return fmt.Errorf("transfer: device in %s on %s: %w", d.nv.State, event, ErrBusy)
	}
	err = d.update(func(n *nvm) error {
		if change != nil {
			if err := change(n); err != nil {
				return err
			}
		}
		n.State, n.InState, n.Attempts, n.Pending = row.To, 0, 0, row.Do
		return nil
	})
	if err != nil {
		return err
	}
	return d.settle()
}

// busy reports whether a step is pending that must not be skipped.
func (d *Device) busy() bool {
	return slices.ContainsFunc(d.nv.Pending, func(e DeviceEffect) bool {
		return !e.waits() && e != DoNotify && e != DoServe
	})
}

// settle performs the pending steps up to the first that somebody else must
// perform, and the transitions that follow by themselves.
func (d *Device) settle() error {
	for len(d.nv.Pending) > 0 {
		step, ok := steps[d.nv.Pending[0]]
		if !ok {
			return nil
		}
		err := d.update(func(n *nvm) error {
			n.Pending = n.Pending[1:]
			return step(d, n)
		})
		if err != nil {
			return fmt.Errorf("step %q: %w", d.nv.Pending[0], err)
		}
	}
	switch d.nv.State {
	case Committed:
		return d.fire(OnWiped, nil)
	case Wiped:
		return d.fireNext(OnAttest)
	default:
		return nil
	}
}

// fireNext goes to the first of ATTEST, UPDATE and ENROL, from the one that
// event begins, which the Destination demands.
func (d *Device) fireNext(event DeviceEvent) error {
	_, destination, err := d.nv.message()
	if err != nil {
		return err
	}
	if event == OnAttest && destination.RAURI == "" {
		event = OnUpdate
	}
	if event == OnUpdate && !destination.UpdateFirst {
		event = OnEnrol
	}
	return d.fire(event, nil)
}

// An Effect is something to do for the program around a Device. Which fields are
// set depends on Do.
type Effect struct {
	Do DeviceEffect
	// Waits marks an activity: it is not ended by Done but by an event.
	Waits bool
	// URI is where to go: for DoAttest, DoUpdate, DoEnrol, DoRegister, DoReport.
	URI string
	// Anchors may stand for the peer, and no others: its certificate must chain
	// to one of them, and name the host of URI. For DoEnrol the peer must also be
	// marked id-kp-cmcRA, or be the anchor itself.
	Anchors []Anchor
	// Renew says that the certificate is to be renewed, at Home.EnrollURI with the key
	// that FreshKey returns, before the device registers (DoRegister); then Renewed.
	Renew bool
	// Key is the key to be enrolled (DoEnrol), to which an update before that may be
	// encrypted (DoUpdate). The DTLS session of DoEnrol, DoAttest and DoUpdate uses the
	// factory key.
	Key crypto.Signer
	// Home is the account to register with (DoRegister, DoServe). In FALLBACK it is
	// the former provider's, for DoReport, and for DoEnrol, where the receipt is
	// reported again as long as the CA answers that the right is not open yet.
	Home Home
	// Reset is what to wipe (DoWipeApplication).
	Reset Reset
	// Receipt is the newest receipt (DoNotify, DoReport), untagged.
	Receipt []byte
}

// Next returns the current effect; ok is false if there is nothing to do but to
// serve the current domain.
func (d *Device) Next() (e Effect, ok bool) {
	if len(d.nv.Pending) == 0 {
		return Effect{}, false
	}
	n := &d.nv
	e = Effect{Do: n.Pending[0], Waits: n.Pending[0].waits(), Home: n.Home, Receipt: n.Receipt}
	destination := &Destination{}
	if _, parsed, err := n.message(); err == nil {
		destination, e.Reset = parsed, parsed.ResetProfile()
	}
	switch e.Do {
	case DoAttest:
		e.URI, e.Anchors = destination.RAURI, Trusted(n.Truststore, n.State, RA)
	case DoUpdate:
		e.URI, e.Anchors = destination.UpdateURI, Trusted(n.Truststore, n.State, Update)
		e.Key, _ = parseKey(n.Next) // the device wrote it itself
	case DoRegister:
		e.URI, e.Anchors = n.Home.ServerURI, Trusted(n.Truststore, n.State, DM)
		e.Renew = n.renews(destination)
	case DoEnrol:
		d.describeEnrolment(&e, destination)
	case DoReport:
		if n.Fall != nil {
			e.Home = n.Fall.Home
			e.URI, e.Anchors = n.Fall.Home.ServerURI, Trusted(n.Truststore, n.State, Fallback)
		}
	default:
	}
	return e, true
}

func (d *Device) describeEnrolment(e *Effect, destination *Destination) {
	key, purpose := d.nv.enrolling(), Enrol
	e.URI = destination.EnrollURI
	if d.nv.State == InFall && d.nv.Fall != nil {
		e.URI, purpose, key = d.nv.Fall.Home.EnrollURI, Fallback, d.nv.Back
		e.Home = d.nv.Fall.Home
	}
	e.Anchors = Trusted(d.nv.Truststore, d.nv.State, purpose)
	e.Key, _ = parseKey(key) // the device wrote it itself; nil shows in the CSR
}

// Done records that the current effect, which must be do, was performed. It
// returns ErrEffect if it is another one or an activity.
func (d *Device) Done(do DeviceEffect) error {
	if len(d.nv.Pending) == 0 || d.nv.Pending[0] != do || do.waits() {
		return fmt.Errorf("transfer: %q: %w", do, ErrEffect)
	}
	err := d.update(func(n *nvm) error {
		n.Pending = n.Pending[1:]
		n.wipe(do)
		return nil
	})
	if err != nil {
		return err
	}
	return d.settle()
}
