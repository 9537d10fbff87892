package minimal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/suit/cose"
	"steward/transfer"
	"steward/transfer/minimal"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// noon is the present in all tests.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newSigner(name string) transfer.Signer {
	key := must(ecdsa.GenerateKey(elliptic.P256(), crand.Reader))
	t := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: noon, NotAfter: noon.AddDate(1, 0, 0),
	}
	return transfer.Signer{Key: key, Certificate: must(x509.CreateCertificate(crand.Reader, t, t, key.Public(), key))}
}

// A situation is a device and what is written to it.
type situation struct {
	facts   transfer.Facts
	mandate transfer.Mandate
	where   transfer.Destination
	message transfer.Message
	by      transfer.Signer
	owner   transfer.Signer
	now     time.Time
	raw     []byte // instead of the message, unless nil
	order   []byte // instead of the mandate
	held    bool   // the device holds the mandate signer
}

// A cast is everybody who signs.
type cast struct{ sp1, sp2, ca1, ca2, user transfer.Signer }

func newCast() cast {
	return cast{newSigner("SP1"), newSigner("SP2"), newSigner("CA1"), newSigner("CA2"), newSigner("Owner")}
}

// sound is a message without defect for a device at rest.
func (c cast) sound() *situation {
	factory, window := transfer.Hash{7}, transfer.NewWindow(noon.Add(-time.Hour), noon.Add(time.Hour))
	reset := transfer.ResetData
	x := &situation{by: c.sp1, owner: c.user, now: noon, held: true}
	anchor := func(s transfer.Signer, p transfer.Purposes, staged bool) {
		x.facts.Truststore = append(x.facts.Truststore, transfer.Anchor{
			Instance: uint16(len(x.facts.Truststore)), Certificate: s.Certificate, Purposes: p, Domain: transfer.Current,
			Staged: staged,
		})
	}
	anchor(c.ca1, transfer.Enrol|transfer.DM, false)
	anchor(c.sp1, transfer.TransferSigner, false)
	anchor(c.ca2, transfer.Enrol|transfer.DM, true)
	anchor(c.sp2, 0, true)
	x.facts.State, x.facts.Epoch, x.facts.Subject, x.facts.Factory = transfer.Idle, 3, "dev", factory
	x.facts.ServerURI, x.facts.EnrollURI = "coaps://alpha.example", "coaps://alpha.example:5684/est"
	x.mandate = transfer.Mandate{
		Issuer: "Owner", Expires: window.Latest, IssuedAt: window.Earliest, ID: []byte{1},
		MandateTerms: transfer.MandateTerms{
			From: "SP1", To: "SP2", Window: window, Devices: transfer.Devices{Factory: []transfer.Hash{{1}, factory}},
		},
	}
	x.where = transfer.Destination{
		UpdateURI: "coaps://beta.example/u", EnrollURI: "coaps://beta.example/est", ServerURI: "coaps://beta.example",
		Reset: &reset, Account: transfer.Account{SSID: 2, Lifetime: 60},
	}
	for _, a := range []transfer.Signer{c.ca2, c.sp2} {
		x.where.Anchors = append(x.where.Anchors, transfer.AnchorRef{Thumbprint: transfer.ThumbprintOf(a.Certificate)})
	}
	x.where.Anchors[0].Purposes, x.where.Anchors[1].Purposes = transfer.Enrol|transfer.DM, transfer.TransferSigner
	x.message = transfer.Message{
		Issuer: "SP1", Subject: "dev", Audience: "SP2", Expires: window.Latest, NotBefore: window.Earliest, ID: []byte{2},
		MessageTerms: transfer.MessageTerms{
			FallbackURI: "coaps://ALPHA.example/x", FallbackEnrollURI: "coaps://alpha.example", Epoch: 4,
			Offer: transfer.Hash{5}, Factory: factory,
		},
	}
	return x
}

// write signs, and completes the facts.
func (x *situation) write(c cast) {
	tagged := must(x.mandate.Sign(x.owner))
	if x.held {
		x.facts.Truststore = append(x.facts.Truststore, transfer.Anchor{
			Instance: 9, Certificate: c.user.Certificate, Purposes: transfer.MandateSigner,
		})
		x.message.Mandate = must(transfer.ParseMandate(tagged)).Hash
	}
	if x.facts.Mandate = transfer.Untag(tagged); x.order != nil {
		x.facts.Mandate = x.order
	}
	x.message.Destination = must(x.where.Encode())
	if x.raw == nil {
		x.raw = must(x.message.Sign(x.by))
	}
}

// verdicts returns what both say.
func verdicts(f transfer.Facts, raw []byte, now time.Time) (want, got int) {
	_, err := transfer.Accept(f, raw, now)
	want = int(transfer.ErrorCode(err))
	var keys []*ecdsa.PublicKey
	small := minimal.Facts{
		AtRest: f.State.AtRest(), Ready: f.State == transfer.Ready, Installing: f.Installing, Epoch: f.Epoch,
		Stored: f.Stored, Subject: []byte(f.Subject), Factory: f.Factory, ServerURI: []byte(f.ServerURI),
		EnrollURI: []byte(f.EnrollURI), Mandate: f.Mandate,
	}
	if !now.IsZero() {
		small.Now = now.Unix()
	}
	for _, a := range f.Truststore {
		keys = append(keys, must(a.X509()).PublicKey.(*ecdsa.PublicKey))
		small.Anchors = append(small.Anchors, minimal.Anchor{
			Thumbprint: a.Thumbprint(), Purposes: uint16(a.Purposes), Domain: uint8(a.Domain), Staged: a.Staged,
		})
	}
	c := minimal.Check{Hash: sha256.New(), Verify: func(i int, digest *[32]byte, signature []byte) bool {
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(keys[i], digest[:], r, s)
	}}
	return want, c.Accept(&small, raw)
}

// keep and flag are for members that are pointers.
func keep() *transfer.Reset { r := transfer.ResetKeepApplication; return &r }

func flag() *bool { yes := true; return &yes }

// vectors are cases with the verdict of both. Their numbers are those of TestAccept in
// package transfer, and more.
var vectors = []struct {
	name   string
	want   int
	change func(cast, *situation)
}{
	{"sound", 0, func(cast, *situation) {}},
	{"sound, without a mandate signer", 0, func(_ cast, x *situation) { x.held = false }},
	{"sound, without a clock", 0, func(_ cast, x *situation) {
		x.now, x.message.Expires, x.message.NotBefore = time.Time{}, 9, 8
		x.mandate.Window = transfer.Window{Earliest: 8, Latest: 9}
	}},
	{"sound, a group", 0, func(_ cast, x *situation) { x.mandate.Devices = transfer.Devices{Group: "roof"} }},
	{"sound, application kept", 0, func(_ cast, x *situation) {
		x.where.Reset, x.mandate.KeepApplication = keep(), flag()
	}},
	{"sound, all labels", 0, func(_ cast, x *situation) {
		grace, limit := uint64(5), uint64(1<<40)
		x.where.Grace, x.where.RAURI, x.where.BootstrapURI = &grace, "coaps://ra", "coaps://[::1]:5/b?c=%20"
		x.mandate.Attestation, x.mandate.MaxSequence = flag(), &limit
	}},
	{"sound, tagged mandate", 0, func(_ cast, x *situation) { x.order = must(x.mandate.Sign(x.owner)) }},
	{"sound, shared root", 0, func(_ cast, x *situation) { x.facts.Truststore[2].Staged = false }},
	{"sound, repeated", 0, func(c cast, x *situation) {
		x.where.Reset = nil
		x.held = false
		x.message.Destination = must(x.where.Encode())
		x.raw = must(x.message.Sign(x.by))
		x.facts.State, x.facts.Stored = transfer.Ready, x.raw
	}},
	{"E1 empty", 1, func(_ cast, x *situation) { x.raw = []byte{} }},
	{"E1 long", 1, func(_ cast, x *situation) { x.raw = make([]byte, 1025) }},
	{"E2 incoming", 2, func(c cast, x *situation) { x.by = c.sp2 }},
	{"E2 CA", 2, func(c cast, x *situation) { x.by = c.ca1 }},
	{"E2 owner", 2, func(c cast, x *situation) { x.by = c.user }},
	{"E3", 3, func(c cast, x *situation) { x.by.Key = c.sp2.Key }},
	{"E4 certificate", 4, func(_ cast, x *situation) { x.message.Factory[0] ^= 1 }},
	{"E4 subject", 4, func(_ cast, x *situation) { x.message.Subject = "deV" }},
	{"E5 same", 5, func(_ cast, x *situation) { x.message.Epoch = 3 }},
	{"E5 jump", 5, func(_ cast, x *situation) { x.message.Epoch = 5 }},
	{"E5 last", 5, func(_ cast, x *situation) { x.message.Epoch = 1<<32 - 1 }},
	{"the last", 0, func(_ cast, x *situation) { x.facts.Epoch, x.message.Epoch = 1<<32-2, 1<<32-1 }},
	{"E5 after the last", 5, func(_ cast, x *situation) { x.facts.Epoch, x.message.Epoch = 1<<32-1, 1 }},
	{"E6 expired", 6, func(_ cast, x *situation) { x.now = x.message.Expires.Time().Add(transfer.ClockSkew) }},
	{"E6 not yet expired", 0, func(_ cast, x *situation) {
		x.now = x.message.Expires.Time().Add(transfer.ClockSkew - time.Second)
	}},
	{"E6 backwards", 6, func(_ cast, x *situation) { x.message.NotBefore = x.message.Expires }},
	{"E7 missing", 7, func(_ cast, x *situation) { x.facts.Truststore = slices.Delete(x.facts.Truststore, 2, 3) }},
	{"E7 slipped in", 7, func(_ cast, x *situation) { x.where.Anchors = x.where.Anchors[:1] }},
	{"E7 purposes", 7, func(_ cast, x *situation) { x.where.Anchors[0].Purposes |= transfer.RA }},
	{"E7 shared root with less", 7, func(_ cast, x *situation) {
		x.facts.Truststore[2].Staged, x.facts.Truststore[2].Purposes = false, transfer.DM
	}},
	{"E8 coap", 8, func(_ cast, x *situation) { x.where.EnrollURI = "coap://beta.example" }},
	{"E8 user", 8, func(_ cast, x *situation) { x.where.ServerURI = "coaps://a@beta.example" }},
	{"E8 port", 8, func(_ cast, x *situation) { x.where.ServerURI = "coaps://beta.example:65536" }},
	{"E8 verifier", 8, func(_ cast, x *situation) { x.where.RAURI = "coaps://a#b" }},
	{"E8 bootstrap", 8, func(_ cast, x *situation) { x.where.BootstrapURI = "coaps:///x" }},
	{"E9 server", 9, func(_ cast, x *situation) { x.message.FallbackURI = "coaps://alpha.example:5685" }},
	{"E9 CA", 9, func(_ cast, x *situation) { x.message.FallbackEnrollURI = "coaps://x.example" }},
	{"E9 no anchor", 9, func(_ cast, x *situation) { x.facts.Truststore[0].Purposes = transfer.DM }},
	{"E10 installing", 10, func(_ cast, x *situation) { x.facts.Installing = true }},
	{"E10 state", 10, func(_ cast, x *situation) { x.facts.State = transfer.Done }},
	{"E11 none", 11, func(_ cast, x *situation) { x.order = []byte{} }},
	{"E11 long", 11, func(_ cast, x *situation) { x.order = make([]byte, 4097) }},
	{"E11 signer", 11, func(c cast, x *situation) { x.owner = c.sp1 }},
	{"sound, names that begin so", 0, func(_ cast, x *situation) { x.mandate.Devices = transfer.Devices{Group: "d*"} }},
	{"E11 names that begin otherwise", 11, func(_ cast, x *situation) {
		x.mandate.Devices = transfer.Devices{Group: "e*"}
	}},
	{"E11 from another", 11, func(_ cast, x *situation) { x.mandate.From = "SP3" }},
	{"E11 to another", 11, func(_ cast, x *situation) { x.mandate.To = "SP3" }},
	{"E11 until earlier", 11, func(_ cast, x *situation) { x.mandate.Window.Latest-- }},
	{"E11 others", 11, func(_ cast, x *situation) { x.mandate.Devices.Factory = x.mandate.Devices.Factory[:1] }},
	{"E11 another", 11, func(c cast, x *situation) {
		m := x.mandate
		m.ID = []byte{9}
		x.order = transfer.Untag(must(m.Sign(x.owner)))
	}},
	{"E11 an owner that a provider has set", 11, func(c cast, x *situation) {
		x.facts.Truststore[1].Purposes |= transfer.MandateSigner
		x.owner = c.sp1
	}},
	{"an owner that a provider has set, and no other", 0, func(c cast, x *situation) {
		x.facts.Truststore[1].Purposes |= transfer.MandateSigner
		x.held, x.owner = false, c.sp1
		x.message.Mandate = must(transfer.ParseMandate(must(x.mandate.Sign(c.sp1)))).Hash
	}},
	{"E11 application", 11, func(_ cast, x *situation) { x.where.Reset = keep() }},
}

// TestVectors: both give the verdict of each vector, and of each with a byte changed
// or cut, the same.
func TestVectors(t *testing.T) {
	t.Parallel()
	c := newCast()
	for _, v := range vectors {
		x := c.sound()
		v.change(c, x)
		x.write(c)
		want, got := verdicts(x.facts, x.raw, x.now)
		if want != v.want || got != v.want {
			t.Errorf("%s: Accept %d, minimal %d, want %d", v.name, want, got, v.want)
		}
	}
	x := c.sound()
	x.write(c)
	for i := range x.raw {
		for _, bent := range [][]byte{x.raw[:i], flipped(x.raw, i, 1), flipped(x.raw, i, 0x80), inserted(x.raw, i)} {
			if want, got := verdicts(x.facts, bent, x.now); want != got || want == 0 {
				t.Errorf("byte %d, %x: Accept %d, minimal %d", i, bent, want, got)
			}
		}
	}
}

func flipped(raw []byte, i int, bit byte) []byte {
	raw = slices.Clone(raw)
	raw[i] ^= bit
	return raw
}

func inserted(raw []byte, i int) []byte { return slices.Insert(slices.Clone(raw), i, 0) }

// TestNoAllocation: the check takes no memory, whatever the message.
func TestNoAllocation(t *testing.T) {
	c := newCast()
	for _, v := range vectors {
		x := c.sound()
		v.change(c, x)
		x.write(c)
		f := minimal.Facts{
			AtRest: true, Epoch: x.facts.Epoch, Subject: []byte(x.facts.Subject), Factory: x.facts.Factory, Now: noon.Unix(),
			ServerURI: []byte(x.facts.ServerURI), EnrollURI: []byte(x.facts.EnrollURI), Mandate: x.facts.Mandate,
		}
		for _, a := range x.facts.Truststore {
			f.Anchors = append(f.Anchors, minimal.Anchor{
				Thumbprint: a.Thumbprint(), Purposes: uint16(a.Purposes), Domain: uint8(a.Domain), Staged: a.Staged,
			})
		}
		check := minimal.Check{Hash: sha256.New(), Verify: func(int, *[32]byte, []byte) bool { return true }}
		if n := testing.AllocsPerRun(10, func() { check.Accept(&f, x.raw) }); n != 0 {
			t.Errorf("%s: %v allocations", v.name, n)
		}
	}
}

// TestDevices: both give the same verdict of each vector on devices of other shapes.
func TestDevices(t *testing.T) {
	t.Parallel()
	const shapes = 60
	c, dice, seen := newCast(), rand.New(rand.NewPCG(1, 2)), map[int]bool{}
	for _, v := range vectors {
		for range shapes {
			x := c.sound()
			v.change(c, x)
			x.write(c)
			x.bend(byte(dice.Uint32()), dice.Uint64()&dice.Uint64()&dice.Uint64())
			want, got := verdicts(x.facts, x.raw, x.now)
			if want != got {
				t.Errorf("%s: Accept %d, minimal %d of %+v", v.name, want, got, x.facts)
			}
			seen[want] = true
		}
	}
	for n := range 12 {
		if !seen[n] {
			t.Errorf("no device gave %d", n)
		}
	}
}

// FuzzSame signs what the fuzzer makes of payloads of message and mandate: both give
// the same verdict.
func FuzzSame(f *testing.F) {
	c := newCast()
	for _, v := range vectors {
		x := c.sound()
		v.change(c, x)
		x.write(c)
		if m, err := cose.ParseSign1(x.raw); err == nil {
			order, _ := cose.ParseSign1(x.facts.Mandate)
			if order != nil {
				f.Add(m.Payload, order.Payload, x.facts.ServerURI, byte(0), uint64(0))
			}
		}
	}
	f.Fuzz(func(t *testing.T, payload, order []byte, server string, mode byte, shape uint64) {
		x := c.sound()
		x.order, x.held = sign(c.user, order, "steward/mandate/1"), mode&1 == 0
		x.raw = sign(c.sp1, payload, "steward/message/1")
		x.write(c)
		x.facts.ServerURI = server
		if mode&2 != 0 {
			x.raw = payload
		}
		x.bend(mode, shape)
		if want, got := verdicts(x.facts, x.raw, x.now); want != got {
			t.Errorf("%x, mandate %x, server %q: Accept %d, minimal %d", x.raw, x.order, server, want, got)
		}
	})
}

// bend makes another device of x: mode and shape say what is otherwise than usual.
func (x *situation) bend(mode byte, shape uint64) {
	f := &x.facts
	f.Installing = mode&4 != 0
	if mode&8 != 0 {
		x.now = time.Time{}
	}
	if f.State = transfer.DeviceStates()[int(mode>>4)%len(transfer.DeviceStates())]; f.State == transfer.Ready {
		f.Stored = x.raw
		if shape&1 != 0 {
			f.Stored = f.Mandate
		}
	}
	for i := range f.Truststore { // nine bits each: one purpose, domain, staged
		a, bits := &f.Truststore[i], shape>>(9*i)
		a.Purposes ^= transfer.Purposes(bits) & (transfer.Fallback<<1 - 1) & -transfer.Purposes(bits>>8&1)
		if bits&1 != 0 {
			a.Staged = !a.Staged
		}
		if bits&6 == 6 {
			a.Domain = (a.Domain + 1) % 3
		}
	}
}

func sign(by transfer.Signer, payload []byte, aad string) []byte {
	kid := transfer.KeyIDOf(by.Certificate)
	signer := must(cose.NewSigner(by.Key, cose.ES256, kid[:]))
	return must(cose.SignSign1(signer, cose.Options{Payload: payload, ExternalAAD: []byte(aad)}))
}

// FuzzURI: both read the same URIs.
func FuzzURI(f *testing.F) {
	for _, uri := range []string{
		"coaps://a", "COAPS://A.b:1", "coaps://[::1]:5684/x?y=%41", "coap://a", "coaps://a:05", "coaps://a b", "coaps://ä",
		"coaps://a%41", "coaps://a/%4", "coaps://a:65536", "coaps://[a]b", "coaps://u@h", "coaps://h#", "coaps:///",
		"coaps://" + strings.Repeat("a", 250),
	} {
		f.Add(uri)
	}
	c := newCast()
	f.Fuzz(func(t *testing.T, uri string) {
		if len(uri) > 255 || uri == "" {
			return
		}
		x := c.sound()
		x.held = false
		x.message.FallbackURI, x.facts.ServerURI = uri, uri
		x.message.Destination = must(x.where.Encode())
		raw, err := x.message.Sign(x.by)
		if err != nil {
			return
		}
		if want, got := verdicts(x.facts, raw, x.now); want != got {
			t.Errorf("%q: Accept %d, minimal %d", uri, want, got)
		}
	})
}
