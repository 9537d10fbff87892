package services

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/web"
)

// factories implements web.Factories.
type factories struct{ *base }

// Bounds of what an operator sends.
const (
	maxCertificates = 8        // in one PEM text: a device's and those above it
	maxCertificate  = 64 << 10 // bytes of all of them
	maxTags         = 32
	maxTag          = 64 // bytes
)

// parseCertificates reads one certificate in DER, or several in PEM, the leaf
// first.
func parseCertificates(raw []byte) ([][]byte, error) {
	if len(raw) > maxCertificate {
		return nil, web.Invalid("certificate", "too long")
	}
	if !bytes.Contains(raw, []byte("-----BEGIN")) {
		return [][]byte{raw}, nil
	}
	var out [][]byte
	for {
		block, rest := pem.Decode(raw)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, web.Invalid("certificate", "the text holds something else than certificates")
		}
		if len(out) == maxCertificates {
			return nil, web.Invalid("certificate", "too many certificates")
		}
		out, raw = append(out, block.Bytes), rest
	}
	if len(out) == 0 || len(bytes.TrimSpace(raw)) > 0 {
		return nil, web.Invalid("certificate", "neither PEM nor DER")
	}
	return out, nil
}

// FactoryAuthorities implements web.Factories.
func (s *factories) FactoryAuthorities(ctx context.Context) ([]web.FactoryAuthority, error) {
	records, err := s.CA.List(ctx, est.Query{Kind: est.KindFactoryCA, Status: est.StatusValid})
	if err != nil {
		return nil, translate(err)
	}
	out := make([]web.FactoryAuthority, 0, len(records))
	for _, r := range records {
		out = append(out, showAuthority(r))
	}
	return out, nil
}

func showAuthority(r est.Record) web.FactoryAuthority {
	a := web.FactoryAuthority{
		ID: hex.EncodeToString(r.Hash[:]), Subject: r.Name, NotAfter: r.NotAfter, AddedAt: r.IssuedAt,
	}
	if c, err := r.Certificate(); err == nil && a.Subject == "" {
		a.Subject = c.Subject.String()
	}
	return a
}

// AddFactoryAuthority implements web.Factories.
func (s *factories) AddFactoryAuthority(
	ctx context.Context, by web.Actor, certificate []byte,
) (web.FactoryAuthority, error) {
	chain, err := parseCertificates(certificate)
	if err != nil {
		return web.FactoryAuthority{}, err
	}
	if len(chain) != 1 {
		return web.FactoryAuthority{}, web.Invalid("certificate", "one certificate at a time")
	}
	if err := s.CA.As(by.String()).TrustFactoryCA(ctx, chain[0]); err != nil {
		return web.FactoryAuthority{}, about("certificate", err)
	}
	r, err := s.CA.Lookup(ctx, sha256.Sum256(chain[0]))
	if err != nil {
		return web.FactoryAuthority{}, translate(err)
	}
	return showAuthority(r), nil
}

// ImportDevice implements web.Factories.
func (s *factories) ImportDevice(ctx context.Context, by web.Actor, n web.NewDevice) (web.Device, error) {
	tags, err := checkTags(n.Tags)
	if err != nil {
		return web.Device{}, err
	}
	origin, err := est.ParseKeyOrigin(n.KeyOrigin)
	if err != nil {
		return web.Device{}, web.Invalid("key_origin", "device, provider or ca")
	}
	d := fleet.Device{Ownership: fleet.Expected, NoSec: n.NoSec, Tags: tags}
	var chain [][]byte
	if len(n.Certificate) > 0 {
		if chain, err = s.checkFactory(ctx, n, &d); err != nil {
			return web.Device{}, err
		}
	} else if d.Endpoint, err = endpointWithout(n); err != nil {
		return web.Device{}, err
	}
	if err := checkAttestation(n, d.Factory); err != nil {
		return web.Device{}, err
	}
	d, known, err := s.match(ctx, d)
	if err != nil {
		return web.Device{}, err
	}
	if chain == nil || n.NoRight {
		err = s.put(ctx, by, d, known)
	} else {
		err = s.admit(ctx, by, d, known, chain)
	}
	if err == nil && chain != nil {
		err = s.tell(ctx, by, d.Factory, n, origin)
	}
	if err != nil {
		return web.Device{}, err
	}
	s.Server.Reconsider(d.ID) // templates go by tags
	l, err := s.find(ctx, string(d.ID))
	return showDevice(l, s.Now()), err
}

// checkAttestation checks what is said of a device's attestation, if anything is.
func checkAttestation(n web.NewDevice, f fleet.Factory) error {
	switch {
	case n.Attestation == nil:
		return nil
	case len(n.Certificate) == 0:
		return web.Invalid("attestation", "needs a factory certificate")
	}
	_, err := attesterOf(f, *n.Attestation)
	return err
}

// tell notes what is said of the keys of a device with a factory certificate.
func (s *factories) tell(ctx context.Context, by web.Actor, f fleet.Factory, n web.NewDevice, o est.KeyOrigin) error {
	if n.Attestation != nil {
		if err := s.putAttester(ctx, by, f, *n.Attestation); err != nil {
			return err
		}
	}
	return translate(s.CA.As(by.String()).TellKeyOrigin(ctx, est.Hash(f), o))
}

// endpointWithout returns the name of a device without a certificate.
func endpointWithout(n web.NewDevice) (lwm2m.Endpoint, error) {
	ep, err := lwm2m.ParseEndpoint(n.Endpoint)
	if err != nil {
		return "", web.Invalid("endpoint", "needed without a certificate: up to 255 printable characters")
	}
	return ep, nil
}

// checkFactory verifies the factory certificate of n, fills what it says of d
// and returns it with those above it.
func (s *factories) checkFactory(ctx context.Context, n web.NewDevice, d *fleet.Device) ([][]byte, error) {
	chain, err := parseCertificates(n.Certificate)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, web.Invalid("certificate", "cannot be read")
	}
	if d.Endpoint, err = s.Naming.Endpoint(leaf); err != nil {
		return nil, web.Invalid("certificate", "it names no device as this server is told to look: "+err.Error())
	}
	if err := areAbove(leaf, chain[1:]); err != nil {
		return nil, err
	}
	if n.Endpoint != "" && n.Endpoint != string(d.Endpoint) {
		return nil, web.Invalid("endpoint", "the certificate is that of "+printable(string(d.Endpoint)))
	}
	if err := s.CA.VerifyFactory(ctx, leaf, chain[1:]); err != nil {
		return nil, about("certificate", err)
	}
	d.Factory = sha256.Sum256(chain[0])
	return chain, nil
}

// areAbove checks that each certificate of a text issued the one before it: a list
// of several devices would otherwise count as the first of them alone.
func areAbove(leaf *x509.Certificate, above [][]byte) error {
	for _, der := range above {
		issuer, err := x509.ParseCertificate(der)
		if err != nil {
			return web.Invalid("certificate", "one of those above the device's cannot be read")
		}
		if leaf.CheckSignatureFrom(issuer) != nil {
			return web.Invalid("certificate",
				"one device at a time: its certificate, then those of the authorities above it in order")
		}
		leaf = issuer
	}
	return nil
}

// match returns the stored device that d is, with what is new of it, or d with a
// new id. known says that nothing has to be stored. It returns ErrConflict if
// name or certificate belongs to another device, or it was handed over.
func (s *factories) match(ctx context.Context, d fleet.Device) (_ fleet.Device, known bool, err error) {
	store := s.DB.Devices()
	old, err := store.ByEndpoint(ctx, d.Endpoint)
	if errors.Is(err, fleet.ErrUnknown) && d.Factory != (fleet.Factory{}) {
		old, err = store.ByFactory(ctx, d.Factory)
	}
	switch {
	case errors.Is(err, fleet.ErrUnknown):
		d.ID, d.CreatedAt = fleet.ID(s.NewID()), s.Now()
		return d, false, nil
	case err != nil:
		return d, false, translate(err)
	case old.Endpoint != d.Endpoint || old.Factory != d.Factory:
		return d, false, conflict("the endpoint " + printable(string(d.Endpoint)) + " belongs to another device")
	case old.Ownership == fleet.Left:
		return d, false, conflict("the device was handed over to another provider; it comes back by a transfer")
	}
	known = true
	if d.NoSec && !old.NoSec {
		old.NoSec, known = true, false
	}
	if len(d.Tags) > 0 && !slices.Equal(d.Tags, old.Tags) {
		old.Tags, known = d.Tags, false
	}
	return old, known, nil
}

func (s *factories) put(ctx context.Context, by web.Actor, d fleet.Device, known bool) error {
	if known {
		return nil
	}
	return translate(s.DB.Devices().Put(ctx, d, by.String(), "imported"))
}

// admit stores the device and opens its right to enrol once with any key, unless
// it has used that right or a transfer will open it.
func (s *factories) admit(ctx context.Context, by web.Actor, d fleet.Device, known bool, chain [][]byte) error {
	ca := s.CA.As(by.String())
	factory := est.Hash(d.Factory)
	right, err := ca.Right(ctx, factory)
	switch {
	case errors.Is(err, est.ErrUnknown):
	case err != nil:
		return translate(err)
	case right.State == est.RightClosed && (right.SPKI != est.Hash{} || !right.Until.IsZero()):
		return conflict("a transfer will bring this device; its right opens then")
	case right.State != est.RightClosed && right.State != est.RightDeleted:
		return s.put(ctx, by, d, known)
	}
	// A right that is closed lets nobody in: the device is stored before it opens.
	if _, err := ca.GrantRight(ctx, est.Grant{
		FactoryDER: chain[0], Intermediates: chain[1:], Endpoint: string(d.Endpoint), Named: true,
	}); err != nil {
		return about("certificate", err)
	}
	if err := s.put(ctx, by, d, known); err != nil {
		_, undo := ca.DeleteRight(context.WithoutCancel(ctx), factory, est.Unspecified)
		return translate(errors.Join(err, undo))
	}
	_, err = ca.OpenRight(ctx, factory, est.Hash{})
	return translate(err)
}

// checkTags returns the tags sorted, each once.
func checkTags(tags []string) ([]string, error) {
	if len(tags) > maxTags {
		return nil, web.Invalid("tags", "too many")
	}
	for _, t := range tags {
		if t == "" {
			return nil, web.Invalid("tags", "one is empty")
		}
		if err := checkText("tags", t, maxTag); err != nil {
			return nil, err
		}
	}
	out := slices.Sorted(slices.Values(tags))
	return slices.Compact(out), nil
}
