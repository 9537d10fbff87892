package explore_test

import (
	"errors"
	"fmt"

	"steward/est"
	"steward/transfer"
)

const forbidden = 4<<5 | 3 // 4.03

// deviceStep is what the program on the device does next.
func (e *expansion) deviceStep() {
	s := e.dev(&e.from)
	if !s.busy {
		e.connect()
		e.acknowledge()
		e.tick()
		return
	}
	if s.next.Waits {
		e.attempt(s)
		e.tick()
		return
	}
	if !e.cuts {
		e.run()
		return
	}
	do, c := s.next.Do, e.from
	name := "the device: " + string(do)
	performed := e.performs(&c)
	e.add(name, c, move{})
	e.cut(name, performed, "done "+string(do), func(d *transfer.Device) error { e.x.key = "back"; return d.Done(do) })
	if do == transfer.DoReport {
		lost := e.from
		lost.dev = c.dev
		e.add(name+", lost", lost, move{loss: 1, unfair: true})
	}
}

// performs does one step of the program and returns the cell as it is before the
// machine hears of it.
func (e *expansion) performs(c *cell) cell {
	s := e.dev(c)
	do := s.next.Do
	e.effect(c, s, do)
	performed := *c
	to, err := e.x.do(c.dev, "done "+string(do), func(d *transfer.Device) error { e.x.key = "back"; return d.Done(do) })
	if err != nil {
		e.fault("the device: %s: %v", do, err)
	}
	c.dev = to
	return performed
}

// run performs all steps up to the next activity, where power is never cut.
func (e *expansion) run() {
	c, reports := e.from, false
	for s := e.dev(&c); s.busy && !s.next.Waits; s = e.dev(&c) {
		reports = reports || s.next.Do == transfer.DoReport
		e.performs(&c)
	}
	name := "the device goes on from " + string(e.dev(&e.from).status.State)
	e.add(name, c, move{})
	if reports {
		lost := c
		lost.contact1, lost.asked = e.from.contact1, 0
		e.add(name+", report lost", lost, move{loss: 1, unfair: true})
	}
}

// effect is what the program does beside the machine.
func (e *expansion) effect(c *cell, s *deviceState, do transfer.DeviceEffect) {
	switch do {
	case transfer.DoDeregister:
		c.at = 0
	case transfer.DoWipeTransport, transfer.DoReboot:
		e.hangUp(c)
	case transfer.DoWipeApplication:
		if s.next.Reset == transfer.ResetKeepApplication {
			e.fault("the application is not wiped")
		}
		c.data = 0
	case transfer.DoReport:
		c.contact1, c.asked = true, sp1
	case transfer.DoServe:
		e.register(c)
	default:
	}
}

// cut adds the states in which the device starts after its power was cut.
func (e *expansion) cut(name string, c cell, memo string, f func(*transfer.Device) error) {
	if !e.cuts {
		return
	}
	for _, id := range e.x.cutAt(c.dev, memo, f) {
		off := c
		off.dev = id
		e.hangUp(&off)
		e.add(name+", power is cut", off, move{crash: 1, who: 3, unfair: true})
	}
}

// home is the provider that the device serves, by its own account.
func (e *expansion) home(c *cell) uint8 {
	for sp := uint8(sp1); sp <= sp2; sp++ {
		if p := e.dev(c).party[sp-1]; p == transfer.CurrentDM || p == transfer.NewDM {
			return sp
		}
	}
	return 0
}

// register is the registration at the device's home, if that provider knows its
// certificate and has not let it go.
func (e *expansion) register(c *cell) bool {
	sp, cert := e.home(c), e.dev(c).cert
	if sp == 0 || cert == 0 || c.right[sp].live&(1<<cert) == 0 || !in(c.own[sp], expected, owned) {
		return false
	}
	c.at = sp
	return true
}

// connect makes the device register again where it has lost its association.
func (e *expansion) connect() {
	c := e.from
	if c.at == 0 && e.register(&c) {
		e.add("the device registers at "+names[c.at], c, move{})
	}
}

// acknowledge is Beta's word that it has the DONE receipt.
func (e *expansion) acknowledge() {
	c := e.from
	if e.dev(&c).status.State != transfer.Done || c.at != sp2 || c.in.done == 0 {
		return
	}
	e.finish(&c, "acknowledged", (*transfer.Device).Acknowledged)
	e.add("Beta acknowledges DONE", c, move{})
}

// tick is a period of power that ends whatever the device waits for.
func (e *expansion) tick() {
	c, now := e.from, e.deviceNow(e.phase())
	before := e.dev(&c).status.State
	adrift := before == transfer.Done && c.at == 0 && !e.register(&c)
	c = e.from
	f := func(d *transfer.Device) error {
		e.x.key = "back"
		if adrift {
			return errors.Join(d.Failed(), d.Tick(grace, now))
		}
		return d.Tick(grace, now)
	}
	memo := fmt.Sprint("tick ", e.phase(), adrift)
	to, err := e.x.do(c.dev, memo, f)
	if err != nil {
		e.fault("a period of power: %v", err)
	}
	c.dev = to
	if after := e.dev(&c).status.State; after != before {
		e.add(fmt.Sprintf("the device has waited long enough in %s", before), c, move{})
		e.cut("the device has waited long enough", e.from, memo, f)
	}
}

// attempt is one try at the activity of the device's state.
func (e *expansion) attempt(s *deviceState) {
	c := e.from
	switch s.next.Do {
	case transfer.DoEnrol:
		e.enrol(s)
	case transfer.DoRegister:
		if s.next.Renew {
			e.renewal(s)
		} else if e.register(&c) {
			e.finish(&c, "registered", (*transfer.Device).Registered)
			e.add("the device registers at Beta", c, move{})
		}
		if e.gates != 0 && !e.sure {
			e.refuse("the registration", e.from)
		}
	case transfer.DoAttest:
		e.finish(&c, "attested", (*transfer.Device).Attested)
		c.passed |= attests
		e.add("the device attests", c, move{})
		e.refuse("the attestation", e.from)
	case transfer.DoUpdate:
		e.finish(&c, "updated", (*transfer.Device).Updated)
		c.passed |= updates
		e.add("the device asks for an update", c, move{})
		e.refuse("the update", e.from)
	default:
	}
}

// renewal is one request for a certificate with a fresh key, by that of the READY
// receipt's key.
func (e *expansion) renewal(s *deviceState) {
	c := e.from
	if c.right[sp2].live&(1<<s.cert) == 0 || e.stepRight(&c, sp2, est.EventRenew, e.x.fresh()) != nil {
		return
	}
	e.add("the device renews its certificate, answer lost", c, move{loss: 1, unfair: true})
	cert := e.x.certs[c.right[sp2].issued]
	e.finish(&c, "renewed", func(d *transfer.Device) error {
		e.x.key = "fresh"
		if _, err := d.FreshKey(); err != nil {
			return err
		}
		return d.Renewed(cert)
	})
	e.add("the device renews its certificate", c, move{})
}

// refuse ends an activity for good.
func (e *expansion) refuse(what string, c cell) {
	e.finish(&c, "refused", func(d *transfer.Device) error { e.x.key = "back"; return d.Refused(forbidden) })
	e.add(what+" is refused for good", c, move{unfair: true})
}

func (e *expansion) finish(c *cell, name string, f func(*transfer.Device) error) {
	to, err := e.x.do(c.dev, name, f)
	if err != nil {
		e.fault("the device, %s: %v", name, err)
	}
	c.dev = to
}

// enrol is one request to the CA of the device's state.
func (e *expansion) enrol(s *deviceState) {
	ca := uint8(sp2)
	if s.status.State == transfer.InFall {
		ca = sp1
	}
	name := "the device asks CA" + fmt.Sprint(ca)
	if s.key == 0 {
		e.fault("%s without a key", name)
		return
	}
	c := e.from
	err := e.ask(&c, ca, s.key)
	switch {
	case err == nil:
		lost := c
		e.add(name+", answer lost", lost, move{loss: 1, unfair: true})
		cert := e.x.certs[e.x.issue(ca, s.key)]
		f := func(d *transfer.Device) error { return d.Enrolled(cert) }
		before := c
		e.finish(&c, "enrolled", f)
		e.add(name+": issued", c, move{})
		e.cut(name, before, "enrolled", f)
	case errors.Is(err, errPending):
		e.add(name+": not yet", c, move{})
	case ca == sp1: // there is no other way: it asks again
		e.add(name+": refused", c, move{})
	default:
		e.refuse(name+":", c)
	}
}

// ask is a request for a certificate with the factory certificate, for key k.
func (e *expansion) ask(c *cell, ca uint8, k keyID) error {
	err := e.admits(c, ca, k, e.phase())
	if err != nil {
		if ca == sp1 {
			c.contact1, c.asked = true, sp1
		} else {
			c.contact2 = k
		}
		return err
	}
	e.mayIssue(c, ca, k)
	return e.stepRight(c, ca, est.EventEnrol, k)
}

// mayIssue is I3: a CA enrols only the key of the receipt.
func (e *expansion) mayIssue(c *cell, ca uint8, k keyID) {
	want := c.in.spki
	if ca == sp2 && k == e.x.fresh() { // by a renewal, which its right follows
		want = c.right[sp2].spki
	}
	if ca == sp1 {
		if want = c.out.back; want == 0 {
			want = e.x.keyID(keyOf("operational").Public())
		}
	}
	if k != want || k == 0 {
		e.fault("I3: CA%d enrols key %d, not %d of the receipt", ca, k, want)
	}
}
