package esttest

import (
	"context"
	"crypto/sha256"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"steward/est"
	"steward/lwm2m/audit"
)

// A Backend is a Store, what it keeps of requests, and a way to see the audit rows
// that it wrote, oldest first.
type Backend struct {
	Store    est.Store
	Requests est.RequestStore
	Audit    func(ctx context.Context) ([]audit.Row, error)
}

// TestStore is what every est.Store must do. open returns an empty one.
func TestStore(t *testing.T, open func(t *testing.T) Backend) {
	t.Helper()
	for _, tt := range []struct {
		name string
		run  func(*testing.T, Backend)
	}{
		{"unknown", testUnknown},
		{"round trip", testRoundTrip},
		{"queries", testQueries},
		{"pages", testPages},
		{"rights in pages", testRights},
		{"right version", testRightVersion},
		{"endpoint of two", testEndpoint},
		{"record version", testRecordVersion},
		{"all or nothing", testAtomic},
		{"revoked stays revoked", testRevoked},
		{"sealed keys", testSealedKeys},
		{"approvals", testApprovals},
		{"revoked in a stream", testRevokedStream},
		{"passwords", testPasswords},
		{"password version", testPasswordVersion},
		{"errands", testErrands},
		{"one open errand a client", testOpenErrand},
		{"sole holder of a name", testSole},
		{"first of a name", testFirst},
		{"origins of keys", testOrigins},
		{"renamed", testRenamed},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

var start = time.Date(2026, 11, 22, 12, 0, 0, 123000, time.UTC)

func hash(text string) est.Hash { return sha256.Sum256([]byte(text)) }

// record returns a record with every immutable field set, unlike any with
// another name.
func record(name string) est.Record {
	return est.Record{
		Hash: hash(name), Issuer: hash("issuer"), Serial: "4a" + name, SPKI: hash("key " + name),
		Kind: est.KindOperational, Profile: "operational", Name: "urn:" + name, Factory: hash("factory " + name),
		NotBefore: start.Truncate(time.Second), NotAfter: start.Truncate(time.Second).Add(time.Hour), IssuedAt: start,
		Client: hash("client " + name), CSR: hash("csr " + name), Supersedes: hash("old " + name),
		DER: []byte("der of " + name), Version: 1, Status: est.StatusValid,
	}
}

func right(name string) est.Right {
	return est.Right{
		Factory: hash(name), FactoryDER: []byte("der of " + name), Endpoint: "urn:" + name, State: est.RightOpen,
		Epoch: 7, SPKI: hash("key"), Issued: hash("issued"), From: start, Until: start.Add(time.Hour), ChangedAt: start,
	}
}

func commit(t *testing.T, s est.Store, ch est.Change) {
	t.Helper()
	if err := s.Commit(t.Context(), ch); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func testUnknown(t *testing.T, b Backend) {
	t.Helper()
	if _, err := b.Store.Certificate(t.Context(), hash("a")); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("Certificate = %v, want ErrUnknown", err)
	}
	if _, err := b.Store.Right(t.Context(), hash("a")); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("Right = %v, want ErrUnknown", err)
	}
	if got, err := b.Store.Certificates(t.Context(), est.Query{}); err != nil || len(got) > 0 {
		t.Errorf("Certificates = %v, %v", got, err)
	}
}

func testRoundTrip(t *testing.T, b Backend) {
	t.Helper()
	plain := est.Record{
		Hash: hash("plain"), Issuer: hash("issuer"), Serial: "1", SPKI: hash("k"), Kind: est.KindRoot, Profile: "root",
		Name: "Root", NotBefore: start.Truncate(time.Second), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		IssuedAt: start, DER: []byte{1}, Version: 1, Status: est.StatusValid,
	}
	full, want := record("a"), right("r")
	row := audit.Row{Actor: "device:a", Action: "x", Subject: "s", Reason: "r", Before: "b", After: "c", At: start}
	commit(t, b.Store, est.Change{Right: &want, Insert: []est.Record{plain, full}, Audit: []audit.Row{row}})
	want.Version = 1

	full.Reason, full.Why, full.RevokedAt = est.KeyCompromise, "stolen", start.Add(time.Second)
	full.UsedAt, full.ReplacedBy, full.ReplacedAt = start.Add(2*time.Second), hash("next"), start.Add(3*time.Second)
	full.Status = est.StatusRevoked
	commit(t, b.Store, est.Change{Update: []est.Record{full}})
	full.Version = 2
	for _, r := range []est.Record{plain, full} {
		if got, err := b.Store.Certificate(t.Context(), r.Hash); err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("Certificate = %+v, %v\nwant %+v", got, err, r)
		}
	}
	if got, err := b.Store.Right(t.Context(), want.Factory); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Right = %+v, %v\nwant %+v", got, err, want)
	}
	if rows, err := b.Audit(t.Context()); err != nil || !slices.Equal(rows, []audit.Row{row}) {
		t.Errorf("audit rows = %+v, %v", rows, err)
	}
}

func testQueries(t *testing.T, b Backend) {
	t.Helper()
	a, c := record("a"), record("c")
	c.Kind, c.Issuer, c.NotAfter = est.KindServer, hash("other"), c.NotAfter.Add(time.Hour)
	of := right("factory a")
	of.Endpoint = a.Name
	commit(t, b.Store, est.Change{Right: &of, Insert: []est.Record{a, c}})
	c.Status, c.Reason, c.RevokedAt = est.StatusRevoked, est.Superseded, start
	a.ReplacedBy, a.ReplacedAt = hash("x"), start
	commit(t, b.Store, est.Change{Update: []est.Record{a, c}})
	for _, tt := range []struct {
		name string
		q    est.Query
		want []est.Hash
	}{
		{"all, last first", est.Query{}, []est.Hash{c.Hash, a.Hash}},
		{"limit", est.Query{Limit: 1}, []est.Hash{c.Hash}},
		{"before", est.Query{Before: c.Hash}, []est.Hash{a.Hash}},
		{"before the first", est.Query{Before: a.Hash}, nil},
		{"before an unknown one", est.Query{Before: hash("?")}, nil},
		{"kind", est.Query{Kind: est.KindServer}, []est.Hash{c.Hash}},
		{"status", est.Query{Status: est.StatusValid}, []est.Hash{a.Hash}},
		{"name", est.Query{Name: a.Name}, []est.Hash{a.Hash}},
		{"serial", est.Query{Serial: a.Serial}, []est.Hash{a.Hash}},
		{"issuer", est.Query{Issuer: hash("other")}, []est.Hash{c.Hash}},
		{"factory", est.Query{Factory: a.Factory}, []est.Hash{a.Hash}},
		{"key", est.Query{SPKI: a.SPKI}, []est.Hash{a.Hash}},
		{"client and request", est.Query{Client: a.Client, CSR: a.CSR}, []est.Hash{a.Hash}},
		{"client of one, request of the other", est.Query{Client: a.Client, CSR: c.CSR}, nil},
		{"expires", est.Query{Expires: c.NotAfter}, []est.Hash{a.Hash}},
		{"replaced before", est.Query{Replaced: start.Add(time.Microsecond)}, []est.Hash{a.Hash}},
		{"not replaced before", est.Query{Replaced: start}, nil},
	} {
		got, err := b.Store.Certificates(t.Context(), tt.q)
		if err != nil || !slices.Equal(hashes(got), tt.want) {
			t.Errorf("%s: Certificates = %x, %v, want %x", tt.name, hashes(got), err, tt.want)
		}
	}
}

func hashes(records []est.Record) []est.Hash {
	var out []est.Hash
	for _, r := range records {
		out = append(out, r.Hash)
	}
	return out
}

func testPages(t *testing.T, b Backend) {
	t.Helper()
	var want []est.Hash
	for i := range 25 {
		r := record(string(rune('a' + i)))
		commit(t, b.Store, est.Change{Insert: []est.Record{r}})
		want = append(want, r.Hash)
	}
	slices.Reverse(want)
	var got []est.Hash
	q := est.Query{Limit: 10}
	for {
		page, err := b.Store.Certificates(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, hashes(page)...)
		q.Before = got[len(got)-1]
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages = %x, want %x", got, want)
	}
}

func testRights(t *testing.T, b Backend) {
	t.Helper()
	for _, name := range []string{"a", "b", "c"} {
		r := right(name)
		r.From, r.Until, r.SPKI, r.Issued = time.Time{}, time.Time{}, est.Hash{}, est.Hash{}
		r.FactoryDER = nil // by bootstrap
		commit(t, b.Store, est.Change{Right: &r})
		r.Version = 1
		commit(t, b.Store, est.Change{Right: &r})
		want := r
		want.Version = 2
		if got, err := b.Store.Right(t.Context(), r.Factory); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("Right = %+v, %v", got, err)
		}
	}
	first, err := b.Store.Rights(t.Context(), "", est.Hash{}, 2)
	if err != nil || len(first) != 2 {
		t.Fatalf("Rights = %v, %v", first, err)
	}
	rest, err := b.Store.Rights(t.Context(), "", first[1].Factory, 2)
	if err != nil || len(rest) != 1 {
		t.Errorf("Rights = %v, %v", rest, err)
	}
	named, err := b.Store.Rights(t.Context(), "urn:b", est.Hash{}, 10)
	if err != nil || len(named) != 1 || named[0].Endpoint != "urn:b" {
		t.Errorf("Rights(urn:b) = %v, %v", named, err)
	}
}

func testRightVersion(t *testing.T, b Backend) {
	t.Helper()
	r := right("a")
	commit(t, b.Store, est.Change{Right: &r})
	if err := b.Store.Commit(t.Context(), est.Change{Right: &r}); !errors.Is(err, est.ErrConflict) {
		t.Errorf("second insert = %v, want ErrConflict", err)
	}
	r.Version, r.State, r.SPKI = 1, est.RightConsumed, est.Hash{}
	commit(t, b.Store, est.Change{Right: &r})
	if err := b.Store.Commit(t.Context(), est.Change{Right: &r}); !errors.Is(err, est.ErrConflict) {
		t.Errorf("stale update = %v, want ErrConflict", err)
	}
	other := right("b")
	other.Version = 3
	if err := b.Store.Commit(t.Context(), est.Change{Right: &other}); !errors.Is(err, est.ErrConflict) {
		t.Errorf("update of none = %v, want ErrConflict", err)
	}
	r.Version = 2
	if got, err := b.Store.Right(t.Context(), r.Factory); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("Right = %+v, %v\nwant %+v", got, err, r)
	}
}

func testEndpoint(t *testing.T, b Backend) {
	t.Helper()
	first, second := right("a"), right("b")
	second.Endpoint = first.Endpoint
	commit(t, b.Store, est.Change{Right: &first})
	if err := b.Store.Commit(t.Context(), est.Change{Right: &second}); !errors.Is(err, est.ErrEndpoint) {
		t.Errorf("Commit = %v, want ErrEndpoint", err)
	}
	first.Version, first.State = 1, est.RightDeleted
	commit(t, b.Store, est.Change{Right: &first})
	commit(t, b.Store, est.Change{Right: &second})
	first.Version, first.State = 2, est.RightClosed
	if err := b.Store.Commit(t.Context(), est.Change{Right: &first}); !errors.Is(err, est.ErrEndpoint) {
		t.Errorf("Commit of one that comes back = %v, want ErrEndpoint", err)
	}
}

func testRecordVersion(t *testing.T, b Backend) {
	t.Helper()
	r := record("a")
	commit(t, b.Store, est.Change{Insert: []est.Record{r}})
	if err := b.Store.Commit(t.Context(), est.Change{Insert: []est.Record{r}}); !errors.Is(err, est.ErrConflict) {
		t.Errorf("second insert = %v, want ErrConflict", err)
	}
	commit(t, b.Store, est.Change{Update: []est.Record{r}})
	if err := b.Store.Commit(t.Context(), est.Change{Update: []est.Record{r}}); !errors.Is(err, est.ErrConflict) {
		t.Errorf("stale update = %v, want ErrConflict", err)
	}
	err := b.Store.Commit(t.Context(), est.Change{Update: []est.Record{record("b")}})
	if !errors.Is(err, est.ErrConflict) {
		t.Errorf("update of none = %v, want ErrConflict", err)
	}
}

func testAtomic(t *testing.T, b Backend) {
	t.Helper()
	r := record("a")
	commit(t, b.Store, est.Change{Insert: []est.Record{r}})
	stale, fresh, grant := r, record("b"), right("r")
	stale.Version = 9
	err := b.Store.Commit(t.Context(), est.Change{
		Right: &grant, Insert: []est.Record{fresh}, Update: []est.Record{stale}, Audit: []audit.Row{{Actor: "x", At: start}},
	})
	if !errors.Is(err, est.ErrConflict) {
		t.Fatalf("Commit = %v, want ErrConflict", err)
	}
	if _, err := b.Store.Certificate(t.Context(), fresh.Hash); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("certificate of a failed change: %v", err)
	}
	if _, err := b.Store.Right(t.Context(), grant.Factory); !errors.Is(err, est.ErrUnknown) {
		t.Errorf("right of a failed change: %v", err)
	}
	if rows, err := b.Audit(t.Context()); err != nil || len(rows) > 0 {
		t.Errorf("audit of a failed change: %v, %v", rows, err)
	}
}

func testRevoked(t *testing.T, b Backend) {
	t.Helper()
	r := record("a")
	commit(t, b.Store, est.Change{Insert: []est.Record{r}})
	r.Status, r.Reason, r.RevokedAt = est.StatusRevoked, est.KeyCompromise, start
	commit(t, b.Store, est.Change{Update: []est.Record{r}})
	r.Version, r.Status = 2, est.StatusValid
	if err := b.Store.Commit(t.Context(), est.Change{Update: []est.Record{r}}); !errors.Is(err, est.ErrRevoked) {
		t.Errorf("Commit = %v, want ErrRevoked", err)
	}
	if got, err := b.Store.Certificate(t.Context(), r.Hash); err != nil || got.Status != est.StatusRevoked {
		t.Errorf("Certificate = %v, %v", got.Status, err)
	}
}
