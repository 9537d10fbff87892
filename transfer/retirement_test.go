package transfer_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"testing"

	"steward/suit/cose"
	"steward/transfer"
)

// nonce is what a server makes up for each order to retire.
func nonce(epoch uint32, first byte) transfer.Order {
	return transfer.Order{Epoch: epoch, Hash: [8]byte{first, 1, 2, 3, 4, 5, 6, 7}}
}

// TestRetire: a device that is told to retire signs what it has erased, for this order
// alone, and stays whose it was.
func TestRetire(t *testing.T) {
	w := newWorld(t)
	d, j := w.device(t)
	_, der, _ := d.Operational()
	home, trusted := d.Home(), d.Truststore()
	check(t, d.Retire(nonce(0, 1), transfer.ResetData))
	first := d.Status().Retired
	check(t, d.Retire(nonce(0, 2), transfer.ResetData))
	again := d.Status().Retired
	said := must(transfer.VerifyRetirement(again, w.factory.cert, parse(t, der)))(t)
	if said.Subject != d.Subject() || !bytes.Equal(said.Nonce, []byte{2, 1, 2, 3, 4, 5, 6, 7}) || said.Epoch != 0 {
		t.Errorf("the device says %+v", said)
	}
	if bytes.Equal(first, again) {
		t.Error("one receipt for two orders")
	}
	if s := d.Status(); s.State != transfer.Idle || s.Epoch != 0 || d.Home() != home ||
		len(d.Truststore()) != len(trusted) {
		t.Errorf("afterwards: %+v", s)
	}
	d = must(transfer.OpenDevice(w.options(j)))(t)
	if !bytes.Equal(d.Status().Retired, again) {
		t.Error("the receipt is lost with the power")
	}
	if err := d.Retire(nonce(1, 1), transfer.ResetData); !errors.Is(err, transfer.ErrOrder) {
		t.Errorf("an order of another epoch = %v, want ErrOrder", err)
	}
	check(t, d.FactoryReset())
	if err := d.Retire(nonce(0, 3), transfer.ResetData); !errors.Is(err, transfer.ErrState) {
		t.Errorf("without a certificate = %v, want ErrState", err)
	}
}

// TestRetireOnlyAtRest: nothing of a hand-over can be disturbed by an order to retire, and
// that of a former provider is of another epoch.
func TestRetireOnlyAtRest(t *testing.T) {
	w := newWorld(t)
	d, j := w.device(t)
	check(t, d.Retire(nonce(0, 1), transfer.ResetData))
	receipt := d.Status().Retired
	w.stage(t, d)
	check(t, d.WriteMessage(w.signed(t, w.message(t, 1)), noon))
	drain(t, d, nil)
	before := j.Record()
	for _, o := range []transfer.Order{nonce(0, 1), nonce(1, 1), order(d)} {
		if err := d.Retire(o, transfer.ResetData); !errors.Is(err, transfer.ErrState) && !errors.Is(err, transfer.ErrBusy) {
			t.Errorf("in READY, epoch %d = %v, want ErrState", o.Epoch, err)
		}
	}
	if !bytes.Equal(before, j.Record()) {
		t.Error("the journal has changed")
	}
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	if d.Status().Retired != nil || bytes.Contains(j.Record(), receipt) {
		t.Error("the next provider can read a receipt of the former one")
	}
	if err := d.Retire(nonce(1, 1), transfer.ResetData); !errors.Is(err, transfer.ErrState) &&
		!errors.Is(err, transfer.ErrBusy) {
		t.Errorf("in %s = %v, want ErrState", d.Status().State, err)
	}
	_, rest := w.device(t)
	o := w.options(rest)
	o.Firmware = func() ([]transfer.Installed, bool) { return nil, true }
	d = must(transfer.OpenDevice(o))(t)
	if err := d.MayRetire(nonce(0, 1)); !errors.Is(err, transfer.ErrBusy) {
		t.Errorf("while something is installed = %v, want ErrBusy", err)
	}
}

// TestRetirementRefuses: what does not prove that this device erased itself.
func TestRetirementRefuses(t *testing.T) {
	w := newWorld(t)
	d, _ := w.device(t)
	_, der, _ := d.Operational()
	own := parse(t, der)
	check(t, d.Retire(nonce(0, 1), transfer.ResetData))
	good := d.Status().Retired
	other := newParty(t, d.Subject(), &w.permanent)
	bent := bytes.Clone(good)
	bent[len(bent)-1] ^= 1
	message := must(cose.ParseSign(good))(t)
	short := bytes.Replace(good, message.Payload, message.Payload[:len(message.Payload)-1], 1)
	keep := must(d, d.Retire(nonce(0, 2), transfer.ResetKeepApplication))(t).Status().Retired
	for name, tt := range map[string]struct {
		raw                  []byte
		factory, operational *x509.Certificate
		want                 error
	}{
		"no message":                    {[]byte("x"), w.factory.cert, own, transfer.ErrSyntax},
		"too long":                      {make([]byte, transfer.MaxReceipt+1), w.factory.cert, own, transfer.ErrTooLarge},
		"cut off":                       {good[:len(good)-3], w.factory.cert, own, transfer.ErrSyntax},
		"a bit changed":                 {bent, w.factory.cert, own, transfer.ErrSignature},
		"payload cut off":               {short, w.factory.cert, own, transfer.ErrSyntax},
		"of another factory key":        {good, other.cert, own, transfer.ErrSigner},
		"of another operational key":    {good, w.factory.cert, other.cert, transfer.ErrSigner},
		"the keys exchanged":            {good, own, w.factory.cert, transfer.ErrSigner},
		"nothing of the data is erased": {keep, w.factory.cert, own, transfer.ErrRetirement},
	} {
		if _, err := transfer.VerifyRetirement(tt.raw, tt.factory, tt.operational); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	record := transfer.RetirementRecord{Provider: "Alpha", Factory: w.factory.cert.Raw, Operational: der, Retirement: good}
	raw := must(record.Encode())(t)
	read := must(transfer.ParseRetirementRecord(raw))(t)
	if _, err := read.Check([]*x509.Certificate{w.permanent.cert}); err != nil {
		t.Errorf("the record: %v", err)
	}
	if _, err := read.Check([]*x509.Certificate{w.ca1.cert}); !errors.Is(err, transfer.ErrRetirement) {
		t.Errorf("of another permanent CA: %v, want ErrRetirement", err)
	}
	record.Operational = []byte{1}
	if _, err := record.Encode(); !errors.Is(err, transfer.ErrRetirement) {
		t.Errorf("without a certificate: %v, want ErrRetirement", err)
	}
	if _, err := transfer.ParseRetirementRecord(raw[1:]); !errors.Is(err, transfer.ErrSyntax) {
		t.Errorf("cut off: %v, want ErrSyntax", err)
	}
}

// FuzzRetirement reads receipts of retired devices from hostile bytes.
func FuzzRetirement(f *testing.F) {
	w := newWorld(f)
	d, _ := w.device(f)
	check(f, d.Retire(nonce(0, 1), transfer.ResetData))
	f.Add(d.Status().Retired)
	f.Add([]byte{0x84})
	f.Fuzz(func(_ *testing.T, raw []byte) {
		_, _ = transfer.ParseRetirement(raw)
		_, _ = transfer.ParseRetirementRecord(raw)
	})
}
