package transfer_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"steward/suit/cose"
	"steward/transfer"
)

const private = -65537 // the claim that holds our labels

// TestLabels reads what is sent with nothing but a CBOR decoder and compares the
// labels with the message definition (T24).
func TestLabels(t *testing.T) {
	w := newWorld(t)
	yes, sequence := true, uint64(9)
	w.destination.RAURI, w.destination.BootstrapURI = "coaps://ra", "coaps://bs"
	mandate := w.mandate()
	mandate.Attestation, mandate.KeepApplication, mandate.MaxSequence = &yes, &yes, &sequence
	message := w.message(t, 1)
	message.Mandate = transfer.Hash{1}
	receipt := w.receipt(transfer.Done)
	receipt.Operational, receipt.Previous, receipt.Error = transfer.Hash{1}, transfer.Hash{2}, 3
	receipt.Wiped = &transfer.WipeReport{}
	payload := func(raw []byte, err error) []byte {
		return must(cose.ParseSign1(must(raw, err)(t)))(t).Payload
	}
	status := transfer.RightStatus{Issuer: "CA", IssuedAt: 1, RightStatusTerms: transfer.RightStatusTerms{
		Factory: transfer.Hash{1}, SPKI: transfer.Hash{1}, Issued: transfer.Hash{1},
	}}
	agreement := transfer.Agreement{
		Issuer: "Beta", Audience: "Alpha", IssuedAt: 1, AgreementTerms: transfer.AgreementTerms{
			Offer: transfer.Hash{1}, Mandate: transfer.Hash{2}, Window: transfer.Window{Latest: 2}, Transfer: []byte{1},
		},
	}
	anchors := transfer.Anchors{IssuedAt: 1, AnchorsTerms: transfer.AnchorsTerms{
		Counter: 1, Anchors: []transfer.AnchorRef{{Purposes: 1}},
	}}
	offer := w.offer(t, transfer.Hash{1}, transfer.Hash{2})
	receiptRaw := must(receipt.Sign(w.factory.signer(), w.factory.signer()))(t)
	tests := []struct {
		name   string
		raw    []byte
		claims []int64
		labels []int64 // of the private claim
	}{
		{"Mandate", payload(mandate.Sign(w.user.signer())), []int64{1, 4, 6, 7}, []int64{16, 40, 41, 42, 43, 44, 45}},
		{"Destination", must(w.destination.Encode())(t), []int64{1, 2, 3, 4, 8, 9, 10, 11, 18, 19}, nil},
		{"TransferOffer", payload(offer.Sign(w.sp2.signer())), []int64{1, 3, 4, 6, 7}, []int64{0, 12, 14, 15, 16, 17, 46}},
		{
			"TransferMessage", payload(message.Sign(w.sp1.signer())),
			[]int64{1, 2, 3, 4, 5, 7},
			[]int64{0, 5, 6, 7, 12, 13, 21},
		},
		{
			"Receipt", must(cose.ParseSign(receiptRaw))(t).Payload,
			[]int64{2, 7},
			[]int64{6, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32},
		},
		{"RightStatus", payload(status.Sign(w.ca2.signer())), []int64{1, 6}, []int64{21, 26, 29, 33}},
		{"Agreement", payload(agreement.Sign(w.sp2.signer())), []int64{1, 3, 6}, []int64{7, 12, 16, 46}},
		{"Anchors", payload(anchors.Sign(w.sp1.signer())), []int64{6}, []int64{8, 36}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var outer map[int64]cbor.RawMessage
			check(t, cbor.Unmarshal(tt.raw, &outer))
			var inner map[int64]cbor.RawMessage
			if raw, ok := outer[private]; ok {
				check(t, cbor.Unmarshal(raw, &inner))
				delete(outer, private)
			}
			if got := slices.Sorted(maps.Keys(outer)); !slices.Equal(got, tt.claims) {
				t.Errorf("labels = %v, want %v", got, tt.claims)
			}
			if got := slices.Sorted(maps.Keys(inner)); !slices.Equal(got, tt.labels) {
				t.Errorf("labels of the private claim = %v, want %v", got, tt.labels)
			}
		})
	}
}

// TestHeaders is the header of every COSE message: alg and kid, protected, and
// nothing else.
func TestHeaders(t *testing.T) {
	w := newWorld(t)
	for _, f := range forms() {
		m := must(cose.ParseSign1(f.sign(t, w, w.sp1.signer())))(t)
		var header map[int64]any
		check(t, cbor.Unmarshal(m.RawProtected(), &header))
		hash := transfer.HashOf(w.sp1.cert.Raw)
		if kid, _ := header[4].([]byte); len(header) != 2 || header[1] != int64(-7) || string(kid) != string(hash[:8]) {
			t.Errorf("%s: protected header = %v", f.name, header)
		}
	}
}
