package est

import (
	"crypto"
	_ "crypto/sha1" //nolint:gosec // G505: what clients hash names and keys with, no signature
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds of an OCSP request.
const (
	MaxOCSPRequest = 8 << 10 // bytes: MaxOCSPCerts with the longest hashes, a nonce, and a signature
	MaxOCSPCerts   = 16      // certificates: each costs a look-up
	maxNonce       = 128     // bytes (RFC 9654 §2.1)
)

// ErrOCSP reports a request that is malformed (RFC 6960 §2.3).
var ErrOCSP = errors.New("malformed OCSP request")

// Object identifiers of OCSP (RFC 6960 §4.4, RFC 9654 §2).
var (
	oidNonce      = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
	oidOCSPBasic  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	hashAlgorithm = []struct {
		oid  asn1.ObjectIdentifier
		hash crypto.Hash
	}{
		{asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}, crypto.SHA1},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
	}
)

// A certID asks about one certificate.
type certID struct {
	hash      crypto.Hash // zero: one that we do not know
	name, key string      // hashes of the issuer's
	serial    string      // lower-case hex without leading zeros, as in the inventory
	raw       string      // the same, as INTEGER
}

// An ocspRequest is what somebody asks.
type ocspRequest struct {
	certs []certID
	nonce []byte // nil: none
}

// parseOCSPRequest reads a request (RFC 6960 §4.1.1). Its signature is not looked
// at: whoever asks may know. It returns ErrOCSP.
func parseOCSPRequest(der []byte) (ocspRequest, error) {
	var r ocspRequest
	if len(der) > MaxOCSPRequest {
		return r, fmt.Errorf("%w: %d bytes", ErrOCSP, len(der))
	}
	in := cryptobyte.String(der)
	var outer, tbs, list, extensions cryptobyte.String
	var some bool
	ok := in.ReadASN1(&outer, tag.SEQUENCE) && in.Empty() && outer.ReadASN1(&tbs, tag.SEQUENCE) &&
		outer.SkipOptionalASN1(tag.Tag(0).Constructed().ContextSpecific()) && outer.Empty() && // signature
		readVersion(&tbs) &&
		tbs.SkipOptionalASN1(tag.Tag(1).Constructed().ContextSpecific()) && // requestorName
		tbs.ReadASN1(&list, tag.SEQUENCE) &&
		tbs.ReadOptionalASN1(&extensions, &some, tag.Tag(2).Constructed().ContextSpecific()) && tbs.Empty()
	if !ok {
		return r, ErrOCSP
	}
	for !list.Empty() {
		if len(r.certs) == MaxOCSPCerts {
			return r, fmt.Errorf("%w: more than %d certificates", ErrOCSP, MaxOCSPCerts)
		}
		id, ok := readOneRequest(&list)
		if !ok {
			return r, ErrOCSP
		}
		r.certs = append(r.certs, id)
	}
	if len(r.certs) == 0 {
		return r, fmt.Errorf("%w: no certificate", ErrOCSP)
	}
	if some {
		return r, readRequestExtensions(extensions, &r)
	}
	return r, nil
}

// readVersion passes over a version, which can only be that of today. DER leaves
// it out.
func readVersion(s *cryptobyte.String) bool {
	var v cryptobyte.String
	var some bool
	var n int
	return s.ReadOptionalASN1(&v, &some, tag.Tag(0).Constructed().ContextSpecific()) &&
		(!some || v.ReadASN1Integer(&n) && n == 0 && v.Empty())
}

// readOneRequest reads a Request. Its extensions are passed over, but for critical ones.
func readOneRequest(list *cryptobyte.String) (id certID, ok bool) {
	var one, cert, alg, name, key, serial, extensions cryptobyte.String
	var oid asn1.ObjectIdentifier
	var some bool
	ok = list.ReadASN1(&one, tag.SEQUENCE) && one.ReadASN1(&cert, tag.SEQUENCE) &&
		one.ReadOptionalASN1(&extensions, &some, tag.Tag(0).Constructed().ContextSpecific()) && one.Empty() &&
		cert.ReadASN1(&alg, tag.SEQUENCE) && alg.ReadASN1ObjectIdentifier(&oid) &&
		alg.SkipOptionalASN1(tag.NULL) && alg.Empty() &&
		cert.ReadASN1(&name, tag.OCTET_STRING) && cert.ReadASN1(&key, tag.OCTET_STRING) &&
		cert.ReadASN1(&serial, tag.INTEGER) && cert.Empty() && shortest(serial)
	if !ok || some && readExtensions(extensions, nothingKnown) != nil {
		return id, false
	}
	for _, a := range hashAlgorithm {
		if a.oid.Equal(oid) {
			id.hash = a.hash
		}
	}
	id.name, id.key, id.serial, id.raw = string(name), string(key), serialText(serial), string(serial)
	return id, true
}

// nothingKnown takes no extension.
func nothingKnown(asn1.ObjectIdentifier, cryptobyte.String) bool { return false }

// shortest reports whether an INTEGER is in its shortest form, as DER demands, and
// no longer than a serial number.
func shortest(b []byte) bool {
	if len(b) == 0 || len(b) > maxSerial+1 {
		return false
	}
	padded := len(b) > 1 && (b[0] == 0 && b[1]&0x80 == 0 || b[0] == 0xff && b[1]&0x80 != 0)
	return !padded
}

// serialText returns an INTEGER's bytes as the inventory writes serial numbers.
// One that is negative is none of ours, and stands with its leading zeros.
func serialText(b []byte) string {
	text := hex.EncodeToString(b)
	if b[0]&0x80 != 0 {
		return "-" + text
	}
	for len(text) > 1 && text[0] == '0' {
		text = text[1:]
	}
	return text
}

// readRequestExtensions looks for the nonce, whose length RFC 9654 §2.1 bounds.
func readRequestExtensions(s cryptobyte.String, r *ocspRequest) error {
	return readExtensions(s, func(oid asn1.ObjectIdentifier, value cryptobyte.String) bool {
		if !oid.Equal(oidNonce) {
			return false
		}
		var nonce cryptobyte.String
		if r.nonce != nil || !value.ReadASN1(&nonce, tag.OCTET_STRING) || !value.Empty() ||
			len(nonce) == 0 || len(nonce) > maxNonce {
			r.nonce = nil
			return false
		}
		r.nonce = nonce
		return true
	}, oidNonce)
}

// readExtensions calls known for each extension. One that it does not take must
// not be critical, nor one of those that must be good.
func readExtensions(s cryptobyte.String, known func(asn1.ObjectIdentifier, cryptobyte.String) bool,
	must ...asn1.ObjectIdentifier,
) error {
	var list cryptobyte.String
	if !s.ReadASN1(&list, tag.SEQUENCE) || !s.Empty() || list.Empty() {
		return ErrOCSP
	}
	for !list.Empty() {
		oid, critical, value, ok := readExtension(&list)
		if !ok {
			return ErrOCSP
		}
		if !known(oid, value) && (critical || slices.ContainsFunc(must, oid.Equal)) {
			return fmt.Errorf("%w: extension %v", ErrOCSP, oid)
		}
	}
	return nil
}

func readExtension(list *cryptobyte.String) (
	oid asn1.ObjectIdentifier, critical bool, value cryptobyte.String, ok bool,
) {
	var one cryptobyte.String
	ok = list.ReadASN1(&one, tag.SEQUENCE) && one.ReadASN1ObjectIdentifier(&oid) &&
		(!one.PeekASN1Tag(tag.BOOLEAN) || one.ReadASN1Boolean(&critical)) &&
		one.ReadASN1(&value, tag.OCTET_STRING) && one.Empty()
	return oid, critical, value, ok
}
