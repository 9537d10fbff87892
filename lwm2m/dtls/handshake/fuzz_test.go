package handshake_test

import (
	"bytes"
	"testing"

	"steward/lwm2m/dtls/handshake"
)

// clients are those whose handshakes are mutated.
func clients(tb testing.TB, creds *credentials, s *stage) []func() *handshake.Client {
	tb.Helper()
	ticket, master := ticketOf(tb, creds.certClient(), s)
	return []func() *handshake.Client{
		creds.certClient, creds.pskClient, creds.rawClient,
		func() *handshake.Client { c := creds.pskClient(); c.Suite, c.CID = ecPSKGCM, newCID(); return c },
		func() *handshake.Client {
			c := creds.certClient()
			c.Ticket, c.Master = bytes.Clone(ticket), master
			return c
		},
	}
}

// check wants nothing to stay of a handshake, and the sides to agree where the
// server thinks that they do.
func check(t *testing.T, s *stage, c *handshake.Client) {
	t.Helper()
	for _, o := range s.outcomes {
		if o.Established != nil {
			talk(t, &c.Session, &o.Session)
		}
	}
	end(t, s)
	s.late = nil
}

// FuzzTranscript changes a byte of a real handshake, and puts a datagram into it.
func FuzzTranscript(f *testing.F) {
	creds := newCredentials(f)
	s := newStage(f, rawCredentials{creds}, nil)
	all := clients(f, creds, s)
	for i := range all {
		f.Add(uint8(i), uint8(2), uint16(30), byte(1), []byte(nil))
		f.Add(uint8(i), uint8(3), uint16(60), byte(0), []byte{21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40})
		f.Add(uint8(i), uint8(4), uint16(20), byte(0x80), []byte{20, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1})
	}
	f.Fuzz(func(t *testing.T, kind, datagram uint8, at uint16, flip byte, extra []byte) {
		c := all[int(kind)%len(all)]()
		s.outcomes = nil
		n := 0
		_ = c.Run(func(d ...[]byte) (out [][]byte) {
			for _, d := range d {
				if n++; n == int(datagram) {
					out = append(out, s.post(somewhere, extra)...)
					d[int(at)%len(d)] ^= flip
				}
				out = append(out, s.post(somewhere, d)...)
			}
			return out
		})
		check(t, s, c)
	})
}

// FuzzFlight puts any content into a message of the client's last flight.
func FuzzFlight(f *testing.F) {
	creds := newCredentials(f)
	s := newStage(f, rawCredentials{creds}, nil)
	all := clients(f, creds, s)
	for i := range all {
		for m := range uint8(5) {
			f.Add(uint8(i), m, []byte{0, 0, 3, 0, 0, 0}, uint8(0))
		}
	}
	f.Fuzz(func(t *testing.T, kind, place uint8, body []byte, fragment uint8) {
		c := all[int(kind)%len(all)]()
		c.Fragment = int(fragment)
		c.ChangeFlight = func(flight []handshake.Msg) []handshake.Msg {
			if m := &flight[int(place)%len(flight)]; m.Typ != 0 {
				m.Body = body
			}
			return flight
		}
		_, _ = s.run(c)
		check(t, s, c)
	})
}

// FuzzHello offers anything. What is established of it works.
func FuzzHello(f *testing.F) {
	creds := newCredentials(f)
	s := newStage(f, rawCredentials{creds}, nil)
	f.Add([]byte{0xc0, 0xa8}, []byte{0, 23, 0, 0, 0, 54, 0, 1, 0})
	f.Add([]byte{0xc0, 0xae}, []byte{0, 23, 0, 0, 0, 28, 0, 2, 0, 64, 0, 35, 0, 0})
	f.Add([]byte{0xd0, 0x05}, []byte{0, 23, 0, 0, 0, 0, 0, 6, 0, 4, 0, 0, 1, 'x', 0xff, 1, 0, 1, 0})
	f.Fuzz(func(t *testing.T, suites, extensions []byte) {
		c := creds.certClient()
		c.PSKIdentity, c.PSK = []byte("dev-1"), creds.psk["dev-1"]
		offer := func(b []byte) []byte {
			h := handshake.HelloWith(b, suites, extensions)
			return h
		}
		c.ChangeHello, c.ChangeNext = offer, offer
		_, _ = s.run(c)
		end(t, s)
	})
}

// FuzzParse reads every message that clients send; what can be written again is
// the same.
func FuzzParse(f *testing.F) {
	creds := newCredentials(f)
	f.Add(firstHello(creds)[25:])
	f.Add(append([]byte{0, 0, 7, 0, 0, 4}, 1, 2, 3, 4))
	f.Add([]byte{0, 5, 'd', 'e', 'v', '-', '1'})
	f.Add([]byte{4, 3, 0, 2, 1, 1})
	f.Add(creds.client.Certificate[0])
	f.Fuzz(func(t *testing.T, in []byte) {
		if again, ok := handshake.ParseAll(in); !ok {
			t.Errorf("%x is written again as %x", in, again)
		}
	})
}

// FuzzTicket: what is read of a ticket is written the same.
func FuzzTicket(f *testing.F) {
	f.Add(make([]byte, 132))
	f.Fuzz(func(t *testing.T, in []byte) {
		if out, ok := handshake.ParseTicket(in); ok && !bytes.Equal(out, in) && len(out) > 0 {
			t.Errorf("%x is written again as %x", in, out)
		}
	})
}
