package enrol_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/est/enrol"
	"steward/est/enrol/enroltest"
	"steward/est/esttest"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/objects"
)

// A memoryOf is what a device keeps through power cuts. All of it changes at once.
type memoryOf struct {
	key, next, former *ecdsa.PrivateKey
	cert, formerCert  []byte // DER
	csr               []byte // sent for next
}

// A hostile world is one device with a real authority, in which everything fails at
// random: messages are lost in either direction, the power is cut, the device sleeps,
// its clock-work and the server's processes stop.
type hostile struct {
	t *testing.T

	mu      sync.Mutex // held while one thing happens
	random  *rand.Rand
	store   *enroltest.Store
	ca      *est.CA
	records *esttest.Store
	device  esttest.Device
	nv      memoryOf
	asleep  bool
	calm    bool // nothing fails any more
	runner  *enrol.Runner
	seen    int
}

// fails reports whether something goes wrong here.
func (h *hostile) fails() bool { return !h.calm && h.random.IntN(3) == 0 }

// draw returns a number below n.
func (h *hostile) draw(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.random.IntN(n)
}

// feed hands the runner what the authority issued.
func (h *hostile) feed() {
	all, err := h.records.Certificates(h.t.Context(), est.Query{Kind: est.KindOperational})
	if err != nil {
		h.t.Fatal(err)
	}
	for ; h.seen < len(all); h.seen++ {
		r := all[len(all)-1-h.seen]
		h.store.Issue(enrol.Issuance{
			Device: "dev", Certificate: r.Hash, Profile: r.Profile, IssuedAt: r.IssuedAt, NotAfter: r.NotAfter,
			Renews: r.Supersedes != est.Hash{},
		})
	}
	h.runner.Issued()
}

// Listens implements enrol.Devices.
func (h *hostile) Listens(fleet.ID) (bool, time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.asleep, time.Time{}
}

// Instances implements enrol.Devices.
func (h *hostile) Instances(context.Context, fleet.ID, uint16) ([]uint16, error) {
	return []uint16{0}, nil
}

// Read implements enrol.Devices.
func (h *hostile) Read(_ context.Context, _ fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asleep || h.fails() {
		return nil, enrol.ErrUnreachable
	}
	return objects.Enrolment{URI: "coaps://x"}.Entries(p), nil
}

// Execute implements enrol.Devices: the device renews, as far as it gets.
func (h *hostile) Execute(context.Context, fleet.ID, lwm2m.Path, string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asleep || h.fails() {
		return enrol.ErrUnreachable
	}
	h.renew()
	if h.fails() {
		return enrol.ErrUnreachable // it did all that, and its answer was lost
	}
	return nil
}

// Device implements enrol.Fleet.
func (h *hostile) Device(context.Context, fleet.ID) (fleet.Device, error) {
	return fleet.Device{ID: "dev", Ownership: fleet.Owned}, nil
}

// shows is a handshake by a certificate; false: it was refused.
func (h *hostile) shows(der []byte) (est.Client, bool) {
	who, err := h.ca.Identify(h.t.Context(), [][]byte{der})
	return who, err == nil
}

// renew is the device's part of /sren; each return is a power cut or a lost message.
func (h *hostile) renew() {
	if h.nv.former != nil || h.nv.cert == nil {
		return
	}
	if h.nv.next == nil {
		h.nv.next, h.nv.csr = esttest.Key(h.t), nil
	}
	if h.fails() {
		return
	}
	who, ok := h.shows(h.nv.cert)
	if !ok {
		return
	}
	if h.nv.csr == nil {
		h.nv.csr = esttest.CSR(h.t, h.nv.next, h.device.Endpoint)
	}
	if h.fails() {
		return
	}
	issued, err := h.ca.Reenrol(h.t.Context(), est.Request{Client: who, CSR: h.nv.csr})
	h.feed()
	if err != nil || h.fails() {
		return
	}
	n := h.nv
	n.former, n.formerCert = n.key, n.cert
	n.key, n.cert, n.next, n.csr = n.next, issued.DER, nil, nil
	h.nv = n
	if !h.fails() {
		h.connect()
	}
}

// connect shows the certificate in use to the LwM2M server, or the one before.
func (h *hostile) connect() {
	if h.fails() {
		return
	}
	if _, ok := h.shows(h.nv.cert); ok {
		h.runner.Wake("dev")
		if !h.fails() { // else it does not know yet that it served
			h.nv.former, h.nv.formerCert = nil, nil
		}
		return
	}
	if h.nv.former == nil {
		return
	}
	if _, ok := h.shows(h.nv.formerCert); ok {
		n := h.nv
		n.next, n.csr, n.key, n.cert, n.former, n.formerCert = n.key, nil, n.former, n.formerCert, nil, nil
		h.nv = n
	}
}

// enrol comes back by the factory certificate, with each key that there is.
func (h *hostile) enrol() {
	if h.fails() {
		return
	}
	for _, key := range []*ecdsa.PrivateKey{h.nv.next, h.nv.key, h.nv.former} {
		if key == nil {
			continue
		}
		issued, err := h.ca.Enrol(h.t.Context(), est.Request{
			Client: h.device.Client(), CSR: esttest.CSR(h.t, key, h.device.Endpoint),
		})
		h.feed()
		if err != nil || h.fails() {
			continue
		}
		h.nv = memoryOf{key: key, cert: issued.DER}
		return
	}
}

// safe is the property: the device has a certificate that works, with its key, or a
// key with which its right lets it enrol anew.
func (h *hostile) safe() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, pair := range []struct {
		der []byte
		key *ecdsa.PrivateKey
	}{{h.nv.cert, h.nv.key}, {h.nv.formerCert, h.nv.former}} {
		if pair.der == nil {
			continue
		}
		c, err := x509.ParseCertificate(pair.der)
		if err != nil {
			return err
		}
		if !pair.key.PublicKey.Equal(c.PublicKey) {
			return errors.New("key and certificate do not belong together")
		}
		if h.ca.Live(h.t.Context(), sum(pair.der), time.Now()) == nil {
			return nil
		}
	}
	right, err := h.ca.Right(h.t.Context(), h.device.Factory)
	if err != nil {
		return err
	}
	for _, key := range []*ecdsa.PrivateKey{h.nv.key, h.nv.next, h.nv.former} {
		if key == nil {
			continue
		}
		spki, err := est.SPKI(key.Public())
		if err != nil {
			return err
		}
		if right.State == est.RightConsumed && right.SPKI == spki {
			return nil
		}
	}
	return fmt.Errorf("no certificate that works, and the right is %s for a key that it does not have", right.State)
}
