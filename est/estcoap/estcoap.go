// Package estcoap is Enrolment over Secure Transport by CoAP (RFC 9148): the
// server's resources before an authority of package est, and the client's side.
//
// It builds every function of the RFC. Who the client is comes from its association;
// blocks, retransmission and stored answers are the exchange layer's business.
package estcoap

// Content-Formats of EST-coaps (RFC 9148 §9.1) and of multipart-core (RFC 8710).
const (
	FormatMultipart uint16 = 62  // application/multipart-core
	FormatCertsOnly uint16 = 281 // application/pkcs7-mime;smime-type=certs-only
	FormatPKCS8     uint16 = 284 // application/pkcs8
	FormatCSRAttrs  uint16 = 285 // application/csrattrs
	FormatPKCS10    uint16 = 286 // application/pkcs10
	FormatPKIXCert  uint16 = 287 // application/pkix-cert
)

// The short names of the functions (RFC 9148 §4.1).
const (
	Cacerts    = "crts"
	Enrol      = "sen"
	Reenrol    = "sren"
	CSRAttrs   = "att"
	ServerKeys = "skg" // the certificate comes as 281
	ServerKey  = "skc" // the certificate comes as 287
)
