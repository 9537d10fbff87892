package rollout_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/csv"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"steward/lwm2m/fleet"
	"steward/objects"
	"steward/suit/cose"
	"steward/suit/rollout"
)

// ended leads 20 devices through a campaign of which the report is known.
func ended(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, rollout.RunnerOptions{}, good(20, failing(3, 4), dead(9), func(i int, d *device) {
		if i == 5 {
			d.fetched = result(objects.FirmwareIntegrity)
		}
	}))
	w.store.Know(rollout.Candidate{Device: "=1+1", Endpoint: "=cmd|' /C calc'!A0", Ownership: fleet.Owned, Model: "m"})
	w.devices["=1+1"] = &device{fetched: staged, update: success}
	w.start(rollout.Draft{Plan: rollout.Plan{
		Waves: []rollout.WaveSpec{{Canary: true, Count: 2, Gate: rollout.Gate{Soak: 600}}},
	}})
	time.Sleep(30 * time.Minute)
	return w
}

func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ended(t)
		r, err := w.Report(t.Context(), "c")
		if err != nil {
			t.Fatal(err)
		}
		want := rollout.Funnel{
			Devices: 21, Begun: 20, Delivered: 17, Done: 17,
			Counts: rollout.Counts{"done": 17, "failed": 3, "away": 1},
		}
		if !reflect.DeepEqual(r.Funnel, want) || !maps.Equal(r.Funnel.Counts, w.counts()) {
			t.Errorf("Funnel = %+v, want %+v", r.Funnel, want)
		}
		failures := []rollout.Failure{
			{Code: 8, Text: "update failed", Model: "m", Count: 2},
			{Code: 5, Text: "integrity check failed", Model: "m", Count: 1},
		}
		if !reflect.DeepEqual(r.Failures, failures) {
			t.Errorf("Failures = %+v, want %+v", r.Failures, failures)
		}
		if r.Half == nil || *r.Half < 600 || *r.Half > 660 || r.Most != nil {
			t.Errorf("times to 50 and 95 %% = %v, %v; want ten minutes of the soak, and none", r.Half, r.Most)
		}
		sizes := map[string]int{}
		sum := 0
		for _, wave := range r.Waves {
			sizes[wave.Name] = wave.Size
			sum += wave.Counts.Total()
		}
		if !maps.Equal(sizes, map[string]int{"canary": 2, "remainder": 18, "tail": 1}) || sum != 21 || r.Waves[1].Moved != 1 {
			t.Errorf("Waves = %+v", r.Waves)
		}
		if _, err := w.Report(t.Context(), "x"); !errors.Is(err, rollout.ErrUnknown) {
			t.Errorf("Report(x) = %v, want ErrUnknown", err)
		}
	})
}

func TestReportCSV(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ended(t)
		var out bytes.Buffer
		if err := w.WriteCSV(t.Context(), "c", &out); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&out).ReadAll()
		if err != nil || len(rows) != 22 {
			t.Fatalf("%d lines, %v; want 22", len(rows), err)
		}
		if got := rows[1][:2]; got[0] != "'=cmd|' /C calc'!A0" || got[1] != "'=1+1" {
			t.Errorf("a formula came through: %q", got)
		}
		states := rollout.Counts{}
		for _, row := range rows[1:] {
			if row[5] != "" {
				row[4] = row[5]
			}
			states[rollout.Tally(row[4])]++
		}
		if !maps.Equal(states, w.counts()) {
			t.Errorf("states = %v, want %v", states, w.counts())
		}
		if err := w.WriteCSV(t.Context(), "x", &out); !errors.Is(err, rollout.ErrUnknown) {
			t.Errorf("WriteCSV(x) = %v, want ErrUnknown", err)
		}
	})
}

func TestSignReport(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := cose.NewSigner(key, cose.ES256, []byte("report"))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := cose.NewVerifier(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	half := rollout.Seconds(5)
	want := rollout.Report{
		Campaign: "c", State: rollout.CampaignDone, Half: &half, MadeAt: time.Unix(1, 0).UTC(),
		Funnel: rollout.Funnel{Counts: rollout.Counts{"done": 2}}, Failures: []rollout.Failure{{Code: 8, Count: 1}},
	}
	raw, err := rollout.SignReport(signer, want)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := rollout.VerifyReport(raw, verifier); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("VerifyReport = %+v, %v\nwant %+v", got, err, want)
	}
	plain, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	other, err := cose.SignSign1(signer, cose.Options{Payload: plain, Tagged: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"altered":              bytes.Replace(raw, []byte(`"done":2`), []byte(`"done":3`), 1),
		"signed for something": other,
		"cut":                  raw[:len(raw)-1],
		"none":                 nil,
	} {
		if _, err := rollout.VerifyReport(bad, verifier); !errors.Is(err, rollout.ErrReport) {
			t.Errorf("VerifyReport of one %s = %v, want ErrReport", name, err)
		}
	}
}
