package coordinator_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"steward/transfer"
	"steward/transfer/coordinator"
)

// extend has Alpha ask for a later end of the window, and Beta agree to it.
func (w *world) extend(tb testing.TB, id string, latest time.Time) {
	tb.Helper()
	_, err := w.alpha.coordinator().Extend(tb.Context(), coordinator.Extension{
		Transfer: id, Latest: latest, Mandate: w.mandate, Actor: "operator:alice", Reason: "it sleeps",
	})
	check(tb, err)
	for range 60 {
		if got, _ := w.beta.store.Transfer(tb.Context(), id); got.Asked.Latest > 0 {
			_, err := w.beta.coordinator().Extend(tb.Context(), coordinator.Extension{
				Transfer: id, Actor: "operator:bob", Reason: "as you like",
			})
			check(tb, err)
			time.Sleep(10 * time.Second)
			return
		}
		time.Sleep(time.Second)
	}
	tb.Fatal("Beta was not asked")
}

func window(tb testing.TB, p *provider, id string) transfer.Window {
	tb.Helper()
	got, err := p.store.Transfer(tb.Context(), id)
	check(tb, err)
	return got.Window
}

// TestExtension: a device is READY and falls silent until the first window has passed.
// The window was extended, so it gets a message of the next epoch and moves; without
// that it stays.
func TestExtension(t *testing.T) {
	for _, extended := range []bool{true, false} {
		name := map[bool]string{true: "extended", false: "not extended"}[extended]
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 2)
				w.earliest = time.Now().Add(30 * time.Minute)
				w.start(t)
				id := w.handOver(t)
				latest := window(t, w.alpha, id).Latest.Time()
				time.Sleep(10 * time.Minute)
				first, err := w.alpha.store.ListRows(t.Context(), id, "", 1)
				check(t, err)
				if first[0].State != transfer.RowReady || first[0].Epoch != 1 {
					t.Fatalf("before the window the device is %s, epoch %d", first[0].State, first[0].Epoch)
				}
				w.devices[0].offFor(2 * time.Hour)
				w.devices[1].offFor(2 * time.Hour)
				if extended {
					w.beta.loseNext(coordinator.ActionExtend)
					w.alpha.loseNext(coordinator.ActionExtension)
					w.extend(t, id, latest.Add(6*time.Hour))
				}
				time.Sleep(3 * time.Hour)
				if !extended {
					if n := w.alpha.states(t, id); n[transfer.RowExpired] != 2 {
						t.Errorf("rows at Alpha: %v, want two EXPIRED", n)
					}
					return
				}
				time.Sleep(20 * time.Minute)
				w.moved(t, id)
				rows, err := w.alpha.store.ListRows(t.Context(), id, "", 10)
				check(t, err)
				for _, r := range rows {
					m, err := transfer.ParseMessage(r.Message)
					check(t, err)
					if r.Epoch != 2 || m.Body.Expires.Time() != latest.Add(6*time.Hour) {
						t.Errorf("%s moved by epoch %d, until %s", r.Endpoint, r.Epoch, m.Body.Expires.Time())
					}
				}
				for _, p := range []*provider{w.alpha, w.beta} {
					if got := window(t, p, id).Latest.Time(); !got.Equal(latest.Add(6 * time.Hour)) {
						t.Errorf("at %s the window ends %s", p.name, got)
					}
					if report, _ := p.record(t, id); !report.Proved {
						t.Errorf("record of %s: not proved: %q", p.name, unproved(report))
					}
				}
			})
		})
	}
}

// TestExtensionKeepsMessages: a message that is good still is not replaced.
func TestExtensionKeepsMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.earliest = time.Now().Add(30 * time.Minute)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		w.extend(t, id, window(t, w.alpha, id).Latest.Time().Add(time.Hour))
		time.Sleep(40 * time.Minute)
		w.moved(t, id)
		rows, err := w.alpha.store.ListRows(t.Context(), id, "", 10)
		check(t, err)
		for _, r := range rows {
			if r.Epoch != 1 {
				t.Errorf("%s moved by epoch %d", r.Endpoint, r.Epoch)
			}
		}
	})
}

// TestExtensionUnderAnotherMandate: a mandate that is brought for a later window has to
// cover that, and to be for the same providers, all devices and no less.
func TestExtensionUnderAnotherMandate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.earliest = time.Now().Add(50 * time.Minute)
		w.start(t)
		id := w.handOver(t)
		docs, err := w.alpha.store.Documents(t.Context(), id)
		check(t, err)
		first, err := transfer.ParseMandate(docs.Mandate)
		check(t, err)
		latest := first.Body.Window.Latest.Time().Add(time.Hour)
		try := func(change func(*transfer.Mandate)) error {
			m := first.Body
			m.Window.Latest, m.Expires = transfer.SecondsOf(latest), transfer.SecondsOf(latest)
			change(&m)
			raw, err := m.Sign(w.alpha.signer)
			check(t, err)
			_, err = w.alpha.coordinator().Extend(t.Context(), coordinator.Extension{
				Transfer: id, Latest: latest, Mandate: raw, Actor: "operator:alice",
			})
			return err
		}
		for name, change := range map[string]func(*transfer.Mandate){
			"to another provider":   func(m *transfer.Mandate) { m.To = "Gamma" },
			"from another provider": func(m *transfer.Mandate) { m.From = "Gamma" },
			"one device only":       func(m *transfer.Mandate) { m.Devices.Factory = m.Devices.Factory[:1] },
			"until before that":     func(m *transfer.Mandate) { m.Window.Latest-- },
			"good until before":     func(m *transfer.Mandate) { m.Expires-- },
			"of a later beginning":  func(m *transfer.Mandate) { m.Window.Earliest = m.Window.Latest - 1 },
			"keeping data":          func(m *transfer.Mandate) { keep := true; m.KeepApplication = &keep },
		} {
			if err := try(change); !errors.Is(err, coordinator.ErrInvalid) {
				t.Errorf("%s: %v, want ErrInvalid", name, err)
			}
		}
		check(t, try(func(*transfer.Mandate) {}))
	})
}

// TestExtensionRefused: what neither side may do.
func TestExtensionRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.earliest = time.Now().Add(50 * time.Minute)
		w.start(t)
		id := w.handOver(t)
		latest := window(t, w.alpha, id).Latest.Time()
		want := func(what string, err, is error) {
			t.Helper()
			if !errors.Is(err, is) {
				t.Errorf("%s: %v, want %v", what, err, is)
			}
		}
		try := func(p *provider, latest time.Time) error {
			_, err := p.coordinator().Extend(t.Context(), coordinator.Extension{
				Transfer: id, Latest: latest, Actor: "operator:alice",
			})
			return err
		}
		want("agreeing to nothing", try(w.beta, time.Time{}), coordinator.ErrState)
		want("an earlier end", try(w.alpha, latest.Add(-time.Minute)), coordinator.ErrInvalid)
		check(t, try(w.alpha, latest.Add(time.Hour)))
		time.Sleep(10 * time.Second)
		want("agreeing to something else", try(w.beta, latest.Add(2*time.Hour)), coordinator.ErrInvalid)

		// Who is not the partner's signer agrees to nothing.
		asked, err := w.alpha.store.Transfer(t.Context(), id)
		check(t, err)
		a := transfer.Agreement{
			Issuer: "Beta", Audience: "Alpha", IssuedAt: transfer.SecondsOf(time.Now()),
			AgreementTerms: transfer.AgreementTerms{
				Offer: asked.Offer, Mandate: asked.AskedMandate, Window: asked.Asked, Transfer: asked.Key(),
			},
		}
		receive := func(a transfer.Agreement, by transfer.Signer) error {
			raw, err := a.Sign(by)
			check(t, err)
			_, err = w.alpha.coordinator().Receive(t.Context(), w.alpha.partner(t, w.beta), coordinator.Call{
				Action: coordinator.ActionExtension, Transfer: id, Key: "k" + time.Now().String(), Body: raw,
			})
			time.Sleep(time.Second)
			return err
		}
		want("signed by another", receive(a, w.alpha.signer), coordinator.ErrInvalid)
		longer := a
		longer.Window.Latest += 3600
		want("more than was asked for", receive(longer, w.beta.signer), coordinator.ErrInvalid)
		other := a
		other.Offer = transfer.Hash{1}
		want("another offer", receive(other, w.beta.signer), coordinator.ErrInvalid)

		w.alpha.setAway(true) // the answer is lost until the window has passed
		_, err = w.beta.coordinator().Extend(t.Context(), coordinator.Extension{Transfer: id, Actor: "operator:bob"})
		check(t, err)
		time.Sleep(time.Until(latest) + time.Minute)
		w.alpha.setAway(false)
		want("after the window", try(w.alpha, latest.Add(5*time.Hour)), coordinator.ErrState)
		time.Sleep(30 * time.Minute)
		for _, p := range []*provider{w.alpha, w.beta} {
			if n := p.states(t, id); n[transfer.RowExpired]+n[transfer.RowAborted] != 1 {
				t.Errorf("%s: %v, want the device to have stayed", p.name, n)
			}
		}
	})
}
