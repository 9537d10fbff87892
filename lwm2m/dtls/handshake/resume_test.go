package handshake_test

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/coap"
	"steward/lwm2m/dtls/handshake"
)

// TestResumption: certificates, pre-shared keys and raw public keys come back
// without public-key cryptography, as who they were.
func TestResumption(t *testing.T) {
	for name, client := range map[string]func(*credentials) *handshake.Client{
		"certificate": (*credentials).certClient, "psk": (*credentials).pskClient, "raw public key": (*credentials).rawClient,
	} {
		t.Run(name, func(t *testing.T) {
			creds := newCredentials(t)
			s := newStage(t, rawCredentials{creds}, nil)
			first := client(creds)
			first.WantTicket = true
			before := s.must(t, first)
			if before.Resumed || len(first.NewTicket) == 0 {
				t.Fatalf("ticket %x, resumed %t", first.NewTicket, before.Resumed)
			}
			for range 2 { // a ticket is good more than once
				again := client(creds)
				again.Ticket, again.Master, again.CID = first.NewTicket, first.NewMaster, newCID()
				after := s.must(t, again)
				if !after.Resumed || !again.Resumed || after.Identity != before.Identity || after.LastFlight != nil {
					t.Errorf("resumed %t, %t: %+v", after.Resumed, again.Resumed, after.Established)
				}
				if before.Binding != [12]byte(first.Finished[0]) || after.Binding != [12]byte(again.Finished[1]) {
					t.Error("the binding is not the first Finished (RFC 5929 §3)")
				}
				if after.Session == before.Session {
					t.Error("the keys are the old ones")
				}
				talk(t, &after.Session, &again.Session)
			}
		})
	}
}

// TestResumptionRefused: each of these gets a full handshake instead.
func TestResumptionRefused(t *testing.T) {
	for name, change := range map[string]func(c *credentials, again *handshake.Client){
		"revoked certificate": func(c *credentials, _ *handshake.Client) { c.revoked = errStranger },
		"forged ticket":       func(_ *credentials, a *handshake.Client) { a.Ticket[len(a.Ticket)-1] ^= 1 },
		"forged name of key":  func(_ *credentials, a *handshake.Client) { a.Ticket[0] ^= 1 },
		"forged nonce":        func(_ *credentials, a *handshake.Client) { a.Ticket[9] ^= 1 },
		"short ticket":        func(_ *credentials, a *handshake.Client) { a.Ticket = a.Ticket[:12] },
		"overlong ticket": func(_ *credentials, a *handshake.Client) {
			a.Ticket = append(a.Ticket, make([]byte, 1100)...)
		},
		"another server name": func(_ *credentials, a *handshake.Client) { a.ServerName = "sp.example" },
		"another suite":       func(_ *credentials, a *handshake.Client) { a.Suite = certCCM },
	} {
		t.Run(name, func(t *testing.T) {
			creds := newCredentials(t)
			s := newStage(t, creds, nil)
			first := creds.certClient()
			ticket, master := ticketOf(t, first, s)
			again := creds.certClient()
			again.Ticket, again.Master = bytes.Clone(ticket), master
			change(creds, again)
			if out := s.must(t, again); out.Resumed || again.Resumed {
				t.Error("resumed")
			}
		})
	}
}

// TestResumptionWithoutMasterSecret: an extended master secret is not given up
// (RFC 7627 §5.3), nor is a ticket made without.
func TestResumptionWithoutMasterSecret(t *testing.T) {
	creds := newCredentials(t)
	s := newStage(t, creds, func(o *handshake.Options) { o.PlainMasterSecret = true })
	ticket, master := ticketOf(t, creds.certClient(), s)
	again := creds.certClient()
	again.Ticket, again.Master, again.NoMasterSecret = ticket, master, true
	if out := s.must(t, again); out.Resumed || len(again.NewTicket) != 0 {
		t.Errorf("resumed %t, ticket %x", out.Resumed, again.NewTicket)
	}
}

// TestResumptionOfPSK: a new key, or no key, ends the sessions of the old one.
func TestResumptionOfPSK(t *testing.T) {
	creds := newCredentials(t)
	s := newStage(t, creds, nil)
	ticket, master := ticketOf(t, creds.pskClient(), s)
	creds.psk["dev-1"] = []byte("another key....")
	again := creds.pskClient()
	again.Ticket, again.Master = ticket, master
	if out := s.must(t, again); out.Resumed {
		t.Error("resumed with the key of old")
	}
	delete(creds.psk, "dev-1")
	again = creds.pskClient()
	again.Ticket, again.Master = ticket, master
	if out, err := s.run(again); err == nil || out.Established != nil {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestStolenTicket: who saw a ticket go by has not its master secret.
func TestStolenTicket(t *testing.T) {
	creds := newCredentials(t)
	s := newStage(t, creds, nil)
	ticket, _ := ticketOf(t, creds.certClient(), s)
	thief := &handshake.Client{Suite: certCCM8, Ticket: ticket, Master: make([]byte, 48)}
	if out, err := s.run(thief); err == nil || out.Established != nil {
		t.Errorf("%+v, %v", out, err)
	}
	end(t, s)
}

// TestReplayedHandshake: the datagrams of a resumption, sent again, make nothing.
func TestReplayedHandshake(t *testing.T) {
	creds := newCredentials(t)
	s := newStage(t, creds, nil)
	ticket, master := ticketOf(t, creds.certClient(), s)
	again := creds.certClient()
	again.Ticket, again.Master = ticket, master
	s.must(t, again)
	s.outcomes = nil
	s.post(somewhere, again.Sent...)
	if len(s.outcomes) > 0 && s.outcomes[0].Established != nil {
		t.Error("a replay was established")
	}
	end(t, s)
}

// TestTicketsEnd: sessions end with time, and their keys change before.
func TestTicketsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		creds := newCredentials(t)
		s := newStage(t, creds, nil)
		ticket, master := ticketOf(t, creds.certClient(), s)
		resumed := func() bool {
			again := creds.certClient()
			again.Ticket, again.Master = ticket, master
			return s.must(t, again).Resumed
		}
		time.Sleep(handshake.TicketLife - time.Minute)
		other, _ := ticketOf(t, creds.certClient(), s)
		if !resumed() || bytes.Equal(other[:8], ticket[:8]) {
			t.Error("not resumed in time, or the key is the same after a day")
		}
		time.Sleep(time.Minute)
		if resumed() {
			t.Error("resumed after its time")
		}
	})
}

func TestNoTickets(t *testing.T) {
	creds := newCredentials(t)
	for name, c := range map[string]struct {
		s       *stage
		granted bool
	}{
		"turned off":        {newStage(t, creds, func(o *handshake.Options) { o.NoTickets = true }), false},
		"nobody judges":     {newStage(t, struct{ deaf }{deaf{creds}}, nil), true},
		"turned on, judged": {newStage(t, creds, nil), true},
	} {
		client := creds.certClient()
		client.WantTicket = true
		c.s.must(t, client)
		_, granted := client.Accepted[35]
		if granted != c.granted || (len(client.NewTicket) > 0) != (name == "turned on, judged") {
			t.Errorf("%s: granted %t, ticket %x", name, granted, client.NewTicket)
		}
	}
}

// deaf are credentials that judge no resumed session.
type deaf struct{ c *credentials }

func (d deaf) Certificate(name string) (*tlsCertificate, error) { return d.c.Certificate(name) }
func (d deaf) PSK(identity []byte) ([]byte, error)              { return d.c.PSK(identity) }
func (d deaf) Identify(chain [][]byte, psk []byte) (coap.Identity, error) {
	return d.c.Identify(chain, psk)
}

// end lets the deadline pass and wants nothing to be left.
func end(tb testing.TB, s *stage) {
	tb.Helper()
	handshake.Tick(s.Server, time.Now().Add(time.Hour))
	handshake.Work(s.Server)
	if s.Pending() != 0 || s.places != 0 {
		tb.Errorf("%d handshakes pending, %d places", s.Pending(), s.places)
	}
}
