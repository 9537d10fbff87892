package est_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// A chaos fails one call of any method, counted from zero: before it did anything,
// or after it was done and before anybody knew.
type chaos struct {
	under *esttest.Store

	fail, n int
	after   bool
}

// do is one call.
func (c *chaos) do(call func() error) error {
	n := c.n
	c.n++
	if n == c.fail && !c.after {
		return errCrash
	}
	if err := call(); err != nil || n != c.fail {
		return err
	}
	return errCrash
}

func (c *chaos) Certificate(ctx context.Context, h est.Hash) (out est.Record, err error) {
	err = c.do(func() error { out, err = c.under.Certificate(ctx, h); return err })
	return out, err
}

func (c *chaos) Certificates(ctx context.Context, q est.Query) (out []est.Record, err error) {
	err = c.do(func() error { out, err = c.under.Certificates(ctx, q); return err })
	return out, err
}

func (c *chaos) Right(ctx context.Context, h est.Hash) (out est.Right, err error) {
	err = c.do(func() error { out, err = c.under.Right(ctx, h); return err })
	return out, err
}

func (c *chaos) Rights(ctx context.Context, name string, after est.Hash, limit int) (out []est.Right, err error) {
	err = c.do(func() error { out, err = c.under.Rights(ctx, name, after, limit); return err })
	return out, err
}

func (c *chaos) Revoked(ctx context.Context, issuer est.Hash, from time.Time, fn func(est.Revocation) error) error {
	return c.do(func() error { return c.under.Revoked(ctx, issuer, from, fn) })
}

func (c *chaos) Commit(ctx context.Context, ch est.Change) error {
	return c.do(func() error { return c.under.Commit(ctx, ch) })
}

func (c *chaos) SealedKey(ctx context.Context, client, csr est.Hash) (out est.SealedKey, err error) {
	err = c.do(func() error { out, err = c.under.SealedKey(ctx, client, csr); return err })
	return out, err
}

func (c *chaos) ForgetKeys(ctx context.Context, now time.Time) error {
	return c.do(func() error { return c.under.ForgetKeys(ctx, now) })
}

func (c *chaos) Approval(ctx context.Context, client est.Hash) (out est.Approval, err error) {
	err = c.do(func() error { out, err = c.under.Approval(ctx, client); return err })
	return out, err
}

func (c *chaos) Approvals(ctx context.Context, s est.ApprovalState, after est.Hash, limit int) (
	out []est.Approval, err error,
) {
	err = c.do(func() error { out, err = c.under.Approvals(ctx, s, after, limit); return err })
	return out, err
}

// oneKey is the invariant: of a factory certificate at most one key is live, but for
// a renewal that waits for its first use beside the certificate that it renews.
func (w *world) oneKey(t *testing.T, when string) {
	t.Helper()
	records, err := w.store.Certificates(t.Context(), est.Query{Kind: est.KindOperational, Factory: w.device.Factory})
	if err != nil {
		t.Fatal(err)
	}
	var live []est.Record
	for _, r := range records {
		if r.Live(w.clock.Now()) == nil {
			live = append(live, r)
		}
	}
	if len(live) > 2 || len(live) == 2 && live[0].Supersedes != live[1].Hash {
		t.Fatalf("%s: %d keys of one factory certificate are live", when, len(live))
	}
}

// A deed is a step of a life under faults. The device repeats it until it is done.
type deed struct {
	name string
	do   func() error
}

// until repeats a deed. After each attempt of the device a thief, who has a copy of
// its factory certificate, asks for another key by every function.
func (w *world) until(t *testing.T, d deed) {
	t.Helper()
	const attempts = 4
	for range attempts {
		err := d.do()
		w.oneKey(t, d.name)
		_, _ = w.enrol(t.Context(), esttest.CSR(t, esttest.Key(t), endpoint))
		w.oneKey(t, d.name+", a thief")
		_, _ = w.generate(t.Context(), esttest.Request(t, esttest.Key(t), endpoint))
		w.oneKey(t, d.name+", a thief who wants a key")
		if err == nil {
			return
		}
		if !errors.Is(err, errCrash) && !errors.Is(err, est.ErrPending) {
			t.Fatalf("%s: %v", d.name, err)
		}
	}
	t.Fatalf("%s: not done after %d attempts", d.name, attempts)
}

// TestOneLiveKey breaks every call of the store in lives of devices, once each,
// before it and after it: a crash between signing and storing, an answer that is
// lost, a disk that fails.
func TestOneLiveKey(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    est.ProfileOptions
		life func(*world, *testing.T)
	}{
		{"own key", est.ProfileOptions{}, (*world).ownKey},
		{"key made here", est.ProfileOptions{ServerKeys: true}, (*world).madeKey},
		{"approval", est.ProfileOptions{Approval: true}, (*world).approvedKey},
	} {
		for _, after := range []bool{false, true} {
			calls := 1
			for fail := 0; fail < calls; fail++ {
				c := &chaos{fail: -1, after: after}
				w := newWorldOf(t, tt.o, func(s *esttest.Store) faultyStore { c.under = s; return c })
				c.fail, c.n = fail, 0
				t.Run(fmt.Sprintf("%s, call %d, after it %v", tt.name, fail, after), func(t *testing.T) { tt.life(w, t) })
				calls = max(calls, c.n)
			}
			t.Logf("%s, after %v: %d calls of the store were broken", tt.name, after, calls)
		}
	}
}

// ownKey is the life of a device with a right for its key.
func (w *world) ownKey(t *testing.T) {
	t.Helper()
	ctx, factory := t.Context(), w.device.Factory
	last := esttest.Key(t)
	first, next, third := esttest.CSR(t, w.key, endpoint), esttest.CSR(t, esttest.Key(t), endpoint),
		esttest.CSR(t, last, endpoint)
	var old, fresh est.Issued
	for _, d := range []deed{
		{"open", func() error { _, err := w.ca.OpenRight(ctx, factory, spki(t, w.key)); return err }},
		{"enrol", func() (err error) { old, err = w.enrol(ctx, first); return err }},
		{"renew", func() (err error) { fresh, err = w.renew(ctx, old, next); return err }},
		{"use", func() error { _, err := w.ca.Identify(ctx, [][]byte{fresh.DER}); return err }},
		{"reopen", func() error { _, err := w.ca.ReopenRight(ctx, factory, spki(t, last)); return err }},
		{"enrol again", func() (err error) { fresh, err = w.enrol(ctx, third); return err }},
	} {
		w.until(t, d)
	}
	w.endsWith(t, fresh.Hash)
}

// madeKey is the life of a device whose keys are made here. Nobody else asks before
// it has its first answer: under an open right the first one wins.
func (w *world) madeKey(t *testing.T) {
	t.Helper()
	ctx, factory := t.Context(), w.device.Factory
	csr := esttest.Request(t, nil, endpoint)
	var old, fresh est.Keyed
	alone := func(name string, do func() error) {
		t.Helper()
		for range 3 {
			err := do()
			w.oneKey(t, name)
			if err == nil {
				return
			}
			if !errors.Is(err, errCrash) {
				t.Fatalf("%s: %v", name, err)
			}
		}
		t.Fatalf("%s: not done", name)
	}
	alone("open", func() error { _, err := w.ca.OpenRight(ctx, factory, est.Hash{}); return err })
	alone("generate", func() (err error) { old, err = w.generate(ctx, csr); return err })
	fits(t, old)
	renewal := est.Request{
		Client: est.Client{Role: est.RoleOperational, Certificate: old.Hash, Name: endpoint}, CSR: csr,
	}
	for _, d := range []deed{
		{"generate again", func() error {
			again, err := w.generate(ctx, csr)
			if err == nil && (again.Hash != old.Hash || string(again.Key) != string(old.Key)) {
				t.Error("the same request got another key")
			}
			return err
		}},
		{"renew", func() (err error) { fresh, err = w.ca.GenerateKey(ctx, renewal); return err }},
		{"use", func() error { _, err := w.ca.Identify(ctx, [][]byte{fresh.DER}); return err }},
		{"forget", func() error { return w.ca.ForgetKeys(ctx) }},
	} {
		w.until(t, d)
	}
	fits(t, fresh)
	w.endsWith(t, fresh.Hash)
}

// approvedKey is the life of a device whose request people approve.
func (w *world) approvedKey(t *testing.T) {
	t.Helper()
	ctx, factory := t.Context(), w.device.Factory
	csr := esttest.CSR(t, w.key, endpoint)
	var issued est.Issued
	for _, d := range []deed{
		{"open", func() error { _, err := w.ca.OpenRight(ctx, factory, spki(t, w.key)); return err }},
		{"ask", func() error {
			if _, err := w.enrol(ctx, csr); !errors.Is(err, est.ErrPending) {
				return err
			}
			return nil
		}},
		{"approve", func() error {
			a, err := w.ca.Approvals(ctx, est.ApprovalWaiting, est.Hash{}, 1)
			if err == nil && len(a) == 1 {
				_, err = w.ca.Approve(ctx, a[0].Client, a[0].CSR, "")
			}
			return err
		}},
		{"enrol", func() (err error) { issued, err = w.enrol(ctx, csr); return err }},
	} {
		w.until(t, d)
	}
	w.endsWith(t, issued.Hash)
}

// endsWith fails unless that certificate alone is live.
func (w *world) endsWith(t *testing.T, want est.Hash) {
	t.Helper()
	records, err := w.store.Certificates(t.Context(), est.Query{Kind: est.KindOperational, Factory: w.device.Factory})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if live := r.Live(w.clock.Now()) == nil; live != (r.Hash == want) {
			t.Errorf("certificate %x is live: %v, want %x alone", r.Hash[:8], live, want[:8])
		}
	}
}
