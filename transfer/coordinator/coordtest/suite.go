package coordtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"maps"
	"math/big"
	"reflect"
	"testing"
	"time"

	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// A Backend is a Store and a way to see the audit rows that it wrote, oldest
// first.
type Backend struct {
	Store coordinator.Store
	Audit func(ctx context.Context) ([]audit.Row, error)
}

// at is when everything in the suite happens.
var at = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// TestStore is what every coordinator.Store must do. open returns an empty one.
func TestStore(t *testing.T, open func(t *testing.T) Backend) {
	t.Helper()
	for _, part := range []struct {
		name string
		test func(t *testing.T, b Backend)
	}{
		{"Partners", testPartners},
		{"Transfers", testTransfers},
		{"Documents", testDocuments},
		{"Papers", testPapers},
		{"Rows", testRows},
		{"OneOpenRow", testOneOpenRow},
		{"Atomic", testAtomic},
		{"Switched", testSwitched},
		{"Receipts", testReceipts},
		{"Answers", testAnswers},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open(t)) })
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s =\n%+v, want\n%+v", what, got, want)
	}
}

func certificate(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: at}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	check(t, err)
	return der
}

func partner(t *testing.T, id, name string) coordinator.Partner {
	t.Helper()
	return coordinator.Partner{
		ID: id, Name: name, Label: "l", Kind: coordinator.Provider, State: coordinator.Active,
		PeerURI: "https://" + name, TLS: certificate(t), Signing: certificate(t), Issuing: certificate(t),
		AddedAt: at, AddedBy: "operator:a",
	}
}

func testPartners(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	_, err := b.Store.Partner(ctx, "p1")
	wants(t, "Partner of nobody", err, coordinator.ErrUnknown)
	p, q := partner(t, "p1", "Beta"), partner(t, "p2", "Alpha")
	user := coordinator.Partner{
		ID: "p3", Name: "User", Kind: coordinator.ServiceUser, Signing: certificate(t), AddedAt: at,
	}
	user2 := user
	user2.ID, user2.Name = "p4", "Another user"
	for _, r := range []coordinator.Partner{p, q, user, user2} {
		check(t, b.Store.PutPartner(ctx, r, audit.Row{Action: "partner.add", Subject: r.ID, At: at}))
	}
	p.Version = 1
	got, err := b.Store.Partner(ctx, "p1")
	check(t, err)
	equal(t, "Partner", got, p)
	all, err := b.Store.ListPartners(ctx)
	check(t, err)
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	equal(t, "names", names, []string{"Alpha", "Another user", "Beta", "User"})

	sameName, sameKey := partner(t, "p5", "Beta"), partner(t, "p5", "Gamma")
	sameKey.TLS = p.TLS
	wants(t, "PutPartner with a name that is taken", b.Store.PutPartner(ctx, sameName, audit.Row{}), coordinator.ErrPinned)
	wants(t, "PutPartner with a key that is taken", b.Store.PutPartner(ctx, sameKey, audit.Row{}), coordinator.ErrPinned)
	p.State = coordinator.Suspended
	check(t, b.Store.PutPartner(ctx, p, audit.Row{Action: "partner.state", Subject: "p1", At: at}))
	wants(t, "PutPartner of an old version", b.Store.PutPartner(ctx, p, audit.Row{}), coordinator.ErrConflict)
	p.Version = 0
	wants(t, "PutPartner anew", b.Store.PutPartner(ctx, p, audit.Row{}), coordinator.ErrConflict)
	rows, err := b.Audit(ctx)
	check(t, err)
	if len(rows) != 5 || rows[4].Action != "partner.state" {
		t.Errorf("audit rows: %+v", rows)
	}
}

func transferOf(id string) coordinator.Transfer {
	return coordinator.Transfer{
		ID: id, Incoming: true, Partner: "p1", PartnerName: "Beta", State: transfer.BatchOffered, Paused: true,
		Tolerated: 2, ToleratedLost: 1, Pending: []transfer.BatchEffect{transfer.BatchAuthorize, transfer.BatchPostOffer},
		Window: transfer.NewWindow(at, at.Add(time.Hour)), Grace: time.Minute, Note: "n", Reason: "r",
		MandateIssuer: "User", Mandate: transfer.HashOf([]byte("m")), Self: true, MandateUntil: at,
		Info: transfer.HashOf([]byte("i")), Offer: transfer.HashOf([]byte("o")),
		Approvals: []coordinator.Approval{{Side: "Beta", By: "operator:b", At: at, Reason: "why"}},
		CreatedAt: at, CreatedBy: "operator:a", ArmBy: at, UpdatedAt: at, Tries: 2, Due: at.Add(time.Second),
	}
}

// ready stores partner p1, for which transfers can be stored.
func ready(t *testing.T, b Backend) {
	t.Helper()
	check(t, b.Store.PutPartner(t.Context(), partner(t, "p1", "Beta"), audit.Row{At: at}))
}

func put(t *testing.T, b Backend, c coordinator.Transfer, rows ...coordinator.Row) {
	t.Helper()
	check(t, b.Store.Commit(t.Context(), coordinator.Change{Transfer: &c, Rows: rows}))
}

func testTransfers(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	ready(t, b)
	_, err := b.Store.Transfer(ctx, "aa")
	wants(t, "Transfer of nobody", err, coordinator.ErrUnknown)
	// Ids are random: order is that of arrival.
	for _, id := range []string{"cc", "aa", "bb"} {
		put(t, b, transferOf(id))
	}
	want := transferOf("aa")
	want.Version = 1
	got, err := b.Store.Transfer(ctx, "aa")
	check(t, err)
	equal(t, "Transfer", got, want)
	equal(t, "ListTransfers", ids(b.Store.ListTransfers(ctx, "", 2)), []string{"bb", "aa"})
	equal(t, "ListTransfers before aa", ids(b.Store.ListTransfers(ctx, "aa", 2)), []string{"cc"})

	want.Due, want.State = time.Time{}, transfer.BatchApproved
	put(t, b, want)
	wants(t, "Commit of an old version", b.Store.Commit(ctx, coordinator.Change{Transfer: &want}), coordinator.ErrConflict)
	anew := transferOf("aa")
	wants(t, "Commit anew", b.Store.Commit(ctx, coordinator.Change{Transfer: &anew}), coordinator.ErrConflict)
	equal(t, "DueTransfers too early", ids(b.Store.DueTransfers(ctx, at, 9)), []string(nil))
	if due := ids(b.Store.DueTransfers(ctx, at.Add(time.Second), 9)); len(due) != 2 {
		t.Errorf("DueTransfers = %v, want two", due)
	}
	equal(t, "DueTransfers, one", len(ids(b.Store.DueTransfers(ctx, at.Add(time.Second), 1))), 1)
}

func ids(list []coordinator.Transfer, err error) (out []string) {
	if err != nil {
		return []string{err.Error()}
	}
	for _, t := range list {
		out = append(out, t.ID)
	}
	return out
}

func testDocuments(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	ready(t, b)
	_, err := b.Store.Documents(ctx, "aa")
	wants(t, "Documents of nothing", err, coordinator.ErrUnknown)
	c := transferOf("aa")
	check(t, b.Store.Commit(ctx, coordinator.Change{Transfer: &c}))
	got, err := b.Store.Documents(ctx, "aa")
	check(t, err)
	equal(t, "Documents", got, coordinator.Documents{})
	c.Version = 1
	check(t, b.Store.Commit(ctx, coordinator.Change{Transfer: &c, Documents: coordinator.Documents{
		Mandate: []byte("m"), Info: []byte("i"),
	}}))
	c.Version = 2
	check(t, b.Store.Commit(ctx, coordinator.Change{Transfer: &c, Documents: coordinator.Documents{
		Info: []byte("j"), Answer: []byte("a"), Offer: []byte("o"),
	}}))
	got, err = b.Store.Documents(ctx, "aa")
	check(t, err)
	equal(t, "Documents", got, coordinator.Documents{
		Mandate: []byte("m"), Info: []byte("j"), Answer: []byte("a"), Offer: []byte("o"),
	})
}

func testPapers(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	ready(t, b)
	c := transferOf("aa")
	check(t, b.Store.Commit(ctx, coordinator.Change{Transfer: &c}))
	var want []coordinator.Paper
	for n, kind := range []coordinator.PaperKind{coordinator.PaperAsk, coordinator.PaperAgreement, coordinator.PaperAsk} {
		p := coordinator.Paper{Kind: kind, Raw: []byte{byte(n)}, At: at}
		want = append(want, p)
		c.Version++
		check(t, b.Store.Commit(ctx, coordinator.Change{Transfer: &c, Papers: []coordinator.Paper{p}}))
	}
	got, err := b.Store.Papers(ctx, "aa")
	check(t, err)
	equal(t, "Papers", got, want)
	none, err := b.Store.Papers(ctx, "bb")
	check(t, err)
	if len(none) > 0 {
		t.Errorf("Papers of another transfer = %v", none)
	}
}

func rowOf(id string, n byte) coordinator.Row {
	f := fleet.Factory{n, 1, 2}
	return coordinator.Row{
		Transfer: id, Short: f.Short(), Device: "d", Factory: f, Endpoint: "ep", Incoming: true,
		State: transfer.RowReady, Inferred: true, Pending: []transfer.RowEffect{transfer.RowNoteKey}, Reason: "r",
		Pair: []byte("p"), Message: []byte("m"), Hash: transfer.HashOf([]byte("m")), Epoch: 7,
		SPKI: transfer.HashOf([]byte("s")), Back: transfer.HashOf([]byte("b")), ReadyAt: at, CommittedAt: at,
		ActiveAt: at, UpdatedAt: at, Tries: 3, Due: at.Add(time.Second),
	}
}

func testRows(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	ready(t, b)
	other := rowOf("bb", 9)
	put(t, b, transferOf("aa"), rowOf("aa", 2), rowOf("aa", 1), rowOf("aa", 3))
	put(t, b, transferOf("bb"), other)
	want := rowOf("aa", 1)
	_, err := b.Store.Row(ctx, "bb", want.Short)
	wants(t, "Row of another transfer", err, coordinator.ErrUnknown)
	got, err := b.Store.Row(ctx, "aa", want.Short)
	check(t, err)
	want.Version = 1
	equal(t, "Row", got, want)
	page, err := b.Store.ListRows(ctx, "aa", rowOf("aa", 1).Short, 1)
	check(t, err)
	if len(page) != 1 || page[0].Factory[0] != 2 {
		t.Errorf("ListRows = %+v", page)
	}

	want.State, want.Pending, want.Due = transfer.RowCommitted, nil, time.Time{}
	check(t, b.Store.Commit(ctx, coordinator.Change{Rows: []coordinator.Row{want}}))
	wants(t, "Commit of an old version", b.Store.Commit(ctx, coordinator.Change{Rows: []coordinator.Row{want}}),
		coordinator.ErrConflict)
	n, err := b.Store.Count(ctx, "aa")
	check(t, err)
	if !maps.Equal(n, map[transfer.RowState]int{transfer.RowReady: 2, transfer.RowCommitted: 1}) {
		t.Errorf("Count = %v", n)
	}
	ended := rowOf("aa", 2)
	ended.Version, ended.State, ended.Pending, ended.CommittedAt = 1, transfer.RowFailedUpd, nil, time.Time{}
	check(t, b.Store.Commit(ctx, coordinator.Change{Rows: []coordinator.Row{ended}}))
	if n, err := b.Store.Ended(ctx, "aa"); err != nil || n != 1 {
		t.Errorf("Ended = %d, %v, want 1", n, err)
	}
	if open, err := b.Store.OpenRows(ctx, ended.Factory); err != nil || len(open) != 0 {
		t.Errorf("OpenRows of one whose last update failed: %v, %v", open, err)
	}
	early, err := b.Store.DueRows(ctx, at, 9)
	check(t, err)
	due, err := b.Store.DueRows(ctx, at.Add(time.Second), 9)
	check(t, err)
	if len(early) != 0 || len(due) != 3 {
		t.Errorf("DueRows: %d early, %d due, want 0 and 3", len(early), len(due))
	}
}

func testOneOpenRow(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	ready(t, b)
	put(t, b, transferOf("aa"), rowOf("aa", 1))
	second := transferOf("bb")
	err := b.Store.Commit(ctx, coordinator.Change{Transfer: &second, Rows: []coordinator.Row{rowOf("bb", 1)}})
	wants(t, "Commit of a second open row", err, coordinator.ErrBusy)
	_, err = b.Store.Transfer(ctx, "bb")
	wants(t, "Transfer after it", err, coordinator.ErrUnknown)
	rejected := rowOf("bb", 1)
	rejected.State, rejected.Pending = transfer.RowRejected, nil
	put(t, b, transferOf("bb"), rejected)
	open, err := b.Store.OpenRows(ctx, rejected.Factory)
	check(t, err)
	if len(open) != 1 || open[0].Transfer != "aa" {
		t.Errorf("OpenRows = %+v", open)
	}
	over := open[0]
	over.State = transfer.RowRevokedOld
	check(t, b.Store.Commit(ctx, coordinator.Change{Rows: []coordinator.Row{over}}))
	if open, err = b.Store.OpenRows(ctx, rejected.Factory); err != nil || len(open) != 1 {
		t.Errorf("OpenRows with something pending = %d, %v, want 1", len(open), err)
	}
	var all []coordinator.Row
	check(t, b.Store.EachOpenRow(ctx, func(r coordinator.Row) { all = append(all, r) }))
	if len(all) != 1 || all[0].Transfer != "aa" || all[0].Short != over.Short || all[0].Device != over.Device ||
		all[0].Version != 2 {
		t.Errorf("EachOpenRow = %+v, want the row of aa in version 2", all)
	}
	over.Version, over.Pending = 2, nil
	check(t, b.Store.Commit(ctx, coordinator.Change{Rows: []coordinator.Row{over}}))
	all = nil
	if check(t, b.Store.EachOpenRow(ctx, func(r coordinator.Row) { all = append(all, r) })); len(all) != 0 {
		t.Errorf("EachOpenRow at the end = %+v, want none", all)
	}
	put(t, b, transferOf("cc"), rowOf("cc", 1))
	rows, err := b.Store.FactoryRows(ctx, rejected.Factory, 2)
	check(t, err)
	if len(rows) != 2 || rows[0].Transfer != "cc" || rows[1].Transfer != "bb" {
		t.Errorf("FactoryRows = %+v, want those of cc and bb", rows)
	}
}

func testAtomic(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	ready(t, b)
	put(t, b, transferOf("aa"), rowOf("aa", 1))
	before, err := b.Audit(ctx)
	check(t, err)
	c := transferOf("aa")
	c.Version = 1
	c.State = transfer.BatchApproved
	stale := rowOf("aa", 1)
	stale.Version = 5
	p, err := b.Store.Partner(ctx, "p1")
	check(t, err)
	p.Label = "switched"
	err = b.Store.Commit(ctx, coordinator.Change{
		Partner:  &p,
		Transfer: &c, Rows: []coordinator.Row{rowOf("aa", 2), stale}, Documents: coordinator.Documents{Offer: []byte("o")},
		Receipts: []coordinator.Receipt{{Transfer: "aa", Short: stale.Short, Raw: []byte("r"), At: at}},
		Answer:   &coordinator.Answer{Partner: "p1", Key: "k", At: at},
		Audit:    []audit.Row{{Action: "x", At: at}},
	})
	wants(t, "Commit with one stale row", err, coordinator.ErrConflict)
	got, err := b.Store.Transfer(ctx, "aa")
	check(t, err)
	docs, err := b.Store.Documents(ctx, "aa")
	check(t, err)
	rows, err := b.Store.ListRows(ctx, "aa", "", 9)
	check(t, err)
	receipts, err := b.Store.Receipts(ctx, "aa", stale.Short)
	check(t, err)
	_, answer := b.Store.Answer(ctx, "p1", "k")
	after, err := b.Audit(ctx)
	check(t, err)
	if got.State != transfer.BatchOffered || docs.Offer != nil || len(rows) != 1 || len(receipts) != 0 ||
		!errors.Is(answer, coordinator.ErrUnknown) || len(after) != len(before) {
		t.Errorf("a part was stored: %s, %d rows, %d receipts, %v, %d audit rows", got.State, len(rows), len(receipts),
			answer, len(after)-len(before))
	}
	was, err := b.Store.Partner(ctx, "p1")
	check(t, err)
	if was.Label == p.Label {
		t.Error("the partner was stored")
	}
}

// testSwitched stores a partner with what follows from its call, or neither.
func testSwitched(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	ready(t, b)
	put(t, b, transferOf("aa"), rowOf("aa", 1))
	p, err := b.Store.Partner(ctx, "p1")
	check(t, err)
	p.Label = "switched"
	c := transferOf("aa")
	c.Version = 1
	check(t, b.Store.Commit(ctx, coordinator.Change{Partner: &p, Transfer: &c}))
	is, err := b.Store.Partner(ctx, "p1")
	check(t, err)
	if is.Label != p.Label || is.Version != p.Version+1 {
		t.Errorf("the partner is %q of version %d", is.Label, is.Version)
	}
	c.Version++
	err = b.Store.Commit(ctx, coordinator.Change{Partner: &p, Transfer: &c})
	wants(t, "Commit with a stale partner", err, coordinator.ErrConflict)
	if got, err := b.Store.Transfer(ctx, "aa"); err != nil || got.Version != c.Version {
		t.Errorf("with a stale partner: version %d, %v", got.Version, err)
	}
}

func testReceipts(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	ready(t, b)
	row := rowOf("aa", 1)
	put(t, b, transferOf("aa"), row)
	first := coordinator.Receipt{
		Transfer: "aa", Short: row.Short, State: transfer.Ready, Hash: transfer.Hash{1}, Raw: []byte("one"), At: at,
	}
	second := first
	second.State, second.Hash, second.Raw = transfer.Done, transfer.Hash{2}, []byte("two")
	check(t, b.Store.Commit(ctx, coordinator.Change{Receipts: []coordinator.Receipt{first}}))
	check(t, b.Store.Commit(ctx, coordinator.Change{
		Receipts: []coordinator.Receipt{first, second}, Audit: []audit.Row{{Action: "seen", At: at}},
	}))
	got, err := b.Store.Receipts(ctx, "aa", row.Short)
	check(t, err)
	equal(t, "Receipts", got, []coordinator.Receipt{first, second})
	none, err := b.Store.Receipts(ctx, "aa", "other")
	if err != nil || len(none) != 0 {
		t.Errorf("Receipts of another device = %v, %v", none, err)
	}
	rows, err := b.Audit(ctx)
	check(t, err)
	if len(rows) == 0 || rows[len(rows)-1].Action != "seen" {
		t.Errorf("audit rows: %+v", rows)
	}
}

func testAnswers(t *testing.T, b Backend) {
	t.Helper()
	ctx := t.Context()
	ready(t, b)
	_, err := b.Store.Answer(ctx, "p1", "k")
	wants(t, "Answer of nothing", err, coordinator.ErrUnknown)
	want := coordinator.Answer{
		Partner: "p1", Key: "k", Request: [32]byte{1}, At: at,
		Reply: coordinator.Reply{ContentType: "application/cbor", Body: []byte("b")},
	}
	check(t, b.Store.Commit(ctx, coordinator.Change{Answer: &want}))
	got, err := b.Store.Answer(ctx, "p1", "k")
	check(t, err)
	equal(t, "Answer", got, want)
	_, err = b.Store.Answer(ctx, "p2", "k")
	wants(t, "Answer of another partner", err, coordinator.ErrUnknown)
	want.Key, want.Reply = "empty", coordinator.Reply{}
	check(t, b.Store.Commit(ctx, coordinator.Change{Answer: &want}))
	got, err = b.Store.Answer(ctx, "p1", "empty")
	check(t, err)
	equal(t, "Answer without a body", got, want)
}
