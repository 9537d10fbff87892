package suit

import (
	"encoding/hex"
	"fmt"
	"strings"

	"steward/suit/cose"
)

func (p *printer) parameters(list []Parameter) {
	for _, one := range list {
		p.line("%v: %s", one.Key, one)
	}
}

// String returns the value for people.
func (p Parameter) String() string {
	switch p.Key {
	case ParameterImageDigest:
		return p.Digest().String()
	case ParameterVersion:
		return p.Version().String()
	case ParameterVendor, ParameterClass, ParameterDevice:
		if b := p.Bytes(); len(b) == uuidSize {
			return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
		}
	case ParameterEncryptionInfo:
		return describeEncryption(p.Bytes())
	case ParameterContent:
		return fmt.Sprintf("%d bytes", len(p.Bytes()))
	default:
	}
	switch p.value.major() {
	case majorUint, majorNegative:
		return fmt.Sprint(p.Int())
	case majorText:
		return fmt.Sprintf("%q", p.Text())
	case majorSimple:
		return fmt.Sprint(p.Bool())
	case majorBytes:
		return show(p.Bytes())
	}
	return "h'" + hex.EncodeToString(p.value) + "'"
}

func describeEncryption(raw []byte) string {
	m, err := cose.ParseEncrypt(raw)
	if err != nil {
		return err.Error()
	}
	parts := make([]string, 0, len(m.Recipients))
	for i := range m.Recipients {
		parts = append(parts, fmt.Sprintf("%v to key %s", m.Recipients[i].Algorithm(), show(m.Recipients[i].KeyID())))
	}
	return fmt.Sprintf("%v, %s", m.Algorithm(), strings.Join(parts, ", "))
}

// show returns bytes as text if they can be shown, else in hexadecimal.
func show(b []byte) string {
	if printable(b) {
		return fmt.Sprintf("%q", b)
	}
	return "h'" + hex.EncodeToString(b) + "'"
}
