package foreign_test

import (
	"bytes"
	"context"
)

// What changes of a transfer: what is told of its devices, and the end of its window, for
// which the outgoing provider asks and to which the incoming one agrees by its signature.

type extension struct {
	Mandate  []byte `cbor:"12,keyasint"`
	Window   pair2  `cbor:"16,keyasint"`
	Transfer []byte `cbor:"46,keyasint"`
	Document []byte `cbor:"50,keyasint,omitempty"`
}

type agreement struct {
	Issuer   string         `cbor:"1,keyasint"`
	Audience string         `cbor:"3,keyasint"`
	Issued   uint64         `cbor:"6,keyasint"`
	Terms    agreementTerms `cbor:"-65537,keyasint"`
}

type agreementTerms struct {
	Offer    []byte `cbor:"7,keyasint"`
	Mandate  []byte `cbor:"12,keyasint"`
	Window   pair2  `cbor:"16,keyasint"`
	Transfer []byte `cbor:"46,keyasint"`
}

// revises checks that what is told of a transfer may take the place of what was told
// before, if anything was: of the same devices, under the same mandate, later, and before
// an offer is approved. An offer that was made before is void.
func (f *foreign) revises(d, before *deal) error {
	switch {
	case before == nil:
		return nil
	case !before.incoming || d.told <= before.told || !bytes.Equal(d.mandate, before.mandate),
		before.state != "INFO_ACCEPTED" && before.state != "OFFERED":
		return refused("no revision of what is %s", before.state)
	}
	for short := range before.devices {
		if d.devices[short] == nil {
			return refused("revision without device %s", short)
		}
	}
	f.revisions++
	return nil
}

// takeExtend notes what the outgoing provider asks for, if a mandate covers it.
func (f *foreign) takeExtend(id, _ string, body []byte) (string, []byte, error) {
	var x extension
	if err := decode(body, &x); err != nil {
		return "", nil, err
	}
	d := f.deals[id]
	if d == nil || !d.incoming || !bytes.Equal(x.Transfer, d.id) || d.offer == nil {
		return "", nil, refused("no offer that could be extended")
	}
	m, hash := d.allows, d.mandate
	if x.Document != nil {
		var err error
		if m, hash, err = f.openMandate(x.Document, f.other); err != nil {
			return "", nil, err
		}
	}
	for _, s := range d.devices {
		if !m.names(s.factory) {
			return "", nil, refused("extension without %s", s.endpoint)
		}
	}
	switch {
	case !bytes.Equal(x.Mandate, hash) || m.Issuer != d.allows.Issuer || m.Terms.To != f.name:
		return "", nil, refused("extension by another mandate")
	case x.Window[0] != d.window[0] || x.Window[1] <= d.window[1] || now() >= d.window[1]:
		return "", nil, refused("extension from %v to %v", d.window, x.Window)
	case x.Window[0] < m.Terms.Window[0] || x.Window[1] > m.Terms.Window[1] || x.Window[1] > m.Expires:
		return "", nil, refused("extension that no mandate covers")
	}
	d.asked = &x
	return "", nil, nil
}

// agree signs what was asked for.
func (f *foreign) agree(ctx context.Context, id string) error {
	f.mu.Lock()
	d := f.deals[id]
	if d.asked == nil {
		f.mu.Unlock()
		return refused("nothing is asked for")
	}
	raw, _ := f.signer.signDocument("steward/extension/1", agreement{
		Issuer: f.name, Audience: f.other.name, Issued: now(), Terms: agreementTerms{
			Offer: d.offer, Mandate: d.asked.Mandate, Window: d.asked.Window, Transfer: d.id,
		},
	})
	d.window, d.asked = d.asked.Window, nil
	f.mu.Unlock()
	_, err := f.post(ctx, "/peer/v1/transfers/"+id+"/extension", "application/cose", tagged(tagSign1, raw))
	return err
}

// extend asks the incoming provider for a later end, under a mandate of our own.
func (f *foreign) extend(ctx context.Context, id string, until uint64) error {
	f.mu.Lock()
	d := f.deals[id]
	x := extension{Window: pair2{d.window[0], until}, Transfer: d.id}
	var names [][]byte
	for _, s := range d.devices {
		names = append(names, hashOf(s.factory.Raw))
	}
	x.Document = f.ownMandate(d.id, names, x.Window)
	_, hash, err := f.openMandate(x.Document, partner{name: f.name, signing: f.signer.certificate})
	x.Mandate, d.asked = hash, &x
	f.mu.Unlock()
	if err != nil {
		return err
	}
	_, err = f.post(ctx, "/peer/v1/transfers/"+id+"/extend", "application/cbor", encode(x))
	return err
}

// takeExtension verifies that the incoming provider agrees to exactly what was asked.
func (f *foreign) takeExtension(id, _ string, body []byte) (string, []byte, error) {
	d := f.deals[id]
	if d == nil || d.incoming || d.asked == nil || now() >= d.window[1] {
		return "", nil, refused("nothing was asked for, or too long ago")
	}
	var a agreement
	if _, err := openDocument(body, "steward/extension/1", f.other.signing, &a); err != nil {
		return "", nil, err
	}
	want := agreementTerms{Offer: d.offer, Mandate: d.asked.Mandate, Window: d.asked.Window, Transfer: d.id}
	if a.Issuer != f.other.name || a.Audience != f.name || !bytes.Equal(encode(a.Terms), encode(want)) {
		return "", nil, refused("agreement to something else")
	}
	d.window, d.asked = a.Terms.Window, nil
	return "", nil, nil
}
