package remote_test

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"steward/cmd/internal/remote"
	"steward/transfer/coordinator"
)

// asks returns what a partner with that certificate is told of a transfer that is not.
func (b *bulk) asks(t *testing.T, own tls.Certificate) error {
	t.Helper()
	_, err := peers(t, own).Status(t.Context(), b.beta, "00")
	return err
}

// TestRotatedTLSKey: both keys of a partner that announces the next are let in until the
// next is seen; the former is a stranger's from then on.
func TestRotatedTLSKey(t *testing.T) {
	b := newBulk(t)
	old, next, stranger := certificate(t), certificate(t), certificate(t)
	b.said.Name, b.said.PeerURI, b.said.TLS = "Gamma", "https://gamma.example", pemOf(old.Leaf.Raw)
	b.tells(t)
	admitted := func(name string, own tls.Certificate, want bool) {
		t.Helper()
		if err := b.asks(t, own); errors.Is(err, coordinator.ErrDeclined) != want {
			t.Errorf("%s: %v, admitted should be %t", name, err, want)
		}
	}
	admitted("next before it is announced", next, false)
	b.said.NextTLS = pemOf(next.Leaf.Raw)
	if p := b.tells(t); p.State != coordinator.Rotating || p.NextTLSKey() != coordinator.SPKI(next.Leaf) {
		t.Errorf("announced: %s", p.State)
	}
	admitted("old", old, true)
	admitted("stranger", stranger, false)
	p := b.tells(t)
	suspended, err := b.c.SetPartnerState(t.Context(), p.ID, coordinator.Suspended, "operator:carol", "why")
	check(t, err)
	admitted("old while suspended", old, false)
	admitted("next while suspended", next, false)
	if p, err = b.c.SetPartnerState(t.Context(), suspended.ID, coordinator.Active, "operator:carol", "why"); err != nil ||
		p.State != coordinator.Rotating {
		t.Errorf("admitted again: %s, %v", p.State, err)
	}
	admitted("old again", old, true)
	admitted("next", next, true)
	admitted("old after the switch", old, false)
	admitted("next again", next, true)
	admitted("stranger again", stranger, false)

	file, err := coordinator.SignIdentity(b.said, b.signer.Key)
	check(t, err)
	if _, err := b.c.AddPartner(t.Context(), file, "", "operator:carol"); !errors.Is(err, coordinator.ErrPinned) {
		t.Errorf("the file of before, again: %v", err)
	}
	b.said.TLS, b.said.NextTLS = pemOf(next.Leaf.Raw), ""
	p = b.tells(t)
	if p.State != coordinator.Active || p.TLSKey() != coordinator.SPKI(next.Leaf) {
		t.Errorf("afterwards: %s", p.State)
	}
	rows, err := b.db.AuditBefore(t.Context(), p.ID, 0, 10)
	check(t, err)
	var did []string
	for _, r := range rows {
		did = append(did, r.Action+" "+r.Before+" "+r.After)
	}
	const want = "partner.switch rotating active, partner.state suspended rotating, partner.state rotating suspended, " +
		"partner.rotate active rotating, partner.add  active"
	if got := strings.Join(did, ", "); got != want {
		t.Errorf("audited: %s, want %s", got, want)
	}
}

// TestRotatedSigningKey: the same for what a partner signs.
func TestRotatedSigningKey(t *testing.T) {
	b := newBulk(t)
	old, next := b.signer, signer(t)
	submits := func(name, id string, ok bool) {
		t.Helper()
		_, err := b.alpha.Post(t.Context(), b.beta, b.submission(t, []byte(id), 3, false))
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.signer = next
	submits("next before it is announced", "0", false)
	b.signer = old
	b.said.NextSigning = pemOf(next.Certificate)
	b.tells(t)
	submits("old", "1", true)
	b.signer = signer(t)
	submits("stranger", "2", false)
	b.signer = next
	submits("next", "3", true)
	b.signer = old
	submits("old after the switch", "4", false)
	b.signer, b.said.Signing, b.said.NextSigning = next, pemOf(next.Certificate), ""
	if p := b.tells(t); p.State != coordinator.Active || len(p.Former) != 1 {
		t.Errorf("afterwards: %s, %d former keys", p.State, len(p.Former))
	}
}

// TestPartnerShowsItsNextKey: the same for a partner that is called.
func TestPartnerShowsItsNextKey(t *testing.T) {
	own, old, next := certificate(t), certificate(t), certificate(t)
	p := &partner{pinned: coordinator.SPKI(own.Leaf)}
	var seen [][32]byte
	c, err := remote.NewPeers(remote.PeersOptions{
		Certificate: own, Name: "Alpha", Seen: func(_ context.Context, id string, key [32]byte) error {
			if id != "b" {
				t.Errorf("seen of %q", id)
			}
			seen = append(seen, key)
			return nil
		},
	})
	check(t, err)
	for _, tt := range []struct {
		name  string
		shows tls.Certificate
		next  bool // announced
		ok    bool
		told  int
	}{
		{"old", old, false, true, 0},
		{"old, next announced", old, true, true, 0},
		{"next, not announced", next, false, false, 0},
		{"next", next, true, true, 1},
		{"stranger", certificate(t), true, false, 1},
	} {
		to := serve(t, p, tt.shows)
		to.ID, to.TLS = "b", old.Leaf.Raw
		if tt.next {
			to.NextTLS = next.Leaf.Raw
		}
		_, err := c.Status(t.Context(), to, "00")
		if (err == nil) != tt.ok || len(seen) != tt.told || err != nil && !errors.Is(err, remote.ErrPin) {
			t.Errorf("%s: %v, seen %d", tt.name, err, len(seen))
		}
	}
	if len(seen) == 1 && seen[0] != coordinator.SPKI(next.Leaf) {
		t.Error("another key was seen")
	}
}
