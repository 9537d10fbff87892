package remote_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"steward/cmd/internal/remote"
	"steward/cmd/internal/sqlite"
	"steward/est/esttest"
	"steward/objects"
	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web/peer"
)

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// bulk is Alpha, which tells of many devices, and Beta, which is served with its
// database.
type bulk struct {
	db     *sqlite.DB
	c      *coordinator.Coordinator
	beta   coordinator.Partner  // as Alpha has it
	said   coordinator.Identity // of Alpha
	alpha  *remote.Peers
	signer transfer.Signer
	window transfer.Window
	leaf   func(serial int, stranger bool) []byte
}

func newBulk(tb testing.TB) *bulk {
	tb.Helper()
	db, err := sqlite.Open(tb.Context(), filepath.Join(tb.TempDir(), "steward.db"))
	check(tb, err)
	tb.Cleanup(func() { check(tb, db.Close()) })
	b := &bulk{db: db, window: transfer.NewWindow(time.Now(), time.Now().Add(time.Hour))}
	ca := esttest.NewCA(tb, "Beta", &esttest.Store{}, time.Now)
	own := certificate(tb)
	c, err := coordinator.New(coordinator.Options{
		Name: "Beta", Store: db.Transfers(), CA: ca, Fleet: db.Devices(), Audit: db, TLS: own.Leaf.Raw,
		Devices: struct{ coordinator.Devices }{}, Sessions: struct{ coordinator.Sessions }{},
		Peers: struct{ coordinator.Peers }{}, NewID: rand.Text, PeerURI: "https://beta.example",
		Signer: transfer.Signer{Key: esttest.Key(tb), Certificate: own.Leaf.Raw},
		Domain: coordinator.Domain{Anchors: []transfer.OfferCertificate{{Certificate: ca.Certificate().Raw}}},
	})
	check(tb, err)
	b.factory(tb, func(root []byte) { check(tb, ca.TrustFactoryCA(tb.Context(), root)) })
	b.c = c
	b.pinned(tb)
	api, err := peer.New(peer.Options{Coordinator: c, Dir: tb.TempDir()})
	check(tb, err)
	b.beta = listen(tb, api, own)
	return b
}

// pinned makes Alpha a partner of Beta.
func (b *bulk) pinned(tb testing.TB) {
	tb.Helper()
	own := certificate(tb)
	b.signer = signer(tb)
	b.said = coordinator.Identity{
		Name: "Alpha", Kind: coordinator.Provider, PeerURI: "https://alpha.example", TLS: pemOf(own.Leaf.Raw),
		Signing: pemOf(b.signer.Certificate),
	}
	b.tells(tb)
	var err error
	b.alpha, err = remote.NewPeers(remote.PeersOptions{Certificate: own, Name: "Alpha"})
	check(tb, err)
}

// tells gives Beta the identity file of Alpha.
func (b *bulk) tells(tb testing.TB) coordinator.Partner {
	tb.Helper()
	file, err := coordinator.SignIdentity(b.said, b.signer.Key)
	check(tb, err)
	p, err := b.c.AddPartner(tb.Context(), file, "", "operator:carol")
	check(tb, err)
	return p
}

func signer(tb testing.TB) transfer.Signer {
	tb.Helper()
	own := certificate(tb)
	key, ok := own.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		tb.Fatalf("key %T", own.PrivateKey)
	}
	return transfer.Signer{Key: key, Certificate: own.Leaf.Raw}
}

// factory makes factory certificates.
func (b *bulk) factory(tb testing.TB, trust func(root []byte)) {
	tb.Helper()
	key := esttest.Key(tb)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Bulk factory"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	check(tb, err)
	trust(der)
	other := esttest.Key(tb)
	b.leaf = func(serial int, stranger bool) []byte {
		by := key
		if stranger {
			by = other
		}
		leaf, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(int64(serial) + 2), Subject: pkix.Name{CommonName: fmt.Sprintf("bulk-%05d", serial)},
			NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		}, root, key.Public(), by)
		check(tb, err)
		return leaf
	}
}

// The devices that are not to be accepted.
const (
	unnamed  = 17
	stranger = 42
)

// submission tells of n devices.
func (b *bulk) submission(tb testing.TB, id []byte, n int, cose bool) coordinator.Call {
	tb.Helper()
	m := transfer.Mandate{
		Issuer: "Alpha", Expires: b.window.Latest, IssuedAt: transfer.SecondsOf(time.Now()), ID: id,
		MandateTerms: transfer.MandateTerms{From: "Alpha", To: "Beta", Window: b.window},
	}
	ids := transfer.ObjectIDs{
		Truststore: objects.DefaultIDs.Truststore, Enrolment: objects.DefaultIDs.Enrolment,
		Transfer: objects.DefaultIDs.Transfer,
	}
	info := transfer.Info{Issuer: "Alpha", Audience: "Beta", IssuedAt: m.IssuedAt, ID: id}
	for i := range n {
		leaf := b.leaf(i, i == stranger)
		if i != unnamed {
			m.Devices.Factory = append(m.Devices.Factory, transfer.HashOf(leaf))
		}
		info.Devices = append(info.Devices, transfer.DevicePair{
			Factory: transfer.FactoryCert{X5Chain: leaf}, Switch: transfer.SwitchInfo{Window: b.window, Objects: ids},
		})
	}
	mandate, err := m.Sign(b.signer)
	check(tb, err)
	signed, err := transfer.ParseMandate(mandate)
	check(tb, err)
	info.Mandate = signed.Hash
	s := coordinator.Submission{Mandate: mandate}
	if cose {
		s.InfoCOSE, err = info.SignCOSE(b.signer)
	} else {
		var raw []byte
		raw, err = info.Sign(b.signer)
		s.Info = string(raw)
	}
	check(tb, err)
	body, err := json.Marshal(s)
	check(tb, err)
	return coordinator.Call{Action: coordinator.ActionInfo, Key: rand.Text(), Body: body}
}

// TestTenThousandDevices tells of ten thousand devices in one call, through the client,
// the listener, the coordinator and its database, and has one answer for each.
func TestTenThousandDevices(t *testing.T) {
	const maxPeak = 22 << 20 // the document itself, and the rows of one transaction
	many := 10_000
	if raced {
		many /= 10 // the database alone takes ten times as long
	}
	for cose, n := range map[bool]int{false: many, true: 100} {
		b := newBulk(t)
		id := []byte("0123456789abcdef")
		call := b.submission(t, id, n, cose)
		var raw []byte
		var err error
		peak := peakOf(func() { raw, err = b.alpha.Post(t.Context(), b.beta, call) })
		check(t, err)
		answer, err := transfer.ParseAnswer(raw)
		check(t, err)
		reasons := map[transfer.Reason]int{}
		for _, d := range answer.Devices {
			reasons[d.Reason]++
		}
		if len(answer.Devices) != n || reasons[""] != n-2 || answer.Devices[unnamed].Reason != "not in the mandate" ||
			answer.Devices[stranger].Reason != "factory certificate is of no listed CA, or not valid" {
			t.Errorf("answers for %d devices: %v", len(answer.Devices), reasons)
		}
		count, err := b.db.Transfers().Count(t.Context(), hex.EncodeToString(id))
		check(t, err)
		if count[transfer.RowListed] != n-2 || count[transfer.RowRejected] != 2 {
			t.Errorf("stored: %v", count)
		}
		again, err := b.alpha.Post(t.Context(), b.beta, call)
		if err != nil || !bytes.Equal(again, raw) {
			t.Errorf("again: %v, or another answer", err)
		}
		t.Logf("COSE %t: a body of %d bytes, an answer of %d, at most %.1f MB of heap more", cose, len(call.Body), len(raw),
			float64(peak)/(1<<20))
		if peak > maxPeak {
			t.Errorf("at most %d bytes of heap, %d may be", peak, maxPeak)
		}
	}
}

// BenchmarkTenThousandDevices measures the same call.
func BenchmarkTenThousandDevices(b *testing.B) {
	w := newBulk(b)
	for i := range b.N {
		b.StopTimer()
		call := w.submission(b, fmt.Appendf(nil, "%016d", i), 10_000, false)
		b.SetBytes(int64(len(call.Body)))
		b.StartTimer()
		peak := peakOf(func() {
			_, err := w.alpha.Post(b.Context(), w.beta, call)
			check(b, err)
		})
		b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
	}
}

// peakOf returns the largest heap while fn runs, less that before it: with an eager
// collector, so that little of it is garbage.
func peakOf(fn func()) uint64 {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	heap := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before := heap()
	ctx, cancel := context.WithCancel(context.Background())
	most := make(chan uint64)
	go func() {
		peak := before
		for ctx.Err() == nil {
			peak = max(peak, heap())
			time.Sleep(5 * time.Millisecond)
		}
		most <- peak
	}()
	fn()
	cancel()
	return <-most - before
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
