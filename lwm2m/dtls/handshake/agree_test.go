package handshake_test

import (
	"bytes"
	"fmt"
	"testing"

	"steward/lwm2m/dtls"
)

// talk sends a message both ways.
func talk(tb testing.TB, a, b *dtls.Session) {
	tb.Helper()
	for range 2 {
		raw, err := a.Seal(nil, dtls.ApplicationData, []byte("hello"))
		if err != nil {
			tb.Fatal(err)
		}
		r, _, err := dtls.ParseRecord(raw)
		if err != nil {
			tb.Fatal(err)
		}
		if o, err := b.Open(nil, r); err != nil || string(o.Plaintext) != "hello" || o.Type != dtls.ApplicationData {
			tb.Fatalf("Open = %+v, %v", o, err)
		}
		a, b = b, a
	}
}

// TestAgreements: every suite and group, with and without an identifier, and
// messages in small pieces.
func TestAgreements(t *testing.T) {
	creds := newCredentials(t)
	for _, suite := range []uint16{
		certCCM8, certCCM, certGCM, pskCCM8, pskCCM, pskGCM, ecPSKCCM8, ecPSKCCM, ecPSKGCM,
	} {
		for _, group := range []uint16{0, x25519} {
			for _, cid := range [][]byte{nil, {}, newCID()} {
				for _, fragment := range []int{0, 64} {
					c := creds.pskClient()
					if suite == certCCM8 || suite == certCCM || suite == certGCM {
						c = creds.certClient()
						if group == x25519 { // the certificate's curve counts, too
							c.ServerName = "ed.example"
						}
					}
					c.Suite, c.Group, c.CID, c.Fragment = suite, group, cid, fragment
					t.Run(fmt.Sprintf("%04x group %d cid %d fragment %d", suite, group, len(cid), fragment), func(t *testing.T) {
						s := newStage(t, creds, nil)
						out := s.must(t, c)
						_, has := out.Session.CID()
						if has != (cid != nil) {
							t.Errorf("identifier: %t", has)
						}
						talk(t, &out.Session, &c.Session)
						if !bytes.Equal(out.Chain0(), firstOf(c.Chain)) || !bytes.Equal(out.PSKIdentity, c.PSKIdentity) {
							t.Errorf("evidence = %x, %q", out.Chain, out.PSKIdentity)
						}
					})
				}
			}
		}
	}
}

func firstOf(chain [][]byte) []byte {
	if len(chain) == 0 {
		return nil
	}
	return chain[0]
}

func (o outcome) Chain0() []byte { return firstOf(o.Chain) }
