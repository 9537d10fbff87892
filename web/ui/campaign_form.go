package ui

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"steward/web"
)

// A campaignForm is a draft of a campaign as somebody types it.
type campaignForm struct {
	url.Values

	err error // the first field that makes no sense
}

// Checked reports whether a box or a button of that value was chosen.
func (f campaignForm) Checked(field, value string) bool {
	return slices.Contains(f.Values[field], value)
}

func (f *campaignForm) text(field string) string { return strings.TrimSpace(f.Get(field)) }

func (f *campaignForm) fail(field, why string) {
	if f.err == nil {
		f.err = web.Invalid(field, why)
	}
}

// int reads a whole number; an empty field is 0.
func (f *campaignForm) int(field string) int {
	n, _ := f.maybeInt(field)
	return n
}

// maybeInt tells an empty field from 0.
func (f *campaignForm) maybeInt(field string) (n int, given bool) {
	text := f.text(field)
	if text == "" {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		f.fail(field, "a whole number")
	}
	return n, true
}

// float reads a number; an empty field is 0.
func (f *campaignForm) float(field string) float64 {
	text := f.text(field)
	if text == "" {
		return 0
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		f.fail(field, "a number")
	}
	return n
}

// campaign returns what the form asks for.
func (f *campaignForm) campaign() (web.NewCampaign, error) {
	n := web.NewCampaign{
		Name: f.text("name"), Release: f.Get("release"), Delivery: web.Delivery(f.Get("delivery")),
		Devices: f.Values["device"], Draft: f.Get("then") == "draft",
	}
	plan := f.plan()
	match := web.DeviceMatch{
		Manufacturer: f.text("manufacturer"), Model: f.text("model"), Tag: f.text("tag"), Version: f.text("runs"),
	}
	switch f.Get("members") {
	case "fit":
		n.Match = &match
	case "later":
		n.Match, plan.Filter = &match, &match
	}
	raw, err := json.Marshal(plan)
	if err == nil && string(raw) != "{}" {
		n.Plan = raw
	}
	if f.err != nil {
		err = f.err
	}
	return n, err
}

const (
	minute  = 60
	hour    = 60 * minute
	kibi    = 1 << 10
	clockIn = "2006-01-02T15:04" // of a datetime-local field
)

func (f *campaignForm) plan() web.CampaignPlan {
	p := web.CampaignPlan{
		Waves: f.waves(), Rates: f.rates(), Windows: f.windows(), RollsBack: f.Get("rolls_back"),
		Needs:     web.Needs{Battery: f.int("battery"), External: f.Get("external") != ""},
		SilentFor: int64(f.int("silent_minutes")) * minute, Timeout: int64(f.int("timeout_hours")) * hour,
		TailFor: int64(f.int("tail_hours")) * hour, Retry: f.retry(),
	}
	if text := f.text("start"); text != "" {
		at, err := time.Parse(clockIn, text)
		if err != nil {
			f.fail("start", "a date and a time")
		}
		p.Start = at
	}
	return p
}

// waves reads the canary, and a list such as "10 %, 50 %, 200"; all have one gate.
func (f *campaignForm) waves() (out []web.WaveSpec) {
	gate := f.gate()
	if n := f.int("canary"); n > 0 {
		out = append(out, web.WaveSpec{Canary: true, Count: n, Gate: gate})
	}
	for part := range strings.FieldsFuncSeq(f.Get("waves"), func(r rune) bool { return r == ',' || r == ';' }) {
		text := strings.TrimSpace(part)
		if text == "" {
			continue
		}
		w := web.WaveSpec{Gate: gate}
		var err error
		if share, ok := strings.CutSuffix(text, "%"); ok {
			w.Percent, err = strconv.ParseFloat(strings.TrimSpace(share), 64)
		} else {
			w.Count, err = strconv.Atoi(text)
		}
		if err != nil {
			f.fail("waves", "numbers or shares with %, separated by commas")
		}
		out = append(out, w)
	}
	if len(out) == 0 && gate != (web.Gate{}) {
		out = append(out, web.WaveSpec{Gate: gate})
	}
	return out
}

func (f *campaignForm) gate() web.Gate {
	g := web.Gate{
		Success: f.float("success"), Soak: int64(f.int("soak_minutes")) * minute, MinSample: f.int("min_sample"),
	}
	if n, given := f.maybeInt("max_failures"); given {
		g.MaxFailures = &n
	}
	if n, given := f.maybeInt("max_unreachable"); given {
		g.MaxUnreachable = &n
	}
	if f.text("max_failed_percent") != "" {
		share := f.float("max_failed_percent")
		g.MaxFailedPercent = &share
	}
	if f.Get("action") == "abort" {
		g.Action = "abort"
	}
	return g
}

func (f *campaignForm) rates() web.Rates {
	r := web.Rates{
		Concurrent: f.int("concurrent"), StartsPerMinute: f.float("starts_per_minute"),
		BytesPerSecond: int64(f.float("kib_per_second") * kibi),
	}
	if f.text("ramp_from") != "" {
		r.Ramp = &web.Ramp{From: f.float("ramp_from"), Factor: f.float("ramp_factor"), Every: f.int("ramp_every")}
	}
	return r
}

func (f *campaignForm) windows() web.Windows {
	w := web.Windows{Zone: f.text("zone")}
	var days []int
	for _, text := range f.Values["day"] {
		d, err := strconv.Atoi(text)
		if err != nil {
			f.fail("day", "0 to 6")
		}
		days = append(days, d)
	}
	window := func(name string) []web.Window {
		from, to := f.text(name+"_from"), f.text(name+"_to")
		if from == "" && to == "" {
			return nil
		}
		return []web.Window{{Days: days, From: from, To: to}}
	}
	w.Download, w.Install = window("download"), window("install")
	return w
}

// retry reads a list such as "4=3/60, 8=0": result, tries, seconds before the first.
// Empty is the default.
func (f *campaignForm) retry() map[string]web.Retry {
	text := f.text("retry")
	if text == "" {
		return nil
	}
	out := map[string]web.Retry{}
	for part := range strings.SplitSeq(text, ",") {
		code, rest, ok := strings.Cut(strings.TrimSpace(part), "=")
		tries, backoff, _ := strings.Cut(rest, "/")
		n, err := strconv.Atoi(strings.TrimSpace(tries))
		_, codeErr := strconv.Atoi(strings.TrimSpace(code))
		var seconds int64
		if backoff != "" {
			var backoffErr error
			if seconds, backoffErr = strconv.ParseInt(strings.TrimSpace(backoff), 10, 64); backoffErr != nil {
				err = backoffErr
			}
		}
		if !ok || err != nil || codeErr != nil {
			f.fail("retry", "a list such as 4=3/60: result = tries / seconds before the first")
			return nil
		}
		out[strings.TrimSpace(code)] = web.Retry{Tries: n, Backoff: seconds}
	}
	return out
}
