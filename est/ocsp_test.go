package est_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"golang.org/x/crypto/ocsp"

	"steward/est"
	"steward/est/esttest"
)

// responder makes one for the world's CA.
func (w *world) responder(tb testing.TB, o est.ResponderOptions) *est.Responder {
	tb.Helper()
	o.Key = esttest.Key(tb)
	r, err := est.NewResponder(w.ca, o)
	if err != nil {
		tb.Fatal(err)
	}
	if err := r.Renew(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return r
}

// ask is a request about one certificate as x/crypto writes it.
func ask(tb testing.TB, c *x509.Certificate, issuer *x509.Certificate, hash crypto.Hash) []byte {
	tb.Helper()
	der, err := ocsp.CreateRequest(c, issuer, &ocsp.RequestOptions{Hash: hash})
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

func parsed(tb testing.TB, der []byte) *x509.Certificate {
	tb.Helper()
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// TestOCSP asks about certificates in every state, by every hash.
func TestOCSP(t *testing.T) {
	w := newWorld(t)
	r := w.responder(t, est.ResponderOptions{})
	good, bad := w.issue(t, "good.example"), w.issue(t, "bad.example")
	if err := w.ca.Revoke(t.Context(), bad.Hash, est.KeyCompromise, "stolen"); err != nil {
		t.Fatal(err)
	}
	stranger := parsed(t, good.DER)
	stranger.SerialNumber = big.NewInt(4711)
	issuer := w.ca.Certificate()
	for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		for _, tt := range []struct {
			name           string
			cert           *x509.Certificate
			status, reason int
		}{
			{"good", parsed(t, good.DER), ocsp.Good, 0},
			{"revoked", parsed(t, bad.DER), ocsp.Revoked, ocsp.KeyCompromise},
			{"unknown", stranger, ocsp.Unknown, 0},
		} {
			a := r.Answer(t.Context(), ask(t, tt.cert, issuer, hash))
			got, err := ocsp.ParseResponseForCert(a.DER, tt.cert, issuer)
			if err != nil {
				t.Fatalf("%s by %v: %v", tt.name, hash, err)
			}
			if got.Status != tt.status || got.RevocationReason != tt.reason || got.IssuerHash != hash {
				t.Errorf("%s by %v: %d for %d by %v", tt.name, hash, got.Status, got.RevocationReason, got.IssuerHash)
			}
			kept := tt.status != ocsp.Unknown
			if kept == a.Next.IsZero() || kept && !got.NextUpdate.Equal(a.Next) {
				t.Errorf("%s: to be kept until %v, says %v", tt.name, a.Next, got.NextUpdate)
			}
			if d := got.Certificate; !slices.Equal(d.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}) ||
				d.CheckSignatureFrom(issuer) != nil || d.NotAfter.Sub(w.clock.Now()) > 31*24*time.Hour {
				t.Errorf("%s: signed by %v until %v", tt.name, d.Subject, d.NotAfter)
			}
		}
	}
}

// TestOCSPRefusals checks the answers that are not signed (RFC 6960 §2.3).
func TestOCSPRefusals(t *testing.T) {
	w := newWorld(t)
	r := w.responder(t, est.ResponderOptions{SignRate: 1})
	cert := parsed(t, w.issue(t, "good.example").DER)
	other := esttest.NewCA(t, "Other", &esttest.Store{}, w.clock.Now)
	good := ask(t, cert, w.ca.Certificate(), crypto.SHA256)
	id := certID(t, good)
	many := func(n int) []byte { return ocspRequest(bytes.Repeat(id, n), nil) }
	if a := r.Answer(t.Context(), many(2)); len(a.DER) < 100 || !a.Next.IsZero() {
		t.Errorf("about two: %x until %v, want an answer for this one alone", a.DER, a.Next)
	}
	for _, tt := range []struct {
		name string
		in   []byte
		want []byte
	}{
		{"nothing", nil, ocsp.MalformedRequestErrorResponse},
		{"garbage", []byte("GET / HTTP/1.1"), ocsp.MalformedRequestErrorResponse},
		{"trailing byte", append(slices.Clone(good), 0), ocsp.MalformedRequestErrorResponse},
		{"cut", good[:len(good)-1], ocsp.MalformedRequestErrorResponse},
		{"no certificate", ocspRequest(nil, nil), ocsp.MalformedRequestErrorResponse},
		{"too many", many(est.MaxOCSPCerts + 1), ocsp.MalformedRequestErrorResponse},
		{"too large", make([]byte, est.MaxOCSPRequest+1), ocsp.MalformedRequestErrorResponse},
		{"empty nonce", ocspRequest(id, nonce(nil)), ocsp.MalformedRequestErrorResponse},
		{"nonce of 129 bytes", ocspRequest(id, nonce(make([]byte, 129))), ocsp.MalformedRequestErrorResponse},
		{
			"two nonces", ocspRequest(id, append(nonce([]byte("a")), nonce([]byte("b"))...)),
			ocsp.MalformedRequestErrorResponse,
		},
		{
			"a critical extension", ocspRequest(id, extension("2a0304", true, []byte{5, 0})),
			ocsp.MalformedRequestErrorResponse,
		},
		{"another issuer", ask(t, cert, other.Certificate(), crypto.SHA256), ocsp.UnauthorizedErrorResponse},
		{
			"two issuers",
			ocspRequest(append(slices.Clone(id), certID(t, ask(t, cert, other.Certificate(), crypto.SHA1))...), nil),
			ocsp.UnauthorizedErrorResponse,
		},
		{"many, and too often", many(2), ocsp.TryLaterErrorResponse},
	} {
		if a := r.Answer(t.Context(), tt.in); !bytes.Equal(a.DER, tt.want) || !a.Next.IsZero() {
			t.Errorf("%s: %x, want %x", tt.name, a.DER[:min(len(a.DER), 20)], tt.want)
		}
	}
	if s := r.State(); s.Counts.Refused != 14 || s.Answers != 0 {
		t.Errorf("state %+v, want 14 refused and nothing kept", s)
	}
	for _, o := range []est.ResponderOptions{{}, {Key: esttest.Key(t), Validity: 300 * 24 * time.Hour}} {
		if _, err := est.NewResponder(w.ca, o); !errors.Is(err, est.ErrOptions) {
			t.Errorf("NewResponder = %v, want ErrOptions", err)
		}
	}
}

// TestNonce: an answer with the nonce is signed for who asks, until there are too
// many; then it is the one signed ahead.
func TestNonce(t *testing.T) {
	w := newWorld(t)
	r := w.responder(t, est.ResponderOptions{SignRate: 3})
	cert := parsed(t, w.issue(t, "good.example").DER)
	id := certID(t, ask(t, cert, w.ca.Certificate(), crypto.SHA1))
	signed := map[string]bool{}
	with := 0
	for i := range 20 {
		n := bytes.Repeat([]byte{byte(i)}, 1+i*127/19) // 1 to 128 bytes
		a := r.Answer(t.Context(), ocspRequest(id, nonce(n)))
		if _, err := ocsp.ParseResponseForCert(a.DER, cert, w.ca.Certificate()); err != nil {
			t.Fatal(err)
		}
		has := bytes.Contains(a.DER, nonce(n))
		if has != a.Next.IsZero() {
			t.Errorf("nonce %d: has it %v, to be kept until %v", i, has, a.Next)
		}
		if has {
			with++
		}
		signed[string(a.DER)] = true
	}
	if with != 3 || len(signed) != 4 {
		t.Errorf("%d answers with nonce, %d different ones, want 3 and 4", with, len(signed))
	}
}

// TestAnswersAreKept: who asks costs no signature, until half of the time is over
// or the certificate is revoked.
func TestAnswersAreKept(t *testing.T) {
	w := newWorld(t)
	r := w.responder(t, est.ResponderOptions{})
	issued := w.issue(t, "good.example")
	cert := parsed(t, issued.DER)
	q := ask(t, cert, w.ca.Certificate(), crypto.SHA256)
	answer := func() []byte { return r.Answer(t.Context(), q).DER }
	first := answer()
	w.clock.Advance(time.Minute)
	if !bytes.Equal(answer(), first) || r.State().Answers != 1 {
		t.Error("signed again after a minute")
	}
	w.clock.Advance(est.DefaultAnswerValidity / 2)
	if err := r.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := answer()
	if bytes.Equal(second, first) {
		t.Error("not signed anew at half of its time")
	}
	if err := w.ca.Revoke(t.Context(), issued.Hash, est.CessationOfOperation, ""); err != nil {
		t.Fatal(err)
	}
	if got := need(ocsp.ParseResponseForCert(answer(), cert, w.ca.Certificate()))(t); got.Status != ocsp.Revoked {
		t.Errorf("status %d after it was revoked", got.Status)
	}
	for range 2 { // the second finds that nobody asked
		w.clock.Advance(est.DefaultAnswerValidity)
		if err := r.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.State().Answers; n != 0 {
		t.Errorf("%d answers that nobody asks for are kept", n)
	}
}

// TestNoGoodAfterRevoke: whatever is asked at the same time, no answer that begins
// after Revoke returned says "good".
func TestNoGoodAfterRevoke(t *testing.T) {
	w := newWorld(t)
	r := w.responder(t, est.ResponderOptions{})
	for range 20 {
		issued := w.issue(t, "good.example")
		cert := parsed(t, issued.DER)
		q := ask(t, cert, w.ca.Certificate(), crypto.SHA256)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						r.Answer(context.Background(), q)
						_, _ = r.Status(context.Background(), issued.Serial)
					}
				}
			})
		}
		if err := w.ca.Revoke(t.Context(), issued.Hash, est.KeyCompromise, ""); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			got, err := ocsp.ParseResponseForCert(r.Answer(t.Context(), q).DER, cert, w.ca.Certificate())
			if err != nil || got.Status != ocsp.Revoked {
				t.Fatalf("%+v, %v, want revoked", got, err)
			}
			if s := need(r.Status(t.Context(), issued.Serial))(t); claimed(t, w, r, s.Body)[2] != uint64(1) {
				t.Fatalf("status %x says good", s.Body)
			}
		}
		close(stop)
		wg.Wait()
	}
}

// TestGuessing: who guesses serial numbers gets a bounded number of signatures, and
// drives nothing out of what is kept.
func TestGuessing(t *testing.T) {
	w := newWorld(t)
	r := w.responder(t, est.ResponderOptions{SignRate: 5, Answers: 2})
	cert := parsed(t, w.issue(t, "good.example").DER)
	q := ask(t, cert, w.ca.Certificate(), crypto.SHA256)
	first := r.Answer(t.Context(), q).DER
	unsigned := 0
	for i := range 100 {
		guess := *cert
		guess.SerialNumber = big.NewInt(int64(i + 1))
		a := r.Answer(t.Context(), ask(t, &guess, w.ca.Certificate(), crypto.SHA256))
		if bytes.Equal(a.DER, ocsp.UnauthorizedErrorResponse) {
			unsigned++
		}
		if _, err := r.Status(t.Context(), hex.EncodeToString([]byte{1, byte(i)})); !errors.Is(err, est.ErrUnknown) {
			t.Errorf("Status = %v, want ErrUnknown", err)
		}
	}
	if unsigned != 95 || !bytes.Equal(r.Answer(t.Context(), q).DER, first) {
		t.Errorf("%d of 100 guesses were not signed, want 95, and what is kept is kept", unsigned)
	}
}

// TestAnswersAreBounded: however many are asked for, no more than allowed are kept.
func TestAnswersAreBounded(t *testing.T) {
	w := newWorld(t)
	r := w.responder(t, est.ResponderOptions{Answers: 3})
	for range 6 {
		r.Answer(t.Context(), ask(t, parsed(t, w.issue(t, "x.example").DER), w.ca.Certificate(), crypto.SHA1))
	}
	if n := r.State().Answers; n != 3 {
		t.Errorf("%d answers kept, want 3", n)
	}
}

// TestDelegation: the responder finds its certificate again, renews it in time, and
// has one for each authority.
func TestDelegation(t *testing.T) {
	w := newWorld(t)
	r := w.responder(t, est.ResponderOptions{})
	first := signers(w, r)
	w.clock.Advance(10 * 24 * time.Hour)
	if err := r.Renew(t.Context()); err != nil || !bytes.Equal(signers(w, r)[0], first[0]) {
		t.Errorf("renewed after ten days of thirty, %v", err)
	}
	w.clock.Advance(11 * 24 * time.Hour)
	cert := parsed(t, w.issue(t, "good.example").DER)
	q := ask(t, cert, w.ca.Certificate(), crypto.SHA1)
	before := r.Answer(t.Context(), q).DER
	if err := r.Renew(t.Context()); err != nil || bytes.Equal(signers(w, r)[0], first[0]) {
		t.Errorf("not renewed after 21 days of thirty, %v", err)
	}
	if bytes.Equal(r.Answer(t.Context(), q).DER, before) {
		t.Error("an answer signed under the certificate before is still given")
	}
	if err := w.ca.Revoke(t.Context(), (est.Authority{Certificate: parsed(t, signers(w, r)[0])}).Hash(),
		est.KeyCompromise, ""); err != nil {
		t.Fatal(err)
	}
	if err := r.Renew(t.Context()); err != nil || len(signers(w, r)) != 1 {
		t.Errorf("after its certificate was revoked: %v", err)
	}
	old := w.ca.Authorities()[0]
	w.ca = need(est.NewCA(options(w, newAuthority(t, "Alpha CA 2", w.clock), old)))(t)
	both := w.responder(t, est.ResponderOptions{})
	if len(signers(w, both)) != 2 {
		t.Fatalf("%d signers, want one for each authority", len(signers(w, both)))
	}
	got := need(ocsp.ParseResponseForCert(both.Answer(t.Context(), q).DER, cert, old.Certificate))(t)
	if got.Status != ocsp.Good || !bytes.Equal(got.Certificate.Raw, signers(w, both)[1]) {
		t.Errorf("about a certificate of the authority before: %+v", got)
	}
}

// BenchmarkOCSP answers about 1000 certificates from what was signed ahead.
func BenchmarkOCSP(b *testing.B) {
	clock := esttest.NewClock()
	w := &world{clock: clock, ca: esttest.NewCA(b, "Alpha", &esttest.Store{}, clock.Now)}
	r := w.responder(b, est.ResponderOptions{})
	key := esttest.Key(b).Public()
	var requests [][]byte
	for range 1000 {
		issued, err := w.ca.IssueServer(b.Context(), "good.example", key)
		if err != nil {
			b.Fatal(err)
		}
		requests = append(requests, ask(b, parsed(b, issued.DER), w.ca.Certificate(), crypto.SHA1))
		r.Answer(b.Context(), requests[len(requests)-1])
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if a := r.Answer(b.Context(), requests[i%len(requests)]); a.Next.IsZero() {
			b.Fatal("refused")
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
}

// certID returns the Request within a request of one.
func certID(tb testing.TB, der []byte) []byte {
	tb.Helper()
	in := cryptobyte.String(der)
	var outer, tbs, list cryptobyte.String
	if !in.ReadASN1(&outer, asn1.SEQUENCE) || !outer.ReadASN1(&tbs, asn1.SEQUENCE) || !tbs.ReadASN1(&list, asn1.SEQUENCE) {
		tb.Fatal("not a request")
	}
	return list
}

// ocspRequest writes a request with these Requests and Extensions.
func ocspRequest(list, extensions []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(list) })
			if extensions != nil {
				b.AddASN1(asn1.Tag(2).Constructed().ContextSpecific(), func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(extensions) })
				})
			}
		})
	})
	return b.BytesOrPanic()
}

// nonce is the extension of RFC 9654 §2.1.
func nonce(value []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1OctetString(value)
	return extension("2b0601050507300102", false, b.BytesOrPanic())
}

// extension writes one, of an object identifier in hex.
func extension(oid string, critical bool, value []byte) []byte {
	id, err := hex.DecodeString(oid)
	if err != nil {
		panic(err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(id) })
		if critical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1OctetString(value)
	})
	return b.BytesOrPanic()
}

// FuzzOCSPRequest: whatever is asked, the answer is one of the errors, or signed and
// about what was asked.
func FuzzOCSPRequest(f *testing.F) {
	clock := esttest.NewClock()
	w := &world{clock: clock, ca: esttest.NewCA(f, "Alpha", &esttest.Store{}, clock.Now)}
	r := w.responder(f, est.ResponderOptions{SignRate: 1 << 20})
	issued, err := w.ca.IssueServer(f.Context(), "good.example", esttest.Key(f).Public())
	if err != nil {
		f.Fatal(err)
	}
	q := ask(f, parsed(f, issued.DER), w.ca.Certificate(), crypto.SHA1)
	id := certID(f, q)
	f.Add(q)
	f.Add(ocspRequest(id, nonce([]byte("nonce"))))
	f.Add(ocspRequest(append(bytes.Clone(id), id...), extension("2a0304", true, []byte{5, 0})))
	refusals := [][]byte{
		ocsp.MalformedRequestErrorResponse, ocsp.UnauthorizedErrorResponse, ocsp.TryLaterErrorResponse,
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		a := r.Answer(t.Context(), in)
		if slices.ContainsFunc(refusals, func(e []byte) bool { return bytes.Equal(a.DER, e) }) {
			return
		}
		var err error
		if r, parseErr := ocsp.ParseRequest(in); parseErr == nil {
			_, err = ocsp.ParseResponseForCert(a.DER, &x509.Certificate{SerialNumber: r.SerialNumber}, w.ca.Certificate())
		}
		if err != nil {
			t.Errorf("request %x is answered by %x: %v", in, a.DER, err)
		}
	})
}
