package transfer_test

import (
	"crypto/x509"
	"errors"
	"reflect"
	"testing"

	"steward/suit/cose"
	"steward/transfer"
)

func (w *world) receipt(state transfer.DeviceState) transfer.Receipt {
	return transfer.Receipt{Subject: "dev", ID: w.id, ReceiptTerms: transfer.ReceiptTerms{
		Epoch: 1, State: state, Message: transfer.Hash{1}, Destination: transfer.Hash{2}, Boots: 3, Powered: 4,
		SPKI: transfer.Hash{5}, Truststore: transfer.Hash{6}, Installed: w.installed(), Factory: w.factoryHash(),
	}}
}

func TestReceipt(t *testing.T) {
	w := newWorld(t)
	operational := newParty(t, "dev", &w.ca1)
	full := w.receipt(transfer.Done)
	full.Operational = transfer.HashOf(operational.cert.Raw)
	full.Wiped = &transfer.WipeReport{Profile: 1, Classes: []uint64{1, 2}}
	full.Error, full.Previous = transfer.GraceError, transfer.Hash{7}
	raw := must(full.Sign(w.factory.signer(), operational.signer()))(t)
	signed, err := transfer.VerifyReceipt(raw, w.factory.cert, operational.cert)
	if err != nil || !reflect.DeepEqual(signed.Body, full) {
		t.Errorf("VerifyReceipt = %+v, %v\nwant %+v", signed, err, full)
	}
	if _, err := transfer.VerifyReceipt(transfer.TagReceipt(raw), w.factory.cert, operational.cert); err != nil {
		t.Errorf("VerifyReceipt tagged = %v", err)
	}
	t.Logf("receipt: %d bytes", len(raw))

	spki := must(transfer.SPKIHash(operational.key.Public()))(t)
	bare := w.receipt(transfer.InFall)
	bare.SPKI = spki
	bareRaw := must(bare.Sign(w.factory.signer(), transfer.Signer{Key: operational.key}))(t)

	otherFactory := w.receipt(transfer.Done)
	otherFactory.Factory = transfer.Hash{9}
	hash := transfer.HashOf(operational.cert.Raw)
	otherFactory.Operational = hash

	tests := []struct {
		name        string
		raw         []byte
		factory, op *x509.Certificate
		err         error
	}{
		{"without certificate", bareRaw, w.factory.cert, nil, nil},
		{"certificate where there is none", bareRaw, w.factory.cert, operational.cert, transfer.ErrSigner},
		{"no certificate where there is one", raw, w.factory.cert, nil, transfer.ErrSigner},
		{"other operational certificate", raw, w.factory.cert, w.sp1.cert, transfer.ErrSigner},
		{"other factory certificate", raw, w.sp1.cert, operational.cert, transfer.ErrSigner},
		{
			"label 21 of another", must(otherFactory.Sign(w.factory.signer(), operational.signer()))(t),
			w.factory.cert, operational.cert, transfer.ErrSigner,
		},
		{"factory key forged", must(full.Sign(transfer.Signer{Key: w.sp1.key, Certificate: w.factory.cert.Raw},
			operational.signer()))(t), w.factory.cert, operational.cert, transfer.ErrSignature},
		{
			"operational key forged", must(full.Sign(w.factory.signer(),
				transfer.Signer{Key: w.sp1.key, Certificate: operational.cert.Raw}))(t), w.factory.cert, operational.cert,
			transfer.ErrSignature,
		},
		{"empty", nil, w.factory.cert, operational.cert, transfer.ErrSyntax},
		{"too large", make([]byte, transfer.MaxReceipt+1), w.factory.cert, operational.cert, transfer.ErrTooLarge},
		{"one signature", oneSignature(t, w, raw), w.factory.cert, operational.cert, transfer.ErrSyntax},
		{
			"signed as a mandate", asKind(t, w, operational, raw, "steward/mandate/1"), w.factory.cert, operational.cert,
			transfer.ErrSignature,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := transfer.VerifyReceipt(tt.raw, tt.factory, tt.op); !errors.Is(err, tt.err) {
				t.Errorf("VerifyReceipt = %v, want %v", err, tt.err)
			}
		})
	}
}

func coseSigner(t *testing.T, p party) *cose.Signer {
	t.Helper()
	kid := transfer.KeyIDOf(p.cert.Raw)
	return must(cose.NewSigner(p.key, cose.ES256, kid[:]))(t)
}

func oneSignature(t *testing.T, w *world, raw []byte) []byte {
	t.Helper()
	payload := must(cose.ParseSign(raw))(t).Payload
	return must(cose.SignSign([]*cose.Signer{coseSigner(t, w.factory)},
		cose.Options{Payload: payload, ExternalAAD: []byte("steward/receipt/1")}))(t)
}

func asKind(t *testing.T, w *world, operational party, raw []byte, aad string) []byte {
	t.Helper()
	payload := must(cose.ParseSign(raw))(t).Payload
	return must(cose.SignSign([]*cose.Signer{coseSigner(t, w.factory), coseSigner(t, operational)},
		cose.Options{Payload: payload, ExternalAAD: []byte(aad)}))(t)
}

func TestReceiptChain(t *testing.T) {
	w := newWorld(t)
	previous := &transfer.Signed[transfer.Receipt]{Body: w.receipt(transfer.Ready), Hash: transfer.Hash{8}}
	next := w.receipt(transfer.Done)
	next.Previous = previous.Hash
	if err := next.Follows(previous); err != nil {
		t.Errorf("Follows = %v", err)
	}
	for name, change := range map[string]func(*transfer.Receipt){
		"other receipt": func(r *transfer.Receipt) { r.Previous = transfer.Hash{9} },
		"other device":  func(r *transfer.Receipt) { r.Factory = transfer.Hash{9} },
		"other message": func(r *transfer.Receipt) { r.Message = transfer.Hash{9} },
		"other epoch":   func(r *transfer.Receipt) { r.Epoch = 9 },
	} {
		r := next
		change(&r)
		if err := r.Follows(previous); !errors.Is(err, transfer.ErrChain) {
			t.Errorf("Follows, %s: %v, want ErrChain", name, err)
		}
	}
}
