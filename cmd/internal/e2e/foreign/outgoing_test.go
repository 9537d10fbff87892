package foreign_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// The partner as the outgoing provider.

// submit tells the partner of the devices of an earlier deal, which are ours since,
// under a mandate of the service user, or nil, and returns the id of the new one.
func (f *foreign) submit(ctx context.Context, before string, order []byte) (string, error) {
	d, err := f.drafted(before, order)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(d.id), f.inform(ctx, d)
}

// drafted makes a deal of the devices of an earlier one.
func (f *foreign) drafted(before string, order []byte) (*deal, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	d := &deal{id: id, state: "INFO_SENT", devices: map[string]*switching{}}
	var names [][]byte
	for short, s := range f.deals[before].devices {
		row := &switching{endpoint: s.endpoint, factory: s.factory, info: s.info, state: "LISTED"}
		if row.info.RA != nil {
			ra := *s.info.RA
			ra.Verifier = ""
			if f.demands {
				ra.Verifier = f.uri
			}
			row.info.RA = &ra
		}
		d.devices[short] = row
		names = append(names, hashOf(s.factory.Raw))
	}
	f.deals[hex.EncodeToString(id)] = d
	if order == nil {
		order = f.ownMandate(id, names, pair2{now() - 1, now() + 1800})
	}
	m, hash, err := f.openMandate(order, partner{name: f.name, signing: f.signer.certificate})
	if err != nil {
		return nil, err
	}
	d.order, d.mandate, d.window = order, hash, m.Terms.Window
	return d, nil
}

// submission says what the devices of a deal run. What is told later than something else
// takes its place.
func (f *foreign) submission(d *deal) ([]byte, error) {
	var pairs []devicePair
	for _, s := range d.devices {
		var p devicePair
		p.Factory.Chain, p.Switch = s.factory.Raw, s.info
		p.Switch.Earliest, p.Switch.Latest = d.window[0], d.window[1]
		pairs = append(pairs, p)
	}
	d.told = max(now(), d.told+1)
	s := submission{Mandate: d.order}
	s.Info, d.info = f.signer.signInfo(infoHeader{
		Iss: f.name, Aud: f.other.name, Iat: d.told, Jti: base64.RawURLEncoding.EncodeToString(d.id),
		Mandate: base64.RawURLEncoding.EncodeToString(d.mandate),
	}, pairs)
	return json.Marshal(s)
}

// inform tells the partner what the devices of a deal run, and reads its answer.
func (f *foreign) inform(ctx context.Context, d *deal) error {
	body, err := f.submission(d)
	if err != nil {
		return err
	}
	raw, err := f.post(ctx, "/peer/v1/transfers", "application/json", body)
	if err != nil {
		return err
	}
	var a answer
	if err := decode(raw, &a); err != nil {
		return err
	}
	if !bytes.Equal(a.Info, d.info) || !bytes.Equal(a.Transfer, d.id) || len(a.Devices) != len(d.devices) {
		return refused("answer to another info")
	}
	for _, one := range a.Devices {
		if reason, ok := one[1].(string); ok {
			return refused("device %x: %s", one[0], reason)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d.state = "INFO_ACCEPTED"
	return nil
}

// takeOffer verifies an offer.
func (f *foreign) takeOffer(id, _ string, body []byte) (string, []byte, error) {
	d := f.deals[id]
	if d == nil || d.incoming || d.state != "INFO_ACCEPTED" {
		return "", nil, refused("no transfer that waits for an offer")
	}
	var o offer
	hash, err := openDocument(body, "steward/offer/1", f.other.signing, &o)
	if err != nil {
		return "", nil, err
	}
	var where destination
	if err := decodeLoose(o.Terms.Destination, &where); err != nil {
		return "", nil, err
	}
	if o.Issuer != f.other.name || o.Audience != f.name || !bytes.Equal(o.Terms.Mandate, d.mandate) ||
		!bytes.Equal(o.Terms.Info, d.info) || !bytes.Equal(o.Terms.Transfer, d.id) ||
		len(where.Anchors) != len(o.Terms.Anchors) {
		return "", nil, refused("offer for another transfer")
	}
	d.terms, d.offer, d.window, d.state = o, hash, o.Terms.Window, "OFFERED"
	return "", nil, nil
}

// handOver leads a device that is registered here through the hand-over, up to its
// Commit.
func (f *foreign) handOver(ctx context.Context, id, short string) error {
	f.mu.Lock()
	d := f.deals[id]
	s := d.devices[short]
	body := encode(approval{Offer: d.offer, Transfer: d.id})
	f.mu.Unlock()
	if _, err := f.post(ctx, "/peer/v1/transfers/"+id+"/approve", "application/cbor", body); err != nil {
		return err
	}
	l := f.door.device(s.endpoint)
	if l == nil {
		return refused("%s is not registered", s.endpoint)
	}
	for _, a := range d.terms.Terms.Anchors {
		if err := f.stage(ctx, l, s, a); err != nil {
			return err
		}
	}
	if err := f.write(ctx, l, d, s); err != nil {
		return err
	}
	r, raw, err := f.readReceipt(ctx, s, l, ready)
	if err != nil {
		return err
	}
	if !bytes.Equal(r.Terms.Message, s.hash) || !bytes.Equal(r.Terms.Destination, hashOf(d.terms.Terms.Destination)) ||
		!bytes.Equal(r.Terms.Truststore, f.truststore(d.terms.Terms.Anchors, ready)) {
		return refused("READY differs from what was written")
	}
	f.mu.Lock()
	s.ready, s.state, d.state = r, "READY", "SWITCHING"
	f.mu.Unlock()
	path := "/peer/v1/transfers/" + id + "/devices/" + short
	body = encode(readyBody{Transfer: d.id, Receipt: tagged(tagSign, raw)})
	if _, err := f.post(ctx, path+"/ready", "application/cbor", body); err != nil {
		return err
	}
	order := fmt.Sprintf("0='%d',1='%x'", r.Terms.Epoch, s.hash[:8])
	if err := execute(ctx, l, fmt.Sprintf("%d/0/1", s.info.Objects[2]), order); err != nil {
		return fmt.Errorf("Commit: %w", err)
	}
	f.mu.Lock()
	s.state = "COMMITTED"
	f.mu.Unlock()
	f.ca.right(hashOf(s.factory.Raw), func(r *right) { r.open = false })
	_, err = f.post(ctx, path+"/committed", "application/cbor", body)
	return err
}

// stage creates an anchor of the new domain, without the bits that only label 8
// can set.
func (f *foreign) stage(ctx context.Context, l *link, s *switching, a purpose) error {
	body := []byte{0xd0, 0}
	body = binary.BigEndian.AppendUint16(body, uint16(len(a.Name)))
	body = append(body, a.Name...)
	body = append(body, 0xc1, 1, 0, 0xc2, 2)
	body = binary.BigEndian.AppendUint16(body, uint16(a.Purposes&^signers))
	res, err := l.ask(ctx, coapRequest{
		code: codes.POST, path: strconv.Itoa(int(s.info.Objects[0])), format: formatTLV, accept: -1, payload: body,
	})
	if err == nil && res.code != codes.Created {
		err = refused("Create of an anchor: %v", res.code)
	}
	return err
}

// write signs the message for a device and writes it.
func (f *foreign) write(ctx context.Context, l *link, d *deal, s *switching) error {
	object := fmt.Sprintf("%d/0/", s.info.Objects[2])
	res, err := l.ask(ctx, coapRequest{code: codes.GET, path: object + "5", format: -1, accept: formatText})
	if err != nil || res.code != codes.Content {
		return fmt.Errorf("epoch: %v: %w", res.code, err)
	}
	epoch, err := strconv.ParseUint(string(res.payload), 10, 32)
	if err != nil {
		return err
	}
	terms := messageTerms{
		Destination: d.terms.Terms.Destination, Fallback: f.door.uri(), Epoch: epoch + 1, Offer: d.offer,
		FallbackEnrol: f.door.uri() + "/est", Factory: hashOf(s.factory.Raw),
	}
	if f.owner != nil {
		terms.Mandate = d.mandate
		if err := put(ctx, l, object+"13", untag(d.order, tagSign1)); err != nil {
			return err
		}
	}
	s.message, s.hash = f.signer.signDocument("steward/message/1", transferMessage{
		Issuer: f.name, Subject: s.endpoint, Audience: f.other.name, Expires: d.window[1],
		NotBefore: d.window[0], ID: d.id, Terms: terms,
	})
	return put(ctx, l, object+"0", s.message)
}

// put writes an opaque resource.
func put(ctx context.Context, l *link, path string, value []byte) error {
	res, err := l.ask(ctx, coapRequest{code: codes.PUT, path: path, format: formatOctets, accept: -1, payload: value})
	if err == nil && res.code != codes.Changed {
		err = refused("Write of /%s: %v", path, res.code)
	}
	return err
}

// takeComplete verifies the receipts on which the device is let go, and revokes
// what it had here.
func (f *foreign) takeComplete(id, device string, body []byte) (string, []byte, error) {
	if d := f.deals[id]; d != nil && d.incoming {
		return f.takeBack(id, device, body)
	}
	d, s, err := f.find(id, device, false)
	if err != nil {
		return "", nil, err
	}
	var b completion
	if err := decode(body, &b); err != nil {
		return "", nil, err
	}
	previous := s.ready
	if previous == nil || len(b.Receipts) != 2 {
		return "", nil, refused("%d receipts", len(b.Receipts))
	}
	for i, state := range []uint64{done, finalised} {
		r, err := openReceipt(b.Receipts[i], s.factory, nil)
		if err != nil {
			return "", nil, err
		}
		if r.Terms.State != state || !bytes.Equal(r.Terms.Previous, previous.hash) ||
			!bytes.Equal(r.Terms.SPKI, s.ready.Terms.SPKI) || !bytes.Equal(r.Terms.Message, s.hash) {
			return "", nil, refused("receipt %d does not follow", i)
		}
		previous = r
	}
	if f.demands && (!s.affirmed || !bytes.Equal(b.Verdict, s.verdict)) {
		return "", nil, refused("completion without our verdict")
	}
	if !bytes.Equal(previous.Terms.Truststore, f.truststore(d.terms.Terms.Anchors, finalised)) {
		return "", nil, refused("truststore after Finalise")
	}
	f.ca.forget(hashOf(s.factory.Raw))
	s.state, d.state = "REVOKED_OLD", "COMPLETE"
	return "", nil, nil
}
