// Package estcoap is Enrolment over Secure Transport by CoAP (RFC 9148): the
// server's resources before an authority of package est, and the client's side.
//
// It builds crts, sen and sren. Who the client is comes from its association;
// blocks, retransmission and stored answers are the exchange layer's business.
package estcoap

// Content-Formats of EST-coaps (RFC 9148 §9.1).
const (
	FormatCertsOnly uint16 = 281 // application/pkcs7-mime;smime-type=certs-only
	FormatCSRAttrs  uint16 = 285 // application/csrattrs
	FormatPKCS10    uint16 = 286 // application/pkcs10
	FormatPKIXCert  uint16 = 287 // application/pkix-cert
)

// The short names of the functions (RFC 9148 §4.1).
const (
	Cacerts    = "crts"
	Enrol      = "sen"
	Reenrol    = "sren"
	CSRAttrs   = "att" // not built
	ServerKeys = "skg" // not built
	ServerKey  = "skc" // not built
)

// A Link is one resource for /.well-known/core (RFC 9148 §4.1).
type Link struct {
	Target  string   // path
	Type    string   // rt
	Formats []uint16 // ct
}

// Links returns the resources that a Server offers below root, "/est" if empty.
func Links(root string) []Link {
	if root == "" {
		root = "/est"
	}
	answers := []uint16{FormatCertsOnly, FormatPKIXCert}
	return []Link{
		{Target: root + "/" + Cacerts, Type: "ace.est." + Cacerts, Formats: answers},
		{Target: root + "/" + Enrol, Type: "ace.est." + Enrol, Formats: answers},
		{Target: root + "/" + Reenrol, Type: "ace.est." + Reenrol, Formats: answers},
	}
}
