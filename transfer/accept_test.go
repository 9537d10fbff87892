package transfer_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"steward/transfer"
)

// TestAccept violates each of E1 to E11 in turn; the journal stays as it was,
// byte for byte. Covers T1, T4, T7, T10 and T15 at the level of the device.
func TestAccept(t *testing.T) {
	type situation struct {
		w       *world
		message transfer.Message
		by      transfer.Signer
		now     time.Time
		mangle  func([]byte) []byte
		prepare func(*testing.T, *transfer.Device)
		busy    bool
	}
	mandate := func(s *situation) { s.w.mandateSigner = true }
	tests := []struct {
		name   string
		change func(*testing.T, *situation)
		err    error
	}{
		{"sound", func(*testing.T, *situation) {}, nil},
		{"sound, without a clock", func(_ *testing.T, s *situation) { s.now = time.Time{} }, nil},
		{"sound, expired, without a clock", func(_ *testing.T, s *situation) {
			s.now, s.message.Expires, s.message.NotBefore = time.Time{}, 10, 9
		}, nil},
		{"sound, before the window", func(_ *testing.T, s *situation) { s.now = noon.Add(-12 * time.Hour) }, nil},
		{"E1 empty", func(_ *testing.T, s *situation) {
			s.mangle = func([]byte) []byte { return nil }
		}, transfer.ErrE1Message},
		{"E1 tagged", func(_ *testing.T, s *situation) {
			s.mangle = func(b []byte) []byte { return append([]byte{0xd2}, b...) }
		}, transfer.ErrE1Message},
		{"E1 trailing byte", func(_ *testing.T, s *situation) {
			s.mangle = func(b []byte) []byte { return append(b, 0) }
		}, transfer.ErrE1Message},
		{"E1 too large", func(_ *testing.T, s *situation) {
			s.mangle = func([]byte) []byte { return make([]byte, transfer.MaxMessage+1) }
		}, transfer.ErrE1Message},
		{"T1 E2 signed by the incoming provider, its anchor staged", func(_ *testing.T, s *situation) {
			s.by = s.w.sp2.signer()
		}, transfer.ErrE2Signer},
		{"T1 E2 signed by the CA", func(_ *testing.T, s *situation) { s.by = s.w.ca1.signer() }, transfer.ErrE2Signer},
		{"T1 E2 signed by the device", func(_ *testing.T, s *situation) {
			s.by = s.w.factory.signer()
		}, transfer.ErrE2Signer},
		{"E3 signed by another key", func(_ *testing.T, s *situation) { s.by.Key = s.w.sp2.key }, transfer.ErrE3Signature},
		{"E3 flipped bit", func(_ *testing.T, s *situation) {
			s.mangle = func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
		}, transfer.ErrE3Signature},
		{"T4 E4 for another certificate", func(_ *testing.T, s *situation) {
			s.message.Factory[0] ^= 1
		}, transfer.ErrE4Target},
		{"T4 E4 for another subject", func(_ *testing.T, s *situation) { s.message.Subject = "other" }, transfer.ErrE4Target},
		{"T7 E5 epoch jump", func(_ *testing.T, s *situation) { s.message.Epoch = 2 }, transfer.ErrE5Epoch},
		{"T7 E5 highest epoch", func(_ *testing.T, s *situation) { s.message.Epoch = 1<<32 - 1 }, transfer.ErrE5Epoch},
		{"T10 E6 expired", func(_ *testing.T, s *situation) {
			s.now = s.message.Expires.Time().Add(transfer.ClockSkew)
		}, transfer.ErrE6Window},
		{"E6 backwards", func(_ *testing.T, s *situation) { s.message.NotBefore = s.message.Expires }, transfer.ErrE6Window},
		{"E6 backwards, without a clock", func(_ *testing.T, s *situation) {
			s.now, s.message.NotBefore = time.Time{}, s.message.Expires+1
		}, transfer.ErrE6Window},
		{"E7 anchor missing", func(_ *testing.T, s *situation) {
			s.prepare = func(t *testing.T, d *transfer.Device) { t.Helper(); check(t, d.DeleteAnchor(staged(t, d).Instance)) }
		}, transfer.ErrE7Anchors},
		{"T15 E7 anchor slipped in", func(t *testing.T, s *situation) {
			t.Helper()
			extra := newParty(t, "slipped in", nil)
			s.prepare = func(t *testing.T, d *transfer.Device) {
				t.Helper()
				must(d.CreateAnchor(-1, extra.cert.Raw, transfer.DM))(t)
			}
		}, transfer.ErrE7Anchors},
		{"E7 other purposes", func(_ *testing.T, s *situation) {
			s.prepare = func(t *testing.T, d *transfer.Device) {
				t.Helper()
				check(t, d.WritePurposes(staged(t, d).Instance, transfer.DM))
			}
		}, transfer.ErrE7Anchors},
		{"E8 coap", func(t *testing.T, s *situation) {
			t.Helper()
			s.w.destination.EnrollURI = "coap://beta.example"
			s.message.Destination = must(s.w.destination.Encode())(t)
		}, transfer.ErrE8URI},
		{"E8 user information", func(t *testing.T, s *situation) {
			t.Helper()
			s.w.destination.ServerURI = "coaps://alpha@beta.example"
			s.message.Destination = must(s.w.destination.Encode())(t)
		}, transfer.ErrE8URI},
		{"E9 other server", func(_ *testing.T, s *situation) {
			s.message.FallbackURI = "coaps://x.example"
		}, transfer.ErrE9Fallback},
		{"E9 other CA", func(_ *testing.T, s *situation) {
			s.message.FallbackEnrollURI = "coaps://x.example"
		}, transfer.ErrE9Fallback},
		{"E9 no anchor for the present server", func(_ *testing.T, s *situation) {
			s.prepare = func(t *testing.T, d *transfer.Device) {
				t.Helper()
				for _, a := range d.Trusted(transfer.DM) {
					check(t, d.WritePurposes(a.Instance, transfer.Enrol))
				}
			}
		}, transfer.ErrE9Fallback},
		{"E10 installing", func(_ *testing.T, s *situation) { s.busy = true }, transfer.ErrE10State},
		{"E11 no mandate", func(_ *testing.T, s *situation) { mandate(s) }, transfer.ErrE11Mandate},
		{"E11 mandate of another", func(t *testing.T, s *situation) {
			t.Helper()
			mandate(s)
			giveMandate(t, &s.message, &s.prepare, must(s.w.mandate().Sign(s.w.sp1.signer()))(t))
		}, transfer.ErrE11Mandate},
		{"E11 mandate with another hash", func(t *testing.T, s *situation) {
			t.Helper()
			mandate(s)
			giveMandate(t, &s.message, &s.prepare, must(s.w.mandate().Sign(s.w.user.signer()))(t))
			s.message.Mandate[0] ^= 1
		}, transfer.ErrE11Mandate},
		{"E11 mandate for others", func(t *testing.T, s *situation) {
			t.Helper()
			mandate(s)
			m := s.w.mandate()
			m.Devices.Factory[0][0] ^= 1
			giveMandate(t, &s.message, &s.prepare, must(m.Sign(s.w.user.signer()))(t))
		}, transfer.ErrE11Mandate},
		{"E11 mandate by an owner that a provider has set beside the factory's", func(t *testing.T, s *situation) {
			t.Helper()
			mandate(s)
			raw := must(s.w.mandate().Sign(s.w.extra.signer()))(t)
			giveMandate(t, &s.message, &s.prepare, raw)
			give := s.prepare
			s.prepare = func(t *testing.T, d *transfer.Device) {
				t.Helper()
				give(t, d)
				check(t, d.CommandAnchors(must(transfer.Anchors{
					IssuedAt: transfer.SecondsOf(noon), AnchorsTerms: transfer.AnchorsTerms{
						Counter: 1, Anchors: []transfer.AnchorRef{{
							Thumbprint: transfer.ThumbprintOf(s.w.extra.cert.Raw), Purposes: transfer.MandateSigner,
						}},
					},
				}.Sign(s.w.sp1.signer()))(t)))
			}
		}, transfer.ErrE11Mandate},
		{"E11 application kept without permission", func(t *testing.T, s *situation) {
			t.Helper()
			mandate(s)
			*s.w.destination.Reset = transfer.ResetKeepApplication
			s.message.Destination = must(s.w.destination.Encode())(t)
			giveMandate(t, &s.message, &s.prepare, must(s.w.mandate().Sign(s.w.user.signer()))(t))
		}, transfer.ErrE11Mandate},
		{"E11 mandate to another provider", func(t *testing.T, s *situation) {
			t.Helper()
			raw := changedMandate(t, s.w, func(m *transfer.Mandate) { m.To = "Gamma" })
			giveMandate(t, &s.message, &s.prepare, raw)
		}, transfer.ErrE11Mandate},
		{"E11 mandate of another provider", func(t *testing.T, s *situation) {
			t.Helper()
			raw := changedMandate(t, s.w, func(m *transfer.Mandate) { m.From = "Gamma" })
			giveMandate(t, &s.message, &s.prepare, raw)
		}, transfer.ErrE11Mandate},
		{"E11 mandate of an earlier hand-over", func(t *testing.T, s *situation) {
			t.Helper()
			raw := changedMandate(t, s.w, func(m *transfer.Mandate) {
				m.Window = transfer.NewWindow(noon.Add(-48*time.Hour), noon.Add(-24*time.Hour))
			})
			giveMandate(t, &s.message, &s.prepare, raw)
		}, transfer.ErrE11Mandate},
		{"E11 mandate for names that begin otherwise", func(t *testing.T, s *situation) {
			t.Helper()
			raw := changedMandate(t, s.w, func(m *transfer.Mandate) { m.Devices = transfer.Devices{Group: "urn:dev:os:4*"} })
			giveMandate(t, &s.message, &s.prepare, raw)
		}, transfer.ErrE11Mandate},
		{"sound, with a mandate for names that begin so", func(t *testing.T, s *situation) {
			t.Helper()
			raw := changedMandate(t, s.w, func(m *transfer.Mandate) {
				m.Devices = transfer.Devices{Group: "urn:dev:os:32473-*"}
			})
			giveMandate(t, &s.message, &s.prepare, raw)
		}, nil},
		{"sound, with a mandate for a group by name", func(t *testing.T, s *situation) {
			t.Helper()
			raw := changedMandate(t, s.w, func(m *transfer.Mandate) { m.Devices = transfer.Devices{Group: "lamps"} })
			giveMandate(t, &s.message, &s.prepare, raw)
		}, nil},
		{"sound, with a mandate", func(t *testing.T, s *situation) {
			t.Helper()
			mandate(s)
			giveMandate(t, &s.message, &s.prepare, must(s.w.mandate().Sign(s.w.user.signer()))(t))
		}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			s := situation{w: w, message: w.message(t, 1), by: w.sp1.signer(), now: noon}
			tt.change(t, &s)
			d, j := w.device(t)
			if s.busy {
				d = busyDevice(t, w, j)
			}
			if s.prepare != nil {
				s.prepare(t, d)
			}
			raw := must(s.message.Sign(s.by))(t)
			if s.mangle != nil {
				raw = s.mangle(raw)
			}
			before := j.Record()
			err := d.WriteMessage(raw, s.now)
			if !errors.Is(err, tt.err) {
				t.Fatalf("WriteMessage = %v, want %v", err, tt.err)
			}
			if err == nil {
				return
			}
			if !bytes.Equal(before, j.Record()) {
				t.Error("the journal has changed")
			}
			if got, want := d.Status().Error, transfer.ErrorCode(tt.err); got != want || got == 0 {
				t.Errorf("Status().Error = %d, want %d", got, want)
			}
		})
	}
}

func giveMandate(t *testing.T, m *transfer.Message, prepare *func(*testing.T, *transfer.Device), raw []byte) {
	t.Helper()
	m.Mandate = must(transfer.ParseMandate(raw))(t).Hash
	*prepare = func(t *testing.T, d *transfer.Device) { t.Helper(); check(t, d.WriteMandate(transfer.Untag(raw))) }
}

// changedMandate is a mandate of the service user that was changed before it was signed;
// the device demands one.
func changedMandate(t *testing.T, w *world, change func(*transfer.Mandate)) []byte {
	t.Helper()
	w.mandateSigner = true
	m := w.mandate()
	change(&m)
	return must(m.Sign(w.user.signer()))(t)
}

// staged returns one anchor that was staged.
func staged(t *testing.T, d *transfer.Device) transfer.Anchor {
	t.Helper()
	for _, a := range d.Truststore() {
		if a.Staged {
			return a
		}
	}
	t.Fatal("no anchor is staged")
	return transfer.Anchor{}
}

func busyDevice(t *testing.T, w *world, j *transfer.MemoryJournal) *transfer.Device {
	t.Helper()
	o := w.options(j)
	o.Firmware = func() ([]transfer.Installed, bool) { return nil, true }
	return must(transfer.OpenDevice(o))(t)
}

// TestAcceptOnce is E5 and E10 around READY: the identical message is accepted
// again, the same epoch with other bytes is not, and another message is not.
func TestAcceptOnce(t *testing.T) {
	w := newWorld(t)
	d, j := w.device(t)
	raw := w.signed(t, w.message(t, 1))
	check(t, d.WriteMessage(raw, noon))
	drain(t, d, nil)
	before, receipt := j.Record(), d.Status().Receipt
	check(t, d.WriteMessage(raw, noon))
	if !bytes.Equal(before, j.Record()) || !bytes.Equal(receipt, d.Status().Receipt) {
		t.Error("the identical message has changed something")
	}
	for _, tt := range []struct {
		name string
		raw  []byte
		err  error
	}{
		{"same content, other signature", w.signed(t, w.message(t, 1)), transfer.ErrE5Epoch},
		{"next epoch", w.signed(t, w.message(t, 2)), transfer.ErrE10State},
	} {
		// In READY no anchor is staged: E7 would come first for the next epoch.
		if err := d.WriteMessage(tt.raw, noon); !errors.Is(err, tt.err) {
			t.Errorf("WriteMessage(%s) = %v, want %v", tt.name, err, tt.err)
		}
		if !bytes.Equal(before, j.Record()) {
			t.Errorf("%s: the journal has changed", tt.name)
		}
	}
}

func TestErrorCode(t *testing.T) {
	if got := transfer.ErrorCode(transfer.ErrBusy); got != 0 {
		t.Errorf("ErrorCode(ErrBusy) = %d, want 0", got)
	}
}
