package onboard

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/url"
	"strings"

	"steward/web"
)

// Prefix begins the text of a label.
const Prefix = "LWM2M:"

// maxLabel is the longest text of a label: what a QR code of version 40 holds at level
// L, in bytes.
const maxLabel = 2953

// labelNames are the members of a label, each at most once but t.
const (
	labelEndpoint    = "e"
	labelSecurity    = "s"
	labelUse         = "u" // server, bootstrap
	labelIdentity    = "i"
	labelKey         = "k" // hexadecimal
	labelPublicKey   = "p" // hexadecimal
	labelCertificate = "c" // base64url of the DER
	labelThumbprint  = "x" // hexadecimal SHA-256 of the factory certificate, for people and other systems
	labelTag         = "t"
)

// ParseLabel reads the text of a label: "LWM2M:" and members as in the query of an
// address, such as LWM2M:e=meter-1&s=psk&i=meter-1&k=00112233445566778899aabbccddeeff.
// It returns ErrLabel for another text and for members that nobody knows, and ErrEntry
// for a device that cannot be let in by it alone; the Entry then has what it says.
func ParseLabel(text string) (Entry, error) {
	text = strings.TrimSpace(text)
	if len(text) > maxLabel || len(text) < len(Prefix) || !strings.EqualFold(text[:len(Prefix)], Prefix) {
		return Entry{}, fmt.Errorf("%w: it begins with %s", ErrLabel, Prefix)
	}
	q, err := url.ParseQuery(text[len(Prefix):])
	if err != nil {
		return Entry{}, fmt.Errorf("%w: members and their values, such as e=meter-1&s=psk", ErrLabel)
	}
	e := Entry{
		Endpoint: q.Get(labelEndpoint), Security: Security(q.Get(labelSecurity)), Use: web.KeyUse(q.Get(labelUse)),
		Identity: q.Get(labelIdentity), PublicKey: q.Get(labelPublicKey), Tags: q[labelTag],
	}
	for name, values := range q {
		known := len(name) == 1 && strings.ContainsAny(name, "esuikpcxt")
		if !known || len(values) > 1 && name != labelTag {
			return Entry{}, fmt.Errorf("%w: member %.20q", ErrLabel, name)
		}
	}
	if e.Key, err = parseKey(q.Get(labelKey)); err != nil {
		return e, err
	}
	if e.Certificate, err = parseCertificate(q.Get(labelCertificate)); err != nil {
		return e, err
	}
	return e, e.Complete()
}

// Label returns the text of a label that ParseLabel reads. With secrets it holds the
// pre-shared key: whoever photographs it has the key. A certificate is named by its
// SHA-256, and there itself only if it fits.
func (e *Entry) Label(secrets bool) string {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set(labelEndpoint, e.Endpoint)
	set(labelSecurity, string(e.Security))
	set(labelUse, string(e.Use))
	set(labelIdentity, e.Identity)
	if secrets {
		set(labelKey, hex.EncodeToString(e.Key))
	}
	if block, _ := pem.Decode([]byte(e.PublicKey)); block != nil {
		set(labelPublicKey, hex.EncodeToString(block.Bytes))
	} else {
		set(labelPublicKey, e.PublicKey)
	}
	if der := e.Certificate; len(der) > 0 {
		if block, _ := pem.Decode(der); block != nil {
			der = block.Bytes
		}
		sum := sha256.Sum256(der)
		set(labelThumbprint, hex.EncodeToString(sum[:]))
		const most = 1200 // characters: a code that a telephone still reads from paper
		if text := base64.RawURLEncoding.EncodeToString(der); len(text) <= most {
			set(labelCertificate, text)
		}
	}
	for _, t := range e.Tags {
		q.Add(labelTag, t)
	}
	return Prefix + q.Encode()
}

// Known returns the text of a label that names a known device only: its endpoint, and
// the SHA-256 of its factory certificate in hexadecimal, "" for none.
func Known(endpoint, factory string) string {
	q := url.Values{labelEndpoint: {endpoint}}
	if factory != "" {
		q.Set(labelThumbprint, factory)
	}
	return Prefix + q.Encode()
}
