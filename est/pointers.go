package est

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Pointers say where the state of our certificates is published. Empty ones are
// nowhere, and no certificate names them.
type Pointers struct {
	// CRL returns the URL of the list on which a certificate would stand
	// (cRLDistributionPoints, RFC 5280 §4.2.1.13).
	CRL func(issuer Hash, serial *big.Int) string
	// Issuer returns the URL of the issuing certificate, and OCSP is that of the
	// responder (authorityInfoAccess, RFC 5280 §4.2.2.1).
	Issuer func(issuer Hash) string
	OCSP   string
}

// A PointerRule says whether certificates of a profile name the Pointers.
type PointerRule uint8

// The rules. By default certificates of servers, peers and signers name them;
// those of devices stay small.
const (
	PointersByKind PointerRule = iota
	PointersAlways
	PointersNever
)

// MaxNoRevAvail is the longest validity of a certificate that says that its
// revocation is not published (RFC 9608 §3): nobody needs to be told for longer.
const MaxNoRevAvail = 7 * 24 * time.Hour

// Extensions of who needs no revocation.
var (
	oidNoCheck    = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5} // RFC 6960 §4.2.2.2.1
	oidNoRevAvail = asn1.ObjectIdentifier{2, 5, 29, 56}                  // RFC 9608 §2
)

// derNull is the value of both.
var derNull = []byte{5, 0}

// pointing reports whether certificates of a kind name the Pointers.
func (r PointerRule) pointing(k Kind) bool {
	switch r {
	case PointersAlways:
		return true
	case PointersNever:
		return false
	case PointersByKind:
	}
	return slices.Contains([]Kind{KindServer, KindPeer, KindTransferSigner, KindSUITSigner, KindVerdictSigner}, k)
}

// checkRevocation returns ErrProfile for options that contradict each other about
// revocation.
func (o ProfileOptions) checkRevocation(ca bool) error {
	switch {
	case o.Pointers > PointersNever:
		return fmt.Errorf("%w: %s: pointers %d", ErrProfile, o.Name, o.Pointers)
	case o.Pointers == PointersAlways && (o.NoRevAvail || o.Kind == KindOCSPSigner):
		return fmt.Errorf("%w: %s: pointers to what is not published", ErrProfile, o.Name)
	case o.NoRevAvail && (ca || o.NoExpiry || o.Validity > MaxNoRevAvail):
		return fmt.Errorf("%w: %s: noRevAvail for %v, want at most %v", ErrProfile, o.Name, o.Validity, MaxNoRevAvail)
	}
	return nil
}

// extras returns the extensions that crypto/x509 does not know.
func (p *Profile) extras() (out []pkix.Extension) {
	if p.kind == KindOCSPSigner {
		out = append(out, pkix.Extension{Id: oidNoCheck, Value: derNull})
	}
	if p.noRevAvail {
		out = append(out, pkix.Extension{Id: oidNoRevAvail, Value: derNull})
	}
	return out
}

// point puts the pointers into t, as p has it.
func (i *Issuer) point(p *Profile, t *x509.Certificate) {
	if !p.pointing {
		return
	}
	at, issuer := i.pointers, (Authority{Certificate: i.cert}).Hash()
	if at.CRL != nil {
		t.CRLDistributionPoints = []string{at.CRL(issuer, t.SerialNumber)}
	}
	if at.Issuer != nil {
		t.IssuingCertificateURL = []string{at.Issuer(issuer)}
	}
	if at.OCSP != "" {
		t.OCSPServer = []string{at.OCSP}
	}
}

// sameRevocation reports whether what was signed says of revocation what t says.
func sameRevocation(c, t *x509.Certificate) bool {
	return slices.Equal(c.CRLDistributionPoints, t.CRLDistributionPoints) &&
		slices.Equal(c.IssuingCertificateURL, t.IssuingCertificateURL) && slices.Equal(c.OCSPServer, t.OCSPServer) &&
		nullExtension(c, oidNoCheck) == nullExtension(t, oidNoCheck) &&
		nullExtension(c, oidNoRevAvail) == nullExtension(t, oidNoRevAvail)
}

// nullExtension reports whether a certificate, or what is to become one, has a NULL
// extension that is not critical.
func nullExtension(c *x509.Certificate, id asn1.ObjectIdentifier) bool {
	is := func(e pkix.Extension) bool { return e.Id.Equal(id) && !e.Critical && bytes.Equal(e.Value, derNull) }
	return slices.ContainsFunc(c.Extensions, is) || slices.ContainsFunc(c.ExtraExtensions, is)
}
