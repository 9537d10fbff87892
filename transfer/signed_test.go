package transfer_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"reflect"
	"testing"

	"steward/suit/cose"
	"steward/transfer"
)

// form is one kind of COSE_Sign1 message: how a valid one looks, and how it is
// read.
type form struct {
	name   string
	sign   func(*testing.T, *world, transfer.Signer) []byte
	verify func([]byte, *x509.Certificate) (any, error)
	parse  func([]byte) (any, error)
	want   func(*testing.T, *world) any
	tagged bool
}

func forms() []form {
	status := transfer.RightStatus{Issuer: "Beta CA", IssuedAt: 1, RightStatusTerms: transfer.RightStatusTerms{
		Factory: transfer.HashOf([]byte("f")), State: transfer.RightOpen, SPKI: transfer.HashOf([]byte("k")),
	}}
	anchors := transfer.Anchors{IssuedAt: 1, AnchorsTerms: transfer.AnchorsTerms{
		Counter: 1, Anchors: []transfer.AnchorRef{{Purposes: transfer.TransferSigner}},
	}}
	return []form{
		{
			"mandate", func(t *testing.T, w *world,
				s transfer.Signer,
			) []byte {
				t.Helper()
				return must(w.mandate().Sign(s))(t)
			},
			reading(transfer.VerifyMandate), parsing(transfer.ParseMandate),
			func(_ *testing.T, w *world) any { return w.mandate() }, true,
		},
		{
			"offer", func(t *testing.T, w *world, s transfer.Signer) []byte {
				t.Helper()
				return must(w.offer(t, transfer.Hash{1}, transfer.Hash{2}).Sign(s))(t)
			}, reading(transfer.VerifyOfferSignature), parsing(transfer.ParseOffer),
			func(t *testing.T, w *world) any { t.Helper(); return w.offer(t, transfer.Hash{1}, transfer.Hash{2}) }, true,
		},
		{
			"message", func(t *testing.T, w *world,
				s transfer.Signer,
			) []byte {
				t.Helper()
				return must(w.message(t, 1).Sign(s))(t)
			},
			reading(transfer.VerifyMessage), parsing(transfer.ParseMessage),
			func(t *testing.T, w *world) any { t.Helper(); return w.message(t, 1) }, false,
		},
		{
			"status", func(t *testing.T, _ *world, s transfer.Signer) []byte { t.Helper(); return must(status.Sign(s))(t) },
			reading(transfer.VerifyRightStatus), parsing(transfer.ParseRightStatus),
			func(*testing.T, *world) any { return status }, true,
		},
		{
			"anchors", func(t *testing.T, _ *world, s transfer.Signer) []byte { t.Helper(); return must(anchors.Sign(s))(t) },
			reading(transfer.VerifyAnchors), parsing(transfer.ParseAnchors),
			func(*testing.T, *world) any { return anchors }, false,
		},
	}
}

func reading[T any](f func([]byte, *x509.Certificate) (*transfer.Signed[T], error)) func([]byte,
	*x509.Certificate) (any, error) {
	return func(raw []byte, by *x509.Certificate) (any, error) {
		signed, err := f(raw, by)
		if err != nil {
			return nil, err
		}
		return signed.Body, nil
	}
}

func parsing[T any](f func([]byte) (*transfer.Signed[T], error)) func([]byte) (any, error) {
	return func(raw []byte) (any, error) {
		signed, err := f(raw)
		if err != nil {
			return nil, err
		}
		return signed.Body, nil
	}
}

func TestSignedRoundTrip(t *testing.T) {
	w := newWorld(t)
	for _, f := range forms() {
		t.Run(f.name, func(t *testing.T) {
			raw := f.sign(t, w, w.sp1.signer())
			if tagged := raw[0] == 0xd2; tagged != f.tagged {
				t.Errorf("tagged = %t, want %t", tagged, f.tagged)
			}
			got, err := f.verify(raw, w.sp1.cert)
			if want := f.want(t, w); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("Verify = %+v, %v\nwant %+v", got, err, want)
			}
			if _, err := f.verify(transfer.Untag(raw), w.sp1.cert); err != nil {
				t.Errorf("Verify untagged = %v", err)
			}
		})
	}
}

func TestSignedRefusesBadInput(t *testing.T) {
	w := newWorld(t)
	// The other certificate of the same key: the hint names one, the key both.
	twin := certify(t, "Alpha again", w.sp1.key.Public(), nil, w.sp1.key)
	for _, f := range forms() {
		raw := f.sign(t, w, w.sp1.signer())
		forged := f.sign(t, w, transfer.Signer{Key: w.sp2.key, Certificate: w.sp1.cert.Raw})
		flipped := bytes.Clone(raw)
		flipped[len(flipped)-1] ^= 1
		tests := []struct {
			name string
			raw  []byte
			by   *x509.Certificate
			err  error
		}{
			{"nothing", nil, w.sp1.cert, transfer.ErrSyntax},
			{"trailing byte", append(bytes.Clone(raw), 0), w.sp1.cert, transfer.ErrSyntax},
			{"other certificate", raw, w.sp2.cert, transfer.ErrSigner},
			{"other certificate of the same key", raw, twin, transfer.ErrSigner},
			{"no certificate", raw, nil, transfer.ErrSigner},
			{"other key under the same identifier", forged, w.sp1.cert, transfer.ErrSignature},
			{"flipped bit", flipped, w.sp1.cert, transfer.ErrSignature},
			{"too large", make([]byte, transfer.MaxBatch+1), w.sp1.cert, transfer.ErrTooLarge},
		}
		for _, tt := range tests {
			t.Run(f.name+"/"+tt.name, func(t *testing.T) {
				if _, err := f.verify(tt.raw, tt.by); !errors.Is(err, tt.err) {
					t.Errorf("Verify = %v, want %v", err, tt.err)
				}
			})
		}
	}
}

// TestNoSignatureServesTwice signs each body as each other kind.
func TestNoSignatureServesTwice(t *testing.T) {
	w := newWorld(t)
	kid := transfer.KeyIDOf(w.sp1.cert.Raw)
	signer := must(cose.NewSigner(w.sp1.key, cose.ES256, kid[:]))(t)
	kinds := []string{"mandate", "info", "offer", "message", "anchors", "receipt", "verdict", "status"}
	for _, f := range forms() {
		body := must(cose.ParseSign1(f.sign(t, w, w.sp1.signer())))(t).Payload
		for _, k := range kinds {
			raw := must(cose.SignSign1(signer, cose.Options{Payload: body, ExternalAAD: []byte("steward/" + k + "/1")}))(t)
			_, err := f.verify(raw, w.sp1.cert)
			if want := k == f.name; (err == nil) != want {
				t.Errorf("%s signed as %s: %v", f.name, k, err)
			}
		}
		raw := must(cose.SignSign1(signer, cose.Options{Payload: body}))(t)
		if _, err := f.verify(raw, w.sp1.cert); !errors.Is(err, transfer.ErrSignature) {
			t.Errorf("%s without external data: %v, want ErrSignature", f.name, err)
		}
	}
}

// TestHashNamesContent checks the definition: protected header and payload.
func TestHashNamesContent(t *testing.T) {
	w := newWorld(t)
	first := must(transfer.ParseMandate(must(w.mandate().Sign(w.user.signer()))(t)))(t)
	second := must(transfer.ParseMandate(must(w.mandate().Sign(w.user.signer()))(t)))(t)
	if first.Hash != second.Hash {
		t.Error("two signatures over the same mandate have different hashes")
	}
	other := must(transfer.ParseMandate(must(w.mandate().Sign(w.sp1.signer()))(t)))(t)
	if first.Hash == other.Hash {
		t.Error("mandates of two signers have the same hash")
	}
}

// TestT23MessageSizes: the TransferMessage is as short as the transfer protocol (§2)
// demands, and costs the device one check of a signature more than it does without it:
// it is one COSE_Sign1, whose signer is named by its thumbprint, with no chain to check.
// It is of row T23 of the transfer protocol (§9).
func TestT23MessageSizes(t *testing.T) {
	w := newWorld(t)
	small := *w
	small.certificates = []transfer.OfferCertificate{{
		Certificate: w.ca2.cert.Raw, Purposes: transfer.Enrol | transfer.DM | transfer.Update | transfer.TransferSigner,
	}}
	small.refs()
	m := small.message(t, 1)
	if raw := small.signed(t, m); len(raw) > 420 {
		t.Errorf("one anchor, no RA, no mandate: %d bytes, want at most 420", len(raw))
	} else {
		t.Logf("one anchor, no RA, no mandate: %d bytes", len(raw))
	}

	w.destination.RAURI = "coaps://ra.beta.example"
	w.destination.BootstrapURI = "coaps://beta.example:5686"
	w.destination.UpdateFirst = true
	m = w.message(t, 70_000)
	m.Mandate = transfer.HashOf([]byte("mandate"))
	if raw := w.signed(t, m); len(raw) > 512 {
		t.Errorf("all labels, two anchors: %d bytes, want at most 512", len(raw))
	} else {
		t.Logf("all labels, two anchors: %d bytes", len(raw))
	}
}
