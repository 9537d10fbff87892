package foreign_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"slices"

	"github.com/plgd-dev/go-coap/v3/message/codes"
)

// A verifier is the partner's own: it judges devices that come by what the former
// provider has told of them.
type verifier struct {
	signer

	distrusts bool // whatever devices run
}

func newVerifier(c *ca, name string) *verifier {
	key := newKey()
	subject := pkix.Name{CommonName: name + " verifier"}
	return &verifier{signer: signer{key, c.issue(key.Public(), &x509.Certificate{Subject: subject})}}
}

type evidence struct {
	Confirmation struct {
		Key coseKey `cbor:"1,keyasint"`
	} `cbor:"8,keyasint"`
	Nonce        []byte        `cbor:"10,keyasint"`
	UEID         []byte        `cbor:"256,keyasint"`
	OEMBoot      bool          `cbor:"262,keyasint"`
	Debug        uint64        `cbor:"263,keyasint"`
	Profile      string        `cbor:"265,keyasint"`
	Boots        uint64        `cbor:"267,keyasint"`
	Measurements []measurement `cbor:"273,keyasint"`
	Terms        struct {
		Message    []byte `cbor:"22,keyasint,omitempty"`
		Truststore []byte `cbor:"27,keyasint,omitempty"`
	} `cbor:"-65537,keyasint"`
}

type measurement struct {
	_      struct{} `cbor:",toarray"`
	Format uint64
	Body   []byte
}

type component struct {
	Name     []byte    `cbor:"1,keyasint"`
	Digest   certHash  `cbor:"2,keyasint"`
	Manifest *certHash `cbor:"3,keyasint,omitempty"`
	Sequence uint64    `cbor:"4,keyasint"`
}

type verdict struct {
	Issuer   string            `cbor:"1,keyasint"`
	Expires  uint64            `cbor:"4,keyasint"`
	Issued   uint64            `cbor:"6,keyasint"`
	Nonce    []byte            `cbor:"10,keyasint"`
	Profile  string            `cbor:"265,keyasint"`
	Modules  map[string]module `cbor:"266,keyasint"`
	Verifier map[int]string    `cbor:"1004,keyasint"`
	Terms    verdictTerms      `cbor:"-65537,keyasint"`
}

type module struct {
	Status int         `cbor:"1000,keyasint"`
	Vector map[int]int `cbor:"1001,keyasint"`
	Policy string      `cbor:"1003,keyasint"`
}

type verdictTerms struct {
	Factory []byte `cbor:"21,keyasint"`
	Message []byte `cbor:"22,keyasint,omitempty"`
	SPKI    []byte `cbor:"26,keyasint"`
	Tier    uint64 `cbor:"34,keyasint"`
	Reason  string `cbor:"35,keyasint"`
}

// The values of tiers and claims (draft-ietf-rats-ar4si §2.3).
const (
	affirming       = 1
	contraindicated = 3

	claimAffirming       = 2
	claimContraindicated = 96
)

// conflict is 4.09 (RFC 8132 §4): another try with another nonce.
const conflict codes.Code = 4<<5 | 9

// attest is the gate of the verifier: a nonce for GET, a verdict for evidence.
func (f *foreign) attest(factory *x509.Certificate, r coapRequest) coapResponse {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.coming(factory)
	switch {
	case r.path != "ra" || s == nil || s.ready == nil || s.info.RA == nil:
		return coapResponse{code: codes.Forbidden, format: -1}
	case r.code == codes.GET:
		return coapResponse{code: codes.Content, format: formatCBOR, payload: s.challenge()}
	case r.code != codes.POST || r.format != formatEvidence:
		return coapResponse{code: codes.BadRequest, format: -1}
	}
	switch err := f.appraise(s, r.payload); {
	case errors.Is(err, errNonce):
		return coapResponse{code: conflict, format: -1}
	case err != nil:
		f.faults = append(f.faults, err)
		return coapResponse{code: codes.Forbidden, format: -1}
	}
	if s.affirmed {
		s.passed.attest = true
		f.pass(s)
	} else {
		s.state = "RA_FAILED"
		f.ca.forget(hashOf(factory.Raw))
	}
	return coapResponse{code: codes.Changed, format: formatEvidence, payload: s.verdict}
}

// challenge gives a nonce for a device.
func (s *switching) challenge() []byte {
	s.nonce = make([]byte, 16)
	_, _ = rand.Read(s.nonce) // never fails
	return encode(map[int]any{4: now() + 60, 10: s.nonce})
}

var errNonce = errors.New("another nonce")

// appraise gives a device the verdict on its evidence; f.mu is held.
func (f *foreign) appraise(s *switching, raw []byte) error {
	e, key, err := openEvidence(raw, s.info.RA.Key)
	switch {
	case err != nil:
		return err
	case s.nonce == nil || !bytes.Equal(e.Nonce, s.nonce):
		return errNonce
	}
	s.nonce = nil
	against := f.verifier.against(s, e, key)
	s.verdict, s.affirmed = f.verifier.say(f.name, s, e, key, against), against == ""
	return nil
}

// coming returns the device with that factory certificate on its way here, or nil;
// f.mu is held.
func (f *foreign) coming(factory *x509.Certificate) *switching {
	for _, d := range f.deals {
		for _, s := range d.devices {
			if d.incoming && bytes.Equal(s.factory.Raw, factory.Raw) && (s.state == "READY" || s.committed()) {
				return s
			}
		}
	}
	return nil
}

func (k coseKey) public() (*ecdsa.PublicKey, error) {
	if k.Kind != 2 || k.Curve != 1 || len(k.X) != len(k.Y) {
		return nil, refused("COSE_Key that is not on P-256")
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, k.X, k.Y))
}

// openEvidence verifies evidence by the attestation key, and returns the key that it
// confirms as SubjectPublicKeyInfo.
func openEvidence(raw []byte, by coseKey) (e evidence, spki []byte, err error) {
	signed, err := by.public()
	if err != nil {
		return e, nil, err
	}
	var s sign1
	if err := decode(untag(raw, tagSign1), &s); err != nil {
		return e, nil, err
	}
	var h struct {
		Alg int64 `cbor:"1,keyasint"`
	}
	if err := decode(s.Protected, &h); err != nil || h.Alg != -7 {
		return e, nil, refused("evidence by algorithm %d: %v", h.Alg, err)
	}
	input := encode([]any{"Signature1", s.Protected, []byte("steward/evidence/1"), s.Payload})
	if err := verify(&x509.Certificate{PublicKey: signed}, input, s.Signature); err != nil {
		return e, nil, err
	}
	if err := decode(s.Payload, &e); err != nil {
		return e, nil, err
	}
	confirmed, err := e.Confirmation.Key.public()
	if err != nil {
		return e, nil, err
	}
	spki, err = x509.MarshalPKIXPublicKey(confirmed)
	return e, spki, err
}

// against says what speaks against a device; "" if nothing does.
func (v *verifier) against(s *switching, e evidence, spki []byte) string {
	switch {
	case v.distrusts:
		return "a fault of these images became known"
	case e.Profile != "tag:steward.example,2026:evidence/1" || len(e.Measurements) == 0:
		return "evidence of another kind"
	case !bytes.Equal(e.UEID, append([]byte{1}, hashOf(s.factory.Raw)...)):
		return "evidence of another device"
	case !bytes.Equal(hashOf(spki), s.ready.Terms.SPKI) || !bytes.Equal(e.Terms.Message, s.ready.Terms.Message):
		return "evidence for another key or order"
	case !bytes.Equal(e.Terms.Truststore, s.ready.Terms.Truststore):
		return "truststore differs"
	case e.Debug == 0 || !e.OEMBoot || e.Boots < s.ready.Terms.Boots:
		return "boots what nobody has approved"
	}
	for _, m := range e.Measurements {
		var c component
		if m.Format != formatCBOR || decode(m.Body, &c) != nil {
			return "measurement of another kind"
		}
		known := func(r certHash) bool { return r.Alg == c.Digest.Alg && bytes.Equal(r.Value, c.Digest.Value) }
		if !slices.ContainsFunc(s.info.RA.References, known) {
			return "holds what no reference has"
		}
	}
	return ""
}

// say signs the verdict on a device.
func (v *verifier) say(name string, s *switching, e evidence, spki []byte, against string) []byte {
	terms := verdictTerms{
		Factory: hashOf(s.factory.Raw), Message: e.Terms.Message, SPKI: hashOf(spki), Tier: affirming, Reason: against,
	}
	claim := claimAffirming
	if against == "" {
		terms.Reason = "holds what the references say"
	} else {
		terms.Tier, claim = contraindicated, claimContraindicated
	}
	raw, _ := v.signDocument("steward/verdict/1", verdict{
		Issuer: name, Expires: now() + 3600, Issued: now(), Nonce: e.Nonce, Profile: "tag:github.com,2023:veraison/ear",
		Modules: map[string]module{"device": {
			Status: claim, Vector: map[int]int{0: claim, 1: claim, 2: claim}, Policy: "tag:steward.example,2026:policy/1",
		}},
		Verifier: map[int]string{0: "Foreign", 1: "1"}, Terms: terms,
	})
	return tagged(tagSign1, raw)
}
