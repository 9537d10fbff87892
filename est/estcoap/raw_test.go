package estcoap_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"steward/est"
	"steward/est/estcoap"
	"steward/est/esttest"
	"steward/lwm2m/coap"
)

// Numbers of the options that a raw client writes.
const (
	optionPath   = 11
	optionFormat = 12
	optionAccept = 17
	optionBlock2 = 23
	optionBlock1 = 27
)

// A raw is a client of datagrams: it knows nothing of exchanges, has one token for
// all that it ever asks, and sends every datagram twice.
type raw struct {
	peer

	t      *testing.T
	engine *coap.Engine
	id     uint16

	mu   sync.Mutex
	sent []coap.Message // by the server
}

var constantToken = []byte{0xca, 0xfe}

// Send implements coap.Peer.
func (c *raw) Send(datagram []byte) error {
	m, err := coap.Parse(slices.Clone(datagram))
	if err != nil {
		c.t.Errorf("the server sent %x: %v", datagram, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent = append(c.sent, m)
	return nil
}

// take returns what the server sent since.
func (c *raw) take() []coap.Message {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	out := c.sent
	c.sent = nil
	return out
}

// An ask is one request message.
type ask struct {
	code           coap.Code
	path           []string
	format, accept uint16 // zero: none
	block1, block2 int    // value of the option; negative: none
	payload        []byte
}

func (c *raw) send(a ask) {
	c.t.Helper()
	c.id++
	m := coap.Message{Type: coap.CON, Code: a.code, ID: c.id, Token: constantToken, Payload: a.payload}
	for _, segment := range a.path {
		m.Options = append(m.Options, coap.Option{ID: optionPath, Value: []byte(segment)})
	}
	number := func(value int) []byte {
		return bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, uint32(value)), "\x00")
	}
	if a.format != 0 {
		m.Options = append(m.Options, coap.Option{ID: optionFormat, Value: number(int(a.format))})
	}
	if a.accept != 0 {
		m.Options = append(m.Options, coap.Option{ID: optionAccept, Value: number(int(a.accept))})
	}
	if a.block2 >= 0 {
		m.Options = append(m.Options, coap.Option{ID: optionBlock2, Value: number(a.block2)})
	}
	if a.block1 >= 0 {
		m.Options = append(m.Options, coap.Option{ID: optionBlock1, Value: number(a.block1)})
	}
	datagram, err := m.Append(nil)
	if err != nil {
		c.t.Fatal(err)
	}
	c.engine.Receive(c, datagram)
	c.engine.Receive(c, datagram)
}

// one returns the answer to what was just sent: the first and its duplicate, which
// must be the same. A confirmable one is acknowledged.
func (c *raw) one() coap.Message {
	c.t.Helper()
	got := c.take()
	if len(got) == 0 {
		c.t.Fatal("no answer")
	}
	for _, m := range got[1:] {
		if m.Code != got[0].Code || !bytes.Equal(m.Payload, got[0].Payload) {
			c.t.Errorf("a duplicate was answered %s, after %s", m.Code, got[0].Code)
		}
	}
	return got[0]
}

// optionOf returns an option's value as a number; -1 if it is absent.
func optionOf(m coap.Message, id int) int {
	for _, o := range m.Options {
		if int(o.ID) == id {
			n := 0
			for _, b := range o.Value {
				n = n<<8 | int(b)
			}
			return n
		}
	}
	return -1
}

// whole sends a body in blocks of 16<<szx bytes and fetches the answer in such, all
// by messages with one token (RFC 9148 §4.6, RFC 7959 §2.7).
func (c *raw) whole(a ask, szx int) (code coap.Code, body []byte) {
	c.t.Helper()
	size := 16 << szx
	upload, n := a.payload, 0
	a.block1, a.block2 = -1, szx
	var last coap.Message
	for {
		if len(upload) > 0 || a.code == coap.POST {
			more := 0
			if len(upload) > size {
				more = 8
			}
			a.block1, a.payload = n<<4|more|szx, upload[:min(size, len(upload))]
			upload = upload[len(a.payload):]
			if more != 0 {
				a.block2 = -1
			} else {
				a.block2 = szx
			}
		}
		c.send(a)
		if last = c.one(); last.Code != coap.Continue {
			break
		}
		n++
	}
	body = append(body, last.Payload...)
	a.block1, a.payload, a.format = -1, nil, 0
	for next := 1; last.Code.IsSuccess() && optionOf(last, optionBlock2)&8 != 0; next++ {
		a.block2 = next<<4 | szx
		c.send(a)
		last = c.one()
		body = append(body, last.Payload...)
	}
	return last.Code, body
}

// counting counts what an authority is asked for.
type counting struct {
	*est.CA

	asked *int
}

func (c counting) Enrol(ctx context.Context, r est.Request) (est.Issued, error) {
	*c.asked++
	return c.CA.Enrol(ctx, r)
}

func (c counting) GenerateKey(ctx context.Context, r est.Request) (est.Keyed, error) {
	*c.asked++
	return c.CA.GenerateKey(ctx, r)
}

// TestConstantToken has a client with one token for everything do crts, att, sen and
// skg at every block size, each datagram twice: issuance runs once.
func TestConstantToken(t *testing.T) {
	for _, szx := range []int{0, 2, 5, 6} {
		t.Run(fmt.Sprintf("blocks of %d", 16<<szx), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorldOf(t, time.Now)
				w.open(t)
				asked := 0
				keys, err := w.ca.Using(keysProfile(t))
				if err != nil {
					t.Fatal(err)
				}
				server, err := estcoap.NewServer(estcoap.ServerOptions{
					CA: counting{w.ca, &asked}, Labels: map[string]estcoap.Authority{"keys": counting{keys, &asked}},
				})
				if err != nil {
					t.Fatal(err)
				}
				c := newRaw(t, server, w.factory())
				get := ask{code: coap.GET, path: []string{"est", "crts"}}
				if code, body := c.whole(get, szx); code != coap.Content || !bytes.Equal(body, encode(t, w.ca.Chain()...)) {
					t.Errorf("crts: %s, %d bytes", code, len(body))
				}
				csr := esttest.CSR(t, w.key, endpoint)
				post := ask{
					code: coap.POST, path: []string{".well-known", "est", "sen"}, format: estcoap.FormatPKCS10,
					accept: estcoap.FormatPKIXCert, payload: csr,
				}
				code, body := c.whole(post, szx)
				if code != coap.Changed || parse(t, body).Subject.CommonName != endpoint {
					t.Fatalf("sen: %s, %d bytes", code, len(body))
				}
				if asked != 1 {
					t.Errorf("the authority was asked %d times, want once", asked)
				}
				post.path, post.accept = []string{".well-known", "est", "keys", "skg"}, estcoap.FormatMultipart
				post.payload = esttest.Request(t, nil, endpoint)
				if code, _ := c.whole(post, szx); code != coap.Forbidden || asked != 2 {
					t.Errorf("skg under a right that is used: %s, asked %d times", code, asked)
				}
			})
		})
	}
}

func keysProfile(t *testing.T) *est.Profile {
	t.Helper()
	p, err := est.NewProfile(est.ProfileOptions{
		Name: "keys", Kind: est.KindOperational, Validity: time.Hour, ServerKeys: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newRaw runs an engine before server; call it in a bubble.
func newRaw(t *testing.T, server coap.Handler, id coap.Identity) *raw {
	t.Helper()
	c := &raw{peer: peer{id}, t: t, engine: coap.New(coap.Options{Handler: server})}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = c.engine.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return c
}

// A slow signer is a key in a token that thinks.
type slow struct {
	crypto.Signer

	delay time.Duration
	calls *int
}

func (s slow) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	*s.calls++
	time.Sleep(s.delay) // of the bubble
	return s.Signer.Sign(random, digest, opts)
}

// TestSlowSigner: where signing takes longer than a message may wait, the request is
// acknowledged at once and answered by a message of its own (RFC 9148 §4.7, RFC 7252
// §5.2.2), once, though the client asked again meanwhile.
func TestSlowSigner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, time.Now)
		first := w.ca.Authorities()[0]
		store, calls := &esttest.Store{}, 0
		ca, err := est.NewCA(est.Options{
			Store: store, Now: time.Now, Issuer: first.Certificate, Parents: first.Parents,
			Signer: slow{first.Signer, 8 * time.Second, &calls},
		})
		if err != nil {
			t.Fatal(err)
		}
		factory := esttest.NewFactory(t, time.Now)
		w.device = esttest.NewDevice(t, factory, endpoint)
		esttest.Grant(t, ca, factory, w.device)
		w.ca = ca
		w.open(t)
		server, err := estcoap.NewServer(estcoap.ServerOptions{CA: ca})
		if err != nil {
			t.Fatal(err)
		}
		c := newRaw(t, server, w.factory())
		c.send(ask{
			code: coap.POST, path: []string{"est", "sen"}, format: estcoap.FormatPKCS10, block1: -1, block2: -1,
			payload: esttest.CSR(t, w.key, endpoint), accept: estcoap.FormatPKIXCert,
		})
		time.Sleep(2 * time.Second)
		for _, m := range c.take() {
			if m.Type != coap.ACK || m.Code != coap.Empty || m.ID != c.id {
				t.Fatalf("while it signs: %v %s", m.Type, m.Code)
			}
		}
		time.Sleep(7 * time.Second)
		got := c.take()
		if len(got) == 0 || got[0].Type != coap.CON || got[0].Code != coap.Changed ||
			!bytes.Equal(got[0].Token, constantToken) {
			t.Fatalf("then: %+v", got)
		}
		parse(t, got[0].Payload)
		if calls != 1 {
			t.Errorf("signed %d times, want once", calls)
		}
	})
}

// FuzzBlocks feeds the server with blocks of requests in any order and of any
// content, from two sessions: nothing is issued but for a request that came whole in
// one of them, and that once.
func FuzzBlocks(f *testing.F) {
	key := esttest.Key(f)
	csr := esttest.CSR(f, key, endpoint)
	f.Add(csr, []byte{0x08, 0x18, 0x28, 0x38, 0x48, 0x58, 0x68, 0x78, 0x88, 0x98, 0xa8, 0xb8, 0xc8, 0xd8, 0xe0})
	f.Add(csr, []byte{0x0e, 0x06, 0x16, 0x00, 0x08, 0xff})
	f.Add([]byte{0x30, 0x80}, []byte{0x00})
	f.Fuzz(func(t *testing.T, body, order []byte) {
		if len(order) > 32 || len(body) > 1024 { // a request has some 250 bytes
			return
		}
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, time.Now)
			w.open(t)
			c := newRaw(t, w.server, w.factory())
			other := &raw{peer: peer{w.factory()}, t: t, engine: c.engine}
			for i, b := range order {
				from := c
				if i%7 == 6 { // now and then another session sends a block of its own
					from = other
				}
				size := 16 << (b & 7)
				at := min(int(b>>4)*size, len(body))
				from.send(ask{
					code: coap.POST, path: []string{"est", "sen"}, format: estcoap.FormatPKCS10, block2: -1, block1: int(b),
					payload: body[at:min(at+size, len(body))],
				})
			}
			synctest.Wait()
			records, err := w.ca.List(t.Context(), est.Query{Kind: est.KindOperational})
			if err != nil || len(records) > 1 {
				t.Fatalf("%d certificates, %v", len(records), err)
			}
			if len(records) == 1 && !prefixed(body, records[0].CSR) {
				t.Error("issued for a request that did not come")
			}
			if s := c.engine.Stats(); s.Bodies > 16 {
				t.Errorf("%d bodies are kept", s.Bodies)
			}
		})
	})
}

// prefixed reports whether the request with that hash is a beginning of body: blocks
// in order make no other.
func prefixed(body []byte, csr est.Hash) bool {
	for n := range len(body) + 1 {
		if sha256.Sum256(body[:n]) == csr {
			return true
		}
	}
	return false
}
