package transfer_test

import (
	"errors"
	"testing"

	"steward/transfer"
)

// evidence is the READY, DONE and FINALISED receipts of one transfer, as far as
// comparisons look at them.
func evidence(w *world, offer *transfer.Offer) (ready, done, final *transfer.Signed[transfer.Receipt]) {
	signed := func(state transfer.DeviceState, hash byte) *transfer.Signed[transfer.Receipt] {
		s := &transfer.Signed[transfer.Receipt]{Body: w.receipt(state), Hash: transfer.Hash{hash}}
		s.Body.Destination = transfer.HashOf(offer.Destination)
		return s
	}
	ready, done, final = signed(transfer.Ready, 1), signed(transfer.Done, 2), signed(transfer.Finalised, 3)
	ready.Body.Operational, done.Body.Operational, final.Body.Operational = transfer.Hash{1}, transfer.Hash{2},
		transfer.Hash{2}
	done.Body.Previous, final.Body.Previous = ready.Hash, done.Hash
	done.Body.Wiped = &transfer.WipeReport{Classes: []uint64{1, 2, 3, 4}}
	final.Body.Truststore = transfer.ExpectedTruststore(w.permanents, &w.destination, w.certificates, transfer.Finalised)
	return ready, done, final
}

func TestEvidence(t *testing.T) {
	type set struct{ ready, done, final, back *transfer.Receipt }
	tests := []struct {
		name        string
		change      func(set)
		done, final error
		back        error
	}{
		{name: "sound", change: func(set) {}},
		{name: "other key", change: func(s set) {
			s.done.SPKI[0] ^= 1
		}, done: transfer.ErrEvidence, final: transfer.ErrEvidence},
		{
			name: "same certificate", change: func(s set) { s.done.Operational = s.ready.Operational },
			done: transfer.ErrEvidence, final: transfer.ErrEvidence,
		},
		{name: "not wiped", change: func(s set) { s.done.Wiped.Classes = []uint64{1, 2, 3} }, done: transfer.ErrEvidence},
		{name: "no wipe told", change: func(s set) { s.done.Wiped = nil }, done: transfer.ErrEvidence},
		{name: "chain broken at DONE", change: func(s set) { s.done.Previous[0] ^= 1 }, done: transfer.ErrChain},
		{name: "chain broken at FINALISED", change: func(s set) { s.final.Previous[0] ^= 1 }, final: transfer.ErrChain},
		{name: "not finalised", change: func(s set) { s.final.State = transfer.Done }, final: transfer.ErrEvidence},
		{name: "truststore", change: func(s set) { s.final.Truststore[0] ^= 1 }, final: transfer.ErrEvidence},
		{
			name: "fell back with the old certificate", change: func(s set) { s.back.Operational = s.ready.Operational },
			back: transfer.ErrEvidence,
		},
		{name: "fell back with the key for CA2", change: func(s set) {
			s.back.SPKI = s.ready.SPKI
		}, back: transfer.ErrEvidence},
		{name: "fell back in another epoch", change: func(s set) { s.back.Epoch++ }, back: transfer.ErrEvidence},
		{name: "another fell back", change: func(s set) { s.back.Factory[0] ^= 1 }, back: transfer.ErrEvidence},
		{
			name: "not done", change: func(s set) { s.done.State = transfer.Register },
			done: transfer.ErrEvidence, final: transfer.ErrEvidence,
		},
		{name: "another destination than the offer's", change: func(s set) {
			s.ready.Destination[0] ^= 1
			s.done.Destination, s.final.Destination = s.ready.Destination, s.ready.Destination
		}, final: transfer.ErrEvidence},
		{name: "fell back after nothing", change: func(s set) {
			s.back.Previous = transfer.Hash{}
		}, back: transfer.ErrEvidence},
		{name: "only FALLBACK", change: func(s set) { s.back.State = transfer.InFall }, back: transfer.ErrEvidence},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			offer := w.offer(t, transfer.Hash{1}, transfer.Hash{2})
			ready, done, final := evidence(w, &offer)
			back := &transfer.Signed[transfer.Receipt]{Body: ready.Body}
			back.Body.State, back.Body.SPKI, back.Body.Previous = transfer.FellBack, transfer.Hash{9}, transfer.Hash{9}
			back.Body.Operational = transfer.Hash{9}
			tt.change(set{&ready.Body, &done.Body, &final.Body, &back.Body})
			if err := transfer.CompareDone(ready, done); !errors.Is(err, tt.done) {
				t.Errorf("CompareDone = %v, want %v", err, tt.done)
			}
			if err := transfer.CompareFinalised(done, final, &offer, w.permanents); !errors.Is(err, tt.final) {
				t.Errorf("CompareFinalised = %v, want %v", err, tt.final)
			}
			if err := transfer.CompareFellBack(ready, back); !errors.Is(err, tt.back) {
				t.Errorf("CompareFellBack = %v, want %v", err, tt.back)
			}
		})
	}
}

func TestFactoryReceipt(t *testing.T) {
	w := newWorld(t)
	operational := newParty(t, "dev", &w.ca1)
	r := w.receipt(transfer.Ready)
	r.Operational = transfer.HashOf(operational.cert.Raw)
	raw := must(r.Sign(w.factory.signer(), operational.signer()))(t)
	if _, err := transfer.VerifyFactoryReceipt(raw, w.factory.cert); err != nil {
		t.Error(err)
	}
	if _, err := transfer.VerifyFactoryReceipt(raw, w.sp1.cert); !errors.Is(err, transfer.ErrSigner) {
		t.Errorf("another factory certificate = %v, want ErrSigner", err)
	}
	forged := must(r.Sign(transfer.Signer{Key: w.sp1.key, Certificate: w.factory.cert.Raw}, operational.signer()))(t)
	if _, err := transfer.VerifyFactoryReceipt(forged, w.factory.cert); !errors.Is(err, transfer.ErrSignature) {
		t.Errorf("another key = %v, want ErrSignature", err)
	}
}
