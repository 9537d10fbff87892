package transfer_test

import (
	"errors"
	"maps"
	"reflect"
	"testing"

	"steward/suit/cose"
	"steward/transfer"
)

// TestInfoCOSERoundTrip: the same info as in a JWS, with a hash of its own.
func TestInfoCOSERoundTrip(t *testing.T) {
	w := newWorld(t)
	info := w.info(transfer.Hash{1})
	raw := must(info.SignCOSE(w.sp1.signer()))(t)
	signed, err := transfer.VerifyInfo(raw, w.sp1.cert)
	if err != nil || !reflect.DeepEqual(signed.Body, info) {
		t.Fatalf("VerifyInfo = %+v, %v\nwant %+v", signed, err, info)
	}
	if !transfer.IsCOSE(raw) || signed.Signer != transfer.KeyIDOf(w.sp1.cert.Raw) || signed.Hash.IsZero() {
		t.Errorf("signer %x, hash %v", signed.Signer, signed.Hash)
	}
	jws := must(info.Sign(w.sp1.signer()))(t)
	if other := must(transfer.VerifyInfo(jws, w.sp1.cert))(t); other.Hash == signed.Hash || len(raw) >= len(jws) {
		t.Errorf("COSE of %d bytes, JWS of %d, the same hash: %t", len(raw), len(jws), other.Hash == signed.Hash)
	}
}

// TestInfoCOSERefusals has a row for whatever may be wrong in header or signature.
func TestInfoCOSERefusals(t *testing.T) {
	w := newWorld(t)
	good := w.info(transfer.Hash{1})
	payload := must(transfer.EncodeDevices(good.Devices))(t)
	claims := map[int64]any{
		1: good.Issuer, 3: good.Audience, 6: uint64(good.IssuedAt), 7: good.ID,
		-65537: map[int64]any{12: good.Mandate[:], 49: 1},
	}
	base := map[int64]any{
		cose.LabelCritical: []int64{15}, cose.LabelContentType: 60, cose.LabelType: "steward/info/1",
		cose.LabelCWTClaims: claims,
	}
	with := func(label int64, value any) map[int64]any {
		header := maps.Clone(base)
		header[label] = value
		if value == nil {
			delete(header, label)
		}
		return header
	}
	claim := func(label int64, value any) map[int64]any {
		changed := maps.Clone(claims)
		changed[label] = value
		if value == nil {
			delete(changed, label)
		}
		return with(cose.LabelCWTClaims, changed)
	}
	sign := func(header map[int64]any, by party, aad string) []byte {
		kid := transfer.KeyIDOf(w.sp1.cert.Raw)
		signer := must(cose.NewSigner(by.key, cose.ES256, kid[:]))(t)
		return must(cose.SignSign1(signer, cose.Options{
			Protected: header, Payload: payload, ExternalAAD: []byte(aad), Tagged: true,
		}))(t)
	}
	const aad = "steward/info/1"
	if _, err := transfer.VerifyInfo(sign(base, w.sp1, aad), w.sp1.cert); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"of another kind":         {sign(base, w.sp1, "steward/offer/1"), transfer.ErrSignature},
		"signed by another":       {sign(base, w.sp2, aad), transfer.ErrSignature},
		"no claims":               {sign(with(cose.LabelCWTClaims, nil), w.sp1, aad), transfer.ErrSyntax},
		"claims not critical":     {sign(with(cose.LabelCritical, nil), w.sp1, aad), transfer.ErrSyntax},
		"another type":            {sign(with(cose.LabelType, "steward/offer/1"), w.sp1, aad), transfer.ErrSyntax},
		"another content":         {sign(with(cose.LabelContentType, 50), w.sp1, aad), transfer.ErrSyntax},
		"no issuer":               {sign(claim(1, nil), w.sp1, aad), transfer.ErrSyntax},
		"empty issuer":            {sign(claim(1, ""), w.sp1, aad), transfer.ErrValue},
		"claim that nobody knows": {sign(claim(2, "x"), w.sp1, aad), transfer.ErrSyntax},
		"another version": {
			sign(claim(-65537, map[int64]any{12: good.Mandate[:], 49: 2}), w.sp1, aad), transfer.ErrSyntax,
		},
		"no mandate":               {sign(claim(-65537, map[int64]any{49: 1}), w.sp1, aad), transfer.ErrSyntax},
		"another critical label":   {sign(with(cose.LabelCritical, []int64{15, 16}), w.sp1, aad), transfer.ErrSyntax},
		"a bit of the signature":   {bend(sign(base, w.sp1, aad)), transfer.ErrSignature},
		"nothing but the tag":      {[]byte{0xd2}, transfer.ErrSyntax},
		"untagged, so it is a JWS": {sign(base, w.sp1, aad)[1:], transfer.ErrSyntax},
	} {
		if _, err := transfer.VerifyInfo(c.raw, w.sp1.cert); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := transfer.VerifyInfo(sign(base, w.sp1, aad), w.sp2.cert); !errors.Is(err, transfer.ErrSigner) {
		t.Errorf("held against another certificate: %v", err)
	}
}

func bend(raw []byte) []byte {
	raw[len(raw)-1] ^= 1
	return raw
}
