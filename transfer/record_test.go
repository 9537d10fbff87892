package transfer_test

import (
	"fmt"
	"testing"

	"steward/transfer"
)

// TestRecordOfMany signs and reads a record that is longer than a COSE message may be.
func TestRecordOfMany(t *testing.T) {
	const devices, receipt = 3000, 2000
	w := newWorld(t)
	r := transfer.Record{
		Provider: "Alpha", IssuedAt: 1, ID: []byte("0123456789abcdef"), State: "COMPLETE",
		Parties: []transfer.RecordSigner{{Name: "Alpha", Certificate: w.sp1.cert.Raw}},
	}
	for i := range devices {
		r.Devices = append(r.Devices, transfer.RecordDevice{
			Endpoint: fmt.Sprintf("device-%d", i), Factory: []byte{1}, State: "ABORTED",
			Receipts: [][]byte{make([]byte, receipt)},
		})
	}
	raw := must(r.Sign(w.sp1.signer()))(t)
	signed := func(raw []byte) bool {
		report, err := transfer.CheckRecord(raw, nil)
		if err != nil {
			t.Fatal(err)
		}
		return report.Statements[0].Proved
	}
	if !signed(raw) {
		t.Errorf("the signature of a record of %d bytes is not proved", len(raw))
	}
	raw[len(raw)-100] ^= 1 // inside the last receipt
	if signed(raw) {
		t.Error("the signature is proved of a record with a bit changed")
	}
}
