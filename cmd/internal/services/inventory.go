package services

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/web"
)

// inventoryAge is how old counts may be: they read an index of all certificates.
const inventoryAge = 5 * time.Second

// counted keeps the last Inventory.
type counted struct {
	mu   sync.Mutex
	last web.Inventory
}

// Days ahead of the end of a certificate at which people are told.
const (
	daysBad     = 7
	daysWarning = 30
	daysAhead   = 90
)

const day = 24 * time.Hour

// Inventory implements web.Certificates.
func (s *certificates) Inventory(ctx context.Context) (web.Inventory, error) {
	now := s.Now()
	s.counted.mu.Lock()
	defer s.counted.mu.Unlock()
	if age := now.Sub(s.counted.last.At); age >= 0 && age < inventoryAge {
		return s.counted.last, nil
	}
	out, err := s.count(ctx, now)
	if err != nil {
		return web.Inventory{}, translate(err)
	}
	s.counted.last = out
	return out, nil
}

func (s *certificates) count(ctx context.Context, now time.Time) (web.Inventory, error) {
	out := web.Inventory{At: now}
	kinds, err := s.view.CertificateKinds(ctx, now)
	if err != nil {
		return out, err
	}
	for _, k := range kinds {
		out.Kinds = append(out.Kinds, web.InventoryKind{
			Kind: string(k.Kind), Profile: k.Profile, All: k.All, Live: k.Live, Revoked: k.Revoked,
			Daily: k.Daily, Monthly: k.Monthly,
		})
	}
	days, err := s.view.CertificateEnds(ctx, now, daysAhead)
	if err != nil {
		return out, err
	}
	out.Days = days
	for i, n := range days {
		if i < daysBad {
			out.Ending7 += n
		}
		if i < daysWarning {
			out.Ending30 += n
		}
		out.Ending90 += n
	}
	out.Alerts, err = s.alerts(ctx, now)
	return out, err
}

// maxAlerts bounds the certificates of a provider's own that are looked at.
const maxAlerts = 200

// alerts tells of the provider's own certificates that end soon and have no
// successor yet, the worst first.
func (b *base) alerts(ctx context.Context, now time.Time) ([]web.CertificateAlert, error) {
	lines, err := b.view.OwnCertificates(ctx, now, now.Add(daysAhead*day), maxAlerts)
	if err != nil {
		return nil, err
	}
	var out []web.CertificateAlert
	for _, l := range lines {
		later, err := b.succeeded(ctx, l, now)
		if err != nil {
			return nil, err
		}
		if later {
			continue
		}
		left := int(l.NotAfter.Sub(now) / day)
		if l.Kind == est.KindOCSPSigner && left >= daysBad { // renewed in time, while running
			continue
		}
		out = append(out, web.CertificateAlert{
			Level: urgency(l.Kind, left), Certificate: hex.EncodeToString(l.Hash[:]), Subject: l.Name,
			Kind: string(l.Kind), NotAfter: l.NotAfter, Days: left, Text: warning(l),
		})
	}
	slices.SortStableFunc(out, func(a, b web.CertificateAlert) int {
		return cmp.Or(badness(b.Level)-badness(a.Level), cmp.Compare(a.Days, b.Days))
	})
	return out, nil
}

// succeeded reports whether a certificate for the same purpose ends later.
func (b *base) succeeded(ctx context.Context, l sqlite.CertificateLine, now time.Time) (bool, error) {
	all, err := b.DB.Inventory().Certificates(ctx, est.Query{Kind: l.Kind, Status: est.StatusValid, Name: l.Name})
	return slices.ContainsFunc(all, func(r est.Record) bool {
		return r.Live(now) == nil && r.NotAfter.After(l.NotAfter)
	}), err
}

// urgency of a certificate that ends in so many days. A new CA has to reach all
// devices first.
func urgency(k est.Kind, left int) web.Level {
	authority := k == est.KindRoot || k == est.KindIssuing
	switch {
	case left < daysBad || authority && left < daysAhead:
		return web.LevelBad
	case left < daysWarning:
		return web.LevelWarning
	}
	return web.LevelNeutral
}

// warning says what ends, and what to do.
func warning(l sqlite.CertificateLine) string {
	what, remedy := "The "+string(l.Kind)+" certificate", "A restart of the provider renews it."
	switch l.Kind { //nolint:exhaustive // the others are renewed at a start
	case est.KindRoot, est.KindIssuing:
		what, remedy = "The CA certificate", "Devices need a new one before: roll over."
	case est.KindFactoryCA:
		what, remedy = "The factory CA", "Devices of that factory cannot enrol afterwards."
	}
	return fmt.Sprintf("%s %s ends on %s. %s", what, l.Name, l.NotAfter.UTC().Format(time.DateOnly), remedy)
}
