package transfer_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"steward/transfer"
)

// TestT17PowerCut cuts power at every journal write of a whole transfer, with
// the write lost and with it kept, starts the device again and carries on. The
// end is always the same. It is of row T17 of the transfer protocol (§9).
func TestT17PowerCut(t *testing.T) {
	for _, path := range []struct {
		name string
		run  func(*runner, *testing.T)
		want transfer.DeviceState
	}{
		{"complete", (*runner).complete, transfer.Finalised},
		{"fall back", (*runner).fallBack, transfer.FellBack},
		{"alternate", (*runner).alternate, transfer.Finalised},
		{"fresh key", (*runner).freshKey, transfer.Finalised},
		{"abort", (*runner).abort, transfer.Expired},
	} {
		whole := newRunner(t)
		whole.j.Cut(0, false)
		path.run(whole, t)
		writes, want := whole.j.Writes(), whole.summary()
		if whole.d.Status().State != path.want || writes < 5 {
			t.Fatalf("%s: state %s after %d writes", path.name, whole.d.Status().State, writes)
		}
		for n := 1; n <= writes; n++ {
			for _, lost := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/write %d/lost %t", path.name, n, lost), func(t *testing.T) {
					r := newRunner(t)
					r.w, r.start = whole.w, whole.start
					r.j, r.d = &transfer.MemoryJournal{}, nil
					check(t, r.j.Save(r.start))
					r.open(t)
					r.j.Cut(n, lost)
					path.run(r, t)
					if got := r.summary(); got != want {
						t.Errorf("ends as\n%s\nwant\n%s", got, want)
					}
				})
			}
		}
	}
}

// runner drives a device through power cuts: what fails is tried again after a
// new start.
type runner struct {
	w     *world
	d     *transfer.Device
	j     *transfer.MemoryJournal
	start []byte
}

func newRunner(t *testing.T) *runner {
	t.Helper()
	r := &runner{w: newWorld(t)}
	r.d, r.j = r.w.device(t)
	r.start = r.j.Record()
	return r
}

func (r *runner) open(t *testing.T) {
	t.Helper()
	r.d = must(transfer.OpenDevice(r.w.options(r.j)))(t)
}

// until repeats try, with restarts, until the device is in one of states.
func (r *runner) until(t *testing.T, try func() error, states ...transfer.DeviceState) {
	t.Helper()
	for range 10 {
		err := perform(r.d, nil)
		if err == nil && slices.Contains(states, r.d.Status().State) {
			return
		}
		if err == nil {
			err = try()
		}
		if errors.Is(err, transfer.ErrPowerCut) {
			r.j.Cut(0, false)
			r.open(t)
		} else if err != nil {
			t.Fatal(err)
		}
	}
	t.Fatalf("stuck in %s", r.d.Status().State)
}

func (r *runner) ready(t *testing.T) {
	t.Helper()
	raw := r.w.signed(t, r.w.message(t, 1))
	r.until(t, func() error { return r.d.WriteMessage(raw, noon) }, transfer.Ready)
}

func (r *runner) complete(t *testing.T) {
	t.Helper()
	r.ready(t)
	r.until(t, func() error { return r.d.Commit(order(r.d), noon) }, transfer.Enrolling)
	r.until(t, func() error { return r.d.Enrolled(issue(t, r.d, &r.w.ca2)) }, transfer.Register)
	r.until(t, func() error { return r.d.Registered() }, transfer.Done)
	r.until(t, func() error { return r.d.Finalise(order(r.d)) }, transfer.Finalised)
}

func (r *runner) fallBack(t *testing.T) {
	t.Helper()
	r.ready(t)
	r.until(t, func() error { return r.d.Commit(order(r.d), noon) }, transfer.Enrolling)
	r.until(t, func() error { return r.d.Enrolled(issue(t, r.d, &r.w.ca2)) }, transfer.Register)
	r.until(t, func() error { return r.d.Tick(time.Hour, noon) }, transfer.InFall)
	r.until(t, func() error { return r.d.Enrolled(issue(t, r.d, &r.w.ca1)) }, transfer.FellBack)
}

// alternate falls back once, finds nobody there, and completes at last.
func (r *runner) alternate(t *testing.T) {
	t.Helper()
	r.ready(t)
	r.until(t, func() error { return r.d.Commit(order(r.d), noon) }, transfer.Enrolling)
	r.until(t, func() error { return r.d.Tick(time.Hour, noon) }, transfer.InFall)
	r.until(t, func() error { return r.d.Tick(time.Hour, noon) }, transfer.Enrolling)
	r.until(t, func() error { return r.d.Enrolled(issue(t, r.d, &r.w.ca2)) }, transfer.Register)
	r.until(t, func() error { return r.d.Registered() }, transfer.Done)
	done := must(transfer.ParseReceipt(r.d.Status().Receipt))(t)
	if !slices.Equal(done.Body.Wiped.Classes, []uint64{1, 2, 3, 4}) || done.Body.Error != 0 {
		t.Errorf("receipt of DONE after a detour: wiped %v, error %d", done.Body.Wiped.Classes, done.Body.Error)
	}
	r.until(t, func() error { return r.d.Finalise(order(r.d)) }, transfer.Finalised)
}

// freshKey renews the certificate with a fresh key before the device registers.
func (r *runner) freshKey(t *testing.T) {
	t.Helper()
	r.w.destination.UpdateFirst = true
	r.ready(t)
	r.until(t, func() error { return r.d.Commit(order(r.d), noon) }, transfer.Updating)
	r.until(t, func() error { return r.d.Updated() }, transfer.Enrolling)
	r.until(t, func() error { return r.d.Enrolled(issue(t, r.d, &r.w.ca2)) }, transfer.Register)
	r.until(t, func() error {
		if e, ok := r.d.Next(); !ok || !e.Renew {
			return r.d.Registered()
		}
		key, err := r.d.FreshKey()
		if err != nil {
			return err
		}
		return r.d.Renewed(certify(t, r.d.Subject(), key.Public(), &r.w.ca2, nil).Raw)
	}, transfer.Done)
	key, _, _ := r.d.Operational()
	done := must(transfer.ParseReceipt(r.d.Status().Receipt))(t)
	if done.Body.SPKI == must(transfer.SPKIHash(key.Public()))(t) {
		t.Error("the device is registered with the key of READY")
	}
	r.until(t, func() error { return r.d.Finalise(order(r.d)) }, transfer.Finalised)
}

func (r *runner) abort(t *testing.T) {
	t.Helper()
	r.ready(t)
	r.until(t, func() error { return r.d.Abort(order(r.d)) }, transfer.Expired)
}

// summary is the end state, without what chance or the number of boots decides.
func (r *runner) summary() string {
	s := r.d.Status()
	_, cert, ok := r.d.Operational()
	return fmt.Sprintln(s.State, s.Epoch, s.Error, ok, len(cert) > 0, r.d.Home(), r.d.Truststore(),
		len(s.Receipt) > 0, bytes.Contains(r.j.Record(), []byte("fallback")))
}
