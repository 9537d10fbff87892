package devcheck

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"time"

	"steward/suit/cose"
	"steward/transfer"
)

func nameOf(endpoint string) pkix.Name { return pkix.Name{CommonName: endpoint} }

const (
	lifetime = 60 // seconds, of registrations
	ssid     = 123
	idLength = 16
)

// An order is a message under way: what the incoming provider wrote, what the owner
// allows, and what the outgoing provider makes of it. Checks change one thing.
type order struct {
	mandate     transfer.Mandate
	destination transfer.Destination
	message     transfer.Message
	by          transfer.Signer // of the message
	owner       transfer.Signer // of the mandate
}

// order returns one without defect, for the epoch after the one told.
func (c *Check) order(epoch uint32) *order {
	id := make([]byte, idLength)
	_, _ = rand.Read(id) // never fails
	now := time.Now()
	window := transfer.NewWindow(now.Add(-time.Minute), now.Add(time.Hour))
	grace, reset := uint64(max(c.o.Grace, 0)/time.Second), transfer.ResetData
	o := &order{by: c.sp1.messages, owner: c.user}
	o.mandate = transfer.Mandate{
		Issuer: "Owner", Expires: window.Latest, IssuedAt: window.Earliest, ID: id, MandateTerms: transfer.MandateTerms{
			From: c.sp1.name, To: c.sp2.name, Window: window,
			Devices: transfer.Devices{Factory: []transfer.Hash{transfer.HashOf(c.factory.Raw)}},
		},
	}
	uri := c.sp2.uri(c.o.Host)
	o.destination = transfer.Destination{
		UpdateURI: uri + "/update", EnrollURI: uri + "/est", ServerURI: uri, Reset: &reset, Grace: &grace,
		Account: transfer.Account{SSID: ssid, Lifetime: lifetime},
	}
	for _, a := range c.sp2.anchors() {
		o.destination.Anchors = append(o.destination.Anchors, transfer.AnchorRef{
			Thumbprint: transfer.ThumbprintOf(a.Certificate), Purposes: a.Purposes,
		})
	}
	home := c.sp1.uri(c.o.Host)
	o.message = transfer.Message{
		Issuer: c.sp1.name, Subject: c.o.Endpoint, Audience: c.sp2.name, Expires: window.Latest,
		NotBefore: window.Earliest, ID: id, MessageTerms: transfer.MessageTerms{
			FallbackURI: home, FallbackEnrollURI: home, Epoch: uint64(epoch) + 1, Offer: transfer.HashOf(id),
			Factory: transfer.HashOf(c.factory.Raw),
		},
	}
	return o
}

// sign returns message and mandate, untagged, as they are written.
func (o *order) sign() (message, mandate []byte, err error) {
	tagged, err := o.mandate.Sign(o.owner)
	if err != nil {
		return nil, nil, err
	}
	signed, err := transfer.ParseMandate(tagged)
	if err != nil {
		return nil, nil, err
	}
	o.message.Mandate = signed.Hash
	if o.message.Destination == nil {
		if o.message.Destination, err = o.destination.Encode(); err != nil {
			return nil, nil, err
		}
	}
	message, err = o.message.Sign(o.by)
	return message, transfer.Untag(tagged), err
}

// resign signs a payload as a message, whatever is in it.
func resign(payload []byte, by transfer.Signer, aad string) ([]byte, error) {
	return resignWith(payload, by, aad, nil)
}

// resignWith is resign with more header parameters.
func resignWith(payload []byte, by transfer.Signer, aad string, header map[int64]any) ([]byte, error) {
	kid := transfer.KeyIDOf(by.Certificate)
	signer, err := cose.NewSigner(by.Key, cose.ES256, kid[:])
	if err != nil {
		return nil, err
	}
	return cose.SignSign1(signer, cose.Options{Payload: payload, ExternalAAD: []byte(aad), Protected: header})
}
