package services_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/services"
	"steward/lwm2m/audit"
	"steward/web"
)

func TestInventory(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	ctx := t.Context()
	const n = 5
	var last web.Device
	for i := range n {
		last, _ = w.enrolled(t, fmt.Sprintf("urn:dev:%d", i))
	}
	first, err := w.Certificates.ListCertificates(ctx, web.CertificateFilter{Device: last.ID}, web.Page{})
	if err != nil || len(first.Items) != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	mine := first.Items[0]
	detail, err := w.Certificates.Certificate(ctx, mine.ID)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := w.Certificates.Authorities(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Certificates.Revoke(ctx, alice, mine.ID, web.Revocation{Reason: web.ReasonCompromise}); err != nil {
		t.Fatal(err)
	}
	const ahead = 10 * 365
	for _, c := range []struct {
		name string
		f    web.CertificateFilter
		want int
	}{
		{"kind", web.CertificateFilter{Kind: "operational"}, n},
		{"profile", web.CertificateFilter{Profile: mine.Profile}, n},
		{"issuer", web.CertificateFilter{Issuer: chain[0].ID}, n},
		{"key", web.CertificateFilter{Key: detail.SPKI}, 1},
		{"key, live", web.CertificateFilter{Key: detail.SPKI, State: web.CertificateLive}, 0},
		{"within", web.CertificateFilter{Within: ahead, Kind: "operational"}, n - 1},
		{"within a day", web.CertificateFilter{Within: 1}, 0},
		{"within, revoked", web.CertificateFilter{Within: ahead, State: web.CertificateRevoked}, 0},
	} {
		list, err := w.Certificates.ListCertificates(ctx, c.f, web.Page{Size: 200})
		if err != nil || len(list.Items) != c.want {
			t.Errorf("%s: %d certificates, %v, want %d", c.name, len(list.Items), err, c.want)
		}
	}
	for _, f := range []web.CertificateFilter{{Issuer: "x"}, {Key: "12"}} {
		_, err := w.Certificates.ListCertificates(ctx, f, web.Page{})
		wantError(t, "filter", err, web.ErrInvalid)
	}
	i, err := w.Certificates.Inventory(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range i.Kinds {
		if k.Kind == "operational" && (k.All != n || k.Live != n-1 || k.Revoked != 1 || k.Expired() != 0 || k.Daily != n) {
			t.Errorf("operational: %+v", k)
		}
	}
	if len(i.Days) != 90 || i.Ending90 != 0 || len(i.Alerts) != 0 {
		t.Errorf("nothing ends yet: %+v", i)
	}
}

// TestInventoryPages follows the pages of what ends soon.
func TestInventoryPages(t *testing.T) {
	w := newWorld(t)
	w.trust(t)
	const n = 7
	for i := range n {
		w.enrolled(t, fmt.Sprintf("urn:dev:%d", i))
		w.clock.Advance(24 * time.Hour)
	}
	f := web.CertificateFilter{Within: 10 * 365, Kind: "operational"}
	p := web.Page{Size: 3}
	var ends []time.Time
	for {
		list, err := w.Certificates.ListCertificates(t.Context(), f, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Items {
			ends = append(ends, c.NotAfter)
		}
		if p.After = list.Next; p.After == "" {
			break
		}
	}
	if len(ends) != n {
		t.Fatalf("paging saw %d certificates, want %d", len(ends), n)
	}
	for i := range n - 1 {
		if !ends[i].Before(ends[i+1]) {
			t.Errorf("the end %v comes before %v", ends[i], ends[i+1])
		}
	}
}

// TestWarnOfEnds lets the provider's own certificates come to their end.
func TestWarnOfEnds(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	warned := func(want int) {
		t.Helper()
		if n, err := services.WarnOfEnds(ctx, services.Options{DB: w.db, Now: w.clock.Now}); err != nil || n != want {
			t.Errorf("WarnOfEnds = %d, %v, want %d", n, err, want)
		}
	}
	warned(0)
	chain, err := w.Certificates.Authorities(ctx)
	if err != nil {
		t.Fatal(err)
	}
	until := chain[0].NotAfter.Sub(w.clock.Now())
	const day = 24 * time.Hour
	for _, left := range []time.Duration{89 * day, 29 * day, 6 * day} {
		w.clock.Advance(until - left)
		until = left
		warned(1)
		warned(0) // once
	}
	rows, err := w.db.AuditBefore(ctx, chain[0].ID, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	if got := endings(rows); got != 3 {
		t.Errorf("%d rows tell of the end, want 3", got)
	}
	i, err := w.Certificates.Inventory(ctx)
	if err != nil || len(i.Alerts) != 1 || i.Alerts[0].Level != web.LevelBad || i.Alerts[0].Days != 6 ||
		!strings.Contains(i.Alerts[0].Text, "roll over") {
		t.Errorf("alerts: %+v, %v", i.Alerts, err)
	}
	o, err := w.Overview.Overview(ctx, w.clock.Now())
	if err != nil || len(o.Notices) == 0 || o.Notices[0].Link != "/certificates/"+chain[0].ID {
		t.Errorf("notices: %+v, %v", o.Notices, err)
	}
	for _, n := range o.Notices { // our own are told of once
		if n.Link == "/certificates?within=30" {
			t.Errorf("notice %q, though no certificate of others ends", n.Text)
		}
	}
}

func endings(rows []audit.Record) (n int) {
	for _, r := range rows {
		if r.Action == "certificate.ending" {
			n++
		}
	}
	return n
}
