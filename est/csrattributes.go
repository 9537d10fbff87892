package est

import (
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	tag "golang.org/x/crypto/cryptobyte/asn1"
)

// Attributes of a request that mean something to us.
var (
	oidChallengePassword = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 7}                  // RFC 2985 §5.4.1
	oidChangeSubjectName = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 7, 36}                  // RFC 6402 §2.8
	oidDecryptKeyID      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 37}          // RFC 7030 §4.4.1.1
	oidAsymmDecryptKeyID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 54}          // RFC 7030 §4.4.1.2
	oidExtensionRequest  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 14}                 // RFC 2985 §5.4.2
	attributesUsedOnce   = []asn1.ObjectIdentifier{oidChallengePassword, oidExtensionRequest} // both are SINGLE VALUE
)

// csrAttributes are what the attributes of a request say.
type csrAttributes struct {
	challenge   string // challengePassword; "": none
	changesName bool   // ChangeSubjectName is there
	encrypted   bool   // the client wants its key encrypted (RFC 7030 §4.4.1)
}

// maxAttributes bounds the attributes of a request: there are a dozen in all
// standards of EST together.
const maxAttributes = 16

// attribute is Attribute (RFC 2986 §4.1).
type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// parseAttributes reads the attributes of a CertificationRequestInfo in DER. It
// returns ErrCSR for what is malformed, or said twice.
func parseAttributes(info []byte) (csrAttributes, error) {
	list, err := splitAttributes(info)
	if err != nil || len(list) == 0 { // most have none
		return csrAttributes{}, err
	}
	var out csrAttributes
	seen := map[string]bool{}
	for _, raw := range list {
		var a attribute
		if err := unmarshal(raw, &a); err != nil {
			return csrAttributes{}, err
		}
		for _, once := range attributesUsedOnce {
			if a.Type.Equal(once) && (seen[a.Type.String()] || len(a.Values) != 1) {
				return csrAttributes{}, fmt.Errorf("%w: attribute %v is not there once", ErrCSR, a.Type)
			}
		}
		seen[a.Type.String()] = true
		out.take(a)
	}
	return out, nil
}

// splitAttributes returns the attributes of a CertificationRequestInfo (RFC 2986
// §4.1), each in DER. It returns ErrCSR for too many, or what is malformed.
func splitAttributes(info []byte) (out []cryptobyte.String, err error) {
	in, malformed := cryptobyte.String(info), fmt.Errorf("%w: CertificationRequestInfo", ErrCSR)
	var list cryptobyte.String
	whole := in.ReadASN1(&in, tag.SEQUENCE) && in.SkipASN1(tag.INTEGER) && in.SkipASN1(tag.SEQUENCE) &&
		in.SkipASN1(tag.SEQUENCE) && in.ReadASN1(&list, tag.Tag(0).ContextSpecific().Constructed()) && in.Empty()
	if !whole {
		return nil, malformed
	}
	for !list.Empty() {
		var one cryptobyte.String
		if !list.ReadASN1Element(&one, tag.SEQUENCE) {
			return nil, malformed
		}
		if out = append(out, one); len(out) > maxAttributes {
			return nil, fmt.Errorf("%w: more than %d attributes", ErrCSR, maxAttributes)
		}
	}
	return out, nil
}

// unmarshal is asn1.Unmarshal of a part of a request, without trailing bytes.
func unmarshal(der []byte, v any) error {
	rest, err := asn1.Unmarshal(der, v)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCSR, err)
	}
	if len(rest) > 0 {
		return fmt.Errorf("%w: %d bytes too many", ErrCSR, len(rest))
	}
	return nil
}

// take notes what one attribute says.
func (c *csrAttributes) take(a attribute) {
	switch {
	case a.Type.Equal(oidChallengePassword):
		v := a.Values[0] // a DirectoryString (RFC 2985 §5.4.1), of which base64 needs no more than ASCII
		text := v.Tag == asn1.TagPrintableString || v.Tag == asn1.TagUTF8String || v.Tag == asn1.TagIA5String
		if v.Class == asn1.ClassUniversal && text {
			c.challenge = string(v.Bytes)
		}
	case a.Type.Equal(oidChangeSubjectName):
		c.changesName = true
	case a.Type.Equal(oidDecryptKeyID), a.Type.Equal(oidAsymmDecryptKeyID):
		c.encrypted = true
	}
}
