package c509

import (
	"bytes"
	"fmt"
)

// Options says how to encode.
type Options struct {
	// Uncompressed leaves points as they are, for peers that cannot decompress.
	// Otherwise those of P-256, P-384 and P-521 lose their y (§3.2.1).
	Uncompressed bool
}

// FromDER returns the type 3 certificate of an X.509 one, compressed. It returns
// ErrSize, ErrDER, or ErrNoForm for what C509 cannot carry: what it returns decodes
// to der, bit by bit.
func FromDER(der []byte) ([]byte, error) { return Options{}.FromDER(der) }

// FromDER is the function FromDER with options.
func (o Options) FromDER(der []byte) ([]byte, error) {
	c := codec{uncompressed: o.Uncompressed}
	body, s, err := c.certificate(Reencoded, der)
	if err != nil {
		return nil, err
	}
	out, err := c.finish(certificateItems, body, s)
	if err != nil {
		return nil, err
	}
	if back, err := ToDER(out); !bytes.Equal(back, der) {
		return nil, inexact(err)
	}
	return out, nil
}

// ToDER returns the X.509 certificate of a type 3 one. It returns the errors of
// ParseCertificate, and ErrForm for a native one, which is no X.509.
func ToDER(b []byte) ([]byte, error) {
	cert, err := ParseCertificate(b)
	if err != nil {
		return nil, err
	}
	return reencoded(cert.Type, cert.DER)
}

// RequestFromDER returns the type 3 request of a PKCS#10 one, see FromDER.
func (o Options) RequestFromDER(der []byte) ([]byte, error) {
	c := codec{uncompressed: o.Uncompressed}
	body, s, err := c.request(Reencoded, der)
	if err != nil {
		return nil, err
	}
	out, err := c.finish(requestItems, body, s)
	if err != nil {
		return nil, err
	}
	if back, err := RequestToDER(out); !bytes.Equal(back, der) {
		return nil, inexact(err)
	}
	return out, nil
}

// RequestToDER returns the PKCS#10 request of a type 3 one, see ToDER.
func RequestToDER(b []byte) ([]byte, error) {
	r, err := ParseRequest(b)
	if err != nil {
		return nil, err
	}
	return reencoded(r.Type, r.DER)
}

func reencoded(t Type, der []byte) ([]byte, error) {
	if t != Reencoded {
		return nil, fmt.Errorf("%w: natively signed, there is no DER", ErrForm)
	}
	return der, nil
}

// finish adds header and signature to the items of body.
func (c codec) finish(n uint64, body []byte, s x509Signed) ([]byte, error) {
	sig, ok := c.signatureItem(s)
	if !ok {
		return nil, fmt.Errorf("%w: signature", ErrNoForm)
	}
	return append(append(appendHead(nil, majorArray, n), body...), sig...), nil
}

// inexact reports that what was encoded would not come back, perhaps because of err.
func inexact(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoForm, err)
	}
	return fmt.Errorf("%w: DER would not be rebuilt", ErrNoForm)
}
