package demo

import (
	"fmt"
	"slices"
	"strings"
)

// Encodings of the certificates with which devices enrol, by what EST names them: the
// numbers of content formats (RFC 9148 §4.3), or C509 by numbers of the range for
// experiments, for it has none assigned.
const (
	encodingCertificate = "287" // the certificate alone
	encodingCertsOnly   = "281" // PKCS #7
	encodingC509        = "c509"
	formatsC509         = "65001,65002,65003"
)

// Encodings names them; the first is the default.
func Encodings() []string { return []string{encodingCertificate, encodingCertsOnly, encodingC509} }

// checkEncoding sets the default, and returns ErrOptions for what is none.
func (o *Options) checkEncoding() error {
	if o.Encoding == "" {
		o.Encoding = encodingCertificate
	}
	if !slices.Contains(Encodings(), o.Encoding) {
		return fmt.Errorf("%w: encoding %.40q is not one of %s", ErrOptions, o.Encoding, strings.Join(Encodings(), ", "))
	}
	return nil
}

// serverEncoding and deviceEncoding are what both sides are told.
func (d *demo) serverEncoding() []string {
	if d.o.Encoding == encodingC509 {
		return []string{"--c509-formats", formatsC509}
	}
	return nil
}

func (d *demo) deviceEncoding() []string {
	if d.o.Encoding == encodingCertsOnly {
		return []string{"--certs-only"}
	}
	return d.serverEncoding()
}
