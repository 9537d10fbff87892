package trial_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"testing"

	"steward/cmd/internal/sim"
	"steward/cmd/internal/sim/trial"
	"steward/objects"
)

// TestRawKeyAccounts: an account of security mode 1 has a key pair that fits, and is
// good over DTLS only.
func TestRawKeyAccounts(t *testing.T) {
	pair := func() (public, private []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		public, _ = x509.MarshalPKIXPublicKey(key.Public())
		private, _ = x509.MarshalPKCS8PrivateKey(key)
		return public, private
	}
	public, private := pair()
	another, _ := pair()
	unfit, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	unfitDER, _ := x509.MarshalPKCS8PrivateKey(unfit)
	account := func(uri string, public, private, server []byte) objects.Security {
		return objects.Security{URI: uri, Identity: public, SecretKey: private, ServerKey: server}
	}
	for name, c := range map[string]struct {
		a    objects.Security
		want error
	}{
		"good":             {account("coaps://a", public, private, nil), nil},
		"another's key":    {account("coaps://a", another, private, nil), trial.ErrOptions},
		"no key":           {account("coaps://a", public, nil, nil), trial.ErrOptions},
		"RSA":              {account("coaps://a", public, unfitDER, nil), trial.ErrOptions},
		"over TLS":         {account("coaps+tcp://a", public, private, nil), sim.ErrNotImplemented},
		"server's key":     {account("coaps://a", public, private, another), nil},
		"another's server": {account("coaps://a", public, private, public), nil},
	} {
		c.a.Mode = objects.ModeRawKey
		o, err := trial.Credentials(trial.Account{Security: c.a})
		if !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
			continue
		}
		if err == nil && (o.RawKey == nil || (o.VerifyKey(another) == nil) != (name == "server's key")) {
			t.Errorf("%s: the server's key is judged wrongly", name)
		}
	}
}
