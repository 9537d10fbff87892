package handshake_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"testing"

	pion "github.com/pion/dtls/v3"

	"steward/lwm2m/dtls"
	"steward/lwm2m/dtls/handshake"
)

// TestLimits: no record of ours is longer than the client takes (RFC 6066 §4,
// RFC 8449 §4), in the handshake and after it.
func TestLimits(t *testing.T) {
	creds := newCredentials(t)
	for name, c := range map[string]struct {
		change func(c *handshake.Client)
		limit  int
		ext    uint16
		answer []byte
	}{
		"record size limit":   {func(c *handshake.Client) { c.RecordSize = 100 }, 100, 28, []byte{0x40, 0}},
		"max fragment length": {func(c *handshake.Client) { c.MaxFragment = 1 }, 512, 1, []byte{1}},
		"both":                {func(c *handshake.Client) { c.RecordSize, c.MaxFragment = 300, 1 }, 300, 28, []byte{0x40, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			s, client := newStage(t, creds, nil), creds.certClient()
			c.change(client)
			s.outcomes = nil
			if err := client.Run(func(d ...[]byte) [][]byte {
				out := s.post(somewhere, d...)
				for _, d := range out {
					for rest := d; len(rest) > 0; {
						r, next, err := dtls.ParseRecord(rest)
						if err != nil || r.Epoch == 0 && len(r.Fragment) > c.limit {
							t.Fatalf("record of %d bytes, %v", len(r.Fragment), err)
						}
						rest = next
					}
				}
				return out
			}); err != nil {
				t.Fatal(err)
			}
			if got := client.Accepted[c.ext]; !bytes.Equal(got, c.answer) {
				t.Errorf("extension %d = %x, want %x", c.ext, got, c.answer)
			}
			if _, ok := client.Accepted[1]; ok && c.ext != 1 {
				t.Error("both limits agreed on (RFC 8449 §5)")
			}
			session := s.outcomes[0].Session
			_, err := session.Seal(nil, dtls.ApplicationData, make([]byte, c.limit))
			wantErr(t, "Seal at the limit", err, nil)
			_, err = session.Seal(nil, dtls.ApplicationData, make([]byte, c.limit+1))
			wantErr(t, "Seal beyond it", err, dtls.ErrTooLong)
		})
	}
}

// TestServerCertificates of every kind, chosen by name.
func TestServerCertificates(t *testing.T) {
	creds := newCredentials(t)
	for _, name := range []string{"sp.example", "ed.example", "p384.example"} {
		client := creds.certClient()
		client.ServerName, client.Groups = name, []uint16{23, 24, 29}
		newStage(t, creds, nil).must(t, client)
		if !bytes.Contains(client.ServerCert, creds.server[name].Certificate[0]) {
			t.Errorf("%s: another certificate", name)
		}
		if ack, ok := client.Accepted[0]; !ok || len(ack) != 0 {
			t.Errorf("%s: acknowledged by %x, %t", name, ack, ok)
		}
	}
	creds.server["alias.example"] = creds.server[""] // a name that makes no difference
	client := creds.certClient()
	client.ServerName = "alias.example"
	newStage(t, creds, nil).must(t, client)
	if _, ok := client.Accepted[0]; ok {
		t.Error("a name that made no difference is acknowledged (RFC 6066 §3)")
	}
	raw := creds.rawClient() // there is one raw public key, whatever the name
	raw.ServerName = "sp.example"
	newStage(t, rawCredentials{creds}, nil).must(t, raw)
	signer, _ := creds.server[""].PrivateKey.(crypto.Signer)
	spki, err := x509.MarshalPKIXPublicKey(signer.Public())
	if _, ok := raw.Accepted[0]; ok || err != nil || !bytes.Contains(raw.ServerCert, spki) {
		t.Errorf("raw public key %x, acknowledged %t, want that of our own certificate", raw.ServerCert, ok)
	}
	for _, name := range []string{"ed.example", "p384.example"} { // as clients
		c := newCredentials(t)
		c.client = c.server[name]
		newStage(t, c, nil).must(t, c.certClient())
	}
}

// TestOnlyWhatWasOffered is answered (RFC 5246 §7.4.1.4).
func TestOnlyWhatWasOffered(t *testing.T) {
	creds := newCredentials(t)
	client := creds.pskClient()
	newStage(t, creds, nil).must(t, client)
	if len(client.Accepted) != 2 || client.Accepted[23] == nil || client.Accepted[0xff01] == nil {
		t.Errorf("extensions %x", client.Accepted)
	}
	client = creds.certClient()
	client.Extra = []byte{0, 3, 0, 2, 0, 0, 0x7a, 0x7a, 0, 1, 0} // trusted_ca_keys, and one that nobody knows
	newStage(t, creds, nil).must(t, client)
	if _, ok := client.Accepted[3]; ok {
		t.Error("trusted_ca_keys is answered")
	}
}

// TestPlainMasterSecret where it is allowed.
func TestPlainMasterSecret(t *testing.T) {
	creds := newCredentials(t)
	for _, client := range []*handshake.Client{creds.certClient(), creds.pskClient()} {
		client.NoMasterSecret = true
		s := newStage(t, creds, func(o *handshake.Options) { o.PlainMasterSecret = true })
		out := s.must(t, client)
		talk(t, &out.Session, &client.Session)
	}
}

// TestOverlongIdentifier of a peer is not agreed on; RFC 9146 §3 lets us.
func TestOverlongIdentifier(t *testing.T) {
	creds := newCredentials(t)
	client := creds.certClient()
	client.CID = make([]byte, dtls.MaxPeerCID+1)
	out := newStage(t, creds, nil).must(t, client)
	if _, has := out.Session.CID(); has {
		t.Error("agreed on")
	}
}

// TestLossyPaths: datagrams are lost, doubled and turned around, by turns.
func TestLossyPaths(t *testing.T) {
	creds := newCredentials(t)
	var kept []byte
	for name, pass := range map[string]func(n int, d []byte) [][]byte{
		"every third lost": func(n int, d []byte) [][]byte {
			if n%3 == 2 {
				return nil
			}
			return [][]byte{d}
		},
		"every other lost at first": func(n int, d []byte) [][]byte {
			if n < 8 && n%2 == 0 {
				return nil
			}
			return [][]byte{d}
		},
		"all doubled": func(_ int, d []byte) [][]byte { return [][]byte{d, d} },
		"pairs turned around": func(n int, d []byte) [][]byte {
			if n%2 == 0 && n < 20 {
				kept = d
				return nil
			}
			return [][]byte{d, kept}
		},
		"record by record, backwards": func(_ int, d []byte) [][]byte { return backwards(d) },
	} {
		for _, options := range [][]pion.ClientOption{
			pskOptions(creds, pion.TLS_PSK_WITH_AES_128_CCM_8),
			{
				pion.WithCertificates(*creds.client), pion.WithConnectionIDGenerator(pion.OnlySendCIDGenerator()),
				pion.WithMTU(200),
			},
		} {
			t.Run(fmt.Sprint(name, len(options)), func(t *testing.T) {
				s := newSite(t, creds)
				w := s.newWire()
				n := [2]int{}
				w.pass = func(toClient bool, d []byte) [][]byte {
					i := 0
					if toClient {
						i = 1
					}
					n[i]++
					out := pass(n[i]-1, d)
					return slices.DeleteFunc(slices.Clone(out), func(d []byte) bool { return len(d) == 0 })
				}
				repeating := make(chan struct{})
				go repeat(s, w, repeating)
				conn, err := pionClient(t, w, options...)
				if err != nil {
					t.Fatalf("client = %v", err)
				}
				_ = conn
				close(repeating)
			})
		}
	}
}

// repeat does what the transport does once a handshake is over: it answers a
// repeated Finished with the last flight, and reports nothing else.
func repeat(s *site, w *wire, done chan struct{}) {
	var e *dtls.Established
	for {
		select {
		case <-done:
			return
		case o := <-s.outcomes:
			e = o.Established
		case raw := <-w.records:
			for rest := raw; e != nil && len(rest) > 0; {
				r, next, err := dtls.ParseRecord(rest)
				if err != nil {
					break
				}
				if e.Session.RepeatedFinished(r) {
					w.down(e.LastFlight)
					break
				}
				rest = next
			}
		}
	}
}

// backwards takes a datagram apart, and puts the records in the opposite order.
func backwards(d []byte) (out [][]byte) {
	for len(d) > 0 {
		_, rest, err := dtls.ParseRecord(d)
		if err != nil {
			return append(out, d)
		}
		out = append(out, d[:len(d)-len(rest)])
		d = rest
	}
	slices.Reverse(out)
	return out
}

// TestEarlyRecords: what the client says right behind its Finished reaches whoever
// has the session.
func TestEarlyRecords(t *testing.T) {
	creds := newCredentials(t)
	s, client := newStage(t, creds, nil), creds.certClient()
	var hello []byte
	err := client.Run(func(d ...[]byte) [][]byte {
		if len(d) > 1 {
			hello, _ = client.Session.Seal(nil, dtls.ApplicationData, []byte("hello"))
			d = append(d[:len(d)-2:len(d)-2], hello, d[len(d)-1], d[len(d)-2]) // before, and the keys last
		}
		return s.post(somewhere, d...)
	})
	if err != nil || len(s.late) != 1 || !bytes.Equal(s.late[0], hello) {
		t.Errorf("Run = %v, late %x, want %x", err, s.late, hello)
	}
}
