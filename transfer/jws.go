package transfer

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"
)

// The reasons for which a JWS is refused, beside those of its payload.
var (
	// ErrAlgorithm reports an algorithm other than ES256, "none" among them.
	ErrAlgorithm = errors.New("algorithm not allowed")
	// ErrCritical reports a critical header parameter that is not understood
	// (RFC 7515 §4.1.11).
	ErrCritical = errors.New("critical header parameter not understood")
)

// The protected header of a DeviceUpdateInfo.
const (
	infoType    = "steward/info/1" // keeps a JWS of another kind from serving as one
	infoContent = "cbor"
	infoVersion = 1
	maxHeader   = 16 << 10 // with a chain of three certificates in x5c
)

// jwsHeader is the protected header, beside alg. Times are NumericDate, ids and
// hashes base64url.
type jwsHeader struct {
	X5C     []string `json:"x5c"`
	Cty     string   `json:"cty"`
	Typ     string   `json:"typ"`
	Iss     string   `json:"iss"`
	Aud     string   `json:"aud"`
	Iat     Seconds  `json:"iat"`
	Jti     string   `json:"jti"`
	Mandate string   `json:"mandate"`
	Ver     int      `json:"ver"`
	Crit    []string `json:"crit"`
}

// infoCritical are the parameters that whoever reads an info must understand:
// all but those of JWS itself, which RFC 7515 forbids to list.
var infoCritical = []string{"aud", "iat", "iss", "jti", "mandate", "ver"}

// A jws is a parsed JWS in compact form.
type jws struct {
	protected   []byte // decoded
	body        []byte // in base64url
	signature   []byte
	input       []byte // what was signed
	header      Info   // without Devices
	certificate []byte // first of x5c
}

func (i *Info) signJWS(by Signer) ([]byte, error) {
	payload, err := EncodeDevices(i.Devices)
	if err != nil {
		return nil, err
	}
	if public, ok := publicOf(by).(*ecdsa.PublicKey); !ok || public.Curve != elliptic.P256() {
		return nil, fmt.Errorf("transfer: info: %w: not a P-256 key", ErrSigner)
	}
	key := jose.SigningKey{Algorithm: jose.ES256, Key: cryptosigner.Opaque(by.Key)}
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).
		WithHeader("x5c", []string{base64.StdEncoding.EncodeToString(by.Certificate)}).
		WithContentType(infoContent).
		WithType(infoType).
		WithHeader("iss", i.Issuer).
		WithHeader("aud", i.Audience).
		WithHeader("iat", uint64(i.IssuedAt)).
		WithHeader("jti", base64.RawURLEncoding.EncodeToString(i.ID)).
		WithHeader("mandate", base64.RawURLEncoding.EncodeToString(i.Mandate[:])).
		WithHeader("ver", infoVersion).
		WithCritical(infoCritical...))
	if err != nil {
		return nil, fmt.Errorf("transfer: info: %w", err)
	}
	object, err := signer.Sign(payload)
	if err != nil {
		return nil, fmt.Errorf("transfer: info: %w", err)
	}
	compact, err := object.CompactSerialize()
	if err != nil {
		return nil, fmt.Errorf("transfer: info: %w", err)
	}
	if len(compact) > MaxBatch {
		return nil, fmt.Errorf("transfer: info of %d bytes: %w", len(compact), ErrTooLarge)
	}
	return []byte(compact), nil
}

func publicOf(s Signer) any {
	if s.Key == nil {
		return nil
	}
	return s.Key.Public()
}

// openJWS reads the header of a JWS in compact form, and hashes the rest.
func openJWS(raw []byte) (head Signed[Info], o infoObject, err error) {
	object, err := parseJWS(raw)
	if err != nil {
		return head, nil, err
	}
	hash, err := object.hash()
	if err != nil {
		return head, nil, err
	}
	return Signed[Info]{Body: object.header, Hash: hash, Signer: KeyIDOf(object.certificate)}, object, nil
}

// parseJWS reads a JWS in compact form. The library checks the form and the
// algorithm, on a JWS of the same header with nothing in it, for it would copy all the
// devices several times; it knows no critical parameters of applications and would
// refuse ours, so those and the signature are checked here.
func parseJWS(raw []byte) (*jws, error) {
	head, rest, _ := bytes.Cut(raw, []byte{'.'})
	if len(head) > maxHeader {
		return nil, fmt.Errorf("transfer: JWS header: %w", ErrTooLarge)
	}
	dot := bytes.LastIndexByte(raw, '.')
	if dot <= len(head) || len(raw)-dot > maxHeader || bytes.ContainsAny(rest, "\r\n") {
		return nil, fmt.Errorf("transfer: JWS: %w", ErrSyntax)
	}
	object, err := jose.ParseSignedCompact(string(head)+".AA"+string(raw[dot:]), []jose.SignatureAlgorithm{jose.ES256})
	if unexpected := (*jose.ErrUnexpectedSignatureAlgorithm)(nil); errors.As(err, &unexpected) {
		return nil, fmt.Errorf("transfer: JWS with %q: %w", unexpected.Got, ErrAlgorithm)
	}
	if err != nil {
		return nil, fmt.Errorf("transfer: JWS: %w: %w", ErrSyntax, err)
	}
	protected, err := base64.RawURLEncoding.Strict().DecodeString(string(head))
	if err != nil {
		return nil, fmt.Errorf("transfer: JWS header: %w: %w", ErrSyntax, err)
	}
	parsed := &jws{
		protected: protected,
		body:      raw[len(head)+1 : dot],
		signature: object.Signatures[0].Signature,
		input:     raw[:dot],
	}
	return parsed, parsed.readHeader()
}

func (j *jws) payload() io.Reader { return base64Of(j.body) }

func (j *jws) readHeader() error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(j.protected, &members); err != nil {
		return fmt.Errorf("transfer: JWS header: %w: %w", ErrSyntax, err)
	}
	var h jwsHeader
	if err := json.Unmarshal(j.protected, &h); err != nil {
		return fmt.Errorf("transfer: JWS header: %w: %w", ErrSyntax, err)
	}
	if err := checkCritical(members, h.Crit); err != nil {
		return err
	}
	if h.Typ != infoType || h.Cty != infoContent || h.Ver != infoVersion {
		return fmt.Errorf("transfer: JWS of type %.40q, version %d: %w", h.Typ, h.Ver, ErrSyntax)
	}
	if len(h.X5C) == 0 {
		return fmt.Errorf("transfer: JWS without x5c: %w", ErrSyntax)
	}
	certificate, err1 := base64.StdEncoding.Strict().DecodeString(h.X5C[0])
	id, err2 := base64.RawURLEncoding.Strict().DecodeString(h.Jti)
	mandate, err3 := base64.RawURLEncoding.Strict().DecodeString(h.Mandate)
	if err := errors.Join(err1, err2, err3); err != nil || len(mandate) != len(Hash{}) {
		return fmt.Errorf("transfer: JWS header: %w: %w", ErrSyntax, err)
	}
	j.certificate = certificate
	j.header = Info{Issuer: h.Iss, Audience: h.Aud, IssuedAt: h.Iat, ID: id, Mandate: Hash(mandate)}
	return nil
}

// checkCritical applies RFC 7515 §4.1.11: crit lists, once each, parameters that
// are present and understood. Those that bind the info to its transfer must be
// listed, lest a reader that skips them takes it for another's.
func checkCritical(members map[string]json.RawMessage, crit []string) error {
	for i, name := range crit {
		if _, present := members[name]; !present || !slices.Contains(infoCritical, name) ||
			slices.Contains(crit[:i], name) {
			return fmt.Errorf("transfer: JWS: %.40q: %w", name, ErrCritical)
		}
	}
	for _, name := range []string{"mandate", "ver"} {
		if !slices.Contains(crit, name) {
			return fmt.Errorf("transfer: JWS: %q is not critical: %w", name, ErrCritical)
		}
	}
	return nil
}

// hash returns the hash of the signed object.
func (j *jws) hash() (Hash, error) {
	digest := sha256.New()
	digest.Write(j.protected)
	if _, err := io.Copy(digest, j.payload()); err != nil {
		return Hash{}, fmt.Errorf("transfer: JWS: %w: %w", ErrSyntax, err)
	}
	return Hash(digest.Sum(nil)), nil
}

// by checks that the certificate in the header is c, byte for byte, and the
// signature.
func (j *jws) by(c *x509.Certificate) error {
	if c == nil || !bytes.Equal(j.certificate, c.Raw) {
		return fmt.Errorf("transfer: info: %w", ErrSigner)
	}
	return j.verify(c)
}

// verify checks the signature, R and S of 32 bytes each (RFC 7518 §3.4).
func (j *jws) verify(by *x509.Certificate) error {
	public, ok := by.PublicKey.(*ecdsa.PublicKey)
	if !ok || public.Curve != elliptic.P256() {
		return fmt.Errorf("transfer: JWS: %w: not a P-256 key", ErrSigner)
	}
	const half = 32
	if len(j.signature) != 2*half {
		return fmt.Errorf("transfer: JWS: %w", ErrSignature)
	}
	digest := sha256.Sum256(j.input)
	r, s := new(big.Int).SetBytes(j.signature[:half]), new(big.Int).SetBytes(j.signature[half:])
	if !ecdsa.Verify(public, digest[:], r, s) {
		return fmt.Errorf("transfer: JWS: %w", ErrSignature)
	}
	return nil
}
