package explore_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"steward/transfer"
)

// noon is when the window of the transfer is open. grace is the longest time that a
// device waits for anything, so that one period of power ends each wait.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const grace = 24 * time.Hour

// party is a key with a certificate.
type party struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func (p party) signer() transfer.Signer { return transfer.Signer{Key: p.key, Certificate: p.cert.Raw} }

func (p party) anchor(purposes transfer.Purposes, domain transfer.Domain) transfer.Anchor {
	return transfer.Anchor{Certificate: p.cert.Raw, Purposes: purposes, Domain: domain}
}

// keyOf returns the key of that name: always the same, so that a state is the same
// whichever way led to it.
func keyOf(name string) ed25519.PrivateKey {
	h := transfer.HashOf([]byte(name))
	return ed25519.NewKeyFromSeed(h[:])
}

func certificate(tb testing.TB, name string, public crypto.PublicKey, issuer *party, key crypto.Signer,
) *x509.Certificate {
	tb.Helper()
	h := transfer.HashOf([]byte(name))
	template := &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(h[:8]), Subject: pkix.Name{CommonName: name},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.AddDate(20, 0, 0), BasicConstraintsValid: true, IsCA: issuer == nil,
	}
	parent, by := template, key
	if issuer != nil {
		parent, by = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	check(tb, err)
	c, err := x509.ParseCertificate(der)
	check(tb, err)
	return c
}

func newParty(tb testing.TB, name string, issuer *party) party {
	tb.Helper()
	key := keyOf(name)
	return party{key, certificate(tb, name, key.Public(), issuer, key)}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// parts are the parties, and what they have signed before the first device is staged.
type parts struct {
	permanent, sp1, sp2, ca1, ca2, factory, other party

	subject    string
	home       transfer.Home
	offer      *transfer.Signed[transfer.Offer]
	offered    []transfer.OfferCertificate
	pairs      []transfer.DevicePair // by what it runs
	permanents []transfer.Anchor
	own        []transfer.Thumbprint
	window     transfer.Window
	latest     [ends]time.Time         // of the offer, and by extensions
	renews     bool                    // devices, their certificates, before they register
	messages   map[string][]byte       // by what is wrong with them; "" for the honest one
	honest     [lastMessage + 1]letter // by messageID: those that Alpha signs
}

const (
	uriAlpha = "coaps://alpha.example"
	uriBeta  = "coaps://beta.example"
)

func newParts(tb testing.TB, gates uint8) *parts {
	tb.Helper()
	p := &parts{
		permanent: newParty(tb, "Permanent CA", nil), sp1: newParty(tb, "Alpha transfer", nil),
		sp2: newParty(tb, "Beta transfer", nil), ca1: newParty(tb, "Alpha CA", nil), ca2: newParty(tb, "Beta CA", nil),
		subject: "urn:dev:os:32473-000001", window: transfer.NewWindow(noon.Add(-time.Minute), noon.Add(time.Hour)),
		messages: map[string][]byte{},
	}
	p.factory, p.other = newParty(tb, p.subject, &p.permanent), newParty(tb, "urn:dev:os:32473-000002", &p.permanent)
	for i := range p.latest {
		p.latest[i] = p.window.Latest.Time().Add(time.Duration(i) * time.Hour)
	}
	p.home = transfer.Home{
		ServerURI: uriAlpha, EnrollURI: uriAlpha + ":5685", Account: transfer.Account{SSID: 101, Lifetime: 300},
	}
	p.own = []transfer.Thumbprint{transfer.ThumbprintOf(p.ca1.cert.Raw), transfer.ThumbprintOf(p.sp1.cert.Raw)}
	p.permanents = []transfer.Anchor{p.permanent.anchor(transfer.Enrol|transfer.Fallback, transfer.Permanent)}
	p.offered = []transfer.OfferCertificate{
		{Certificate: p.ca2.cert.Raw, Purposes: transfer.Enrol | transfer.DM | transfer.Update | transfer.RA},
		{Certificate: p.sp2.cert.Raw, Purposes: transfer.TransferSigner | transfer.SUITSigner},
	}
	d := p.destination(gates)
	p.renews = d.Renews()
	raw, err := d.Encode()
	check(tb, err)
	id := []byte("0123456789abcdef")
	signed, err := transfer.Offer{
		Issuer: "Beta", Audience: "Alpha", Expires: p.window.Latest, IssuedAt: p.window.Earliest, ID: []byte("offer"),
		OfferTerms: transfer.OfferTerms{
			Destination: raw, Mandate: transfer.HashOf([]byte("mandate")), Transfer: id, Info: transfer.HashOf([]byte("info")),
			Accepted: transfer.HashOf([]byte("devices")), Window: p.window, Anchors: p.offered,
		},
	}.Sign(p.sp2.signer())
	check(tb, err)
	p.offer, err = transfer.ParseOffer(signed)
	check(tb, err)
	for _, manifests := range told {
		p.pairs = append(p.pairs, transfer.DevicePair{
			Factory: transfer.FactoryCert{X5Chain: p.factory.cert.Raw}, Switch: transfer.SwitchInfo{Manifests: manifests},
		})
	}
	p.sign(tb, gates)
	return p
}

func (p *parts) destination(gates uint8) transfer.Destination {
	seconds, reset := uint64(grace/time.Second), transfer.ResetData
	d := transfer.Destination{
		UpdateURI: uriBeta + "/update", EnrollURI: uriBeta, ServerURI: uriBeta, UpdateFirst: gates&updates != 0,
		Account: transfer.Account{SSID: 202, Lifetime: 300}, Grace: &seconds, Reset: &reset,
	}
	if gates&attests != 0 {
		d.RAURI = uriBeta + "/ra"
	}
	for _, c := range p.offered {
		d.Anchors = append(d.Anchors, transfer.AnchorRef{
			Thumbprint: transfer.ThumbprintOf(c.Certificate), Purposes: c.Purposes,
		})
	}
	return d
}

// A messageID names a message that Alpha signs; zero is none.
type messageID uint8

// The messages differ in epoch and end. A device gets one of the next epoch in place of
// one that has ended.
const (
	ends        = 3 // as offered, extended, extended again
	epochs      = 4
	firstShort  = messageID(1)
	lastMessage = messageID(ends * epochs)
)

// nextKeys are the names of the keys that a device makes for messages, by epoch.
var nextKeys = []string{"next", "next of the second", "next of the third", "next of the fourth"}

func messageOf(epoch uint32, end uint8) messageID {
	return messageID((epoch-1)*ends+1) + messageID(end)
}

func (id messageID) epoch() uint32 { return uint32(id-1)/ends + 1 }
func (id messageID) end() uint8    { return uint8(id-1) % ends }

// A letter is a message as it is sent.
type letter struct {
	raw   []byte
	hash  transfer.Hash
	epoch uint32
}

func (p *parts) letter(tb testing.TB, raw []byte) letter {
	tb.Helper()
	m, err := transfer.ParseMessage(raw)
	check(tb, err)
	return letter{raw, m.Hash, uint32(m.Body.Epoch)}
}

// sign makes the honest message, and those of which each breaks one rule.
func (p *parts) sign(tb testing.TB, gates uint8) {
	tb.Helper()
	honest := transfer.Message{
		Issuer: "Alpha", Subject: p.subject, Audience: "Beta", Expires: p.window.Latest, NotBefore: p.window.Earliest,
		ID: p.offer.Body.Transfer, MessageTerms: transfer.MessageTerms{
			Destination: p.offer.Body.Destination, FallbackURI: p.home.ServerURI, Epoch: 1, Offer: p.offer.Hash,
			FallbackEnrollURI: p.home.EnrollURI, Factory: transfer.HashOf(p.factory.cert.Raw),
		},
	}
	elsewhere := func(change func(*transfer.Destination)) []byte {
		d := p.destination(gates)
		change(&d)
		raw, err := d.Encode()
		check(tb, err)
		return raw
	}
	add := func(name string, by party, change func(*transfer.Message)) {
		m := honest
		change(&m)
		raw, err := m.Sign(by.signer())
		check(tb, err)
		p.messages[name] = raw
	}
	add("", p.sp1, func(*transfer.Message) {})
	add("E2 signed by SP2", p.sp2, func(*transfer.Message) {})
	add("E4 for another device", p.sp1, func(m *transfer.Message) {
		m.Factory, m.Subject = transfer.HashOf(p.other.cert.Raw), p.other.cert.Subject.CommonName
	})
	add("E5 epoch jumps", p.sp1, func(m *transfer.Message) { m.Epoch = 3 })
	add("E6 window upside down", p.sp1, func(m *transfer.Message) { m.Expires, m.NotBefore = m.NotBefore, m.Expires })
	add("E7 without one anchor", p.sp1, func(m *transfer.Message) {
		m.Destination = elsewhere(func(d *transfer.Destination) { d.Anchors = d.Anchors[:1] })
	})
	add("E8 no coaps", p.sp1, func(m *transfer.Message) {
		m.Destination = elsewhere(func(d *transfer.Destination) { d.UpdateURI = "http://beta.example/update" })
	})
	add("E9 fallback elsewhere", p.sp1, func(m *transfer.Message) { m.FallbackURI = "coaps://gamma.example" })
	add("E10 the next epoch", p.sp1, func(m *transfer.Message) { m.Epoch = 2 })
	add("7b enrolment elsewhere", p.sp1, func(m *transfer.Message) {
		m.Destination = elsewhere(func(d *transfer.Destination) { d.EnrollURI = "coaps://gamma.example" })
	})
	add("7b another transfer", p.sp1, func(m *transfer.Message) { m.ID = []byte("fedcba9876543210") })
	forged := append([]byte{}, p.messages[""]...)
	forged[len(forged)-1] ^= 1
	p.messages["E3 signature altered"] = forged
	p.messages["E1 tagged"] = append([]byte{0xd2}, p.messages[""]...)
	p.honest[firstShort] = p.letter(tb, p.messages[""])
	for id := firstShort + 1; id <= lastMessage; id++ {
		m := honest
		m.Epoch, m.Expires = uint64(id.epoch()), transfer.SecondsOf(p.latest[id.end()])
		raw, err := m.Sign(p.sp1.signer())
		check(tb, err)
		p.honest[id] = p.letter(tb, raw)
	}
}
