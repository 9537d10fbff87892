package transfer_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"steward/suit/cose"
	"steward/transfer"
)

// TestT7FactoryReset: a device that was at another provider and came back is reset to
// the state of delivery, again and again and with restarts between. No message that it
// has once accepted is accepted again, and it still belongs to whom it belonged to.
// It is of row T7 of the transfer protocol (§9).
func TestT7FactoryReset(t *testing.T) {
	w := newWorld(t)
	first := w.signed(t, w.message(t, 1))
	d, j := w.device(t)
	check(t, d.WriteMessage(first, noon))
	drain(t, d, nil)
	check(t, d.Abort(order(d))) // accepted once, and dropped
	drain(t, d, nil)
	key, certificate, _ := d.Operational()
	home := d.Home()
	for range 2 {
		check(t, d.FactoryReset())
		if _, _, ok := d.Operational(); ok || bytes.Contains(j.Record(), certificate) {
			t.Error("the certificate has survived the reset")
		}
		if s := d.Status(); s.Epoch != 1 || s.State != transfer.Idle && s.State != transfer.Expired {
			t.Errorf("after the reset: %s, epoch %d", s.State, s.Epoch)
		}
		if keys := must(d.EnrolmentKeys(false))(t); len(keys) != 1 || !same(keys[0], key) {
			t.Errorf("%d keys to enrol with, want that which the right is bound to", len(keys))
		}
		if d.Home() != home || len(d.Trusted(transfer.TransferSigner)) != 1 {
			t.Error("the reset has changed whose the device is")
		}
		w.stage(t, d)
		before := j.Record()
		if err := d.WriteMessage(first, noon); !errors.Is(err, transfer.ErrE5Epoch) {
			t.Errorf("replay after a reset = %v, want ErrE5Epoch", err)
		}
		if !bytes.Equal(before, j.Record()) {
			t.Error("the journal has changed")
		}
		d = must(transfer.OpenDevice(w.options(j)))(t)
	}
	check(t, d.SetOperational(certify(t, d.Subject(), key.Public(), &w.ca1, nil).Raw))
	check(t, d.WriteMessage(w.signed(t, w.message(t, 2)), noon))
}

// TestFactoryResetInReady is the branch of §7: state, epoch and message survive, the
// device enrols anew at CA1, and may be told to commit afterwards, or to abort.
func TestFactoryResetInReady(t *testing.T) {
	for _, commits := range []bool{true, false} {
		w := newWorld(t)
		d, j := toReady(t, w)
		key, old, _ := d.Operational()
		before := d.Status()
		check(t, d.FactoryReset())
		d = must(transfer.OpenDevice(w.options(j)))(t)
		if got := d.Status(); got.State != transfer.Ready || got.Epoch != before.Epoch || got.Message != before.Message ||
			!bytes.Equal(got.Receipt, before.Receipt) {
			t.Errorf("after the reset: %+v, want what was before", got)
		}
		if err := d.WriteMessage(w.signed(t, w.message(t, 1)), noon); !errors.Is(err, transfer.ErrE5Epoch) {
			t.Errorf("another message of the same epoch = %v, want ErrE5Epoch", err)
		}
		fresh := certify(t, d.Subject(), key.Public(), &w.ca1, nil)
		check(t, d.SetOperational(fresh.Raw))
		if !commits {
			check(t, d.Abort(order(d)))
			drain(t, d, nil)
			continue
		}
		check(t, d.Commit(order(d), noon))
		drain(t, d, nil)
		committed := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, fresh))(t)
		ready := must(transfer.VerifyReceipt(before.Receipt, w.factory.cert, parse(t, old)))(t)
		if err := committed.Body.Follows(ready); err != nil {
			t.Error(err)
		}
		if err := d.FactoryReset(); !errors.Is(err, transfer.ErrState) {
			t.Errorf("factory reset in %s = %v, want ErrState", d.Status().State, err)
		}
	}
}

// TestT7EpochOverflow: the highest epoch is the last; no number begins anew. It is of row
// T7 of the transfer protocol (§9).
func TestT7EpochOverflow(t *testing.T) {
	w := newWorld(t)
	d, _ := w.device(t)
	facts := transfer.Facts{
		State: transfer.Idle, Subject: d.Subject(), Factory: w.factoryHash(), Truststore: d.Truststore(),
		ServerURI: w.home.ServerURI, EnrollURI: w.home.EnrollURI,
	}
	for _, tt := range []struct {
		stored uint32
		epoch  uint64
		err    error
	}{
		{math.MaxUint32 - 1, math.MaxUint32, nil},
		{math.MaxUint32 - 1, math.MaxUint32 - 1, transfer.ErrE5Epoch},
		{math.MaxUint32 - 1, 1 << 32, transfer.ErrE1Message},
		{math.MaxUint32, math.MaxUint32, transfer.ErrE5Epoch},
		{math.MaxUint32, 1 << 32, transfer.ErrE1Message}, // the next one, where numbers are longer
		{math.MaxUint32, 1<<32 + 1, transfer.ErrE1Message},
		{math.MaxUint32, math.MaxUint64, transfer.ErrE1Message},
		{math.MaxUint32, 1, transfer.ErrE5Epoch},
		{math.MaxUint32, 0, transfer.ErrE1Message}, // the next one, where they are not
		{0, 0, transfer.ErrE1Message},
		{0, 1<<32 + 1, transfer.ErrE1Message}, // 1, cut off
	} {
		facts.Epoch = tt.stored
		if _, err := transfer.Accept(facts, withEpoch(t, w, tt.epoch), noon); !errors.Is(err, tt.err) {
			t.Errorf("epoch %d after %d = %v, want %v", tt.epoch, tt.stored, err, tt.err)
		}
	}
}

// withEpoch is a message of that epoch, whatever our own encoder says of it.
func withEpoch(t *testing.T, w *world, epoch uint64) []byte {
	t.Helper()
	const sound = 0xfedcba98
	m := must(cose.ParseSign1(w.signed(t, w.message(t, sound))))(t)
	const label, short, long, least = 6, 0x1a, 0x1b, 0x17
	old := binary.BigEndian.AppendUint32([]byte{label, short}, sound)
	fresh := binary.BigEndian.AppendUint64([]byte{label, long}, epoch)
	switch {
	case epoch <= least:
		fresh = []byte{label, byte(epoch)}
	case epoch <= math.MaxUint32:
		fresh = binary.BigEndian.AppendUint32([]byte{label, short}, uint32(epoch))
	}
	if bytes.Count(m.Payload, old) != 1 {
		t.Fatalf("the epoch does not stand in the message once: %x", m.Payload)
	}
	kid := transfer.KeyIDOf(w.sp1.cert.Raw)
	signer := must(cose.NewSigner(w.sp1.key, cose.ES256, kid[:]))(t)
	return must(cose.SignSign1(signer, cose.Options{
		Payload: bytes.Replace(m.Payload, old, fresh, 1), ExternalAAD: []byte("steward/message/1"),
	}))(t)
}
