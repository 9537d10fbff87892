package estcoap

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"steward/est"
	"steward/est/c509"
	"steward/lwm2m/coap"
)

// C509Formats are the Content-Formats by which EST carries C509. IANA has yet to
// assign them, so that both sides must be told the same: the zero value is none.
type C509Formats struct {
	Request     uint16 // application/cose-c509-pkcs10+cbor, at sen and sren
	Certificate uint16 // application/cose-c509-cert+cbor, their answer
	Chain       uint16 // application/cose-c509+cbor;usage=chain, the answer of crts: a COSE_C509
	Template    uint16 // application/cose-c509-crtemplate+cbor, the answer of att; 0: none
}

// ParseC509Formats reads "request,certificate,chain,template", of which the last may
// be missing, such as "65001,65002,65003": each must be another number, and none that
// EST uses already. "" is the zero value. It returns ErrOptions.
func ParseC509Formats(text string) (C509Formats, error) {
	if text == "" {
		return C509Formats{}, nil
	}
	var n []uint16
	for part := range strings.SplitSeq(text, ",") {
		v, err := strconv.ParseUint(strings.TrimSpace(part), 10, 16)
		if err != nil {
			return C509Formats{}, fmt.Errorf("%w: content format %q", ErrOptions, part)
		}
		n = append(n, uint16(v))
	}
	if len(n) != 3 && len(n) != 4 {
		return C509Formats{}, fmt.Errorf("%w: %d content formats of C509, not 3 or 4", ErrOptions, len(n))
	}
	f := C509Formats{Request: n[0], Certificate: n[1], Chain: n[2]}
	all := f.all()
	if len(n) == 4 {
		f.Template = n[3]
		all = n
	}
	return f, distinct(all)
}

// MarshalText is the opposite of ParseC509Formats.
func (f C509Formats) MarshalText() ([]byte, error) {
	if !f.offered() {
		return nil, nil
	}
	out := fmt.Appendf(nil, "%d,%d,%d", f.Request, f.Certificate, f.Chain)
	if f.Template != 0 {
		out = fmt.Appendf(out, ",%d", f.Template)
	}
	return out, nil
}

// UnmarshalText is ParseC509Formats.
func (f *C509Formats) UnmarshalText(text []byte) (err error) {
	*f, err = ParseC509Formats(string(text))
	return err
}

// taken are the formats that stand for something else in EST.
var taken = []uint16{
	0, FormatMultipart, FormatCertsOnly, formatServerKey, FormatPKCS8, FormatCSRAttrs, FormatPKCS10, FormatPKIXCert,
}

// formatServerKey is application/pkcs7-mime;smime-type=server-generated-key.
const formatServerKey = 280

func (f C509Formats) validate() error {
	if !f.offered() {
		return nil
	}
	return distinct(f.all())
}

// all are the numbers that f has.
func (f C509Formats) all() []uint16 {
	out := []uint16{f.Request, f.Certificate, f.Chain}
	if f.Template != 0 {
		out = append(out, f.Template)
	}
	return out
}

// distinct returns ErrOptions for a number that is used already.
func distinct(all []uint16) error {
	for i, n := range all {
		if slices.Contains(taken, n) || slices.Contains(all[:i], n) {
			return fmt.Errorf("%w: content format %d of C509", ErrOptions, n)
		}
	}
	return nil
}

func (f C509Formats) offered() bool { return f != C509Formats{} }

// Requests reports whether r carries a request in C509.
func (f C509Formats) Requests(r *coap.Request) bool { return f.is(r.ContentFormat, f.Request) }

// is reports whether format is that one of f.
func (f C509Formats) is(format coap.Format, one uint16) bool {
	id, ok := format.ID()
	return ok && one != 0 && id == one
}

// wanted returns the format to answer a request for a certificate with: a client
// that sends C509 and says no more gets C509.
func (f C509Formats) wanted(r *coap.Request) coap.Format {
	if _, said := r.Accept.ID(); !said && f.Requests(r) {
		return coap.FormatID(f.Certificate)
	}
	return r.Accept
}

// certificate answers with one certificate, of type 3: what was signed is X.509.
func (f C509Formats) certificate(code coap.Code, der []byte) (*coap.Response, error) {
	short, err := c509.FromDER(der)
	if err != nil {
		return nil, err
	}
	return &coap.Response{Code: code, ContentFormat: coap.FormatID(f.Certificate), Payload: short}, nil
}

// chain answers with certificates of type 3 as COSE_C509. It returns c509's errors
// for a certificate that has no such form, and for more than one chain can have.
func (f C509Formats) chain(certs []*x509.Certificate) (*coap.Response, error) {
	if len(certs) > c509.MaxChain {
		return nil, fmt.Errorf("%w: %d certificates", c509.ErrSize, len(certs))
	}
	var all [][]byte
	for _, c := range certs {
		short, err := c509.FromDER(c.Raw)
		if err != nil {
			return nil, err
		}
		all = append(all, short)
	}
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(f.Chain), Payload: c509.Chain(all...),
	}, nil
}

// decode reads an answer in C509, which must be of type 3: what the device shows in
// handshakes is DER. ok is false for another format.
func (f C509Formats) decode(r *coap.Response) (certs []*x509.Certificate, ok bool, err error) {
	var all []*c509.Certificate
	switch {
	case f.is(r.ContentFormat, f.Certificate):
		one, err := c509.ParseCertificate(r.Payload)
		if err != nil {
			return nil, true, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		all = append(all, one)
	case f.is(r.ContentFormat, f.Chain):
		if all, err = c509.ParseChain(r.Payload); err != nil {
			return nil, true, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
	default:
		return nil, false, nil
	}
	for _, c := range all {
		if c.Type != c509.Reencoded {
			return nil, true, fmt.Errorf("%w: certificate of type %d", ErrAnswer, c.Type)
		}
		cert, err := x509.ParseCertificate(c.DER)
		if err != nil {
			return nil, true, fmt.Errorf("%w: %w", ErrAnswer, err)
		}
		certs = append(certs, cert)
	}
	return certs, true, nil
}

// request returns a client's message for csr, PKCS#10 in DER or C509: as C509 where
// that is spoken, and what the server will take the key from.
func (f C509Formats) request(csr []byte) (*coap.Request, *est.CSR, error) {
	if len(csr) > 0 && csr[0] == startC509 {
		if !f.offered() {
			return nil, nil, fmt.Errorf("%w: request in C509 without its content format", ErrOptions)
		}
		parsed, err := est.ParseC509(csr)
		return f.message(f.Request, csr, f.Certificate), parsed, err
	}
	parsed, err := est.ParseCSR(csr)
	if err != nil || !f.offered() {
		return f.message(FormatPKCS10, csr, FormatPKIXCert), parsed, err
	}
	short, err := c509.Options{}.RequestFromDER(csr)
	return f.message(f.Request, short, f.Certificate), parsed, err
}

// startC509 is how a request in C509 begins: an array of 7, where DER has a SEQUENCE.
const startC509 = 0x87

func (C509Formats) message(content uint16, body []byte, accept uint16) *coap.Request {
	return &coap.Request{
		Method: coap.POST, Payload: body,
		ContentFormat: coap.FormatID(content), Accept: coap.FormatID(accept),
	}
}
