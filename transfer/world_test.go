package transfer_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	"steward/transfer"
)

// noon is the present in all tests.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// party is a key with a certificate.
type party struct {
	key  crypto.Signer
	cert *x509.Certificate
}

func (p party) signer() transfer.Signer { return transfer.Signer{Key: p.key, Certificate: p.cert.Raw} }

func newKey() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func mustKey(tb testing.TB) crypto.Signer {
	tb.Helper()
	key, err := newKey()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// certify issues a certificate for public by issuer, or by key itself if issuer
// is nil.
func certify(tb testing.TB, name string, public crypto.PublicKey, issuer *party, key crypto.Signer) *x509.Certificate {
	tb.Helper()
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: noon.Add(-time.Hour), NotAfter: noon.AddDate(20, 0, 0),
		BasicConstraintsValid: true, IsCA: issuer == nil,
	}
	parent, by := template, key
	if issuer != nil {
		parent, by = issuer.cert, issuer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

func newParty(tb testing.TB, name string, issuer *party) party {
	tb.Helper()
	key := mustKey(tb)
	return party{key, certify(tb, name, key.Public(), issuer, key)}
}

// world is two providers, a service user and one device of the first provider.
type world struct {
	user, permanent, sp1, sp2, ca1, ca2, extra party
	factory                                    party
	home                                       transfer.Home
	destination                                transfer.Destination
	certificates                               []transfer.OfferCertificate
	permanents                                 []transfer.Anchor
	mandateSigner                              bool
	id                                         []byte
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	w := &world{
		user: newParty(tb, "Service User", nil), permanent: newParty(tb, "Permanent CA", nil),
		sp1: newParty(tb, "Alpha transfer", nil), sp2: newParty(tb, "Beta transfer", nil),
		ca1: newParty(tb, "Alpha CA", nil), ca2: newParty(tb, "Beta CA", nil), extra: newParty(tb, "Extra", nil),
		id: []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	}
	w.factory = newParty(tb, "urn:dev:os:32473-000123", &w.permanent)
	w.home = transfer.Home{
		ServerURI: "coaps://alpha.example", EnrollURI: "coaps://alpha.example:5685",
		Account: transfer.Account{SSID: 101, Lifetime: 300},
	}
	w.certificates = []transfer.OfferCertificate{
		{Certificate: w.ca2.cert.Raw, Purposes: transfer.Enrol | transfer.DM | transfer.Update},
		{Certificate: w.sp2.cert.Raw, Purposes: transfer.TransferSigner | transfer.SUITSigner | transfer.RA},
	}
	grace, reset := uint64(3600), transfer.ResetData
	w.destination = transfer.Destination{
		UpdateURI: "coaps://beta.example/update", EnrollURI: "coaps://beta.example",
		ServerURI: "coaps://beta.example", Account: transfer.Account{SSID: 202, Lifetime: 300},
		Grace: &grace, Reset: &reset,
	}
	w.refs()
	w.permanents = []transfer.Anchor{{
		Certificate: w.permanent.cert.Raw, Purposes: transfer.Enrol | transfer.Fallback, Domain: transfer.Permanent,
	}}
	return w
}

// refs writes label 8 from the certificates.
func (w *world) refs() {
	w.destination.Anchors = nil
	for _, c := range w.certificates {
		w.destination.Anchors = append(w.destination.Anchors, transfer.AnchorRef{
			Thumbprint: transfer.ThumbprintOf(c.Certificate), Purposes: c.Purposes,
		})
	}
}

func (w *world) factoryHash() transfer.Hash { return transfer.HashOf(w.factory.cert.Raw) }

func (w *world) window() transfer.Window {
	return transfer.NewWindow(noon.Add(-time.Hour), noon.Add(time.Hour))
}

func (w *world) mandate() transfer.Mandate {
	return transfer.Mandate{
		Issuer: "Service User", Expires: transfer.SecondsOf(noon.AddDate(0, 1, 0)), IssuedAt: transfer.SecondsOf(noon),
		ID: []byte("mandate"), MandateTerms: transfer.MandateTerms{
			From: "Alpha", To: "Beta", Devices: transfer.Devices{Factory: []transfer.Hash{w.factoryHash()}},
			Window: transfer.NewWindow(noon.Add(-2*time.Hour), noon.Add(48*time.Hour)),
		},
	}
}

func (w *world) pair() transfer.DevicePair {
	return transfer.DevicePair{
		Factory: transfer.FactoryCert{X5Chain: w.factory.cert.Raw},
		Switch: transfer.SwitchInfo{
			Window:    transfer.NewWindow(noon.Add(-2*time.Hour), noon.Add(2*time.Hour)),
			Manifests: []transfer.ManifestRef{{Digest: transfer.NewCertHash(transfer.HashOf([]byte("m"))), Sequence: 2}},
			Objects:   transfer.ObjectIDs{Truststore: 42769, Enrolment: 42770, Transfer: 42771},
		},
	}
}

func (w *world) installed() []transfer.Installed {
	return []transfer.Installed{{Digest: transfer.NewCertHash(transfer.HashOf([]byte("m"))), Sequence: 2}}
}

func (w *world) info(mandate transfer.Hash) transfer.Info {
	return transfer.Info{
		Issuer: "Alpha", Audience: "Beta", IssuedAt: transfer.SecondsOf(noon), ID: w.id, Mandate: mandate,
		Devices: []transfer.DevicePair{w.pair()},
	}
}

func (w *world) offer(tb testing.TB, mandate, info transfer.Hash) transfer.Offer {
	tb.Helper()
	return transfer.Offer{
		Issuer: "Beta", Audience: "Alpha", Expires: transfer.SecondsOf(noon.Add(24 * time.Hour)),
		IssuedAt: transfer.SecondsOf(noon), ID: []byte("offer"), OfferTerms: transfer.OfferTerms{
			Destination: must(w.destination.Encode())(tb), Mandate: mandate, Transfer: w.id, Info: info,
			Accepted: transfer.AcceptedHash([]transfer.Hash{w.factoryHash()}), Window: w.window(), Anchors: w.certificates,
		},
	}
}

func (w *world) message(tb testing.TB, epoch uint64) transfer.Message {
	tb.Helper()
	return transfer.Message{
		Issuer: "Alpha", Subject: w.factory.cert.Subject.CommonName, Audience: "Beta",
		Expires: w.window().Latest, NotBefore: w.window().Earliest, ID: w.id,
		MessageTerms: transfer.MessageTerms{
			Destination: must(w.destination.Encode())(tb), FallbackURI: w.home.ServerURI, Epoch: epoch,
			Offer: transfer.HashOf([]byte("offer")), FallbackEnrollURI: w.home.EnrollURI, Factory: w.factoryHash(),
		},
	}
}

func (w *world) signed(tb testing.TB, m transfer.Message) []byte {
	tb.Helper()
	return must(m.Sign(w.sp1.signer()))(tb)
}

// anchors is the truststore that the factory made: Alpha is in force.
func (w *world) anchors() []transfer.Anchor {
	anchors := append([]transfer.Anchor{}, w.permanents...)
	if w.mandateSigner {
		anchors = append(anchors, transfer.Anchor{
			Certificate: w.user.cert.Raw, Purposes: transfer.MandateSigner, Domain: transfer.Permanent,
		})
	}
	return append(anchors,
		transfer.Anchor{
			Certificate: w.ca1.cert.Raw, Purposes: transfer.Enrol | transfer.DM | transfer.Update, Domain: transfer.Current,
		},
		transfer.Anchor{Certificate: w.sp1.cert.Raw, Purposes: transfer.TransferSigner, Domain: transfer.Current},
		transfer.Anchor{Certificate: w.extra.cert.Raw, Purposes: transfer.Bootstrap, Domain: transfer.Current})
}

func (w *world) options(j transfer.Journal) transfer.DeviceOptions {
	return transfer.DeviceOptions{
		Journal: j, FactoryKey: w.factory.key, FactoryCertificate: w.factory.cert.Raw, NewKey: newKey,
		Firmware: func() ([]transfer.Installed, bool) { return w.installed(), false },
	}
}

// device is a device enrolled at Alpha, with Beta's anchors staged.
func (w *world) device(tb testing.TB) (*transfer.Device, *transfer.MemoryJournal) {
	tb.Helper()
	j := &transfer.MemoryJournal{}
	if err := transfer.Provision(j, w.home, w.anchors()); err != nil {
		tb.Fatal(err)
	}
	d := must(transfer.OpenDevice(w.options(j)))(tb)
	key := must(d.EnrolmentKey())(tb)
	check(tb, d.SetOperational(certify(tb, d.Subject(), key.Public(), &w.ca1, nil).Raw))
	w.stage(tb, d)
	return d, j
}

func (w *world) stage(tb testing.TB, d *transfer.Device) {
	tb.Helper()
	own := []transfer.Thumbprint{
		transfer.ThumbprintOf(w.ca1.cert.Raw), transfer.ThumbprintOf(w.sp1.cert.Raw), transfer.ThumbprintOf(w.extra.cert.Raw),
	}
	for _, c := range transfer.PlanTruststore(d.Truststore(), own, w.certificates) {
		switch c.Do {
		case transfer.OpCreate:
			must(d.CreateAnchor(-1, c.Certificate, c.Purposes))(tb)
		case transfer.OpWrite:
			check(tb, d.WritePurposes(c.Instance, c.Purposes))
		case transfer.OpDelete:
			check(tb, d.DeleteAnchor(c.Instance))
		default:
			tb.Fatalf("PlanTruststore: %v", c.Do)
		}
	}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// must returns a function that ends the test if there was an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

func parse(tb testing.TB, der []byte) *x509.Certificate {
	tb.Helper()
	return must(x509.ParseCertificate(der))(tb)
}
