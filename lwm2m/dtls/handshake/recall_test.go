package handshake_test

import (
	"crypto/sha256"
	"testing"

	"steward/lwm2m/coap"
)

// recalling are credentials that remember one certificate.
type recalling struct {
	rawCredentials

	leaf  [sha256.Size]byte
	knows coap.Identity
}

func (c *recalling) Recall(leaf [sha256.Size]byte) (coap.Identity, bool) {
	return c.knows, leaf == c.leaf
}

// TestRecall: who is remembered is not judged anew, and nobody else is taken for him.
func TestRecall(t *testing.T) {
	creds := newCredentials(t)
	c := &recalling{rawCredentials: rawCredentials{creds}}
	c.leaf = sha256.Sum256(creds.client.Certificate[0])
	c.knows = coap.Identity{Role: coap.RoleOperational, Name: "remembered", Certificate: c.leaf}
	s := newStage(t, c, nil)
	first := creds.certClient()
	first.WantTicket = true
	if out := s.must(t, first); out.Identity != c.knows || creds.judged != 0 {
		t.Errorf("%+v, judged %d times", out.Identity, creds.judged)
	}
	creds.revoked = errStranger // Resume is not asked either
	again := creds.certClient()
	again.Ticket, again.Master = first.NewTicket, first.NewMaster
	if out := s.must(t, again); !out.Resumed || out.Identity != c.knows {
		t.Errorf("resumed %t as %+v", out.Resumed, out.Identity)
	}
	c.knows.Name = "somebody else" // the ticket's identity is no more
	again = creds.certClient()
	again.Ticket, again.Master = first.NewTicket, first.NewMaster
	if out := s.must(t, again); out.Resumed || out.Identity != c.knows {
		t.Errorf("resumed %t as %+v", out.Resumed, out.Identity)
	}
	c.leaf[0] ^= 1
	if out := s.must(t, creds.certClient()); out.Identity.Name != "device" || creds.judged != 1 {
		t.Errorf("%+v, judged %d times", out.Identity, creds.judged)
	}
	again = creds.certClient() // Resume is asked, and says no
	again.Ticket, again.Master = first.NewTicket, first.NewMaster
	if out := s.must(t, again); out.Resumed {
		t.Error("resumed although revoked")
	}
	c.leaf = sha256.Sum256(creds.spki()) // a raw public key is no certificate
	if out := s.must(t, creds.rawClient()); out.Identity.Role != coap.RoleRawKey {
		t.Errorf("%+v", out.Identity)
	}
}
