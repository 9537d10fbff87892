package est_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
	"steward/lwm2m/audit"
)

// A memo is a Journal in memory. Its entries outlive what is restored.
type memo struct {
	entries []est.Entry
	unclean bool
	fail    error
	during  func() // called once, before the next Append writes
}

func (m *memo) Append(entries []est.Entry) error {
	if do := m.during; do != nil {
		m.during = nil
		do()
	}
	if m.fail != nil {
		return m.fail
	}
	m.entries = append(m.entries, entries...)
	return nil
}

func (m *memo) Replay(fn func(est.Entry) error) (bool, error) {
	for _, e := range slices.Clone(m.entries) {
		if err := fn(e); err != nil {
			return false, err
		}
	}
	return !m.unclean, nil
}

// start makes the provider's CA anew over store, as a start of the process does.
func (w *world) start(t *testing.T, store est.Store, m *memo) est.Restored {
	t.Helper()
	a := w.ca.Authorities()[0]
	w.ca = need(est.NewCA(est.Options{
		Store: store, Signer: a.Signer, Issuer: a.Certificate, Parents: a.Parents, Now: w.clock.Now, Journal: m,
	}))(t)
	if err := w.ca.Adopt(t.Context()); err != nil {
		t.Fatal(err)
	}
	return need(w.ca.Restore(t.Context()))(t)
}

// TestBackupRestored revokes, takes the database back to before, and finds nothing
// valid that was revoked: neither what the database held to be valid, nor what it
// never heard of, nor the right.
func TestBackupRestored(t *testing.T) {
	w := newWorld(t)
	ctx, m := t.Context(), &memo{}
	w.start(t, w.store, m)
	known := w.enrolled(t)
	backup := w.store.Clone()
	key := esttest.Key(t)
	unknown := need(w.ca.IssueServer(ctx, "later.example", key.Public()))(t)
	if err := w.ca.Revoke(ctx, unknown.Hash, est.KeyCompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	need(w.ca.DeleteRight(ctx, w.device.Factory, est.CessationOfOperation))(t) // revokes known
	scope := est.CRLScope{Issuer: w.issuer()}
	number := need(w.ca.CRL(ctx, scope, time.Hour))(t).Number

	w.clock.Advance(-time.Hour) // the machine's clock is off as well
	if got := w.start(t, backup, m); got.Unknown != 1 || got.Revoked+got.Deleted == 0 {
		t.Errorf("Restore = %+v", got)
	}
	for name, issued := range map[string]est.Issued{"known": known, "unknown": unknown} {
		if err := w.ca.Live(ctx, issued.Hash, w.clock.Now()); !errors.Is(err, est.ErrRevoked) {
			t.Errorf("%s: Live = %v, want ErrRevoked", name, err)
		}
		if _, err := w.ca.Identify(ctx, [][]byte{issued.DER}); !errors.Is(err, est.ErrRevoked) {
			t.Errorf("%s: Identify = %v, want ErrRevoked", name, err)
		}
		if _, err := w.renew(ctx, issued, esttest.CSR(t, w.key, endpoint)); !errors.Is(err, est.ErrRevoked) {
			t.Errorf("%s: Reenrol = %v, want ErrRevoked", name, err)
		}
	}
	if r, err := w.ca.Right(ctx, w.device.Factory); err != nil || r.State != est.RightDeleted {
		t.Errorf("right %s, %v, want deleted", r.State, err)
	}
	crl := need(w.ca.CRL(ctx, scope, time.Hour))(t)
	if crl.Entries != 2 || crl.Number <= number {
		t.Errorf("CRL of %d entries, number %d, want 2 and more than %d", crl.Entries, crl.Number, number)
	}
	told := slices.ContainsFunc(backup.Audit(), func(r audit.Row) bool {
		return r.Action == "certificate.revoke" && strings.Contains(r.Reason, "restored")
	})
	if !told {
		t.Errorf("audit says nothing of it: %+v", backup.Audit())
	}
	if got := w.start(t, backup, m); got.Revoked+got.Deleted+got.Kept != 0 {
		t.Errorf("a second start did it again: %+v", got)
	}
}

// TestCompromisedKeyIsRemembered: a key that somebody else has gets no certificate,
// though the database never heard of the one that was revoked for it.
func TestCompromisedKeyIsRemembered(t *testing.T) {
	w := newWorld(t)
	m := &memo{}
	w.start(t, w.store, m)
	w.open(t, nil)
	backup := w.store.Clone()
	out := need(w.enrol(t.Context(), esttest.CSR(t, w.key, endpoint)))(t)
	if err := w.ca.Revoke(t.Context(), out.Hash, est.KeyCompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	w.start(t, backup, m)
	if _, err := w.enrol(t.Context(), esttest.CSR(t, w.key, endpoint)); !errors.Is(err, est.ErrForbidden) {
		t.Errorf("enrol = %v, want ErrForbidden", err)
	}
}

// TestRightGrantedAgain: what was granted after it was deleted stays granted, over
// starts and though the clock went back.
func TestRightGrantedAgain(t *testing.T) {
	w := newWorld(t)
	m := &memo{}
	w.start(t, w.store, m)
	w.enrolled(t)
	need(w.ca.DeleteRight(t.Context(), w.device.Factory, est.CessationOfOperation))(t)
	w.clock.Advance(-time.Minute)
	grant(t, w, est.Grant{FactoryDER: w.device.DER})
	for _, unclean := range []bool{false, true} {
		m.unclean = unclean
		w.start(t, w.store, m)
		if r, err := w.ca.Right(t.Context(), w.device.Factory); err != nil || r.State != est.RightClosed {
			t.Errorf("right %s, %v, want closed", r.State, err)
		}
	}
}

// TestFactoryCAStaysDelisted: a root that was revoked is not listed again by who
// uploads it to the restored database.
func TestFactoryCAStaysDelisted(t *testing.T) {
	w := newWorld(t)
	m := &memo{}
	w.start(t, w.store, m)
	backup := w.store.Clone()
	other := esttest.NewFactory(t, w.clock.Now)
	if err := w.ca.TrustFactoryCA(t.Context(), other.Root().Raw); err != nil {
		t.Fatal(err)
	}
	hash := (est.Authority{Certificate: other.Root()}).Hash()
	if err := w.ca.Revoke(t.Context(), hash, est.CACompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	w.start(t, backup, m)
	if err := w.ca.TrustFactoryCA(t.Context(), other.Root().Raw); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("TrustFactoryCA = %v, want ErrRevoked", err)
	}
}

// A dying store's process ends before or after a commit.
type dying struct {
	est.Store

	at, n int
	after bool
	over  bool
}

func (d *dying) Commit(ctx context.Context, ch est.Change) error {
	if d.over {
		return errCrash
	}
	d.n++
	if d.n == d.at && !d.after {
		d.over = true
		return errCrash
	}
	err := d.Store.Commit(ctx, ch)
	if d.n == d.at {
		d.over = true
	}
	return err
}

// TestCrashWhileRevoking ends the process at each step of a revocation: before the
// database has it, between database and journal, after both. Whatever was
// acknowledged survives the loss of the database; whatever the database has, the
// journal has after the next start.
func TestCrashWhileRevoking(t *testing.T) {
	for _, tt := range []struct {
		name          string
		before, after bool // the commit
		journal       error
		acknowledged  bool
	}{
		{"before the database", true, false, nil, false},
		{"between database and journal", false, false, errCrash, false},
		{"after both", false, false, nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			m := &memo{}
			d := &dying{Store: w.store}
			w.start(t, d, m)
			out := w.enrolled(t)
			backup := w.store.Clone()
			if tt.before {
				d.at = d.n + 1
			}
			m.fail = tt.journal
			err := w.ca.Revoke(t.Context(), out.Hash, est.KeyCompromise, "stolen")
			if (err == nil) != tt.acknowledged {
				t.Fatalf("Revoke = %v, want acknowledged %v", err, tt.acknowledged)
			}
			m.fail, m.unclean = nil, true
			w.start(t, w.store, m) // the next process, over the same database
			revoked := errors.Is(w.ca.Live(t.Context(), out.Hash, w.clock.Now()), est.ErrRevoked)
			if revoked == tt.before {
				t.Errorf("revoked %v after the next start", revoked)
			}
			w.start(t, backup, m) // and one over the database of before
			if again := errors.Is(w.ca.Live(t.Context(), out.Hash, w.clock.Now()), est.ErrRevoked); again != revoked {
				t.Errorf("revoked %v over the backup, want %v", again, revoked)
			}
		})
	}
}

// TestJournalOwes: what the journal could not take goes to it with the next entry.
func TestJournalOwes(t *testing.T) {
	w := newWorld(t)
	m := &memo{}
	w.start(t, w.store, m)
	a, b := w.issue(t, "a.example"), w.issue(t, "b.example")
	m.fail = errCrash
	if err := w.ca.Revoke(t.Context(), a.Hash, est.Superseded, ""); !errors.Is(err, errCrash) {
		t.Errorf("Revoke = %v, want the journal's error", err)
	}
	if err := w.ca.Live(t.Context(), a.Hash, w.clock.Now()); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("Live = %v: the journal's error undid the revocation", err)
	}
	m.fail = nil
	if err := w.ca.Revoke(t.Context(), a.Hash, est.Superseded, ""); err != nil || len(m.entries) == 0 {
		t.Errorf("asked again: %v, %d entries, want it in the journal", err, len(m.entries))
	}
	m.entries = nil
	if err := w.ca.Revoke(t.Context(), a.Hash, est.Superseded, ""); err != nil || len(m.entries) != 0 {
		t.Errorf("and again: %v, %d entries, want none more", err, len(m.entries))
	}
	m.fail = errCrash
	if err := w.ca.Revoke(t.Context(), b.Hash, est.Superseded, ""); !errors.Is(err, errCrash) {
		t.Errorf("Revoke = %v, want the journal's error", err)
	}
	m.fail = nil
	if err := w.ca.Settle(); err != nil || len(m.entries) != 1 || m.entries[0].Revocation.Hash != b.Hash {
		t.Errorf("Settle = %v, %d entries, want what was owed", err, len(m.entries))
	}
}

// TestNobodyIsToldEarly: who asks for what somebody else is revoking is told when the
// journal has it, not when the database has.
func TestNobodyIsToldEarly(t *testing.T) {
	w := newWorld(t)
	m := &memo{}
	w.start(t, w.store, m)
	a := w.issue(t, "a.example")
	told := 0
	m.during = func() {
		if err := w.ca.Revoke(t.Context(), a.Hash, est.Superseded, ""); err != nil {
			t.Error(err)
		}
		told = len(m.entries)
	}
	if err := w.ca.Revoke(t.Context(), a.Hash, est.Superseded, ""); err != nil || told != 1 {
		t.Errorf("Revoke = %v; the other was told with %d entries in the journal, want 1", err, told)
	}
}

func (w *world) issue(t *testing.T, host string) est.Issued {
	t.Helper()
	return need(w.ca.IssueServer(t.Context(), host, esttest.Key(t).Public()))(t)
}

// TestRevokedInGrace: the grace for what ended (IdentifyExpired) is none for what was
// revoked before a backup was restored.
func TestRevokedInGrace(t *testing.T) {
	w := newWorld(t)
	m := &memo{}
	w.start(t, w.store, m)
	out := w.enrolled(t)
	backup := w.store.Clone()
	if err := w.ca.Revoke(t.Context(), out.Hash, est.KeyCompromise, ""); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(out.NotAfter.Sub(w.clock.Now()) + 24*time.Hour)
	w.start(t, backup, m)
	_, err := w.ca.IdentifyExpired(t.Context(), [][]byte{out.DER}, 30*24*time.Hour)
	if !errors.Is(err, est.ErrRevoked) {
		t.Errorf("IdentifyExpired = %v, want ErrRevoked", err)
	}
}
