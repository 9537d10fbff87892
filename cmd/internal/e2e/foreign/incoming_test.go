package foreign_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// The partner as the incoming provider.

type submission struct {
	Info    string `json:"info"`
	Mandate []byte `json:"mandate"`
}

// takeInfo verifies what the partner wants to hand over, and answers for each
// device.
func (f *foreign) takeInfo(_, _ string, body []byte) (string, []byte, error) {
	var s submission
	if err := json.Unmarshal(body, &s); err != nil {
		return "", nil, err
	}
	h, pairs, info, err := openInfo(s.Info, f.other.signing)
	if err != nil {
		return "", nil, err
	}
	m, hash, err := f.openMandate(s.Mandate, f.other)
	if err != nil {
		return "", nil, err
	}
	id, err := base64.RawURLEncoding.DecodeString(h.Jti)
	if err != nil || h.Iss != f.other.name || h.Aud != f.name || m.Terms.From != h.Iss || m.Terms.To != h.Aud ||
		h.Mandate != base64.RawURLEncoding.EncodeToString(hash) {
		return "", nil, refused("info of %s for %s, mandate from %s to %s", h.Iss, h.Aud, m.Terms.From, m.Terms.To)
	}
	d := &deal{
		id: id, incoming: true, state: "INFO_ACCEPTED", info: info, mandate: hash, told: h.Iat, allows: m,
		devices: map[string]*switching{}, window: m.Terms.Window,
	}
	a := answer{Info: info, Transfer: id}
	for _, p := range pairs {
		row, reason := f.judge(p, m)
		short := x5t(p.Factory.Chain)
		a.Devices = append(a.Devices, []any{short, reason})
		if reason == 0 {
			d.devices[hex.EncodeToString(short)] = row
			d.window[0] = max(d.window[0], p.Switch.Earliest)
			d.window[1] = min(d.window[1], p.Switch.Latest)
		}
	}
	if err := f.revises(d, f.deals[hex.EncodeToString(id)]); err != nil {
		return "", nil, err
	}
	f.deals[hex.EncodeToString(id)] = d
	return "application/cbor", encode(a), nil
}

// judge returns 0 for a device that is welcome, else the reason.
func (f *foreign) judge(p devicePair, m mandate) (*switching, any) {
	leaf, err := x509.ParseCertificate(p.Factory.Chain)
	switch {
	case err != nil || leaf.CheckSignatureFrom(f.factory) != nil:
		return nil, "factory certificate is of no CA that we trust"
	case !m.names(leaf):
		return nil, "not in the mandate"
	case m.Terms.Attest && !f.gates.attest:
		return nil, "the mandate demands attestation"
	}
	return &switching{endpoint: leaf.Subject.CommonName, factory: leaf, info: p.Switch, state: "LISTED"}, 0
}

// approve makes the offer of a deal and posts it.
func (f *foreign) approve(ctx context.Context, id string) error {
	f.mu.Lock()
	d := f.deals[id]
	d.terms = f.terms(d)
	raw, hash := f.signer.signDocument("steward/offer/1", d.terms)
	d.offer, d.state = hash, "OFFERED"
	f.mu.Unlock()
	_, err := f.post(ctx, "/peer/v1/transfers/"+id+"/offer", "application/cose", tagged(tagSign1, raw))
	return err
}

// terms returns the offer of a deal, and closes the rights of its devices; f.mu is held.
func (f *foreign) terms(d *deal) offer {
	where := destination{
		Update: f.door.uri() + "/update", Enrol: f.door.uri() + "/est", Server: f.door.uri(), Account: pair2{123, 60},
		Grace: 120, UpdateFirst: f.gates.update,
	}
	if f.gates.attest {
		where.Verifier = f.door.uri() + "/ra"
	}
	for _, a := range f.anchors() {
		where.Anchors = append(where.Anchors, purpose{Name: x5t(a.Name), Purposes: a.Purposes})
	}
	var accepted [][]byte
	for _, s := range d.devices {
		accepted = append(accepted, hashOf(s.factory.Raw))
		f.ca.right(hashOf(s.factory.Raw), func(*right) {}) // closed
	}
	slices.SortFunc(accepted, bytes.Compare)
	number := make([]byte, 16)
	_, _ = rand.Read(number) // never fails
	return offer{
		Issuer: f.name, Audience: f.other.name, Expires: d.window[1], Issued: now(), ID: number,
		Terms: offerTerms{
			Destination: encode(where), Mandate: d.mandate, Transfer: d.id, Info: d.info, Accepted: hashOf(accepted...),
			Window: d.window, Anchors: f.anchors(),
		},
	}
}

func now() uint64 { return uint64(time.Now().Unix()) }

// takeReady compares the READY receipt with the offer, and notes the key.
func (f *foreign) takeReady(id, device string, body []byte) (string, []byte, error) {
	d, s, err := f.find(id, device, true)
	if err != nil {
		return "", nil, err
	}
	r, err := f.compare(d, s, body)
	if err != nil {
		return "", nil, err
	}
	s.ready, s.state = r, "READY"
	f.ca.right(hashOf(s.factory.Raw), func(right *right) { right.spki = r.Terms.SPKI })
	return "", nil, nil
}

// compare is what must hold before the right may open.
func (f *foreign) compare(d *deal, s *switching, body []byte) (*receipt, error) {
	var b readyBody
	if err := decode(body, &b); err != nil {
		return nil, err
	}
	r, err := openReceipt(b.Receipt, s.factory, nil)
	if err != nil {
		return nil, err
	}
	for what, ok := range map[string]bool{
		"state":       r.Terms.State == ready,
		"transfer":    bytes.Equal(b.Transfer, d.id) && bytes.Equal(r.ID, d.id),
		"subject":     r.Subject == s.endpoint,
		"destination": bytes.Equal(r.Terms.Destination, hashOf(d.terms.Terms.Destination)),
		"truststore":  bytes.Equal(r.Terms.Truststore, f.truststore(f.anchors(), ready)),
		"manifests":   same(r.Terms.Installed, s.info.Manifests),
		"chain":       len(r.Terms.Previous) == 0,
		"window":      now() < d.window[1],
	} {
		if !ok {
			return nil, refused("READY: %s", what)
		}
	}
	return r, nil
}

// same reports whether what a receipt says that a device runs was told of it.
func same(installed []any, told []cbor.RawMessage) bool {
	return len(installed) == len(told) && !slices.ContainsFunc(installed, func(one any) bool {
		return !slices.ContainsFunc(told, func(other cbor.RawMessage) bool { return bytes.Equal(encode(one), other) })
	})
}

// takeCommitted opens the right for the key of READY.
func (f *foreign) takeCommitted(id, device string, body []byte) (string, []byte, error) {
	d, s, err := f.find(id, device, true)
	if err != nil {
		return "", nil, err
	}
	r, err := f.compare(d, s, body)
	if err != nil {
		return "", nil, err
	}
	if s.ready == nil || !bytes.Equal(r.hash, s.ready.hash) {
		return "", nil, refused("another READY receipt")
	}
	s.state, d.state = "COMMITTED", "SWITCHING"
	f.pass(s)
	return "", nil, nil
}

// committed reports whether the device has left its former provider and is not here
// yet.
func (s *switching) committed() bool {
	return s.state == "COMMITTED" || s.state == "ATTESTED" || s.state == "UPDATED"
}

// pass opens the right of a device that has committed and has no gate before it; f.mu
// is held.
func (f *foreign) pass(s *switching) {
	if !s.committed() {
		return
	}
	if s.passed.attest {
		s.state = "ATTESTED"
	}
	if s.passed.update {
		s.state = "UPDATED"
	}
	if s.passed.attest == f.gates.attest && s.passed.update == f.gates.update {
		f.ca.right(hashOf(s.factory.Raw), func(right *right) { right.open = true })
	}
}

// takeOver reads the DONE receipt of a device that has registered, makes it ours
// and tells the partner.
func (f *foreign) takeOver(ctx context.Context, d *deal, s *switching, l *link) error {
	last, raw, err := f.readReceipt(ctx, s, l, done)
	if err != nil {
		return err
	}
	if !bytes.Equal(last.Terms.Previous, s.ready.hash) || !bytes.Equal(last.Terms.SPKI, s.ready.Terms.SPKI) {
		return refused("DONE does not follow READY")
	}
	if f.gates.update && f.updates.sequence > 0 {
		if err := installed(last, f.updates.manifest, f.updates.sequence); err != nil {
			return err
		}
	}
	s.receipts = [][]byte{tagged(tagSign, raw)}
	order := fmt.Sprintf("0='%d',1='%x'", s.ready.Terms.Epoch, s.ready.Terms.Message[:8])
	if err := execute(ctx, l, fmt.Sprintf("%d/0/11", s.info.Objects[2]), order); err != nil {
		return fmt.Errorf("Finalise: %w", err)
	}
	end, raw, err := f.readReceipt(ctx, s, l, finalised)
	if err != nil {
		return err
	}
	if !bytes.Equal(end.Terms.Previous, last.hash) ||
		!bytes.Equal(end.Terms.Truststore, f.truststore(f.anchors(), finalised)) {
		return refused("FINALISED does not follow DONE, or the truststore is another")
	}
	s.receipts = append(s.receipts, tagged(tagSign, raw))
	short := hex.EncodeToString(x5t(s.factory.Raw))
	path := "/peer/v1/transfers/" + hex.EncodeToString(d.id) + "/devices/" + short + "/complete"
	body := encode(completion{Transfer: d.id, Receipts: s.receipts, Verdict: s.verdict})
	if _, err = f.post(ctx, path, "application/cbor", body); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.state, d.state = "REVOKED_OLD", "COMPLETE"
	s.info.Manifests = []cbor.RawMessage{}
	for _, manifest := range end.Terms.Installed {
		s.info.Manifests = append(s.info.Manifests, encode(manifest))
	}
	return nil
}

// readReceipt reads the newest receipt of a device, which must be of a state.
func (f *foreign) readReceipt(ctx context.Context, s *switching, l *link, state uint64) (*receipt, []byte, error) {
	path := fmt.Sprintf("%d/0/9", s.info.Objects[2])
	for {
		res, err := l.ask(ctx, coapRequest{code: codes.GET, path: path, format: -1, accept: formatOctets})
		if err != nil || res.code != codes.Content {
			return nil, nil, fmt.Errorf("receipt: %v: %w", res.code, err)
		}
		r, err := openReceipt(res.payload, s.factory, f.ca.operational(hashOf(s.factory.Raw)))
		if err != nil {
			return nil, nil, err
		}
		if r.Terms.State == state {
			return r, res.payload, nil
		}
		select {
		case <-ctx.Done():
			return nil, nil, fmt.Errorf("receipt of state %d, want %d: %w", r.Terms.State, state, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// execute runs a resource.
func execute(ctx context.Context, l *link, path, arguments string) error {
	res, err := l.ask(ctx, coapRequest{
		code: codes.POST, path: path, format: formatText, accept: -1, payload: []byte(arguments),
	})
	if err == nil && res.code != codes.Changed {
		err = refused("%s: %v", path, res.code)
	}
	return err
}
