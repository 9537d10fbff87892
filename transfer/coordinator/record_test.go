package coordinator_test

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"steward/transfer"
	"steward/transfer/coordinator"
)

// record asks a provider for its record and checks it.
func (p *provider) record(tb testing.TB, id string, known ...*x509.Certificate) (*transfer.RecordReport, []byte) {
	tb.Helper()
	raw, err := p.coordinator().Record(tb.Context(), id)
	check(tb, err)
	report, err := transfer.CheckRecord(raw, known)
	check(tb, err)
	return report, raw
}

// unproved returns what a report does not prove.
func unproved(r *transfer.RecordReport) (out []string) {
	for _, s := range r.Statements {
		if !s.Proved {
			out = append(out, s.Device+": "+s.What+": "+s.Why)
		}
	}
	return out
}

func certificate(tb testing.TB, der []byte) *x509.Certificate {
	tb.Helper()
	c, err := x509.ParseCertificate(der)
	check(tb, err)
	return c
}

// TestRecord: both providers' records of a hand-over prove it, offline; a record with
// anything changed proves nothing.
func TestRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.start(t)
		id := w.handOver(t)
		early, _ := w.alpha.record(t, id)
		time.Sleep(5 * time.Minute)
		w.moved(t, id)
		if early.Devices["REVOKED_OLD"] != 0 {
			t.Errorf("at the beginning: %v", early.Devices)
		}
		alpha, beta := certificate(t, w.alpha.signer.Certificate), certificate(t, w.beta.signer.Certificate)
		for _, p := range []*provider{w.alpha, w.beta} {
			report, raw := p.record(t, id, alpha, beta)
			if !report.Proved || report.Devices["REVOKED_OLD"] != 2 || report.From != "Alpha" || report.To != "Beta" ||
				report.State != "COMPLETE" || report.Disruption < 0 {
				t.Errorf("%s: %+v", p.name, report)
			}
			if stranger, _ := p.record(t, id, alpha); stranger.Proved {
				t.Errorf("%s: proved although Beta is unknown", p.name)
			}
			for at := 0; at < len(raw); at += 97 {
				bent := append([]byte{}, raw...)
				bent[at] ^= 1
				if report, err := transfer.CheckRecord(bent, nil); err == nil && report.Proved {
					t.Fatalf("%s: proved with byte %d changed", p.name, at)
				}
			}
		}
		w.forge(t, id)
	})
}

// forge lets Alpha sign records that say more than it can prove.
func (w *world) forge(t *testing.T, id string) {
	t.Helper()
	_, raw := w.alpha.record(t, id)
	for name, change := range map[string]struct {
		do   func(d, other *transfer.RecordDevice, r *transfer.Record)
		want string
	}{
		"a receipt left out": {func(d, _ *transfer.RecordDevice, _ *transfer.Record) {
			d.Receipts = d.Receipts[:2]
		}, "FINALISED receipt is missing"},
		"receipts of another device": {func(d, other *transfer.RecordDevice, _ *transfer.Record) {
			d.Receipts = other.Receipts
		}, "another device"},
		"order of another device": {func(d, other *transfer.RecordDevice, _ *transfer.Record) {
			d.Message = other.Message
		}, "device"},
		"another offer":    {func(_, _ *transfer.RecordDevice, r *transfer.Record) { r.Offer = r.Mandate }, "offer"},
		"no party":         {func(_, _ *transfer.RecordDevice, r *transfer.Record) { r.Parties = r.Parties[:1] }, "no known"},
		"another transfer": {func(_, _ *transfer.RecordDevice, r *transfer.Record) { r.ID[0] ^= 1 }, "transfer"},
		"no revocation": {func(d, _ *transfer.RecordDevice, _ *transfer.Record) {
			d.Certificates[0].RevokedAt = 0
		}, "is not revoked"},
		"another end": {func(d, _ *transfer.RecordDevice, _ *transfer.Record) {
			d.State = "FELL_BACK"
		}, "FELL_BACK receipt is missing"},
		"no end":   {func(d, _ *transfer.RecordDevice, _ *transfer.Record) { d.State = "COMMITTED" }, "was made while"},
		"no order": {func(d, _ *transfer.RecordDevice, _ *transfer.Record) { d.Message = nil }, "there is no order"},
		"a live certificate left out": {func(d, _ *transfer.RecordDevice, _ *transfer.Record) {
			d.Certificates = nil
		}, "is left out"},
		"a device left out": {func(_, _ *transfer.RecordDevice, r *transfer.Record) {
			r.Devices = r.Devices[:1]
		}, "stands there 0 times"},
		"a device twice": {func(d, _ *transfer.RecordDevice, r *transfer.Record) {
			r.Devices = append(r.Devices, *d)
		}, "stands there 2 times"},
		"no approval": {func(_, _ *transfer.RecordDevice, r *transfer.Record) { r.Approvals = nil }, "has approved it"},
		"the other side": {func(_, _ *transfer.RecordDevice, r *transfer.Record) {
			r.Incoming = true
		}, "provider of the record"},
		"an end of its own": {func(d, _ *transfer.RecordDevice, _ *transfer.Record) {
			d.State = "GONE"
		}, `state "GONE"`},
		"it has gone, and stays": {func(d, _ *transfer.RecordDevice, _ *transfer.Record) {
			d.State = "ABORTED"
		}, "there is a"},
		"signs for the others": {func(_, _ *transfer.RecordDevice, r *transfer.Record) {
			for i := range r.Parties {
				r.Parties[i].Certificate = w.alpha.signer.Certificate
			}
		}, "has a key of its own"},
		"another device's end": {func(d, other *transfer.RecordDevice, _ *transfer.Record) {
			d.Factory = other.Factory
		}, "device"},
	} {
		record, err := transfer.ParseRecord(raw)
		check(t, err)
		change.do(&record.Devices[0], &record.Devices[1], record)
		forged, err := record.Sign(w.alpha.signer)
		check(t, err)
		report, err := transfer.CheckRecord(forged, nil)
		if err != nil || report.Proved || !strings.Contains(strings.Join(unproved(report), "\n"), change.want) {
			t.Errorf("%s: %v, not proved %q, want %q", name, err, unproved(report), change.want)
		}
	}
}

// TestRecordNeedsTheVerdict: where attestation was agreed, a device belongs to nobody
// else without an affirming verdict by that provider's verifier.
func TestRecordNeedsTheVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		w.attest = true
		w.start(t)
		id := w.handOver(t)
		time.Sleep(10 * time.Minute)
		w.moved(t, id)
		for _, p := range []*provider{w.alpha, w.beta} {
			report, raw := p.record(t, id)
			if !report.Proved {
				t.Errorf("%s: not proved: %q", p.name, unproved(report))
			}
			for name, forge := range map[string]func(d, other *transfer.RecordDevice, r *transfer.Record){
				"no verdict":               func(d, _ *transfer.RecordDevice, _ *transfer.Record) { d.Verdict = nil },
				"another device's verdict": func(d, o *transfer.RecordDevice, _ *transfer.Record) { d.Verdict = o.Verdict },
				"no verifier of Beta's": func(_, _ *transfer.RecordDevice, r *transfer.Record) {
					for i := range r.Parties {
						if r.Parties[i].Verifier {
							r.Parties[i].Name = "Alpha"
						}
					}
				},
			} {
				record, err := transfer.ParseRecord(raw)
				check(t, err)
				forge(&record.Devices[0], &record.Devices[1], record)
				forged, err := record.Sign(p.signer)
				check(t, err)
				if report, err := transfer.CheckRecord(forged, nil); err != nil || report.Proved {
					t.Errorf("%s, %s: proved, %v", p.name, name, err)
				}
			}
		}
	})
}

// TestRecordOfAFallback proves that devices came back; and there is none of a draft.
func TestRecordOfAFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2)
		fallbacks[0].prepare(w)
		w.start(t)
		draft, err := w.alpha.coordinator().Draft(t.Context(), coordinator.Draft{
			Partner: w.alpha.partner(t, w.beta).ID, Devices: nil, Actor: "operator:alice",
		})
		if !errors.Is(err, coordinator.ErrInvalid) {
			t.Fatalf("draft without devices: %v, %v", draft, err)
		}
		id := w.handOver(t)
		if fallbacks[0].during != nil {
			fallbacks[0].during(t, w, id)
		}
		time.Sleep(30 * time.Minute)
		w.fellBack(t, id)
		for _, p := range []*provider{w.alpha, w.beta} {
			report, _ := p.record(t, id)
			if !report.Proved || report.Devices["FELL_BACK"] != 2 {
				t.Errorf("%s: %+v, not proved: %q", p.name, report.Devices, unproved(report))
			}
		}
	})
}
