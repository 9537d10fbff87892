package transfer_test

import (
	"bytes"
	"reflect"
	"testing"

	"steward/suit/cose"
	"steward/transfer"
)

// fuzzBody asserts that what parses encodes to the same bytes.
func fuzzBody[T interface{ Encode() ([]byte, error) }](f *testing.F, parse func([]byte) (T, error)) {
	f.Helper()
	for _, b := range bodies() {
		raw, err := b.value.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		body, err := parse(raw)
		if err != nil {
			return
		}
		if again, err := body.Encode(); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("Encode(Parse(%x)) = %x, %v", raw, again, err)
		}
	})
}

func FuzzAnswer(f *testing.F)        { fuzzBody(f, transfer.ParseAnswer) }
func FuzzReadyBody(f *testing.F)     { fuzzBody(f, transfer.ParseReadyBody) }
func FuzzCompletion(f *testing.F)    { fuzzBody(f, transfer.ParseCompletion) }
func FuzzWithdrawal(f *testing.F)    { fuzzBody(f, transfer.ParseWithdrawal) }
func FuzzOfferApproval(f *testing.F) { fuzzBody(f, transfer.ParseOfferApproval) }
func FuzzExtension(f *testing.F)     { fuzzBody(f, transfer.ParseExtension) }
func FuzzAuthorization(f *testing.F) { fuzzBody(f, transfer.ParseAuthorization) }

func FuzzDestination(f *testing.F) {
	w := newWorld(f)
	f.Add(must(w.destination.Encode())(f))
	fuzzBody(f, transfer.ParseDestination)
}

func FuzzDevices(f *testing.F) {
	f.Add(must(transfer.EncodeDevices([]transfer.DevicePair{newWorld(f).pair()}))(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		devices, err := transfer.ParseDevices(raw)
		if err != nil {
			return
		}
		if again, err := transfer.EncodeDevices(devices); err != nil || !bytes.Equal(again, raw) {
			t.Errorf("EncodeDevices(ParseDevices(%x)) = %x, %v", raw, again, err)
		}
	})
}

// fuzzSigned fuzzes the payload of a COSE_Sign1: the signature would hide it from
// the fuzzer. What parses signs to the same payload.
func fuzzSigned[T interface {
	Sign(transfer.Signer) ([]byte, error)
}](f *testing.F, seed T, parse func([]byte) (*transfer.Signed[T], error)) {
	f.Helper()
	w := newWorld(f)
	f.Add(must(cose.ParseSign1(must(seed.Sign(w.sp1.signer()))(f)))(f).Payload)
	kid := transfer.KeyIDOf(w.sp1.cert.Raw)
	signer := must(cose.NewSigner(w.sp1.key, cose.ES256, kid[:]))(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		raw, err := cose.SignSign1(signer, cose.Options{Payload: payload})
		if err != nil {
			return
		}
		signed, err := parse(raw)
		if err != nil {
			return
		}
		again, err := signed.Body.Sign(w.sp1.signer())
		if err != nil {
			t.Fatalf("Sign(Parse(%x)): %v", payload, err)
		}
		if got := must(cose.ParseSign1(again))(t).Payload; !bytes.Equal(got, payload) {
			t.Errorf("payload %x becomes %x", payload, got)
		}
	})
}

func FuzzMandate(f *testing.F) { fuzzSigned(f, newWorld(f).mandate(), transfer.ParseMandate) }
func FuzzMessage(f *testing.F) { fuzzSigned(f, newWorld(f).message(f, 1), transfer.ParseMessage) }
func FuzzOffer(f *testing.F) {
	fuzzSigned(f, newWorld(f).offer(f, transfer.Hash{1}, transfer.Hash{2}), transfer.ParseOffer)
}

func FuzzRightStatus(f *testing.F) {
	fuzzSigned(f, transfer.RightStatus{Issuer: "CA", IssuedAt: 1, RightStatusTerms: transfer.RightStatusTerms{
		Factory: transfer.Hash{1}, State: transfer.RightConsumed, SPKI: transfer.Hash{2}, Issued: transfer.Hash{3},
	}}, transfer.ParseRightStatus)
}

func FuzzAgreement(f *testing.F) {
	terms := transfer.AgreementTerms{
		Offer: transfer.Hash{1}, Mandate: transfer.Hash{2}, Window: transfer.Window{Earliest: 1, Latest: 2},
		Transfer: []byte("transfer"),
	}
	fuzzSigned(f, transfer.Agreement{Issuer: "Beta", Audience: "Alpha", IssuedAt: 1, AgreementTerms: terms},
		transfer.ParseAgreement)
}

func FuzzRecord(f *testing.F) {
	w := newWorld(f)
	f.Add(must(transfer.Record{
		Provider: "Alpha", IssuedAt: 1, ID: []byte("0123456789abcdef"), State: "COMPLETE",
		Parties: []transfer.RecordSigner{{Name: "Alpha", Certificate: []byte{1}}},
		Devices: []transfer.RecordDevice{{Endpoint: "d", Factory: []byte{1}, State: "ABORTED", Receipts: [][]byte{{2}}}},
	}.Sign(w.sp1.signer()))(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		record, err := transfer.ParseRecord(raw)
		if err != nil {
			return
		}
		again := must(transfer.ParseRecord(must(record.Sign(w.sp1.signer()))(t)))(t)
		if !reflect.DeepEqual(again, record) {
			t.Errorf("%+v becomes %+v", record, again)
		}
		if report, err := transfer.CheckRecord(raw, nil); err == nil && report.Proved && len(report.Parties) == 0 {
			t.Error("proved without anybody's signature")
		}
	})
}

func FuzzAnchors(f *testing.F) {
	fuzzSigned(f, transfer.Anchors{IssuedAt: 1, AnchorsTerms: transfer.AnchorsTerms{
		Counter: 1, Anchors: []transfer.AnchorRef{{Purposes: transfer.DM}},
	}}, transfer.ParseAnchors)
}

func FuzzReceipt(f *testing.F) {
	w := newWorld(f)
	signer := w.factory.signer()
	f.Add(must(cose.ParseSign(must(w.receipt(transfer.Ready).Sign(signer, signer))(f)))(f).Payload)
	kid := transfer.KeyIDOf(w.factory.cert.Raw)
	one := must(cose.NewSigner(w.factory.key, cose.ES256, kid[:]))(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		raw, err := cose.SignSign([]*cose.Signer{one, one}, cose.Options{Payload: payload})
		if err != nil {
			return
		}
		signed, err := transfer.ParseReceipt(raw)
		if err != nil {
			return
		}
		again := must(signed.Body.Sign(signer, signer))(t)
		if got := must(cose.ParseSign(again))(t).Payload; !bytes.Equal(got, payload) {
			t.Errorf("payload %x becomes %x", payload, got)
		}
	})
}

func FuzzInfo(f *testing.F) {
	w := newWorld(f)
	f.Add(must(w.info(transfer.Hash{1}).Sign(w.sp1.signer()))(f))
	f.Add(must(w.info(transfer.Hash{1}).SignCOSE(w.sp1.signer()))(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		signed, err := transfer.ParseInfo(raw)
		if err != nil {
			return
		}
		if _, err := signed.Body.Sign(w.sp1.signer()); err != nil {
			t.Errorf("Sign(ParseInfo(%q)): %v", raw, err)
		}
		if _, err := signed.Body.SignCOSE(w.sp1.signer()); err != nil {
			t.Errorf("SignCOSE(ParseInfo(%q)): %v", raw, err)
		}
	})
}

func FuzzParseOrder(f *testing.F) {
	f.Add(transfer.Order{Epoch: 1}.String())
	f.Fuzz(func(t *testing.T, text string) {
		o, err := transfer.ParseOrder(text)
		if err != nil {
			return
		}
		if again, err := transfer.ParseOrder(o.String()); err != nil || again != o {
			t.Errorf("ParseOrder(%q) = %+v, again %+v, %v", text, o, again, err)
		}
	})
}

// FuzzWriteMessage writes anything to a device: it is refused, with one of the
// eleven errors, and the journal stays as it was.
func FuzzWriteMessage(f *testing.F) {
	w := newWorld(f)
	d, j := w.device(f)
	f.Add(must(w.message(f, 1).Sign(w.sp2.signer()))(f))
	f.Add([]byte{0x84})
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := j.Record()
		err := d.WriteMessage(raw, noon)
		if transfer.ErrorCode(err) == 0 || !bytes.Equal(before, j.Record()) {
			t.Errorf("WriteMessage(%x) = %v", raw, err)
		}
	})
}
