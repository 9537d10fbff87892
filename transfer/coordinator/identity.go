package coordinator

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"steward/lwm2m/audit"
)

// An Identity is what a partner is told about a provider, or a service user, so
// that it can pin its keys. It travels as a file: a JWS in flattened JSON form
// (RFC 7515 §7.2.2), signed with ES256 by the signing key that it contains. That
// proves possession; that the file is the right one, people compare by
// fingerprint.
type Identity struct {
	Name    string      `json:"name"`
	Kind    PartnerKind `json:"kind"`
	PeerURI string      `json:"peer_uri,omitempty"`
	TLS     string      `json:"tls,omitempty"`     // PEM of the certificate of the peer listener
	Signing string      `json:"signing"`           // PEM of the certificate of messages
	Issuing string      `json:"issuing,omitempty"` // PEM of the issuing CA
	// Verifier is the PEM of the certificate of the attestation verifier.
	Verifier string `json:"verifier,omitempty"`
	// NextTLS and NextSigning are the PEM of the certificates that will follow those of
	// today; "": none are announced.
	NextTLS     string `json:"next_tls,omitempty"`
	NextSigning string `json:"next_signing,omitempty"`
}

// identityJWS is the file.
type identityJWS struct {
	Payload   string `json:"payload"`
	Protected string `json:"protected"`
	Signature string `json:"signature"`
}

const (
	identityHeader = `{"alg":"ES256","typ":"steward/identity/1"}`
	maxIdentity    = 64 << 10 // six certificates
	p256Length     = 32       // bytes of r and of s
)

// Identity returns our own identity file, for a partner to pin.
func (c *Coordinator) Identity() (json.RawMessage, error) {
	issuing := c.o.StatusSigner.Certificate
	return SignIdentity(Identity{
		Name: c.o.Name, Kind: Provider, PeerURI: c.o.PeerURI, TLS: encodePEM(c.o.TLS),
		Signing: encodePEM(c.o.Signer.Certificate), Issuing: encodePEM(issuing), Verifier: encodePEM(c.o.Verifier),
		NextTLS: encodePEM(c.o.NextTLS), NextSigning: encodePEM(c.o.NextSigning),
	}, c.o.Signer.Key)
}

// SignIdentity returns an identity file signed by key, the key of i.Signing, on
// P-256.
func SignIdentity(i Identity, key crypto.Signer) (json.RawMessage, error) {
	public, ok := key.Public().(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return nil, refusedf(ErrInvalid, "signing key is not on P-256")
	}
	payload, err := json.Marshal(i)
	if err != nil {
		return nil, err
	}
	file := identityJWS{
		Payload:   base64.RawURLEncoding.EncodeToString(payload),
		Protected: base64.RawURLEncoding.EncodeToString([]byte(identityHeader)),
	}
	digest := file.digest()
	der, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, err
	}
	raw := make([]byte, 2*p256Length)
	sig.R.FillBytes(raw[:p256Length])
	sig.S.FillBytes(raw[p256Length:])
	file.Signature = base64.RawURLEncoding.EncodeToString(raw)
	return json.Marshal(file)
}

// digest is the SHA-256 of the JWS signing input.
func (f identityJWS) digest() [sha256.Size]byte {
	return sha256.Sum256([]byte(f.Protected + "." + f.Payload))
}

// ParseIdentity reads an identity file and checks its signature. It returns
// ErrInvalid.
func ParseIdentity(file []byte) (Identity, error) {
	var f identityJWS
	var i Identity
	if len(file) > maxIdentity {
		return i, refusedf(ErrInvalid, "identity file of %d bytes", len(file))
	}
	if err := decodeJSON(file, &f); err != nil {
		return i, err
	}
	header, err1 := base64.RawURLEncoding.Strict().DecodeString(f.Protected)
	payload, err2 := base64.RawURLEncoding.Strict().DecodeString(f.Payload)
	sig, err3 := base64.RawURLEncoding.Strict().DecodeString(f.Signature)
	if err := errors.Join(err1, err2, err3); err != nil {
		return i, fmt.Errorf("%w: identity file: %w", ErrInvalid, err)
	}
	var h struct {
		Alg string `json:"alg"`
		Typ string `json:"typ"`
	}
	if err := decodeJSON(header, &h); err != nil {
		return i, err
	}
	if h.Alg != "ES256" || h.Typ != "steward/identity/1" || len(sig) != 2*p256Length {
		return i, refusedf(ErrInvalid, "identity file with %.20q of %.40q", h.Alg, h.Typ)
	}
	if err := decodeJSON(payload, &i); err != nil {
		return i, err
	}
	signer, err := decodePEM(i.Signing)
	if err != nil {
		return i, err
	}
	key, ok := signer.PublicKey.(*ecdsa.PublicKey)
	digest := f.digest()
	r, s := new(big.Int).SetBytes(sig[:p256Length]), new(big.Int).SetBytes(sig[p256Length:])
	if !ok || key.Curve != elliptic.P256() || !ecdsa.Verify(key, digest[:], r, s) {
		return i, refusedf(ErrInvalid, "identity file: signature does not verify")
	}
	return i, nil
}

func decodePEM(text string) (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" || len(rest) > 0 {
		return nil, refusedf(ErrInvalid, "not one certificate in PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c, nil
}

const maxName = 64 // bytes of a partner's name: it stands in every message

// partner checks what an identity says and makes a record of it.
func (i Identity) partner() (Partner, error) {
	p := Partner{Name: i.Name, Kind: i.Kind, State: Active, PeerURI: i.PeerURI}
	if i.Name == "" || len(i.Name) > maxName {
		return p, refusedf(ErrInvalid, "name of %d bytes", len(i.Name))
	}
	signing, err := decodePEM(i.Signing)
	if err != nil {
		return p, err
	}
	p.Signing = signing.Raw
	if p.NextSigning, err = optional(i.NextSigning); err != nil {
		return p, err
	}
	switch i.Kind {
	case ServiceUser:
		return p, nil
	case Provider:
	default:
		return p, refusedf(ErrInvalid, "kind %.20q", i.Kind)
	}
	u, err := url.Parse(i.PeerURI)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return p, refusedf(ErrInvalid, "peer URI %.80q is no https URI", i.PeerURI)
	}
	tls, err := decodePEM(i.TLS)
	if err != nil {
		return p, err
	}
	p.TLS = tls.Raw
	for _, o := range []struct {
		text string
		into *[]byte
	}{{i.NextTLS, &p.NextTLS}, {i.Issuing, &p.Issuing}, {i.Verifier, &p.Verifier}} {
		if *o.into, err = optional(o.text); err != nil {
			return p, err
		}
	}
	return p, nil
}

// optional returns the DER of a certificate in PEM, nil for "".
func optional(text string) ([]byte, error) {
	if text == "" {
		return nil, nil
	}
	certificate, err := decodePEM(text)
	if err != nil {
		return nil, err
	}
	return certificate.Raw, nil
}

// AddPartner verifies an identity file and pins its keys. A file of a partner with the
// keys that are pinned already announces its next ones, if it names any, and otherwise
// returns the partner as it is. It returns ErrInvalid for a file that does not
// verify and ErrPinned.
func (c *Coordinator) AddPartner(ctx context.Context, identity []byte, label, actor string) (Partner, error) {
	i, err := ParseIdentity(identity)
	if err != nil {
		return Partner{}, err
	}
	p, err := i.partner()
	if err != nil {
		return Partner{}, err
	}
	if p.Name == c.o.Name || p.PeerURI != "" && p.PeerURI == c.o.PeerURI {
		return Partner{}, refusedf(ErrInvalid, "%q at %q is our own name or address", p.Name, p.PeerURI)
	}
	partners, err := c.o.Store.ListPartners(ctx)
	if err != nil {
		return Partner{}, err
	}
	if err := taken(p, partners); err != nil {
		return Partner{}, err
	}
	for _, old := range partners {
		if old.Name == p.Name && old.TLSKey() == p.TLSKey() && old.SigningKey() == p.SigningKey() {
			return c.announce(ctx, old, p.Rotation, actor)
		}
		if p.PeerURI != "" && old.PeerURI == p.PeerURI { // a verifier is named by it
			return Partner{}, fmt.Errorf("%w: %s is at %s", ErrPinned, old.Name, old.PeerURI)
		}
	}
	p.State = p.settled()
	p.ID, p.Label, p.AddedAt, p.AddedBy = c.o.NewID(), label, time.Now(), actor
	tls, signing := p.TLSKey(), p.SigningKey()
	err = c.o.Store.PutPartner(ctx, p, audit.Row{
		Actor: actor, Action: "partner.add", Subject: p.ID, After: string(p.State),
		Reason: fmt.Sprintf("%s %s: TLS key %x, signing key %x", p.Kind, p.Name, tls, signing),
	})
	if err != nil {
		return Partner{}, err
	}
	return c.Partner(ctx, p.ID)
}

// SetPartnerVerifier says whose verdict on devices is demanded in transfers to the
// partner from now on; "": the partner's, if any. It returns ErrUnknown, or ErrInvalid
// for a verifier that does not exist.
func (c *Coordinator) SetPartnerVerifier(ctx context.Context, id, name, actor, reason string) (Partner, error) {
	p, err := c.o.Store.Partner(ctx, id)
	if err != nil {
		return Partner{}, err
	}
	if _, err := c.verifierURI(ctx, name); err != nil {
		return Partner{}, err
	}
	row := audit.Row{
		Actor: actor, Action: "partner.verifier", Subject: id, Reason: reason, Before: p.Demands, After: name,
	}
	p.Demands = name
	if err := c.o.Store.PutPartner(ctx, p, row); err != nil {
		return Partner{}, err
	}
	return c.Partner(ctx, id)
}

// SetPartnerState suspends or readmits a partner. The rows of a suspended one wait
// unless they have committed, and offers that nobody approved are revoked. It returns ErrUnknown or ErrInvalid.
func (c *Coordinator) SetPartnerState(ctx context.Context, id string, s PartnerState, actor, reason string) (
	Partner, error,
) {
	if s != Active && s != Suspended && s != Rotating {
		return Partner{}, refusedf(ErrInvalid, "state %.20q", s)
	}
	p, err := c.o.Store.Partner(ctx, id)
	if err != nil {
		return Partner{}, err
	}
	row := audit.Row{
		Actor: actor, Action: "partner.state", Subject: id, Reason: reason, Before: string(p.State), After: string(s),
	}
	if p.State = s; s != Suspended {
		p.State = p.settled()
	}
	row.After = string(p.State)
	if err := c.o.Store.PutPartner(ctx, p, row); err != nil {
		return Partner{}, err
	}
	if s == Suspended {
		if err := c.revokeOffers(ctx, id, actor); err != nil {
			return Partner{}, err
		}
	}
	return c.Partner(ctx, id)
}
