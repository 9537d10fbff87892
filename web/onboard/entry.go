// Package onboard reads what people bring about devices that are to come: a list
// (CSV), and the text of a label's QR code. It does no I/O.
package onboard

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"steward/lwm2m"
	"steward/web"
)

// Errors of this package.
var (
	// ErrEntry reports a device of which something is missing or makes no sense.
	ErrEntry = errors.New("unusable device")
	// ErrList reports a list that is none: no header, unknown columns, too long.
	ErrList = errors.New("unusable list")
	// ErrLabel reports a text that is no label of ours.
	ErrLabel = errors.New("not a label of ours")
)

// A Security is how a device proves who it is.
type Security string

// The ways.
const (
	Certificate Security = "certificate" // its factory certificate; it enrols by EST
	PSK         Security = "psk"         // a pre-shared key
	RawKey      Security = "rawkey"      // a raw public key
	NoSec       Security = "nosec"       // nothing, for tests
)

// Securities lists them.
func Securities() []Security { return []Security{Certificate, PSK, RawKey, NoSec} }

// An Entry is a device that is to come.
type Entry struct {
	Endpoint    string // "" where the certificate says it
	Security    Security
	Use         web.KeyUse // of a key: by it the device comes to the server, or to the Bootstrap-Server
	Identity    string     // of a pre-shared key
	Key         []byte     // pre-shared
	PublicKey   string     // PEM or hexadecimal
	Certificate []byte     // PEM or DER
	Tags        []string
	KeyOrigin   string // who made the key of the certificate; "" for not known
}

// Bounds of an entry; that of keys are those of the key store.
const (
	minKey         = 16
	maxKey         = 64
	maxIdentity    = 128
	maxTags        = 32
	maxCertificate = 32 << 10
	maxPublicKey   = 2048
)

// HoldsKey reports whether the entry gives the device a key, which more rights are
// needed for.
func (e *Entry) HoldsKey() bool { return e.Security == PSK || e.Security == RawKey }

// Complete fills what follows from the rest, and returns ErrEntry if something is
// missing or too much.
func (e *Entry) Complete() error {
	if e.Security == "" {
		e.Security = e.implied()
	}
	if e.Use == "" && e.HoldsKey() {
		e.Use = web.KeyServer
	}
	if e.Security == PSK && e.Identity == "" {
		e.Identity = e.Endpoint
	}
	if len(e.Tags) > maxTags {
		return fmt.Errorf("%w: more than %d tags", ErrEntry, maxTags)
	}
	if _, err := lwm2m.ParseEndpoint(e.Endpoint); err != nil && (e.Endpoint != "" || e.Security != Certificate) {
		return fmt.Errorf("%w: endpoint: 1 to %d printable bytes", ErrEntry, lwm2m.MaxEndpoint)
	}
	return errors.Join(e.checkKey(), e.checkPublicKey(), e.checkCertificate(), e.checkSecurity())
}

// implied is the way that what is there leaves: none where nothing is, for who comes
// without security is to be named.
func (e *Entry) implied() Security {
	switch {
	case len(e.Certificate) > 0:
		return Certificate
	case len(e.Key) > 0:
		return PSK
	case e.PublicKey != "":
		return RawKey
	}
	return ""
}

func (e *Entry) checkSecurity() error {
	if !slices.Contains(Securities(), e.Security) {
		return fmt.Errorf("%w: security: certificate, psk, rawkey or nosec", ErrEntry)
	}
	if e.HoldsKey() && e.Use != web.KeyServer && e.Use != web.KeyBootstrap {
		return fmt.Errorf("%w: use: server or bootstrap", ErrEntry)
	}
	return nil
}

func (e *Entry) checkKey() error {
	if e.Security != PSK {
		if len(e.Key) > 0 || e.Identity != "" {
			return fmt.Errorf("%w: a pre-shared key is for psk only", ErrEntry)
		}
		return nil
	}
	if len(e.Key) < minKey || len(e.Key) > maxKey {
		return fmt.Errorf("%w: key: %d to %d bytes in hexadecimal", ErrEntry, minKey, maxKey)
	}
	if len(e.Identity) > maxIdentity {
		return fmt.Errorf("%w: identity: at most %d bytes", ErrEntry, maxIdentity)
	}
	return nil
}

func (e *Entry) checkPublicKey() error {
	if e.Security != RawKey {
		if e.PublicKey != "" {
			return fmt.Errorf("%w: a public key is for rawkey only", ErrEntry)
		}
		return nil
	}
	if e.PublicKey == "" || len(e.PublicKey) > maxPublicKey {
		return fmt.Errorf("%w: public_key: PEM or hexadecimal", ErrEntry)
	}
	return nil
}

func (e *Entry) checkCertificate() error {
	if e.Security != Certificate {
		if len(e.Certificate) > 0 {
			return fmt.Errorf("%w: a certificate is for certificate only", ErrEntry)
		}
		return nil
	}
	der := e.Certificate
	if block, _ := pem.Decode(der); block != nil {
		der = block.Bytes
	}
	if len(der) == 0 || len(e.Certificate) > maxCertificate {
		return fmt.Errorf("%w: certificate: PEM, or DER in base64", ErrEntry)
	}
	if _, err := x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("%w: certificate: cannot be read", ErrEntry)
	}
	return nil
}

// parseKey reads hexadecimal, with or without blanks and colons.
func parseKey(text string) ([]byte, error) {
	key, err := hex.DecodeString(strings.NewReplacer(" ", "", ":", "", "-", "").Replace(text))
	if err != nil {
		return nil, fmt.Errorf("%w: key: hexadecimal", ErrEntry)
	}
	return key, nil
}

// parseCertificate reads PEM as it is, or base64 of DER in either alphabet.
func parseCertificate(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	if text == "" || strings.HasPrefix(text, "-----BEGIN") {
		return []byte(text), nil
	}
	text = strings.NewReplacer("-", "+", "_", "/", "\n", "", "\r", "", " ", "").Replace(strings.TrimRight(text, "="))
	der, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: certificate: PEM, or DER in base64", ErrEntry)
	}
	return der, nil
}
