package transfer_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"steward/transfer"
)

// body is a message of the interface between providers.
type body struct {
	name  string
	value interface{ Encode() ([]byte, error) }
	parse func([]byte) (any, error)
}

func bodies() []body {
	id := []byte("transfer")
	window := transfer.Window{Earliest: 1, Latest: 2}
	hash := transfer.NewCertHash(transfer.Hash{9})
	return []body{
		{"answer", transfer.Answer{Info: transfer.Hash{1}, Transfer: id, Devices: []transfer.Verdict{
			{Device: transfer.Thumbprint{1}}, {Device: transfer.Thumbprint{2}, Reason: "known"},
		}}, as(transfer.ParseAnswer)},
		{"ready", transfer.ReadyBody{Transfer: id, Receipt: []byte{1}}, as(transfer.ParseReadyBody)},
		{"completion", transfer.Completion{Transfer: id, Receipts: [][]byte{{1}, {2}}}, as(transfer.ParseCompletion)},
		{"withdrawal of all", transfer.Withdrawal{Reason: "sold", Transfer: id}, as(transfer.ParseWithdrawal)},
		{"withdrawal of one", transfer.Withdrawal{Reason: "lost", Transfer: id, Devices: []transfer.Withdrawn{
			{Device: transfer.Thumbprint{1}, Reason: "lost"},
		}}, as(transfer.ParseWithdrawal)},
		{
			"extension",
			transfer.Extension{Mandate: transfer.Hash{1}, Window: window, Transfer: id},
			as(transfer.ParseExtension),
		},
		{"approval", transfer.OfferApproval{Offer: transfer.Hash{1}, Transfer: id}, as(transfer.ParseOfferApproval)},
		{"extension with a mandate", transfer.Extension{
			Mandate: transfer.Hash{1}, Window: window, Transfer: id, Document: []byte{1},
		}, as(transfer.ParseExtension)},
		{"authorization", transfer.Authorization{
			{FactoryCert: transfer.FactoryCert{X5Chain: []byte{1}}, Window: window},
			{FactoryCert: transfer.FactoryCert{X5T: &hash}, Window: window, SPKI: transfer.Hash{2}},
		}, as(transfer.ParseAuthorization)},
	}
}

func as[T any](f func([]byte) (T, error)) func([]byte) (any, error) {
	return func(raw []byte) (any, error) { return f(raw) }
}

func TestBodiesRoundTrip(t *testing.T) {
	for _, b := range bodies() {
		t.Run(b.name, func(t *testing.T) {
			raw := must(b.value.Encode())(t)
			got, err := b.parse(raw)
			if err != nil || !reflect.DeepEqual(got, b.value) {
				t.Errorf("Parse(%x) = %+v, %v\nwant %+v", raw, got, err, b.value)
			}
			for _, bad := range [][]byte{nil, raw[:len(raw)-1], append(bytes.Clone(raw), 0), {0xf6}, {0xa0}, {0x80}} {
				if _, err := b.parse(bad); err == nil {
					t.Errorf("Parse(%x) accepts", bad)
				}
			}
		})
	}
}

func TestBodiesAreDeterministic(t *testing.T) {
	tests := []struct {
		name, in string
		err      error
	}{
		{"as encoded", "a2182e4101183041ff", nil},
		{"length in two bytes", "a2182e580101183041ff", transfer.ErrSyntax},
		{"label in three bytes", "a2 19002e 4101 1830 41ff", transfer.ErrSyntax},
		{"labels out of order", "a2183041ff182e4101", transfer.ErrSyntax},
		{"label twice", "a3182e4101182e4101183041ff", transfer.ErrSyntax},
		{"unknown label", "a3182e4101183041ff183100", transfer.ErrSyntax},
		{"label missing", "a1183041ff", transfer.ErrSyntax},
		{"null for bytes", "a2182ef6183041ff", transfer.ErrSyntax},
		{"text for bytes", "a2182e6101183041ff", transfer.ErrSyntax},
		{"indefinite map", "bf182e4101183041ffff", transfer.ErrSyntax},
		{"tagged", "d9d9f7a2182e4101183041ff", transfer.ErrSyntax},
		{"length beyond the input", "a2182e5affffffff01", transfer.ErrSyntax},
		{"empty id", "a2182e40183041ff", transfer.ErrValue},
		{"empty receipt", "a2182e4101183040", transfer.ErrValue},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := must(hex.DecodeString(string(bytes.ReplaceAll([]byte(tt.in), []byte(" "), nil))))(t)
			if _, err := transfer.ParseReadyBody(raw); !errors.Is(err, tt.err) {
				t.Errorf("ParseReadyBody(%x) = %v, want %v", raw, err, tt.err)
			}
		})
	}
}
