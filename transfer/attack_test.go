package transfer_test

import (
	"errors"
	"testing"

	"steward/transfer"
)

// TestT2bPermanentRootGivesWay: another provider's CA may stand under the permanent
// root that all devices of a factory hold. It must not pass for the present
// provider's, neither for enrolment nor on the way back; a device that has no
// anchor of its provider still has the permanent one. It is of row T2b of the transfer protocol (§9).
func TestT2bPermanentRootGivesWay(t *testing.T) {
	w := newWorld(t)
	permanent := transfer.Anchor{
		Certificate: w.ca2.cert.Raw, Purposes: transfer.Enrol | transfer.Fallback, Domain: transfer.Permanent,
	}
	current := transfer.Anchor{
		Certificate: w.ca1.cert.Raw, Purposes: transfer.Enrol | transfer.DM | transfer.Fallback, Domain: transfer.Current,
	}
	staged := current
	staged.Staged = true
	tests := []struct {
		name       string
		truststore []transfer.Anchor
		want       transfer.Domain
	}{
		{"own anchor", []transfer.Anchor{permanent, current}, transfer.Current},
		{"own anchor, other order", []transfer.Anchor{current, permanent}, transfer.Current},
		{"none of its own", []transfer.Anchor{permanent}, transfer.Permanent},
		{"its own is only staged", []transfer.Anchor{permanent, staged}, transfer.Permanent},
	}
	for _, tt := range tests {
		for state, purpose := range map[transfer.DeviceState]transfer.Purposes{
			transfer.Idle: transfer.Enrol, transfer.Ready: transfer.Enrol, transfer.InFall: transfer.Fallback,
		} {
			got := transfer.Trusted(tt.truststore, state, purpose)
			if len(got) != 1 || got[0].Domain != tt.want {
				t.Errorf("%s: Trusted(%s, %s) = %v, want the %s anchor alone", tt.name, state, purpose, got, tt.want)
			}
		}
	}
}

// TestReceiptNeedsBothKeys: a copy of the factory key alone signs no receipt of a
// state in which the device has an operational certificate.
func TestReceiptNeedsBothKeys(t *testing.T) {
	w := newWorld(t)
	thief := newParty(t, "thief", nil)
	spki := must(transfer.SPKIHash(thief.key.Public()))(t)
	for state, want := range map[transfer.DeviceState]error{
		transfer.Ready: transfer.ErrSigner, transfer.Done: transfer.ErrSigner, transfer.Finalised: transfer.ErrSigner,
		transfer.FellBack: transfer.ErrSigner, transfer.InFall: nil,
	} {
		r := w.receipt(state)
		r.SPKI = spki
		raw := must(r.Sign(w.factory.signer(), transfer.Signer{Key: thief.key}))(t)
		if _, err := transfer.VerifyReceipt(raw, w.factory.cert, nil); !errors.Is(err, want) {
			t.Errorf("VerifyReceipt of %s = %v, want %v", state, err, want)
		}
		if _, err := transfer.VerifyFactoryReceipt(raw, w.factory.cert); !errors.Is(err, want) {
			t.Errorf("VerifyFactoryReceipt of %s = %v, want %v", state, err, want)
		}
	}
}
