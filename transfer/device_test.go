package transfer_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"steward/transfer"
)

// drain performs the steps of d like the program around it, and notes them.
func drain(tb testing.TB, d *transfer.Device, log *[]transfer.DeviceEffect) {
	tb.Helper()
	check(tb, perform(d, log))
}

func perform(d *transfer.Device, log *[]transfer.DeviceEffect) error {
	for e, ok := d.Next(); ok && !e.Waits; e, ok = d.Next() {
		if log != nil {
			*log = append(*log, e.Do)
		}
		if err := d.Done(e.Do); err != nil {
			return err
		}
	}
	return nil
}

func order(d *transfer.Device) transfer.Order {
	return transfer.OrderOf(d.Status().Epoch, d.Status().Message)
}

func wantState(tb testing.TB, d *transfer.Device, want transfer.DeviceState) {
	tb.Helper()
	if got := d.Status().State; got != want {
		tb.Fatalf("state = %s, want %s", got, want)
	}
}

// issue is the CA's answer to the current DoEnrol.
func issue(tb testing.TB, d *transfer.Device, ca *party) []byte {
	tb.Helper()
	e, ok := d.Next()
	if !ok || e.Do != transfer.DoEnrol || e.Key == nil {
		tb.Fatalf("Next = %+v, want an enrolment", e)
	}
	return certify(tb, d.Subject(), e.Key.Public(), ca, nil).Raw
}

// toReady brings a device of w to READY.
func toReady(tb testing.TB, w *world) (*transfer.Device, *transfer.MemoryJournal) {
	tb.Helper()
	d, j := w.device(tb)
	check(tb, d.WriteMessage(w.signed(tb, w.message(tb, 1)), noon))
	drain(tb, d, nil)
	wantState(tb, d, transfer.Ready)
	return d, j
}

func TestDeviceCompletes(t *testing.T) {
	w := newWorld(t)
	d, j := toReady(t, w)
	oldKey, old, _ := d.Operational()
	oldCert := parse(t, old)
	secret := must(x509.MarshalPKCS8PrivateKey(oldKey))(t)
	if !bytes.Contains(j.Record(), secret) {
		t.Error("the operational key is not in the journal before the wipe")
	}
	ready := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, oldCert))(t)

	var log []transfer.DeviceEffect
	check(t, d.Commit(order(d), noon))
	drain(t, d, &log)
	wantState(t, d, transfer.Enrolling)
	if want := []transfer.DeviceEffect{
		transfer.DoNotify, transfer.DoDeregister, transfer.DoWipeTransport, transfer.DoWipeApplication, transfer.DoReboot,
	}; !slices.Equal(log, want) {
		t.Errorf("steps = %v, want %v", log, want)
	}
	if _, _, ok := d.Operational(); ok || d.Home() != (transfer.Home{}) || bytes.Contains(j.Record(), secret) {
		t.Error("after the wipe the operational key or the account is still there")
	}
	committed := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, oldCert))(t)
	if committed.Body.State != transfer.Committed || committed.Body.Follows(ready) != nil {
		t.Errorf("receipt = %+v, want COMMITTED after READY", committed.Body)
	}
	e, _ := d.Next()
	if e.URI != w.destination.EnrollURI || len(e.Anchors) != 1 || !bytes.Equal(e.Anchors[0].Certificate, w.ca2.cert.Raw) {
		t.Errorf("enrolment = %+v, want Beta's CA under Beta's anchor alone", e)
	}
	if got := must(transfer.SPKIHash(e.Key.Public()))(t); got != ready.Body.SPKI {
		t.Error("the key enrolled is not that of the READY receipt")
	}
	check(t, d.Enrolled(issue(t, d, &w.ca2)))
	drain(t, d, nil)
	wantState(t, d, transfer.Register)
	if e, _ := d.Next(); e.Do != transfer.DoRegister || e.Home.ServerURI != w.destination.ServerURI ||
		e.Home.Account != w.destination.Account || len(e.Anchors) != 1 {
		t.Errorf("registration = %+v", e)
	}
	check(t, d.Registered())
	drain(t, d, nil)
	_, fresh, _ := d.Operational()
	done := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, parse(t, fresh)))(t)
	if err := done.Body.Follows(ready); err != nil || done.Body.State != transfer.Done {
		t.Errorf("receipt = %+v, %v, want DONE after READY", done.Body, err)
	}
	check(t, transfer.CompareDone(ready, done))
	if want := []uint64{1, 2, 3, 4}; done.Body.Wiped == nil || !slices.Equal(done.Body.Wiped.Classes, want) {
		t.Errorf("wiped = %+v, want %v", done.Body.Wiped, want)
	}

	check(t, d.Finalise(order(d)))
	drain(t, d, nil)
	wantState(t, d, transfer.Finalised)
	final := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, parse(t, fresh)))(t)
	if err := final.Body.Follows(done); err != nil {
		t.Error(err)
	}
	if want := transfer.ExpectedTruststore(w.permanents, &w.destination, w.certificates,
		transfer.Finalised); final.Body.Truststore != want {
		t.Error("the FINALISED receipt's truststore is not label 8 beside the permanent anchors")
	}
	offer := w.offer(t, transfer.Hash{1}, transfer.Hash{2})
	check(t, transfer.CompareFinalised(done, final, &offer, w.permanents))
	check(t, d.Finalise(order(d))) // its answer was lost
	if bytes.Contains(j.Record(), w.sp1.cert.Raw) || bytes.Contains(j.Record(), []byte("alpha.example")) {
		t.Error("the journal still knows the former provider")
	}
	if len(d.Trusted(transfer.TransferSigner)) != 1 {
		t.Error("Beta's transfer signer does not count after Finalise")
	}
}

// TestT7ReplayAcrossDomains transfers a device there and back; no old message is
// accepted again. It is of row T7 of the transfer protocol (§9).
func TestT7ReplayAcrossDomains(t *testing.T) {
	w := newWorld(t)
	first := w.signed(t, w.message(t, 1))
	d, j := w.device(t)
	there := func(raw []byte, ca *party) {
		t.Helper()
		check(t, d.WriteMessage(raw, noon))
		drain(t, d, nil)
		check(t, d.Commit(order(d), noon))
		drain(t, d, nil)
		check(t, d.Enrolled(issue(t, d, ca)))
		drain(t, d, nil)
		check(t, d.Registered())
		drain(t, d, nil)
		check(t, d.Finalise(order(d)))
		drain(t, d, nil)
	}
	there(first, &w.ca2)
	if err := d.WriteMessage(first, noon); !errors.Is(err, transfer.ErrE2Signer) {
		t.Errorf("replay at Beta = %v, want ErrE2Signer", err)
	}
	back := *w // Beta hands over to Alpha
	back.sp1, back.sp2, back.ca1, back.ca2 = w.sp2, w.sp1, w.ca2, w.ca1
	back.home = d.Home()
	back.certificates = []transfer.OfferCertificate{
		{Certificate: w.ca1.cert.Raw, Purposes: transfer.Enrol | transfer.DM},
		{Certificate: w.sp1.cert.Raw, Purposes: transfer.TransferSigner},
	}
	back.destination.ServerURI, back.destination.EnrollURI = w.home.ServerURI, w.home.EnrollURI
	back.refs()
	back.stage(t, d)
	there(back.signed(t, back.message(t, 2)), &w.ca1)
	w.stage(t, d)
	for name, raw := range map[string][]byte{"epoch 1": first, "epoch 2": w.signed(t, w.message(t, 2))} {
		if err := d.WriteMessage(raw, noon); !errors.Is(err, transfer.ErrE5Epoch) {
			t.Errorf("replay of %s at Alpha = %v, want ErrE5Epoch", name, err)
		}
	}
	d = must(transfer.OpenDevice(w.options(j)))(t)
	if err := d.WriteMessage(first, noon); !errors.Is(err, transfer.ErrE5Epoch) {
		t.Errorf("replay after a reboot = %v, want ErrE5Epoch", err)
	}
	check(t, d.WriteMessage(w.signed(t, w.message(t, 3)), noon))
}

func TestDeviceFallsBack(t *testing.T) {
	w := newWorld(t)
	d, _ := toReady(t, w)
	_, old, _ := d.Operational()
	ready := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, parse(t, old)))(t)
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	check(t, d.Failed())
	check(t, d.Tick(59*time.Minute, noon))
	wantState(t, d, transfer.Enrolling)
	if got := d.Status().Attempts; got != 1 {
		t.Errorf("Attempts = %d, want 1", got)
	}
	check(t, d.Tick(time.Minute, noon))
	wantState(t, d, transfer.InFall)
	var log []transfer.DeviceEffect
	drain(t, d, &log)
	if want := []transfer.DeviceEffect{
		transfer.DoWipeTransport, transfer.DoWipeApplication, transfer.DoNotify, transfer.DoReport,
	}; !slices.Equal(log, want) {
		t.Errorf("steps = %v, want %v", log, want)
	}
	fallback := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, nil))(t)
	if fallback.Body.Follows(ready) != nil || fallback.Body.Error != transfer.GraceError {
		t.Errorf("receipt = %+v, want FALLBACK after READY", fallback.Body)
	}
	e, _ := d.Next()
	if got := must(transfer.SPKIHash(e.Key.Public()))(t); got != fallback.Body.SPKI || got == ready.Body.SPKI ||
		e.URI != w.home.EnrollURI || len(e.Anchors) != 1 || e.Home.ServerURI != w.home.ServerURI || len(e.Receipt) == 0 {
		t.Errorf("way back = %+v, want Alpha's CA and no other, the key of the receipt", e)
	}

	// Alpha does not answer either: the two take turns, at growing intervals.
	check(t, d.Tick(time.Hour, noon))
	wantState(t, d, transfer.Enrolling)
	drain(t, d, nil)
	e, _ = d.Next()
	if must(transfer.SPKIHash(e.Key.Public()))(t) != ready.Body.SPKI || e.URI != w.destination.EnrollURI {
		t.Errorf("second try = %+v, want Beta's CA and the key of the READY receipt", e)
	}
	check(t, d.Tick(time.Hour, noon))
	wantState(t, d, transfer.Enrolling)
	check(t, d.Tick(time.Hour, noon))
	wantState(t, d, transfer.InFall)
	drain(t, d, nil)

	check(t, d.Enrolled(issue(t, d, &w.ca1)))
	drain(t, d, nil)
	wantState(t, d, transfer.FellBack)
	_, fresh, _ := d.Operational()
	if bytes.Equal(fresh, old) {
		t.Error("the old certificate is back")
	}
	receipt := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, parse(t, fresh)))(t)
	if receipt.Body.State != transfer.FellBack {
		t.Errorf("receipt of %s", receipt.Body.State)
	}
	check(t, transfer.CompareFellBack(ready, receipt))
	if d.Home().ServerURI != w.home.ServerURI || d.Home().Account != w.home.Account {
		t.Errorf("Home = %+v", d.Home())
	}
	// IDLE at Alpha again: the next offer works.
	w.stage(t, d)
	check(t, d.WriteMessage(w.signed(t, w.message(t, 2)), noon))
}

func TestDeviceReturns(t *testing.T) {
	w := newWorld(t)
	d, _ := toReady(t, w)
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	check(t, d.Enrolled(issue(t, d, &w.ca2)))
	drain(t, d, nil)
	check(t, d.Registered())
	drain(t, d, nil)
	check(t, d.Return(order(d)))
	drain(t, d, nil)
	wantState(t, d, transfer.InFall)
	check(t, d.Tick(48*time.Hour, noon))
	wantState(t, d, transfer.InFall) // Beta's door is closed for good
	check(t, d.Enrolled(issue(t, d, &w.ca1)))
	drain(t, d, nil)
	wantState(t, d, transfer.FellBack)
}

func TestDeviceIsRefused(t *testing.T) {
	w := newWorld(t)
	d, _ := toReady(t, w)
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	check(t, d.Refused(0x83))
	drain(t, d, nil)
	receipt := must(transfer.VerifyReceipt(d.Status().Receipt, w.factory.cert, nil))(t)
	if receipt.Body.Error != 0x83 {
		t.Errorf("label 31 = %d, want 0x83", receipt.Body.Error)
	}
	check(t, d.Refused(0x83)) // CA1 not open yet: there is no other way
	wantState(t, d, transfer.InFall)
}

func TestDeviceEndsReady(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*testing.T, *transfer.Device)
	}{
		{"abort", func(t *testing.T, d *transfer.Device) { t.Helper(); check(t, d.Abort(order(d))) }},
		{"window over", func(t *testing.T, d *transfer.Device) {
			t.Helper()
			check(t, d.Tick(time.Second, noon.Add(2*time.Hour)))
		}},
		{"longest wait without a clock", func(t *testing.T, d *transfer.Device) {
			t.Helper()
			check(t, d.Tick(25*time.Hour, time.Time{}))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			d, _ := toReady(t, w)
			check(t, d.Tick(time.Second, noon.Add(30*time.Minute)))
			wantState(t, d, transfer.Ready)
			tt.end(t, d)
			drain(t, d, nil)
			wantState(t, d, transfer.Expired)
			for _, a := range d.Truststore() {
				if a.Domain == transfer.Pending {
					t.Errorf("anchor %v is still pending", a.Thumbprint())
				}
			}
			check(t, d.Abort(order(d)))
			w.stage(t, d)
			if err := d.WriteMessage(w.signed(t, w.message(t, 1)), noon); !errors.Is(err, transfer.ErrE5Epoch) {
				t.Errorf("same epoch again = %v, want ErrE5Epoch", err)
			}
			check(t, d.WriteMessage(w.signed(t, w.message(t, 2)), noon))
		})
	}
}

// TestReadyIsFrozen covers what READY forbids, and the orders of T8.
func TestReadyIsFrozen(t *testing.T) {
	w := newWorld(t)
	d, j := toReady(t, w)
	before := j.Record()
	good := order(d)
	wrong := []transfer.Order{{}, {Epoch: good.Epoch + 1, Hash: good.Hash}, {Epoch: good.Epoch}}
	for name, err := range map[string]error{
		"create":   second(d.CreateAnchor(-1, w.user.cert.Raw, transfer.DM)),
		"write":    d.WritePurposes(1, transfer.DM),
		"delete":   d.DeleteAnchor(1),
		"mandate":  d.WriteMandate(nil),
		"enrolURI": d.SetEnrollURI("coaps://x"),
	} {
		if !errors.Is(err, transfer.ErrState) {
			t.Errorf("%s in READY = %v, want ErrState", name, err)
		}
	}
	for _, o := range wrong {
		for name, err := range map[string]error{
			"commit": d.Commit(o, noon), "abort": d.Abort(o), "finalise": d.Finalise(o), "return": d.Return(o),
		} {
			if !errors.Is(err, transfer.ErrOrder) {
				t.Errorf("%s %v = %v, want ErrOrder", name, o, err)
			}
		}
	}
	for _, at := range []time.Time{noon.Add(-2 * time.Hour), noon.Add(2 * time.Hour)} {
		if err := d.Commit(good, at); !errors.Is(err, transfer.ErrE6Window) {
			t.Errorf("Commit at %v = %v, want ErrE6Window", at, err)
		}
	}
	if d.Finalise(good) == nil || d.Return(good) == nil || d.Registered() == nil || d.Updated() == nil ||
		d.Attested() == nil {
		t.Error("an event of another state is accepted in READY")
	}
	if !bytes.Equal(before, j.Record()) {
		t.Error("the journal has changed")
	}
	check(t, d.Commit(good, time.Time{}))
	if err := d.Commit(good, noon); !errors.Is(err, transfer.ErrE10State) {
		t.Errorf("second Commit = %v, want ErrE10State", err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestOrder(t *testing.T) {
	o := transfer.Order{Epoch: 7, Hash: [8]byte{1, 2, 3, 4, 5, 6, 7, 0xff}}
	if got, err := transfer.ParseOrder(o.String()); err != nil || got != o {
		t.Errorf("ParseOrder(%q) = %v, %v", o.String(), got, err)
	}
	for _, bad := range []string{
		"", "0", "0='7'", "0='7',1='01'", "0='-1',1='0102030405060708'",
		"0='4294967296',1='0102030405060708'", "0='7',1='0102030405060708',2", "x",
	} {
		if _, err := transfer.ParseOrder(bad); !errors.Is(err, transfer.ErrOrder) {
			t.Errorf("ParseOrder(%q) = %v, want ErrOrder", bad, err)
		}
	}
}

func TestDoneFinalisesItself(t *testing.T) {
	w := newWorld(t)
	d, _ := toReady(t, w)
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	check(t, d.Enrolled(issue(t, d, &w.ca2)))
	drain(t, d, nil)
	check(t, d.Registered())
	drain(t, d, nil)
	check(t, d.Tick(300*time.Hour, noon))
	wantState(t, d, transfer.Done) // nobody has its receipt: it stays reachable
	check(t, d.Acknowledged())
	check(t, d.Tick(time.Second, noon))
	wantState(t, d, transfer.Done) // its grace counts from the acknowledgement
	check(t, d.Tick(time.Hour, noon))
	wantState(t, d, transfer.Finalised)
}

// TestDoneFallsBack: a device that cannot register any more in DONE, because its
// certificate was revoked before anybody read its receipt, does not stay for ever.
// An acknowledgement counts only for as long as it is registered.
func TestDoneFallsBack(t *testing.T) {
	w := newWorld(t)
	d, j := toReady(t, w)
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	check(t, d.Enrolled(issue(t, d, &w.ca2)))
	drain(t, d, nil)
	check(t, d.Registered())
	drain(t, d, nil)
	check(t, d.Acknowledged())
	check(t, d.Failed())
	check(t, d.Tick(30*time.Minute, noon))
	check(t, d.Failed()) // the second does not begin the period anew
	wantState(t, d, transfer.Done)
	d = must(transfer.OpenDevice(w.options(j)))(t)
	check(t, d.Tick(30*time.Minute, noon))
	wantState(t, d, transfer.InFall)
	drain(t, d, nil)
	if d.Status().Error != transfer.GraceError {
		t.Errorf("error %d, want that the grace was over", d.Status().Error)
	}
	check(t, d.Tick(3*time.Hour, noon)) // and it may try the new domain again, with the same key
	wantState(t, d, transfer.Enrolling)
}

// TestDetours goes through ATTEST and UPDATE as the Destination demands.
func TestDetours(t *testing.T) {
	w := newWorld(t)
	w.certificates[0].Purposes |= transfer.RA
	w.refs()
	w.destination.RAURI, w.destination.UpdateFirst = "coaps://ra.beta.example", true
	d, _ := toReady(t, w)
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	wantState(t, d, transfer.Attest)
	if e, _ := d.Next(); e.Do != transfer.DoAttest || e.URI != w.destination.RAURI || len(e.Anchors) == 0 {
		t.Errorf("Next = %+v, want attestation", e)
	}
	check(t, d.Attested())
	wantState(t, d, transfer.Updating)
	if e, _ := d.Next(); e.Do != transfer.DoUpdate || e.URI != w.destination.UpdateURI || len(e.Anchors) != 1 {
		t.Errorf("Next = %+v, want update", e)
	}
	check(t, d.Updated())
	wantState(t, d, transfer.Enrolling)
}

func TestDeviceRefusesMisuse(t *testing.T) {
	w := newWorld(t)
	d, j := toReady(t, w)
	if err := d.Done(transfer.DoReboot); !errors.Is(err, transfer.ErrEffect) {
		t.Errorf("Done out of turn = %v, want ErrEffect", err)
	}
	check(t, d.Commit(order(d), noon))
	if err := d.Enrolled(nil); !errors.Is(err, transfer.ErrCertificate) {
		t.Errorf("Enrolled(nil) = %v, want ErrCertificate", err)
	}
	drain(t, d, nil)
	if err := d.Done(transfer.DoEnrol); !errors.Is(err, transfer.ErrEffect) {
		t.Errorf("Done of an activity = %v, want ErrEffect", err)
	}
	other := certify(t, d.Subject(), mustKey(t).Public(), &w.ca2, nil)
	if err := d.Enrolled(other.Raw); !errors.Is(err, transfer.ErrCertificate) {
		t.Errorf("certificate for another key = %v, want ErrCertificate", err)
	}
	if _, err := d.EnrolmentKey(); !errors.Is(err, transfer.ErrState) {
		t.Errorf("EnrolmentKey = %v, want ErrState", err)
	}
	if err := transfer.Provision(j, w.home, nil); !errors.Is(err, transfer.ErrProvisioned) {
		t.Errorf("Provision twice = %v, want ErrProvisioned", err)
	}
	if _, err := transfer.OpenDevice(w.options(&transfer.MemoryJournal{})); !errors.Is(err, transfer.ErrProvisioned) {
		t.Errorf("OpenDevice of nothing = %v, want ErrProvisioned", err)
	}
}

func TestPartyOf(t *testing.T) {
	w := newWorld(t)
	d, _ := toReady(t, w)
	ca1, ca2 := transfer.ThumbprintOf(w.ca1.cert.Raw), transfer.ThumbprintOf(w.ca2.cert.Raw)
	want := func(anchor transfer.Thumbprint, host string, party transfer.Party) {
		t.Helper()
		if got := d.PartyOf(anchor, host); got != party {
			t.Errorf("in %s: PartyOf(%s) = %q, want %q", d.Status().State, host, got, party)
		}
	}
	want(ca1, "alpha.example", transfer.CurrentDM)
	want(ca1, "beta.example", transfer.AnyoneElse)
	want(ca2, "beta.example", transfer.AnyoneElse) // T18: pending anchors have no effect
	check(t, d.Commit(order(d), noon))
	drain(t, d, nil)
	want(ca1, "alpha.example", transfer.AnyoneElse) // T12
	check(t, d.Enrolled(issue(t, d, &w.ca2)))
	drain(t, d, nil)
	check(t, d.Registered())
	want(ca2, "beta.example", transfer.NewDM)
	want(ca2, "alpha.example", transfer.AnyoneElse)
	want(ca1, "alpha.example", transfer.AnyoneElse)
	check(t, d.Return(order(d)))
	want(ca1, "alpha.example", transfer.FallbackDM)
	want(ca2, "beta.example", transfer.AnyoneElse)
}

func TestEnrolmentKeySurvives(t *testing.T) {
	w := newWorld(t)
	d, j := w.device(t)
	key := must(d.EnrolmentKey())(t)
	d = must(transfer.OpenDevice(w.options(j)))(t)
	if again := must(d.EnrolmentKey())(t); !reflect.DeepEqual(again.Public(), key.Public()) {
		t.Error("EnrolmentKey has changed over a power cut")
	}
}
