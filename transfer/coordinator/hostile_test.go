package coordinator_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// call returns the first call with that action that a provider received.
func (p *provider) call(tb testing.TB, a coordinator.Action) coordinator.Call {
	tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if c.Action == a {
			return c
		}
	}
	tb.Fatalf("%s received no %s", p.name, a)
	return coordinator.Call{}
}

// refusals returns how many calls a provider has audited as refused.
func (p *provider) refusals() (n int) {
	for _, r := range p.store.Rows() {
		if r.Action == "peer.refuse" {
			n++
		}
	}
	return n
}

// withKey returns c under another idempotency key.
func withKey(c coordinator.Call, key string) coordinator.Call {
	c.Key = key
	return c
}

func withBody(c coordinator.Call, body []byte) coordinator.Call {
	c.Key, c.Body = "another", body
	return c
}

// TestT9 repeats every call of a finished hand-over: the same key and body gets
// the same answer, the same key with another body is refused, and under a new key
// nothing changes any more. It is of row T9 of the transfer protocol (§9).
func TestT9(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(5 * time.Minute)
		w.moved(t, id)
		for _, p := range []*provider{w.alpha, w.beta} {
			other := w.alpha
			if p == w.alpha {
				other = w.beta
			}
			from := p.partner(t, other)
			for _, call := range p.calls {
				kept, err := p.store.Answer(t.Context(), from.ID, call.Key)
				check(t, err)
				got, err := p.c.Receive(t.Context(), from, call)
				if err != nil || !bytes.Equal(got.Body, kept.Reply.Body) {
					t.Errorf("%s again = %q, %v, want the same answer", call.Action, got.Body, err)
				}
				changed := call
				changed.Body = append(bytes.Clone(call.Body), 0)
				before := p.refusals()
				if _, err := p.c.Receive(t.Context(), from, changed); !errors.Is(err, coordinator.ErrKeyReused) {
					t.Errorf("%s with another body = %v, want ErrKeyReused", call.Action, err)
				}
				if p.refusals() != before+1 {
					t.Errorf("%s with another body is not audited", call.Action)
				}
				_, err = p.c.Receive(t.Context(), from, withKey(call, "new"+call.Key))
				if err != nil && !errors.Is(err, coordinator.ErrState) {
					t.Errorf("%s under a new key = %v", call.Action, err)
				}
			}
		}
		time.Sleep(5 * time.Minute)
		w.moved(t, id)
	})
}

// TestT5 sends what a partner may not send. It is of row T5 of the transfer protocol (§9).
func TestT5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.earliest = time.Now().Add(time.Hour - time.Minute) // READY, and no commit
		gamma := newProvider(t, w, "Gamma")
		gamma.open(t)
		w.beta.pin(t, gamma)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(3 * time.Minute)
		before := w.beta.states(t, id)
		if before[transfer.RowReady] != 2 {
			t.Fatalf("states %v", before)
		}
		alpha, stranger := w.beta.partner(t, w.alpha), w.beta.partner(t, gamma)
		ready := w.beta.call(t, coordinator.ActionReady)
		info := w.beta.call(t, coordinator.ActionInfo)
		suspended := alpha
		suspended.State = coordinator.Suspended
		foreign := ready
		foreign.Device = strings.Repeat("ab", 16)
		committed := withKey(ready, "c")
		committed.Action = coordinator.ActionCommitted
		other := otherDevice(t, w, ready)
		withdrawal, err := transfer.Withdrawal{Reason: "x", Transfer: []byte("another")}.Encode()
		check(t, err)
		tests := []struct {
			name string
			from coordinator.Partner
			call coordinator.Call
			want error
		}{
			{"another partner", stranger, withKey(ready, "x"), coordinator.ErrUnknown},
			{"another partner commits", stranger, committed, coordinator.ErrUnknown},
			{"suspended partner", suspended, withKey(ready, "x"), coordinator.ErrForbidden},
			{"no idempotency key", alpha, withKey(ready, ""), coordinator.ErrInvalid},
			{"device that is not in the transfer", alpha, withKey(foreign, "x"), coordinator.ErrUnknown},
			{"receipt of another device", alpha, other, coordinator.ErrInvalid},
			{"garbage", alpha, withBody(ready, []byte("x")), coordinator.ErrInvalid},
			{"unknown action", alpha, coordinator.Call{Action: "explode", Key: "x"}, coordinator.ErrUnknown},
			{"info: alg none", alpha, withBody(info, algNone(t, info.Body)), coordinator.ErrInvalid},
			{"info: altered", alpha, withBody(info, altered(t, info.Body)), coordinator.ErrInvalid},
			{"info: of another partner", stranger, withKey(info, "x"), coordinator.ErrInvalid},
			{"info: not JSON", alpha, withBody(info, []byte("{}x")), coordinator.ErrInvalid},
			{"info: id is taken", alpha, withKey(info, "x"), coordinator.ErrState},
			{"withdrawal of another transfer", alpha, coordinator.Call{
				Action: coordinator.ActionWithdraw, Transfer: id, Key: "w", Body: withdrawal,
			}, coordinator.ErrInvalid},
			{"close without FALLBACK", alpha, completion(t, ready, coordinator.ActionClose), coordinator.ErrInvalid},
			{"complete without FELL_BACK", alpha, completion(t, ready, coordinator.ActionComplete), coordinator.ErrInvalid},
		}
		for _, tt := range tests {
			refused := w.beta.refusals()
			if _, err := w.beta.c.Receive(t.Context(), tt.from, tt.call); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
			if w.beta.refusals() != refused+1 {
				t.Errorf("%s: not audited", tt.name)
			}
		}
		if after := w.beta.states(t, id); !maps.Equal(after, before) {
			t.Errorf("states %v, were %v", after, before)
		}
	})
}

// otherDevice returns ready with the receipt of the other device in it.
func otherDevice(tb testing.TB, w *world, ready coordinator.Call) coordinator.Call {
	tb.Helper()
	for _, c := range w.beta.calls {
		if c.Action == coordinator.ActionReady && c.Device != ready.Device {
			return withBody(ready, c.Body)
		}
	}
	tb.Fatal("one device only")
	return ready
}

// completion sends the READY receipt where one of another state is due.
func completion(tb testing.TB, ready coordinator.Call, a coordinator.Action) coordinator.Call {
	tb.Helper()
	b, err := transfer.ParseReadyBody(ready.Body)
	check(tb, err)
	body, err := transfer.Completion{Transfer: b.Transfer, Receipts: [][]byte{b.Receipt}}.Encode()
	check(tb, err)
	c := withBody(ready, body)
	c.Action = a
	return c
}

func submission(tb testing.TB, raw []byte) coordinator.Submission {
	tb.Helper()
	var s coordinator.Submission
	check(tb, json.Unmarshal(raw, &s))
	return s
}

// algNone takes the signature away and says so in the header.
func algNone(tb testing.TB, raw []byte) []byte {
	tb.Helper()
	s := submission(tb, raw)
	parts := strings.Split(s.Info, ".")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	check(tb, err)
	header = bytes.Replace(header, []byte(`"ES256"`), []byte(`"none"`), 1)
	s.Info = base64.RawURLEncoding.EncodeToString(header) + "." + parts[1] + "."
	out, err := json.Marshal(s)
	check(tb, err)
	return out
}

// altered changes a bit of the payload.
func altered(tb testing.TB, raw []byte) []byte {
	tb.Helper()
	s := submission(tb, raw)
	parts := strings.Split(s.Info, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	check(tb, err)
	payload[len(payload)-1] ^= 1
	s.Info = parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + parts[2]
	out, err := json.Marshal(s)
	check(tb, err)
	return out
}

// TestT5Offer presents the offer of one batch for another. It is of row T5 of the transfer protocol (§9).
func TestT5Offer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.earliest = time.Now().Add(20 * time.Minute)
		w.start(t)
		first := w.handOver(t)
		time.Sleep(time.Minute)
		old := w.alpha.call(t, coordinator.ActionOffer)
		_, err := w.alpha.c.Withdraw(t.Context(), first, "operator:bob", "")
		check(t, err)
		time.Sleep(5 * time.Minute)
		w.earliest = time.Time{}
		draft, err := w.alpha.c.Draft(t.Context(), coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Devices: []fleetID{w.devices[0].id(w.alpha)}, Actor: "operator:a",
		})
		check(t, err)
		_, err = w.alpha.c.Submit(t.Context(), draft.ID, "operator:a")
		check(t, err)
		until(t, time.Minute, "accepted", func() bool {
			got, _ := w.alpha.store.Transfer(t.Context(), draft.ID)
			return got.State == transfer.BatchInfoAccepted
		})
		beta := w.alpha.partner(t, w.beta)
		old.Transfer, old.Key = draft.ID, "x"
		if _, err := w.alpha.c.Receive(t.Context(), beta, old); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("offer for another batch = %v, want ErrInvalid", err)
		}
		o, err := transfer.ParseOffer(old.Body)
		check(t, err)
		forged, err := o.Body.Sign(w.alpha.signer)
		check(t, err)
		if _, err := w.alpha.c.Receive(t.Context(), beta, withBody(old, forged)); !errors.Is(err, coordinator.ErrInvalid) {
			t.Errorf("offer signed by another = %v, want ErrInvalid", err)
		}
	})
}

// TestT19StolenOfferKey: whoever holds the key with which SP2 signs offers, and not that
// of its connection, has nobody to give an offer of his own to: neither as a stranger,
// nor as a partner that he is himself. The transfer goes on as it was approved.
// It is of row T19 of the transfer protocol (§9).
func TestT19StolenOfferKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.earliest = time.Now().Add(20 * time.Minute)
		gamma := newProvider(t, w, "Gamma")
		gamma.open(t)
		w.alpha.pin(t, gamma)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(3 * time.Minute)
		before := w.alpha.states(t, id)
		call := w.alpha.call(t, coordinator.ActionOffer)
		o, err := transfer.ParseOffer(call.Body)
		check(t, err)
		d, err := transfer.ParseDestination(o.Body.Destination)
		check(t, err)
		const thief = "coaps://thief.example"
		d.ServerURI, d.EnrollURI, d.UpdateURI = thief, thief, thief+"/update"
		o.Body.Destination, err = d.Encode()
		check(t, err)
		forged, err := o.Body.Sign(w.beta.signer) // stolen
		check(t, err)
		refused := w.alpha.refusals()
		_, err = w.alpha.c.Receive(t.Context(), w.alpha.partner(t, gamma), withBody(call, forged))
		if !errors.Is(err, coordinator.ErrUnknown) {
			t.Errorf("offer from another partner = %v, want ErrUnknown", err)
		}
		if w.alpha.refusals() == refused {
			t.Error("it is not audited")
		}
		if _, err := w.alpha.c.Identify(t.Context(), [32]byte{1}, "192.0.2.1"); !errors.Is(err, coordinator.ErrForbidden) {
			t.Errorf("Identify of a stranger = %v, want ErrForbidden", err)
		}
		if after := w.alpha.states(t, id); !maps.Equal(after, before) {
			t.Errorf("states %v, were %v", after, before)
		}
		time.Sleep(25 * time.Minute)
		w.moved(t, id)
	})
}

// TestT6 lets a thief with a copy of the factory key ask CA2 before and after the
// commit: nothing is issued, nothing moves, and the device wins. It is of row T6 of the transfer protocol (§9).
func TestT6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.earliest = time.Now().Add(10 * time.Minute)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(3 * time.Minute)
		d := w.devices[0]
		steal := func(when string) {
			t.Helper()
			for _, p := range []*provider{w.alpha, w.beta} {
				key := esttest.Key(t)
				csr := esttest.CSR(t, key, d.Endpoint)
				spki, err := transfer.SPKIHash(key.Public())
				check(t, err)
				// At Alpha, before the commit, only the former key is answered.
				if _, err := p.ca.Enrol(t.Context(), est.Request{Client: d.Client(), CSR: csr}); err == nil {
					t.Errorf("%s: the thief has a certificate of %s", when, p.name)
				}
				p.c.FactoryContact(fleetFactory(d), spki)
			}
		}
		steal("READY")
		time.Sleep(10 * time.Second)
		if got := w.beta.states(t, id)[transfer.RowReady]; got != 1 {
			t.Errorf("after the thief's contact: %v", w.beta.states(t, id))
		}
		w.beta.mu.Lock()
		w.beta.closed = true
		w.beta.mu.Unlock()
		until(t, 20*time.Minute, "committed", func() bool { return w.beta.states(t, id)[transfer.RowCommitted] == 1 })
		steal("COMMITTED")
		w.beta.mu.Lock()
		w.beta.closed = false
		w.beta.mu.Unlock()
		time.Sleep(5 * time.Minute)
		w.moved(t, id)
		steal("FINALISED")
		time.Sleep(time.Minute)
		w.moved(t, id)
	})
}

// TestT11 changes the destination on its way to the device: SP2 finds it in the
// READY receipt, before the right can open. It is of row T11 of the transfer protocol (§9).
func TestT11(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.start(t)
		draft, err := w.alpha.c.Draft(t.Context(), coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Devices: []fleetID{w.devices[0].id(w.alpha)}, Actor: "operator:a",
			Window: transfer.NewWindow(time.Time{}, time.Now().Add(time.Hour)),
		})
		check(t, err)
		_, err = w.alpha.c.Submit(t.Context(), draft.ID, "operator:a")
		check(t, err)
		w.approve(t, w.beta, draft.ID, transfer.BatchInfoAccepted)
		until(t, time.Minute, "offered", func() bool {
			got, _ := w.alpha.store.Transfer(t.Context(), draft.ID)
			return got.State == transfer.BatchOffered
		})
		docs, err := w.alpha.store.Documents(t.Context(), draft.ID)
		check(t, err)
		offer, err := transfer.ParseOffer(docs.Offer)
		check(t, err)
		destination, err := transfer.ParseDestination(offer.Body.Destination)
		check(t, err)
		*destination.Grace *= 2
		offer.Body.Destination, err = destination.Encode()
		check(t, err)
		docs.Offer, err = offer.Body.Sign(w.beta.signer) // only the coordinator's own store is dishonest
		check(t, err)
		stored, err := w.alpha.store.Transfer(t.Context(), draft.ID)
		check(t, err)
		check(t, w.alpha.store.Commit(t.Context(), coordinator.Change{Transfer: &stored, Documents: docs}))
		w.approve(t, w.alpha, draft.ID, transfer.BatchOffered)
		time.Sleep(5 * time.Minute)
		if got := w.alpha.states(t, draft.ID)[transfer.RowAborted]; got != 1 {
			t.Errorf("Alpha has %v, want ABORTED", w.alpha.states(t, draft.ID))
			w.explain(t, w.alpha, draft.ID)
		}
		if w.beta.refusals() == 0 {
			t.Error("Beta has refused nothing")
		}
		right, err := w.beta.ca.Right(t.Context(), w.devices[0].Factory)
		if err == nil && (right.State == est.RightOpen || right.State == est.RightConsumed) {
			t.Errorf("right at Beta is %s", right.State)
		}
	})
}

// TestT18 lets each provider reach for the device at the wrong time. It is of row T18 of the transfer protocol (§9).
func TestT18(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		w.earliest = time.Now().Add(10 * time.Minute)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(3 * time.Minute)
		d := w.devices[0]
		ready := findReady(t, w)
		beta := w.alpha.partner(t, w.beta)
		for _, a := range []coordinator.Action{coordinator.ActionComplete, coordinator.ActionClose, coordinator.ActionReady} {
			body, err := transfer.Completion{Transfer: ready.Transfer, Receipts: [][]byte{ready.Receipt}}.Encode()
			check(t, err)
			if a == coordinator.ActionReady {
				body, err = ready.Encode()
				check(t, err)
			}
			_, err = w.alpha.c.Receive(t.Context(), beta, coordinator.Call{
				Action: a, Transfer: id, Device: fleetFactory(d).Short(), Key: string(a), Body: body,
			})
			if !errors.Is(err, coordinator.ErrInvalid) && !errors.Is(err, coordinator.ErrState) {
				t.Errorf("%s from SP2 before the commit = %v", a, err)
			}
		}
		if got := w.alpha.states(t, id)[transfer.RowReady]; got != 1 {
			t.Errorf("Alpha has %v", w.alpha.states(t, id))
		}
		if right, err := w.alpha.ca.Right(t.Context(), d.Factory); err != nil || right.State != est.RightConsumed {
			t.Errorf("right at Alpha is %s, %v", right.State, err)
		}
		time.Sleep(15 * time.Minute)
		w.moved(t, id)
	})
}

// findReady returns the READY body that Beta received.
func findReady(tb testing.TB, w *world) transfer.ReadyBody {
	tb.Helper()
	b, err := transfer.ParseReadyBody(w.beta.call(tb, coordinator.ActionReady).Body)
	check(tb, err)
	return b
}

// TestSuspended freezes what has not committed while a partner is suspended.
func TestSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.earliest = time.Now().Add(10 * time.Minute)
		w.start(t)
		id := w.handOver(t)
		time.Sleep(3 * time.Minute)
		p := w.alpha.partner(t, w.beta)
		_, err := w.alpha.c.SetPartnerState(t.Context(), p.ID, coordinator.Suspended, "operator:bob", "signer stolen")
		check(t, err)
		time.Sleep(20 * time.Minute)
		if got := w.alpha.states(t, id)[transfer.RowReady]; got != 2 {
			t.Errorf("%d devices READY while the partner is suspended, want 2", got)
			w.explain(t, w.alpha, id)
		}
		_, err = w.alpha.c.Identify(t.Context(), p.TLSKey(), "192.0.2.1")
		if !errors.Is(err, coordinator.ErrForbidden) {
			t.Errorf("Identify of a suspended partner = %v, want ErrForbidden", err)
		}
		_, err = w.alpha.c.SetPartnerState(t.Context(), p.ID, coordinator.Active, "operator:bob", "new signer")
		check(t, err)
		time.Sleep(10 * time.Minute)
		w.moved(t, id)
	})
}
