package foreign_test

import (
	"bytes"
)

// The partner as the outgoing provider that demands the verdict of its own verifier,
// which the incoming one asks for it.

type appraisal struct {
	Factory  []byte `cbor:"21,keyasint"`
	Transfer []byte `cbor:"46,keyasint"`
	Ready    []byte `cbor:"48,keyasint"`
	Evidence []byte `cbor:"51,keyasint,omitempty"`
}

// appraised returns the device of an appraisal.
func (f *foreign) appraised(id, device string, body []byte) (a appraisal, s *switching, err error) {
	if err := decode(body, &a); err != nil {
		return a, nil, err
	}
	d, s, err := f.find(id, device, false)
	if err != nil {
		return a, nil, err
	}
	r, err := openReceipt(a.Ready, s.factory, nil)
	switch {
	case err != nil:
		return a, nil, err
	case !f.demands || s.info.RA == nil || s.ready == nil || !bytes.Equal(r.hash, s.ready.hash),
		!bytes.Equal(a.Transfer, d.id) || !bytes.Equal(a.Factory, hashOf(s.factory.Raw)):
		return a, nil, refused("appraisal of what was not asked for")
	}
	return a, s, nil
}

// takeChallenge gives the incoming provider a nonce for a device.
func (f *foreign) takeChallenge(id, device string, body []byte) (string, []byte, error) {
	_, s, err := f.appraised(id, device, body)
	if err != nil {
		return "", nil, err
	}
	return "application/cbor", s.challenge(), nil
}

// takeEvidence gives it the verdict.
func (f *foreign) takeEvidence(id, device string, body []byte) (string, []byte, error) {
	a, s, err := f.appraised(id, device, body)
	if err != nil {
		return "", nil, err
	}
	if err := f.appraise(s, a.Evidence); err != nil {
		return "", nil, err
	}
	return "application/cose", s.verdict, nil
}
