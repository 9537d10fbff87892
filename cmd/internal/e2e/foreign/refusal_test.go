package foreign_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
)

// TestForeignRefusals: neither side takes what it must not. A suspended partner is told
// to come later, and what was held up goes on when it is admitted; either withdraws; an offer that goes
// beyond the mandate or the information is refused for good; so are devices and transfers
// beyond what the partner may ask for.
func TestForeignRefusals(t *testing.T) {
	t.Parallel()
	s, f := newPair(t)
	f.suspend(true)
	id := s.draft(t)
	s.operate(t, "transfer", "submit", id)
	s.await(t, "calls are turned away", func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.turned < 2 {
			return fmt.Errorf("%d calls", f.turned)
		}
		return nil
	})
	f.suspend(false)
	s.operate(t, "transfer", "wait", id, "--state", "INFO_ACCEPTED", "--timeout", "2m")

	s.operate(t, "transfer", "withdraw", id, "--reason", "not now")
	s.await(t, "the partner hears of it", func() error { return f.aborted(id) })
	id = s.draft(t)
	s.operate(t, "transfer", "submit", id)
	s.operate(t, "transfer", "wait", id, "--state", "INFO_ACCEPTED", "--timeout", "2m")
	if err := f.withdraw(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	s.operate(t, "transfer", "wait", id, "--state", "CANCELLED", "--timeout", "2m")

	id = s.draft(t)
	s.operate(t, "transfer", "submit", id)
	s.operate(t, "transfer", "wait", id, "--state", "INFO_ACCEPTED", "--timeout", "2m")
	f.offersBeyond(t, id)
	s.operate(t, "partners", "suspend", "Gamma", "--reason", "a key was lost")
	f.declined(t, f.offering(id, f.signer, func(*offer) {}), http.StatusForbidden, "forbidden")
	s.operate(t, "partners", "admit", "Gamma", "--reason", "it was found")
	s.offer(t, f, id)
	s.operate(t, "transfer", "approve", id)
	s.toForeign(t, f, id)

	s.operate(t, "partners", "limit", "Gamma", "--open", "1")
	back, err := f.submit(t.Context(), id, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.declined(t, f.information(t, id, nil), http.StatusTooManyRequests, "limit")
	s.operate(t, "partners", "limit", "Gamma")
	f.strangers(t, id)
	s.given(t, f, back)
}

// information is the call that begins a transfer of the devices of an earlier deal, or of
// one with that factory certificate.
func (f *foreign) information(t *testing.T, before string, instead *x509.Certificate) call {
	t.Helper()
	d, err := f.drafted(before, nil)
	if err != nil {
		t.Fatal(err)
	}
	if instead != nil {
		for _, s := range d.devices {
			s.factory = instead
		}
		d.order = f.ownMandate(d.id, [][]byte{hashOf(instead.Raw)}, d.window)
		if _, d.mandate, err = f.openMandate(d.order, partner{name: f.name, signing: f.signer.certificate}); err != nil {
			t.Fatal(err)
		}
	}
	body, err := f.submission(d)
	if err != nil {
		t.Fatal(err)
	}
	return call{"/peer/v1/transfers", "application/json", body}
}

// strangers offers a device of a factory that nobody knows: the answer says why not.
func (f *foreign) strangers(t *testing.T, before string) {
	t.Helper()
	key := newKey()
	device := newCA("Stranger").issue(key.Public(), &x509.Certificate{Subject: pkix.Name{CommonName: "dev-0001"}})
	c := f.information(t, before, device)
	got, err := f.once(t.Context(), http.MethodPost, c.path, c.media, c.body)
	if err != nil || got.status != http.StatusOK {
		t.Fatal(got.status, err)
	}
	var a answer
	if err := decode(got.body, &a); err != nil || len(a.Devices) != 1 {
		t.Fatalf("answer %x, %v", got.body, err)
	}
	name, isName := a.Devices[0][0].([]byte)
	reason, isReason := a.Devices[0][1].(string)
	if !isName || !bytes.Equal(name, x5t(device.Raw)) || !isReason || reason == "" {
		t.Errorf("device of a strange factory: %v", a.Devices[0])
	}
}

func (f *foreign) suspend(suspended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.suspended, f.turned = suspended, 0
}

// aborted expects that all devices of a deal stay where they are.
func (f *foreign) aborted(id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.deals[id].devices {
		if s.state != "ABORTED" {
			return fmt.Errorf("%s is %s", s.endpoint, s.state)
		}
	}
	return nil
}

// withdraw ends a transfer to us before any device has committed.
func (f *foreign) withdraw(ctx context.Context, id string) error {
	f.mu.Lock()
	d := f.deals[id]
	d.state = "CANCELLED"
	body := encode(withdrawal{Reason: "no room", Transfer: d.id})
	f.mu.Unlock()
	_, err := f.post(ctx, "/peer/v1/transfers/"+id+"/withdraw", "application/cbor", body)
	return err
}

// A call is what a partner may be asked.
type call struct {
	path, media string
	body        []byte
}

// declined expects that a call is answered by a problem.
func (f *foreign) declined(t *testing.T, c call, status int, code string) {
	t.Helper()
	got, err := f.once(t.Context(), http.MethodPost, c.path, c.media, c.body)
	if err != nil {
		t.Fatal(err)
	}
	var said struct {
		Code, Detail string
		Status       int
	}
	if err := json.Unmarshal(got.body, &said); err != nil || got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: %d %q, %v", c.path, got.status, got.body, err)
	}
	if got.status != status || said.Status != status || said.Code != code || said.Detail == "" {
		t.Errorf("%s: %d %s, want %d %s", c.path, got.status, got.body, status, code)
	}
	if wait := got.header.Get("Retry-After"); (wait != "") != (status == http.StatusTooManyRequests) {
		t.Errorf("%s: %d with Retry-After %q", c.path, got.status, wait)
	}
}

// offering is the call with the offer of a deal, changed.
func (f *foreign) offering(id string, by signer, change func(*offer)) call {
	f.mu.Lock()
	defer f.mu.Unlock()
	terms := f.terms(f.deals[id])
	change(&terms)
	raw, _ := by.signDocument("steward/offer/1", terms)
	return call{"/peer/v1/transfers/" + id + "/offer", "application/cose", tagged(tagSign1, raw)}
}

// offersBeyond tries offers that the partner must not take.
func (f *foreign) offersBeyond(t *testing.T, id string) {
	t.Helper()
	for what, change := range map[string]func(*offer){
		"longer than the mandate":    func(o *offer) { o.Terms.Window[1] += 1 << 24 },
		"under another mandate":      func(o *offer) { o.Terms.Mandate = hashOf(nil) },
		"to another information":     func(o *offer) { o.Terms.Info = hashOf(nil) },
		"of other devices":           func(o *offer) { o.Terms.Accepted = hashOf(nil) },
		"for somebody else":          func(o *offer) { o.Audience = "Delta" },
		"of somebody else":           func(o *offer) { o.Issuer = "Delta" },
		"that has expired":           func(o *offer) { o.Expires = now() - 1000 },
		"without certificates":       func(o *offer) { o.Terms.Anchors = o.Terms.Anchors[:1] },
		"with other purposes":        func(o *offer) { o.Terms.Anchors[1].Purposes |= mandates },
		"that keeps the application": func(o *offer) { o.Terms.Destination = keeping(t, o.Terms.Destination) },
	} {
		t.Run(what, func(t *testing.T) {
			f.declined(t, f.offering(id, f.signer, change), http.StatusUnprocessableEntity, "invalid")
		})
	}
	f.declined(t, f.offering(id, f.ca.messages("Thief"), func(*offer) {}), http.StatusUnprocessableEntity, "invalid")
	wrong := f.offering(id, f.signer, func(*offer) {})
	wrong.media = "application/cbor" // but it is a COSE message
	f.declined(t, wrong, http.StatusUnsupportedMediaType, "media_type")
}

// keeping is a Destination that asks for reset 0.
func keeping(t *testing.T, raw []byte) []byte {
	t.Helper()
	var labels map[int]any
	if err := decodeLoose(raw, &labels); err != nil {
		t.Fatal(err)
	}
	labels[9] = 0
	return encode(labels)
}
