package transfer

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"steward/lwm2m"
)

// An Order names the message that Commit, Abort, Finalise and Return execute
// (§1, rule 6).
type Order struct {
	Epoch uint32
	Hash  [8]byte // first bytes of the message's hash
}

// OrderOf returns the order for a message with that epoch and hash.
func OrderOf(epoch uint32, message Hash) Order { return Order{epoch, [8]byte(message[:8])} }

// String returns the arguments of the Execute: 0 is the epoch, in decimal, and 1
// the hash, in hexadecimal.
func (o Order) String() string {
	return lwm2m.Arguments{
		{Digit: 0, Value: strconv.FormatUint(uint64(o.Epoch), 10), HasValue: true},
		{Digit: 1, Value: hex.EncodeToString(o.Hash[:]), HasValue: true},
	}.String()
}

// ParseOrder reads the arguments of an Execute. It returns ErrOrder for anything
// but the two.
func ParseOrder(text string) (Order, error) {
	arguments, err := lwm2m.ParseArguments(text)
	if err != nil {
		return Order{}, fmt.Errorf("%w: %w", ErrOrder, err)
	}
	first, _ := arguments.Get(0)
	second, _ := arguments.Get(1)
	epoch, err1 := strconv.ParseUint(first, 10, 32)
	hash, err2 := hex.DecodeString(second)
	o := Order{Epoch: uint32(epoch)}
	if err1 != nil || err2 != nil || len(hash) != len(o.Hash) || len(arguments) != 2 {
		return Order{}, fmt.Errorf("transfer: %.40q: %w", text, ErrOrder)
	}
	copy(o.Hash[:], hash)
	return o, nil
}

func (d *Device) checkOrder(o Order) error {
	if o != OrderOf(d.nv.Epoch, d.nv.Hash) {
		return fmt.Errorf("transfer: epoch %d: %w", o.Epoch, ErrOrder)
	}
	return nil
}

// WriteMessage is the Write of resource Message: the acceptance check and, if it
// passes, READY. Nothing is journalled unless all of it passes. The identical
// message in READY changes nothing.
func (d *Device) WriteMessage(raw []byte, now time.Time) error {
	accepted, err := Accept(d.facts(), raw, now)
	if err != nil {
		d.refusal = ErrorCode(err)
		return err
	}
	d.refusal = 0
	if accepted.Repeated {
		return nil
	}
	return d.fire(OnAccept, func(n *nvm) error {
		n.Epoch = uint32(accepted.Message.Epoch) //nolint:gosec // validated: at most 2^32-1
		n.Message, n.Hash = slices.Clone(raw), accepted.Hash
		n.Truststore = accepted.Truststore
		n.Error, n.Wiped, n.Receipt = 0, nil, nil
		return nil
	})
}

func (d *Device) facts() Facts {
	_, installing := d.o.Firmware()
	f := Facts{
		State: d.nv.State, Epoch: d.nv.Epoch, Subject: d.subject, Factory: d.factory, Truststore: d.nv.Truststore,
		ServerURI: d.nv.Home.ServerURI, EnrollURI: d.nv.Home.EnrollURI, Installing: installing, Mandate: d.nv.Mandate,
	}
	if d.nv.State == Ready {
		f.Stored = d.nv.Message
	}
	return f
}

// WriteMandate is the Write of resource Mandate. What it is worth, the acceptance
// check says.
func (d *Device) WriteMandate(raw []byte) error {
	if !d.nv.State.AtRest() {
		return fmt.Errorf("transfer: mandate in %s: %w", d.nv.State, ErrState)
	}
	if len(raw) > MaxDeviceMandate {
		return fmt.Errorf("transfer: mandate of %d bytes: %w", len(raw), ErrTooLarge)
	}
	return d.update(func(n *nvm) error { n.Mandate = slices.Clone(raw); return nil })
}

// Commit executes Commit: E6 to E10 and the truststore are checked again, then
// the device leaves its provider. From COMMITTED on no session can repeat it.
func (d *Device) Commit(o Order, now time.Time) error {
	if err := d.checkOrder(o); err != nil {
		return err
	}
	if d.nv.State != Ready {
		return fmt.Errorf("transfer: commit in %s: %w", d.nv.State, ErrE10State)
	}
	if err := d.recheck(now); err != nil {
		return err
	}
	return d.fire(OnCommit, func(n *nvm) error { n.Since = 0; return nil })
}

func (d *Device) recheck(now time.Time) error {
	signed, destination, err := d.nv.message()
	if err != nil {
		return err
	}
	window := signed.Body.Window()
	if !now.IsZero() && !window.Contains(now, ClockSkew) {
		return fmt.Errorf("transfer: commit outside the window: %w", ErrE6Window)
	}
	if err := samePending(d.nv.Truststore, destination.Anchors); err != nil {
		return err
	}
	if TruststoreDigest(d.nv.Truststore) != d.nv.Digest {
		return fmt.Errorf("transfer: truststore has changed: %w", ErrE7Anchors)
	}
	f := d.facts()
	if err := f.checkURIs(&Accepted{Message: signed.Body, Destination: *destination}); err != nil {
		return err
	}
	if f.Installing {
		return fmt.Errorf("transfer: installing: %w", ErrE10State)
	}
	return nil
}

// samePending is E7 on a truststore whose new domain is pending.
func samePending(truststore []Anchor, refs []AnchorRef) error {
	pending := 0
	for _, a := range truststore {
		if a.Domain != Pending {
			continue
		}
		pending++
		want := AnchorRef{Thumbprint: a.Thumbprint(), Purposes: a.Purposes}
		if !slices.ContainsFunc(refs, func(r AnchorRef) bool { r.Purposes &^= SignerPurposes; return r == want }) {
			return fmt.Errorf("transfer: anchor %v: %w", want.Thumbprint, ErrE7Anchors)
		}
	}
	if pending != len(refs) {
		return fmt.Errorf("transfer: %d of %d anchors: %w", pending, len(refs), ErrE7Anchors)
	}
	return nil
}

// Abort executes Abort. A repetition changes nothing.
func (d *Device) Abort(o Order) error { return d.execute(o, OnAbort, Expired, nil) }

// Finalise executes Finalise. A repetition changes nothing.
func (d *Device) Finalise(o Order) error { return d.execute(o, OnFinalise, Finalised, nil) }

// Return executes Return: the new provider sends the device back.
func (d *Device) Return(o Order) error {
	return d.execute(o, OnReturn, InFall, func(n *nvm) error {
		n.NoReturn, n.Next, n.Fresh = true, nil, nil
		return nil
	})
}

func (d *Device) execute(o Order, event DeviceEvent, to DeviceState, change func(*nvm) error) error {
	if err := d.checkOrder(o); err != nil {
		return err
	}
	if d.nv.State == to {
		return nil
	}
	return d.fire(event, change)
}

// Attested ends ATTEST: the verifier has been given its evidence.
func (d *Device) Attested() error {
	if d.nv.State != Attest {
		return fmt.Errorf("transfer: attested in %s: %w", d.nv.State, ErrState)
	}
	return d.fireNext(OnUpdate)
}

// Updated ends UPDATE: there was nothing to do, or the new image runs.
func (d *Device) Updated() error { return d.fire(OnEnrol, nil) }

// Enrolled ends ENROL, and FALLBACK: the CA has issued a certificate for the key
// of the effect. It returns ErrCertificate if it is for another.
func (d *Device) Enrolled(certificate []byte) error {
	raw := d.nv.enrolling()
	if d.nv.State == InFall {
		raw = d.nv.Back
	}
	key, err := parseKey(raw)
	if err != nil {
		return err
	}
	if err := certifies(certificate, key); err != nil {
		return err
	}
	return d.fire(OnEnrolled, func(n *nvm) error {
		n.Key, n.Cert = raw, slices.Clone(certificate)
		return nil
	})
}

// Registered ends REGISTER: the new provider's server has answered 2.01.
func (d *Device) Registered() error {
	return d.fire(OnRegistered, func(n *nvm) error { n.Told = false; return nil })
}

// Acknowledged records that the new provider has the DONE receipt, over the present
// association. Only then may the device finalise by itself when its grace, which
// counts from now on, is over. After a restart, or a Failed, it must be told again.
func (d *Device) Acknowledged() error {
	if d.nv.State != Done || d.nv.Told {
		return nil
	}
	return d.update(func(n *nvm) error { n.Told, n.InState, n.Attempts = true, 0, 0; return nil })
}

// Failed counts an attempt at the current activity that may be repeated, after
// Retry.Delay(Status().Attempts). In DONE it is an attempt to register: a device that
// fails at it for a whole grace falls back.
func (d *Device) Failed() error {
	return d.update(func(n *nvm) error {
		if n.State == Done && (n.Told || n.Attempts == 0) {
			n.Told, n.InState = false, 0
		}
		n.Attempts++
		return nil
	})
}

// Refused ends an activity of the new domain for good: the device falls back.
// code is not zero and goes into the receipt, for a CoAP response its class and
// detail as one number. In FALLBACK it counts as Failed: there is no other way. Nor
// does it end ENROL with a fresh key, of which CA2 perhaps never heard: the key of
// READY is next.
func (d *Device) Refused(code int64) error {
	if d.nv.State == InFall {
		return d.Failed()
	}
	if d.nv.State == Enrolling && d.nv.wantsFresh() {
		return d.update(func(n *nvm) error { n.FreshRefused = true; n.Attempts++; return nil })
	}
	return d.fire(OnRefused, func(n *nvm) error {
		n.Error, n.NoReturn, n.Next, n.Fresh = code, true, nil, nil
		return nil
	})
}

// GraceError is label 31 of a device that fell back because its grace was over.
const GraceError int64 = -1

// UpdateError is label 31 of a device that fell back because the update before its
// enrolment failed and was rolled back (§7).
const UpdateError int64 = -2

// Tick counts powered time and does what its passing brings about: READY expires,
// grace runs out, FALLBACK and ENROL take turns, DONE finalises itself. It
// returns without a journal write while the device is at rest.
func (d *Device) Tick(elapsed time.Duration, now time.Time) error {
	if d.nv.State.AtRest() || elapsed <= 0 {
		return nil
	}
	err := d.update(func(n *nvm) error { n.InState += elapsed; n.Since += elapsed; return nil })
	if err != nil || d.busy() {
		return err
	}
	signed, destination, err := d.nv.message()
	if err != nil {
		return err
	}
	if d.nv.State == Ready {
		return d.expire(&signed.Body, now)
	}
	return d.watchGrace(destination.GracePeriod())
}

// watchGrace does what the end of a period brings about. The first try at the new
// domain lasts for the grace from COMMITTED on, later ones and those at the
// former domain for a period of their own.
func (d *Device) watchGrace(grace time.Duration) error {
	n, period := &d.nv, alternation(grace, d.nv.Turns)
	switch n.State {
	case Attest, Updating, Enrolling, Register:
		if n.Turns == 0 && n.Since >= grace || n.Turns > 0 && n.InState >= period {
			return d.fire(OnGraceOver, func(n *nvm) error { n.Error = GraceError; return nil })
		}
	case InFall:
		if !n.NoReturn && n.InState >= period {
			return d.fire(OnTryAgain, func(n *nvm) error {
				n.Turns++
				n.Error, n.FreshRefused = 0, false
				return nil
			})
		}
	case Done:
		switch {
		case n.InState < grace:
		case n.Told:
			return d.fire(OnFinalise, nil)
		case n.Attempts > 0:
			return d.fire(OnGraceOver, func(n *nvm) error { n.Error = GraceError; return nil })
		}
	default:
	}
	return nil
}

func (d *Device) expire(m *Message, now time.Time) error {
	over := d.nv.InState >= d.o.ReadyLimit
	if !now.IsZero() {
		over = !now.Add(-ClockSkew).Before(m.Expires.Time())
	}
	if !over {
		return nil
	}
	return d.fire(OnExpire, nil)
}
