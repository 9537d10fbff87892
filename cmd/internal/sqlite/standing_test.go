package sqlite

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"steward/est"
	"steward/est/esttest"
)

// TestStanding: what is remembered of a certificate is what the file says, and
// nothing of it is left when a change of it is done.
func TestStanding(t *testing.T) {
	db := open(t)
	s := db.Inventory()
	clock := esttest.NewClock()
	now := clock.Now().UTC().Truncate(time.Microsecond)
	good := est.Record{
		Hash: est.Hash{1}, Kind: est.KindOperational, Name: "urn:dev:1", Serial: "1", SPKI: est.Hash{9},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IssuedAt: now, Version: 1, Status: est.StatusValid,
		DER: []byte{0x30},
	}
	for name, c := range map[string]struct {
		change func(*est.Record)
		ok     bool
	}{
		"good":                  {func(*est.Record) {}, true},
		"of a server":           {func(r *est.Record) { r.Kind = est.KindServer }, false},
		"to be used first":      {func(r *est.Record) { r.Supersedes = est.Hash{7} }, false},
		"used":                  {func(r *est.Record) { r.Supersedes, r.UsedAt = est.Hash{7}, now }, true},
		"replaced":              {func(r *est.Record) { r.ReplacedBy, r.ReplacedAt = est.Hash{8}, now }, false},
		"revoked":               {func(r *est.Record) { r.Status, r.Reason = est.StatusRevoked, est.KeyCompromise }, false},
		"expired":               {func(r *est.Record) { r.NotAfter = now.Add(-time.Second) }, false},
		"not valid for a while": {func(r *est.Record) { r.NotBefore = now.Add(time.Second) }, false},
	} {
		r := good
		c.change(&r)
		r.Hash = est.Hash{2, byte(len(name)), name[0]}
		r.Serial = name
		if err := s.Commit(t.Context(), est.Change{Insert: []est.Record{r}}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, ok := s.Standing(r.Hash, now); ok {
			t.Errorf("%s: known before it was read", name)
		}
		if _, err := s.Certificate(t.Context(), r.Hash); err != nil {
			t.Fatal(err)
		}
		if who, ok := s.Standing(r.Hash, now); ok != c.ok || ok && who != "urn:dev:1" {
			t.Errorf("%s: Standing = %q, %t", name, who, ok)
		}
		r.Status, r.Reason, r.RevokedAt = est.StatusRevoked, est.KeyCompromise, now
		if err := s.Commit(t.Context(), est.Change{Update: []est.Record{r}}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, ok := s.Standing(r.Hash, now); ok {
			t.Errorf("%s: known after it was revoked", name)
		}
	}
}

// TestStandingRace: whoever has revoked a certificate is never told again that it is
// good, however many read it meanwhile.
func TestStandingRace(t *testing.T) {
	db := open(t)
	s := db.Inventory()
	now := time.Now().UTC().Truncate(time.Microsecond)
	for round := range 50 {
		r := est.Record{
			Hash: est.Hash{3, byte(round)}, Kind: est.KindOperational, Name: "urn:dev:1", SPKI: est.Hash{9},
			Serial:    fmt.Sprint(round),
			NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), IssuedAt: now, Version: 1, Status: est.StatusValid,
			DER: []byte{0x30},
		}
		if err := s.Commit(t.Context(), est.Change{Insert: []est.Record{r}}); err != nil {
			t.Fatal(err)
		}
		over := make(chan struct{})
		var readers sync.WaitGroup
		for range 4 {
			readers.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
						_, _ = s.Certificate(t.Context(), r.Hash)
					}
				}
			})
		}
		r.Status, r.Reason, r.RevokedAt = est.StatusRevoked, est.KeyCompromise, now
		if err := s.Commit(t.Context(), est.Change{Update: []est.Record{r}}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if _, ok := s.Standing(r.Hash, now); ok {
				t.Fatal("a revoked certificate is good")
			}
		}
		close(over)
		readers.Wait()
		if _, ok := s.Standing(r.Hash, now); ok {
			t.Fatal("a revoked certificate is good")
		}
	}
}

// TestStandingsAreBounded: the memory holds so many and no more.
func TestStandingsAreBounded(t *testing.T) {
	var s standings
	for i := range maxStandings + 10 {
		s.keep(est.Record{
			Hash: est.Hash{byte(i), byte(i >> 8), byte(i >> 16)}, Kind: est.KindOperational, Status: est.StatusValid,
		}, 0)
	}
	if len(s.of) != maxStandings {
		t.Errorf("%d are remembered", len(s.of))
	}
}

// TestOneWayToChange: what is remembered of certificates, keys and devices is forgotten
// after the statements that are known to change it; there must be no other.
func TestOneWayToChange(t *testing.T) {
	for name := range queries() {
		text := strings.Join(strings.Fields(strings.ToLower(query(name))), " ")
		changes := func(table string) bool {
			for _, verb := range []string{"update ", "delete from ", "insert into ", "replace into "} {
				if strings.HasPrefix(text, verb+table+" ") {
					return true
				}
			}
			return false
		}
		// A renamed factory certificate is no part of what is remembered.
		known := slices.Contains([]string{"certificate.update", "certificate.insert", "certificate.rename"}, name)
		if changes("certificate") != known {
			t.Errorf("%s changes certificates: %t", name, changes("certificate"))
		}
		if changed := changes("device") || changes("device_key"); changed != forgetful(name) {
			t.Errorf("%s changes devices or keys: %t", name, changed)
		}
	}
}
