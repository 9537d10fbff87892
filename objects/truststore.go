package objects

import (
	"time"

	"steward/lwm2m"
	"steward/objects/registry"
)

// Resources of Truststore, whose object id is IDs.Truststore: one instance for
// each certificate that the device trusts (transfer protocol §3).
const (
	TruststoreCertificate = 0
	TruststoreFormat      = 1
	TruststorePurposes    = 2
	TruststoreDomain      = 3
	TruststoreThumbprint  = 5
	TruststoreNotAfter    = 6
	TruststoreCommand     = 7
)

// A CertificateFormat is the encoding of a certificate.
type CertificateFormat uint8

// The formats of certificates.
const (
	FormatX509 CertificateFormat = 0
	FormatC509 CertificateFormat = 1
)

// String returns the format's name.
func (f CertificateFormat) String() string {
	return word(map[CertificateFormat]string{FormatX509: "X.509", FormatC509: "C509"}, f)
}

// An Anchor is what a server writes to create or change an instance of
// Truststore.
type Anchor struct {
	Certificate []byte
	Format      CertificateFormat
	Purposes    uint64 // bits, as in the messages of the transfer protocol
}

// Truststore is an instance of Truststore as read.
type Truststore struct {
	Anchor

	Domain     uint8     // permanent, current or pending: numbered by the transfer protocol
	Thumbprint []byte    // first 16 bytes of the certificate's SHA-256
	NotAfter   time.Time // zero: not told
}

func (a *Anchor) fields() []field {
	return []field{
		single(TruststoreCertificate, &a.Certificate, bytes()),
		single(TruststoreFormat, &a.Format, integer[CertificateFormat]()),
		single(TruststorePurposes, &a.Purposes, unsigned[uint64]()),
	}
}

func (t *Truststore) fields() []field {
	return append(t.Anchor.fields(),
		single(TruststoreDomain, &t.Domain, integer[uint8]()),
		single(TruststoreThumbprint, &t.Thumbprint, bytes()),
		nonzero(TruststoreNotAfter, &t.NotAfter, moment()),
	)
}

// DecodeAnchor reads what a server wrote to the instance at base.
func DecodeAnchor(base lwm2m.Path, entries []lwm2m.Entry) (Anchor, error) {
	return decode(base, entries, (*Anchor).fields)
}

// Entries returns a as the instance at base.
func (a Anchor) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, a.fields()) }

// DecodeTruststore reads the instance at base.
func DecodeTruststore(base lwm2m.Path, entries []lwm2m.Entry) (Truststore, error) {
	return decode(base, entries, (*Truststore).fields)
}

// Entries returns t as the instance at base.
func (t Truststore) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, t.fields()) }

func truststoreResources() []registry.Resource {
	return []registry.Resource{
		resource(TruststoreCertificate, "Certificate", opRW, lwm2m.KindOpaque, true),
		resource(TruststoreFormat, "Format", opRW, lwm2m.KindInteger, true),
		resource(TruststorePurposes, "Purposes", opRW, lwm2m.KindUnsigned, true),
		resource(TruststoreDomain, "Domain", opR, lwm2m.KindInteger, true),
		resource(TruststoreThumbprint, "Thumbprint", opR, lwm2m.KindOpaque, true),
		resource(TruststoreNotAfter, "Not After", opR, lwm2m.KindTime, false),
		resource(TruststoreCommand, "Command", opW, lwm2m.KindOpaque, false),
	}
}
