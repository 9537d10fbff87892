package c509

import "fmt"

// Chain encodes certificates as COSE_C509 (§3.4): one alone as a byte string,
// several as an array of them. Each must be an array as ParseCertificate's Raw is.
func Chain(certs ...[]byte) []byte {
	if len(certs) == 1 {
		return appendBytes(nil, certs[0])
	}
	var items [][]byte
	for _, c := range certs {
		items = append(items, appendBytes(nil, c))
	}
	return array(items...)
}

// ParseChain reads a COSE_C509. It returns ErrSize for more than MaxChain
// certificates, beside the errors of ParseCertificate.
func ParseChain(b []byte) ([]*Certificate, error) {
	it, err := parse(b)
	if err != nil {
		return nil, err
	}
	items := []item{it}
	if it.is(majorArray) {
		if items = it.items; len(items) < 2 {
			return nil, fmt.Errorf("%w: a chain of %d in an array", ErrForm, len(items))
		}
	}
	if len(items) > MaxChain {
		return nil, fmt.Errorf("%w: %d certificates", ErrSize, len(items))
	}
	var out []*Certificate
	for _, it := range items {
		if !it.is(majorBytes) {
			return nil, fmt.Errorf("%w: certificate in a chain", ErrForm)
		}
		if len(it.bytes) == 0 || it.bytes[0] != majorArray<<5|certificateItems { // no sequences here
			return nil, fmt.Errorf("%w: certificate in a chain is no array", ErrForm)
		}
		c, err := ParseCertificate(it.bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}
