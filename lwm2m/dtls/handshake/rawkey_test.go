package handshake_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"testing"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls/handshake"
)

type tlsCertificate = tls.Certificate

// rawCredentials are credentials that know their client by its key, too.
type rawCredentials struct{ *credentials }

func (c rawCredentials) IdentifyKey(spki []byte) (coap.Identity, error) {
	if !bytes.Equal(spki, c.spki()) {
		return coap.Identity{}, errStranger
	}
	return coap.Identity{Role: coap.RoleRawKey, Name: "device", Certificate: sha256.Sum256(spki)}, nil
}

func (c *credentials) spki() []byte {
	key, _ := c.client.PrivateKey.(crypto.Signer)
	spki, _ := x509.MarshalPKIXPublicKey(key.Public())
	return spki
}

func (c *credentials) rawClient() *handshake.Client {
	client := c.certClient()
	client.RawKey, client.ServerRaw = true, true
	return client
}

// TestRawPublicKeys (RFC 7250): each side may have one without the other.
func TestRawPublicKeys(t *testing.T) {
	creds := newCredentials(t)
	for name, c := range map[string]struct{ client, server bool }{
		"both": {true, true}, "client": {true, false}, "server": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, rawCredentials{creds}, nil)
			client := creds.rawClient()
			client.RawKey, client.ServerRaw = c.client, c.server
			out := s.must(t, client)
			want := coap.Identity{Role: coap.RoleFactory, Name: "device"}
			want.Certificate = sha256.Sum256(creds.client.Certificate[0])
			if c.client {
				want = coap.Identity{Role: coap.RoleRawKey, Name: "device", Certificate: sha256.Sum256(creds.spki())}
			}
			if out.Identity != want || (out.RawKey != nil) != c.client || (out.Chain != nil) == c.client {
				t.Errorf("%+v", out.Established)
			}
			if _, raw := client.Accepted[20]; raw != c.server {
				t.Errorf("server's certificate type agreed on: %t", raw)
			}
			talk(t, &out.Session, &client.Session)
		})
	}
}

// A thief shows a public key and signs with another.
type thief struct {
	crypto.Signer

	shown crypto.PublicKey
}

func (k thief) Public() crypto.PublicKey { return k.shown }

func TestRawPublicKeysRefused(t *testing.T) {
	creds := newCredentials(t)
	stranger := newCredentials(t)
	const unsupportedCertificate, badCertificate, handshakeFailure, decryptError = 43, 42, 40, 51
	stolen := creds.rawClient()
	stolen.Key = thief{stranger.rawClient().Key, stolen.Key.Public()}
	for name, c := range map[string]struct {
		s      *stage
		client *handshake.Client
		change func(f []handshake.Msg) []handshake.Msg
		alert  int
	}{
		"where nobody knows them": {newStage(t, creds, nil), creds.rawClient(), nil, unsupportedCertificate},
		"of a stranger":           {newStage(t, rawCredentials{creds}, nil), stranger.rawClient(), nil, badCertificate},
		"without possession":      {newStage(t, rawCredentials{creds}, nil), stolen, nil, decryptError},
		"none": {newStage(t, rawCredentials{creds}, nil), creds.rawClient(), func(f []handshake.Msg) []handshake.Msg {
			f[0].Body = []byte{0, 0, 0}
			return f
		}, handshakeFailure},
	} {
		c.client.ChangeFlight = c.change
		out, err := c.s.run(c.client)
		if err == nil || out.err == nil || c.client.Alert != c.alert {
			t.Errorf("%s: server %v, client %v, alert %d, want %d", name, out.err, err, c.client.Alert, c.alert)
		}
		end(t, c.s)
	}
}
