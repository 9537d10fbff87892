package est_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"

	"steward/est"
	"steward/est/c509"
)

func TestParseC509(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := est.NewCSR(key, "device-1")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := est.ParseCSR(der)
	if err != nil {
		t.Fatalf("ParseCSR: %v", err)
	}
	short, err := c509.Options{}.RequestFromDER(der)
	if err != nil {
		t.Fatalf("RequestFromDER: %v", err)
	}
	native, err := c509.Options{}.SignRequest(der, key)
	if err != nil {
		t.Fatalf("SignRequest: %v", err)
	}
	got, err := est.ParseC509(short)
	if err != nil || got.Hash != plain.Hash || got.SPKI != plain.SPKI {
		t.Errorf("ParseC509(type 3) = %v, %v, want the hashes of the DER", got, err)
	}
	got, err = est.ParseC509(native)
	if err != nil || got.Hash == plain.Hash || got.SPKI != plain.SPKI || !key.PublicKey.Equal(got.Key) {
		t.Errorf("ParseC509(type 2) = %v, %v, want another hash, the same key", got, err)
	}

	forged := func(b []byte) []byte { return append(b[:len(b)-1:len(b)-1], b[len(b)-1]^1) }
	tests := []struct {
		name string
		in   []byte
		err  error
	}{
		{"empty", nil, est.ErrCSR},
		{"DER", der, est.ErrCSR},
		{"type 3, signature of nobody", forged(short), est.ErrCSR},
		{"type 2, signature of nobody", forged(native), est.ErrCSR},
		{"type 2 as type 3", append([]byte{native[0], 3}, native[2:]...), est.ErrCSR},
		{"too large", make([]byte, est.MaxCSR+1), est.ErrCSRSize},
	}
	for _, tt := range tests {
		if got, err := est.ParseC509(tt.in); !errors.Is(err, tt.err) {
			t.Errorf("%s: ParseC509(%x) = %v, %v, want %v", tt.name, tt.in, got, err, tt.err)
		}
	}
	if _, err := est.ParseCSR(short); !errors.Is(err, est.ErrCSR) {
		t.Errorf("ParseCSR(C509): %v, want ErrCSR", err)
	}
}
