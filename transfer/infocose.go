package transfer

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"io"
	"slices"

	"steward/suit/cose"
)

// contentCBOR is the Content-Format of application/cbor.
const contentCBOR = 60

// infoClaims are what a JWS says in its header, as CWT claims.
type infoClaims struct {
	Issuer   string    `cbor:"1,keyasint"`
	Audience string    `cbor:"3,keyasint"`
	IssuedAt Seconds   `cbor:"6,keyasint"`
	ID       []byte    `cbor:"7,keyasint"`
	Terms    infoTerms `cbor:"-65537,keyasint"`
}

type infoTerms struct {
	Mandate Hash   `cbor:"12,keyasint"`
	Version uint64 `cbor:"49,keyasint"`
}

// SignCOSE returns the info as a tagged COSE_Sign1, signed by the outgoing provider:
// what Sign says as a JWS, in about three quarters of the bytes. The claims are
// critical, lest a reader that skips them takes it for another transfer's.
func (i Info) SignCOSE(by Signer) ([]byte, error) {
	if err := i.validate(); err != nil {
		return nil, err
	}
	payload, err := EncodeDevices(i.Devices)
	if err != nil {
		return nil, err
	}
	signer, err := by.signer()
	if err != nil {
		return nil, err
	}
	raw, err := cose.SignSign1(signer, cose.Options{
		Payload: payload, ExternalAAD: []byte(infoType), Tagged: true,
		Protected: map[int64]any{
			cose.LabelCritical: []int64{cose.LabelCWTClaims}, cose.LabelContentType: contentCBOR, cose.LabelType: infoType,
			cose.LabelCWTClaims: infoClaims{
				Issuer: i.Issuer, Audience: i.Audience, IssuedAt: i.IssuedAt, ID: i.ID,
				Terms: infoTerms{Mandate: i.Mandate, Version: infoVersion},
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("transfer: info: %w", err)
	}
	if len(raw) > min(MaxBatch, cose.MaxMessage) { // else nobody could read it
		return nil, fmt.Errorf("transfer: info of %d bytes: %w", len(raw), ErrTooLarge)
	}
	return raw, nil
}

// An infoSign1 is a parsed info as COSE_Sign1.
type infoSign1 struct{ message *cose.Sign1 }

func openInfoCOSE(raw []byte) (head Signed[Info], o infoObject, err error) {
	message, err := cose.ParseSign1(raw, cose.LabelCWTClaims)
	if err != nil {
		return head, nil, fmt.Errorf("transfer: info: %w: %w", ErrSyntax, err)
	}
	kid, err := keyID(&message.Headers)
	if err != nil {
		return head, nil, fmt.Errorf("transfer: info: %w", err)
	}
	claims, err := infoHeader(&message.Headers)
	if err != nil {
		return head, nil, err
	}
	hash, err := message.Hash(nil)
	if err != nil {
		return head, nil, fmt.Errorf("transfer: info: %w: %w", ErrSyntax, err)
	}
	return Signed[Info]{Signer: kid, Hash: hash, Body: Info{
		Issuer: claims.Issuer, Audience: claims.Audience, IssuedAt: claims.IssuedAt, ID: claims.ID,
		Mandate: claims.Terms.Mandate,
	}}, infoSign1{message}, nil
}

func (o infoSign1) payload() io.Reader { return bytes.NewReader(o.message.Payload) }

// infoHeader reads the claims, which must be critical, and the types.
func infoHeader(h *cose.Headers) (infoClaims, error) {
	var claims infoClaims
	var kind string
	var content uint64
	var critical []int64
	for _, part := range []struct {
		label int64
		into  any
	}{
		{cose.LabelCWTClaims, &claims},
		{cose.LabelType, &kind},
		{cose.LabelContentType, &content},
		{cose.LabelCritical, &critical},
	} {
		raw, ok := h.Protected(part.label)
		if !ok {
			return claims, fmt.Errorf("transfer: info without header parameter %d: %w", part.label, ErrSyntax)
		}
		if err := decode(raw, maxHeader, part.into); err != nil {
			return claims, fmt.Errorf("info's header parameter %d: %w", part.label, err)
		}
	}
	switch {
	case !slices.Contains(critical, cose.LabelCWTClaims):
		return claims, fmt.Errorf("transfer: info: claims are not critical: %w", ErrCritical)
	case kind != infoType || content != contentCBOR || claims.Terms.Version != infoVersion:
		return claims, fmt.Errorf("transfer: info of type %.40q, version %d: %w", kind, claims.Terms.Version, ErrSyntax)
	}
	return claims, nil
}

// by checks the certificate that the key identifier names, and the signature.
func (o infoSign1) by(c *x509.Certificate) error {
	kid, err := keyID(&o.message.Headers)
	if err != nil || c == nil || kid != KeyIDOf(c.Raw) {
		return fmt.Errorf("transfer: info: %w", ErrSigner)
	}
	verifier, err := cose.NewVerifier(c.PublicKey)
	if err != nil {
		return fmt.Errorf("transfer: info: %w: %w", ErrSigner, err)
	}
	if _, err := o.message.Verify(verifier, nil, []byte(infoType)); err != nil {
		return fmt.Errorf("transfer: info: %w: %w", ErrSignature, err)
	}
	return nil
}
