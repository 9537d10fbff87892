package handshake_test

import (
	"crypto"
	"errors"
	"net/netip"
	"testing"
	"time"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

// A stage is a server whose work is done in the test's own goroutine, message by
// message.
type stage struct {
	*handshake.Server
	out      map[netip.AddrPort][][]byte
	places   int
	outcomes []outcome
	late     [][]byte
	cid      []byte
}

func newStage(tb testing.TB, c dtls.Credentials, change func(*handshake.Options)) *stage {
	tb.Helper()
	s := &stage{out: map[netip.AddrPort][][]byte{}, cid: newCID()}
	o := handshake.Options{Host: s, Credentials: c}
	if change != nil {
		change(&o)
	}
	var err error
	if s.Server, err = handshake.New(o); err != nil {
		tb.Fatal(err)
	}
	return s
}

func (s *stage) Send(d []byte, to netip.AddrPort) {
	s.out[to] = append(s.out[to], append([]byte(nil), d...))
}

func (s *stage) Admit(from netip.AddrPort, _ time.Time) handshake.Place {
	s.places++
	return &seat{s, from}
}

type seat struct {
	*stage
	from netip.AddrPort
}

func (s *seat) CID() []byte { return s.cid }
func (s *seat) Judging()    {}
func (s *seat) Ended(reason error) {
	s.places--
	s.outcomes = append(s.outcomes, outcome{from: s.from, err: reason})
}

func (s *seat) Established(e *dtls.Established) (func([]byte), error) {
	s.places--
	s.outcomes = append(s.outcomes, outcome{from: s.from, Established: e})
	return func(d []byte) { s.late = append(s.late, d) }, nil
}

var somewhere = netip.MustParseAddrPort("192.0.2.7:5684")

// post hands the server datagrams, lets it work and returns what it answers.
func (s *stage) post(from netip.AddrPort, datagrams ...[]byte) [][]byte {
	for _, d := range datagrams {
		r, _, err := dtls.ParseRecord(d)
		switch {
		case err != nil:
		case dtls.IsHello(r):
			s.Hello(d, from, s, time.Now())
		default:
			s.Deliver(d, from)
		}
		handshake.Work(s.Server)
	}
	handshake.Work(s.Server)
	out := s.out[from]
	delete(s.out, from)
	return out
}

// run leads a client's handshake and returns what became of it.
func (s *stage) run(c *handshake.Client) (outcome, error) {
	s.outcomes = nil
	err := c.Run(func(d ...[]byte) [][]byte { return s.post(somewhere, d...) })
	if len(s.outcomes) == 0 {
		return outcome{err: errNothing}, err
	}
	return s.outcomes[0], err
}

var errNothing = errors.New("no outcome")

// must is run for a handshake that works.
func (s *stage) must(tb testing.TB, c *handshake.Client) outcome {
	tb.Helper()
	out, err := s.run(c)
	if err != nil || out.err != nil {
		tb.Fatalf("handshake = server %v, client %v", out.err, err)
	}
	if s.Pending() != 0 || s.places != 0 {
		tb.Fatalf("%d handshakes pending, %d places", s.Pending(), s.places)
	}
	return out
}

const (
	certCCM8, certCCM, certGCM    = 0xc0ae, 0xc0ac, 0xc02b
	pskCCM8, pskCCM, pskGCM       = 0xc0a8, 0xc0a4, 0x00a8
	ecPSKCCM8, ecPSKCCM, ecPSKGCM = 0xd003, 0xd005, 0xd001
	x25519                        = 29
)

func (c *credentials) certClient() *handshake.Client {
	key, _ := c.client.PrivateKey.(crypto.Signer)
	return &handshake.Client{Suite: certCCM8, Chain: c.client.Certificate, Key: key}
}

func (c *credentials) pskClient() *handshake.Client {
	return &handshake.Client{Suite: pskCCM8, PSKIdentity: []byte("dev-1"), PSK: c.psk["dev-1"]}
}
