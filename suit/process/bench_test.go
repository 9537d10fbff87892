package process_test

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"steward/suit"
	"steward/suit/cose"
)

// BenchmarkVerifyExample3 parses and verifies published example 3, beside one raw
// ECDSA verification of the same signature. Metric ratio says how much the
// envelope costs on top of it, by medians; it should stay below 1.3.
func BenchmarkVerifyExample3(b *testing.B) {
	raw := readHex(b, "testdata/suit-published/manifest_ex3_es256.hex")
	block, _ := pem.Decode([]byte(trustAnchor))
	key, ok := parseKey(b, block.Bytes).(*ecdsa.PublicKey)
	if !ok {
		b.Fatal("not an ECDSA key")
	}
	verifier, err := cose.NewVerifier(key)
	if err != nil {
		b.Fatalf("NewVerifier: %v", err)
	}
	parse := func() {
		e, err := suit.Decode(raw, suit.Limits{})
		if err != nil {
			b.Fatalf("Decode: %v", err)
		}
		if err := e.VerifyDigest(); err != nil {
			b.Fatalf("VerifyDigest: %v", err)
		}
		if _, err := cose.VerifySign1(e.Blocks[0], verifier, e.RawDigest, nil); err != nil {
			b.Fatalf("VerifySign1: %v", err)
		}
		if _, err := e.Manifest(); err != nil {
			b.Fatalf("Manifest: %v", err)
		}
	}
	digest, signature := rawSignature(b, raw)
	verify := func() {
		if !ecdsa.VerifyASN1(key, digest, signature) {
			b.Fatal("the raw signature does not verify")
		}
	}
	var envelope, bare []time.Duration
	for b.Loop() { // in turns, so that both meet the same machine
		start := time.Now()
		parse()
		middle := time.Now()
		verify()
		bare = append(bare, time.Since(middle))
		envelope = append(envelope, middle.Sub(start))
	}
	b.ReportMetric(float64(median(envelope))/float64(median(bare)), "ratio")
	b.ReportMetric(float64(sum(envelope))/float64(sum(bare)), "ratio-of-means")
	b.ReportMetric(float64(median(bare)), "ns/raw-verify")
}

// median is robust against whatever else the machine does.
func median(list []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(list))[len(list)/2]
}

func sum(list []time.Duration) (total time.Duration) {
	for _, d := range list {
		total += d
	}
	return total
}

// rawSignature returns what was signed and the signature, as crypto/ecdsa takes
// them.
func rawSignature(b *testing.B, raw []byte) (digest, signature []byte) {
	b.Helper()
	e, err := suit.Decode(raw, suit.Limits{})
	if err != nil {
		b.Fatalf("Decode: %v", err)
	}
	m, err := cose.ParseSign1(e.Blocks[0])
	if err != nil {
		b.Fatalf("ParseSign1: %v", err)
	}
	signed, err := cbor.Marshal([]any{"Signature1", m.RawProtected(), []byte{}, e.RawDigest})
	if err != nil {
		b.Fatalf("Marshal: %v", err)
	}
	sum := sha256.Sum256(signed)
	return sum[:], asn1Signature(b, m.Signature)
}

// trustAnchor is the key of the examples of the manifest.
const trustAnchor = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEhJaBGq4LqqvSYVcYnuzaJr6qi/Eb
bz/m4rVlnIXbwK07HypLbAmBMcCjbazR14vTgdzfsJwFLbM5kdtzOLSolg==
-----END PUBLIC KEY-----
`

func parseKey(b *testing.B, der []byte) any {
	b.Helper()
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		b.Fatalf("ParsePKIXPublicKey: %v", err)
	}
	return key
}

// asn1Signature encodes r and s.
func asn1Signature(b *testing.B, signature []byte) []byte {
	b.Helper()
	half := len(signature) / 2
	raw, err := asn1.Marshal(struct{ R, S *big.Int }{
		new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]),
	})
	if err != nil {
		b.Fatalf("Marshal: %v", err)
	}
	return raw
}
