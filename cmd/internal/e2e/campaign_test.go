package e2e_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/csv"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"steward/cmd/internal/sim"
	"steward/suit/cose"
	"steward/suit/rollout"
)

// A roll is a campaign for many devices, some of which misbehave.
type roll struct {
	*world

	bad sim.Misbehaviour
	id  string // of the campaign
}

const (
	manyDevices  = 200
	misbehaving  = 10 // 5 %
	rollLimit    = 5 * time.Minute
	firstVersion = "2.0.0"
)

// A campaign is what the tests look at in a campaign.
type campaign struct {
	ID, State, Reason   string
	Total, Done, Failed int
	Counts              rollout.Counts
	Ended               bool
	Waves               []struct {
		Name, State string
		Total       int
		Counts      rollout.Counts
	}
}

// TestCampaign brings a release to 200 devices, of which 5 % never end a download,
// end with wrong results, restart in the middle, or sleep. The campaign pauses at
// its gate, goes on when told to, and ends; the server is killed twice meanwhile.
// The report adds up with what the devices say themselves.
func TestCampaign(t *testing.T) {
	slow(t)
	t.Parallel()
	r := newRoll(t)
	r.devices.run(t)
	r.everybody(t)
	r.begin(t)
	r.until(t, "canary has begun", func(c campaign) bool { return c.Done > 3 })
	r.crash(t)
	c := r.until(t, "gate pauses", func(c campaign) bool { return c.State == "paused" || c.Ended })
	if want := "more than 5 %: paused"; c.State != "paused" || !strings.Contains(c.Reason, want) {
		t.Fatalf("campaign is %s, %q; want paused, %q", c.State, c.Reason, want)
	}
	begun := c.Total - c.Counts.Of(rollout.Planned)
	if pause(t, time.Second); begun > 60 {
		t.Errorf("%d devices had begun when the gate of the first 60 closed", begun)
	}
	r.command(t, "resume")
	r.until(t, "more than half are done", func(c campaign) bool { return c.Done > manyDevices/2 })
	r.crash(t)
	c = r.until(t, "campaign ends", func(c campaign) bool { return c.Ended })
	r.adds(t, c)
}

// newRoll makes a provider and devices of which exactly 5 % will misbehave, in
// every way.
func newRoll(t *testing.T) *roll {
	t.Helper()
	r := &roll{world: newWorld(t, manyDevices)}
	r.beta.kill()
	r.bad = sim.Misbehaviour{
		Faults: []sim.Fault{sim.FaultTimeout, sim.FaultWrongResult, sim.FaultReboot, sim.FaultSleep},
		Share:  float64(misbehaving) / manyDevices,
	}
	for !r.mixed() {
		r.bad.Seed++
	}
	args := r.devices.args
	r.devices.args = append(slices.Clone(args[:len(args)-1]), "--misbehave", "timeout,wrong-result,reboot,sleep",
		"--misbehave-share", fmt.Sprint(r.bad.Share), "--misbehave-seed", fmt.Sprint(r.bad.Seed), "--misbehave-for", "4s",
		"--no-sync", "--keep-alive", "3s", "--battery", "1h", args[len(args)-1])
	return r
}

// mixed reports whether the seed chooses as many devices as wanted, in every way:
// three fail soon and close the gate of 5 % of 50, two more later do not close it
// again.
func (r *roll) mixed() bool {
	n := map[sim.Fault]int{}
	for _, name := range r.names {
		n[r.bad.Of(name)]++
	}
	return n[""] == manyDevices-misbehaving && n[sim.FaultWrongResult] == 3 && n[sim.FaultTimeout] == 2 &&
		n[sim.FaultReboot] >= 2 && n[sim.FaultSleep] >= 2
}

// ordered returns the devices as they are to be updated: ten that behave, then
// those that misbehave and thirty more, then the rest.
func (r *roll) ordered() []string {
	var good, bad, out []string
	for _, name := range r.names {
		if r.bad.Of(name) == "" {
			good = append(good, "ep:"+name)
		} else {
			bad = append(bad, "ep:"+name)
		}
	}
	out = append(out, good[:10]...)
	return append(append(out, bad...), good[10:]...)
}

// everybody waits until all devices are registered.
func (r *roll) everybody(t *testing.T) {
	t.Helper()
	eventually(t, rollLimit, "devices are online", func() error {
		var o struct{ Online int }
		err := r.alpha.do(t.Context(), http.MethodGet, "/api/v1/overview", nil, &o)
		if err == nil && o.Online < manyDevices {
			err = fmt.Errorf("%d of %d are online", o.Online, manyDevices)
		}
		return err
	})
}

// begin adds a release and starts the campaign.
func (r *roll) begin(t *testing.T) {
	t.Helper()
	image := make([]byte, 8<<10)
	_, _ = rand.Read(image) // never fails
	var release struct{ ID string }
	err := r.alpha.do(t.Context(), http.MethodPost, "/api/v1/releases", map[string]any{
		"name": "many", "version": firstVersion, "vendor": "steward.example", "class": "simulated", "image": image,
		"approve": true,
	}, &release)
	if err != nil {
		t.Fatal(err)
	}
	var c campaign
	five := 5.0
	err = r.alpha.do(t.Context(), http.MethodPost, "/api/v1/campaigns", map[string]any{
		"name": "many", "release": release.ID, "delivery": "pull", "devices": r.ordered(),
		"plan": rollout.Plan{
			Waves: []rollout.WaveSpec{
				{Canary: true, Count: 10, Gate: rollout.Gate{Success: 100, MinSample: 5, Soak: 1}},
				{Percent: 25, Gate: rollout.Gate{MaxFailedPercent: &five, Soak: 1}},
			},
			Rates:     rollout.Rates{Concurrent: 30, BytesPerSecond: 4 << 20},
			Retry:     rollout.RetryMatrix{rollout.CodeForgot: {Tries: 5, Backoff: 1}},
			SilentFor: 3, Timeout: 30, TailFor: 60,
		},
	}, &c)
	if err != nil {
		t.Fatal(err)
	}
	r.id = c.ID
}

func (r *roll) path() string { return "/api/v1/campaigns/" + r.id }

func (r *roll) command(t *testing.T, action string) {
	t.Helper()
	r.alpha.post(t, r.path()+"/commands", map[string]string{"action": action, "reason": "seen"})
}

// until waits for the campaign to be as is says.
func (r *roll) until(t *testing.T, what string, is func(campaign) bool) (c campaign) {
	t.Helper()
	eventually(t, rollLimit, what, func() error {
		c = campaign{}
		if err := r.alpha.do(t.Context(), http.MethodGet, r.path(), nil, &c); err != nil {
			return err
		}
		if !is(c) {
			return fmt.Errorf("campaign is %s, %q: %v", c.State, c.Reason, c.Counts)
		}
		return nil
	})
	t.Logf("%s: %s, %v", what, c.State, c.Counts)
	return c
}

// crash kills the server and starts it again.
func (r *roll) crash(t *testing.T) {
	t.Helper()
	r.alpha.kill()
	pause(t, outage)
	r.alpha.restart(t)
}

// adds compares the campaign, its report in three forms, and the devices.
func (r *roll) adds(t *testing.T, c campaign) {
	t.Helper()
	want := r.expected()
	if c.State != "done" || c.Total != manyDevices || !maps.Equal(c.Counts, want) {
		t.Errorf("campaign is %s, %d devices, %v; want done, %v", c.State, c.Total, c.Counts, want)
	}
	var report rollout.Report
	r.alpha.get(t, r.path()+"/report", &report)
	sum := rollout.Counts{}
	for _, w := range report.Waves {
		for tally, n := range w.Counts {
			sum[tally] += n
		}
	}
	failures := 0
	for _, f := range report.Failures {
		failures += f.Count
	}
	if !maps.Equal(report.Funnel.Counts, want) || !maps.Equal(sum, want) || failures != c.Failed ||
		report.Funnel.Done != c.Done || report.Half == nil || report.Most == nil {
		t.Errorf("the report does not add up: %+v\nwant %v", report, want)
	}
	if text := r.file(t, "csv"); text != "" {
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		lines := rollout.Counts{}
		for _, row := range rows[1:] {
			lines[rollout.Tally(row[4])]++
		}
		if err != nil || !maps.Equal(lines, want) {
			t.Errorf("CSV: %v, %v; want %v", lines, err, want)
		}
	}
	r.signed(t, report)
	updated := r.devices.times("updated")
	for _, name := range r.names {
		fault := r.bad.Of(name)
		if n := updated[name]; fault != sim.FaultTimeout && fault != sim.FaultWrongResult && n != 1 {
			t.Errorf("%s (%q) says that it was updated %d times, want once", name, fault, n)
		}
	}
}

// expected are the tallies at the end: devices that lie or hang fail, others that
// misbehave make it.
func (r *roll) expected() rollout.Counts {
	want := rollout.Counts{}
	for _, name := range r.names {
		switch r.bad.Of(name) {
		case sim.FaultTimeout, sim.FaultWrongResult:
			want[rollout.Tally(rollout.Failed)]++
		default:
			want[rollout.Tally(rollout.Done)]++
		}
	}
	return want
}

// file returns the report in a format.
func (r *roll) file(t *testing.T, format string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), restLimit)
	defer cancel()
	status, body, err := fetch(ctx, r.alpha.base+r.path()+"/report?format="+format, r.alpha.token)
	if err != nil || status != http.StatusOK {
		t.Errorf("report as %s: %d, %v", format, status, err)
		return ""
	}
	return body
}

// signed verifies the signed report with the key that the provider publishes.
func (r *roll) signed(t *testing.T, want rollout.Report) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.alpha.data, "report-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	v, err := cose.NewVerifier(key)
	if err != nil {
		t.Fatal(err)
	}
	got, err := rollout.VerifyReport([]byte(r.file(t, "signed")), v)
	if err != nil || !maps.Equal(got.Funnel.Counts, want.Funnel.Counts) {
		t.Errorf("signed report: %v, %v; want %v", got.Funnel.Counts, err, want.Funnel.Counts)
	}
}

// times counts the events of a kind by device.
func (f *fleet) times(kind string) map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for _, e := range f.events {
		if e.Kind == kind {
			out[e.Device]++
		}
	}
	return out
}
