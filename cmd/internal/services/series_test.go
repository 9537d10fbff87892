package services_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/web"
)

func TestSamples(t *testing.T) {
	w := newWorld(t)
	d := fleet.Device{ID: "d1", Endpoint: "ep-1", Ownership: fleet.Owned, CreatedAt: w.clock.Now()}
	if err := w.db.Devices().Put(t.Context(), d, "test", ""); err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	p, text := lwm2m.NewPath(3303, 0, 5700), lwm2m.NewPath(3, 0, 0)
	var reports []server.Report
	for i := range 6 {
		reports = append(reports, server.Report{
			Device: "d1", From: server.FromSend, At: start.Add(time.Duration(i) * 30 * time.Second),
			Entry: lwm2m.Entry{Path: p, Value: lwm2m.Float(float64(i))},
		})
	}
	for i, s := range []string{`=HYPERLINK("http://x")`, " +1", "\t@x", "-1\n2", `plain "text"`} {
		reports = append(reports, server.Report{
			Device: "d1", From: server.FromRead, At: start.Add(time.Duration(i) * time.Second),
			Entry: lwm2m.Entry{Path: text, Value: lwm2m.String(s)},
		})
	}
	if err := w.db.Server().Record(t.Context(), reports); err != nil {
		t.Fatal(err)
	}
	got, err := w.Series.Samples(t.Context(), "ep:ep-1", web.SeriesQuery{Path: p, Limit: 4})
	if err != nil || len(got.Items) != 4 || !got.More || got.Units != "" || got.Name != "Sensor Value" {
		t.Errorf("Samples = %+v, %v", got, err)
	}
	got, err = w.Series.Samples(t.Context(), "d1", web.SeriesQuery{Path: p, Limit: 10, Step: time.Minute})
	if err != nil || len(got.Items) != 3 || got.More {
		t.Fatalf("Samples with a step = %+v, %v", got, err)
	}
	second := fmt.Sprint(*got.Items[1].Step, got.Items[1].Value, got.Items[1].At)
	if second != "{2 2 3 2.5} 3 2026-03-01 00:01:00 +0000 UTC" {
		t.Errorf("second step = %s", second)
	}
	got, err = w.Series.Samples(t.Context(), "d1", web.SeriesQuery{Path: text, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := got.WriteCSV(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"'=HYPERLINK(""http://x"")"`, ",' +1,", ",'\t@x,", "\"'-1\r\n2\"", `"plain ""text"""`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("CSV lacks %q:\n%s", want, b.String())
		}
	}
	_, err = w.Series.Samples(t.Context(), "nobody", web.SeriesQuery{Path: p, Limit: 1})
	if !errors.Is(err, web.ErrNotFound) {
		t.Errorf("Samples of nobody = %v", err)
	}
	_, err = w.Series.PutSeriesRule(t.Context(), alice, web.SeriesRule{Object: 3, Days: -1})
	if !errors.Is(err, web.ErrInvalid) {
		t.Errorf("PutSeriesRule with -1 days = %v", err)
	}
	if err := w.Series.RemoveSeriesRule(t.Context(), alice, 3, 0); !errors.Is(err, web.ErrNotFound) {
		t.Errorf("RemoveSeriesRule without one = %v", err)
	}
}
