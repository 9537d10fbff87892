package foreign_test

import (
	"bytes"
	"net/http"
)

// The partner's word, signed by its CA, about the right of a device.

type rightStatus struct {
	Issuer string     `cbor:"1,keyasint"`
	Issued uint64     `cbor:"6,keyasint"`
	Terms  rightTerms `cbor:"-65537,keyasint"`
}

type rightTerms struct {
	Factory []byte `cbor:"21,keyasint"`
	SPKI    []byte `cbor:"26,keyasint,omitempty"`
	Issued  []byte `cbor:"29,keyasint,omitempty"`
	State   uint64 `cbor:"33,keyasint"`
}

// status says how the right of a device stands.
func (c *ca) status(factory []byte) rightStatus {
	s := rightStatus{Issuer: c.certificate.Subject.CommonName, Issued: now(), Terms: rightTerms{Factory: factory}}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.rights[string(factory)]; r != nil {
		s.Terms.SPKI = r.spki
		switch {
		case r.issued != nil:
			s.Terms.State, s.Terms.Issued = 2, hashOf(r.issued.Raw)
		case r.open:
			s.Terms.State = 1
		}
	}
	return s
}

// tellRight answers the partner's question for a right.
func (f *foreign) tellRight(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, s, err := f.find(r.PathValue("id"), r.PathValue("device"), true)
	if err != nil {
		problem(w, http.StatusNotFound, "unknown", err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/cose")
	raw, _ := f.ca.signDocument("steward/status/1", f.ca.status(hashOf(s.factory.Raw)))
	_, _ = w.Write(tagged(tagSign1, raw))
}

// takeClose closes the right of a device that is on its way back, and says so.
func (f *foreign) takeClose(id, device string, body []byte) (string, []byte, error) {
	d, s, err := f.find(id, device, true)
	if err != nil {
		return "", nil, err
	}
	var b completion
	if err := decode(body, &b); err != nil {
		return "", nil, err
	}
	if len(b.Receipts) != 1 {
		return "", nil, refused("%d receipts", len(b.Receipts))
	}
	r, err := openReceipt(b.Receipts[0], s.factory, nil)
	if err != nil {
		return "", nil, err
	}
	if r.Terms.State != returning || !bytes.Equal(r.ID, d.id) {
		return "", nil, refused("close with a receipt of state %d", r.Terms.State)
	}
	f.ca.forget(hashOf(s.factory.Raw))
	s.state = "RETURNED"
	raw, _ := f.ca.signDocument("steward/status/1", f.ca.status(hashOf(s.factory.Raw)))
	return "application/cose", tagged(tagSign1, raw), nil
}

// takeBack ends the part of a device that has fallen back.
func (f *foreign) takeBack(id, device string, body []byte) (string, []byte, error) {
	_, s, err := f.find(id, device, true)
	if err != nil {
		return "", nil, err
	}
	var b completion
	if err := decode(body, &b); err != nil {
		return "", nil, err
	}
	if len(b.Receipts) != 1 || s.ready == nil {
		return "", nil, refused("%d receipts", len(b.Receipts))
	}
	r, err := openReceipt(b.Receipts[0], s.factory, nil)
	if err != nil {
		return "", nil, err
	}
	if r.Terms.State != fallenBack || !bytes.Equal(r.Terms.Message, s.ready.Terms.Message) ||
		bytes.Equal(r.Terms.SPKI, s.ready.Terms.SPKI) {
		return "", nil, refused("receipt of state %d", r.Terms.State)
	}
	f.ca.forget(hashOf(s.factory.Raw))
	s.state = "FELL_BACK"
	return "", nil, nil
}

// takeApproval notes that the partner has approved our offer.
func (f *foreign) takeApproval(id, _ string, body []byte) (string, []byte, error) {
	var a approval
	if err := decode(body, &a); err != nil {
		return "", nil, err
	}
	d := f.deals[id]
	if d == nil || !d.incoming || !bytes.Equal(a.Transfer, d.id) || !bytes.Equal(a.Offer, d.offer) {
		return "", nil, refused("approval of another offer")
	}
	d.state = "STAGING"
	return "", nil, nil
}

type withdrawal struct {
	Reason   string  `cbor:"35,keyasint"`
	Transfer []byte  `cbor:"46,keyasint"`
	Devices  [][]any `cbor:"47,keyasint,omitempty"`
}

// takeWithdrawal ends the part of devices that have not committed.
func (f *foreign) takeWithdrawal(id, _ string, body []byte) (string, []byte, error) {
	var w withdrawal
	if err := decode(body, &w); err != nil {
		return "", nil, err
	}
	d := f.deals[id]
	if d == nil {
		return "", nil, refused("no transfer %s", id)
	}
	for _, s := range d.devices {
		named := len(w.Devices) == 0
		for _, one := range w.Devices {
			name, ok := one[0].([]byte)
			named = named || ok && bytes.Equal(name, x5t(s.factory.Raw))
		}
		if named && s.state != "COMMITTED" {
			s.state = "ABORTED"
			f.ca.forget(hashOf(s.factory.Raw))
		}
	}
	return "", nil, nil
}
