// Package esthttp is Enrolment over Secure Transport by HTTPS (RFC 7030, with the
// clarifications of RFC 8951): the server's resources before an authority of
// package est, for gateways and factories, and the client's side, by which an
// external CA is asked.
//
// Who the client is comes from its certificate, which the TLS server demanded but
// did not judge, or from a one-time password by HTTP Basic (RFC 7617).
package esthttp

// Root is where the functions are found (RFC 7030 §3.2.2), below it those of a
// label.
const Root = "/.well-known/est"

// The names of the functions (RFC 7030 §3.2.2). fullcmc is not built.
const (
	Cacerts   = "cacerts"
	Enrol     = "simpleenroll"
	Reenrol   = "simplereenroll"
	CSRAttrs  = "csrattrs"
	ServerKey = "serverkeygen"
	fullCMC   = "fullcmc"
)

// Media types (RFC 7030 §4). An enrolment's answer says that it is certificates
// only; the list of CA certificates has no parameter in the standard's example.
const (
	typePKCS7     = "application/pkcs7-mime"
	typeCertsOnly = "application/pkcs7-mime; smime-type=certs-only"
	typePKCS10    = "application/pkcs10"
	typeCSRAttrs  = "application/csrattrs"
	typeText      = "text/plain; charset=utf-8"
)
