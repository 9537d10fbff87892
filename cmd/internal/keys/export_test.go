package keys

import (
	"crypto"
	"errors"

	"go.step.sm/crypto/kms/apiv1"
)

// FakeToken is a ring whose token is the given signer, or does not open.
func FakeToken(open func() (crypto.Signer, error)) *Ring {
	t := newToken("pkcs11:token=fake", "")
	t.open = func(string, string) (manager, error) {
		s, err := open()
		return fake{s}, err
	}
	return &Ring{places: map[Name]place{Everything: {token: t.uri}}, tokens: map[string]*token{t.uri: t}}
}

type fake struct{ signer crypto.Signer }

func (fake) CreateKey(*apiv1.CreateKeyRequest) (*apiv1.CreateKeyResponse, error) {
	return nil, errors.ErrUnsupported
}

func (f fake) CreateSigner(*apiv1.CreateSignerRequest) (crypto.Signer, error) { return f.signer, nil }
func (f fake) Close() error                                                   { return nil }

// Where says where a key would be if its place were text.
func Where(text string, name Name) (string, error) {
	p, err := parsePlace(text)
	if err != nil {
		return "", err
	}
	return (&Ring{places: map[Name]place{Everything: p}, files: files{dir: "/keys"}}).Where(name), nil
}
