package ui

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"steward/web"
)

func campaignPath(id string) string { return "/updates/" + url.PathEscape(id) }

// A campaignPage is one campaign, its waves and devices.
type campaignPage struct {
	web.Campaign

	Bar    bar
	Plan   []fact // in place of the campaign's own, which is JSON
	Jobs   []web.Job
	Filter string // state of the jobs shown; "" for all
	Next   string // address of the next part of the jobs; "" on the last
}

func (u *UI) campaign(w http.ResponseWriter, r *http.Request) error {
	p, err := web.ParsePage(r.URL.Query())
	if err != nil {
		return err
	}
	c, err := u.s.Campaigns.Campaign(r.Context(), web.Param(r, "id"))
	if err != nil {
		return err
	}
	filter := r.URL.Query().Get("state")
	jobs, err := u.s.Campaigns.Jobs(r.Context(), c.ID, web.JobFilter{State: filter}, p)
	if err != nil {
		return err
	}
	return u.show(w, r, http.StatusOK, "campaign", "updates", c.Name, campaignPage{
		c, newBar(c.Counts, c.Total), planFacts(c.Plan), jobs.Items, filter, web.NextURL(r.URL, jobs.Next),
	})
}

// commandCampaign does what a button says. To abort one types how many devices the
// campaign has.
func (u *UI) commandCampaign(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	c := web.CampaignCommand{
		Action: web.CampaignAction(r.PostFormValue("action")), Reason: strings.TrimSpace(r.PostFormValue("reason")),
	}
	page := campaignPath(id)
	if c.Action == web.CampaignAbort {
		now, err := u.s.Campaigns.Campaign(r.Context(), id)
		if err != nil {
			return err
		}
		if r.PostFormValue("confirm") != strconv.Itoa(now.Total) {
			return u.done(w, r, web.Invalid("confirm", "type the number of devices, "+strconv.Itoa(now.Total)), "", "", page)
		}
	}
	said := map[web.CampaignAction]string{
		web.CampaignSubmit: "Submitted for review.", web.CampaignApprove: "Approved. It begins when its time comes.",
		web.CampaignReject: "Sent back to its author.", web.CampaignPause: "Paused. Nothing begins, nothing is installed.",
		web.CampaignResume: "Resumed.", web.CampaignFinish: "The tail is closed.",
		web.CampaignAbort: "Aborted. Devices that already install will finish.",
	}[c.Action]
	_, err := u.s.Campaigns.CommandCampaign(r.Context(), web.ActorFrom(r.Context()), id, c)
	return u.done(w, r, err, page, said, page)
}

func (u *UI) campaignReport(w http.ResponseWriter, r *http.Request) error {
	format := web.ReportFormat(r.URL.Query().Get("format"))
	if !slices.Contains([]web.ReportFormat{web.ReportJSON, web.ReportCSV, web.ReportSigned}, format) {
		return web.Invalid("format", "json, csv or signed")
	}
	f, err := u.s.Campaigns.CampaignReport(r.Context(), web.Param(r, "id"), format)
	if err != nil {
		return err
	}
	return web.WriteFile(w, f.Type, f.Name, f.Body)
}

// A bar shows how devices stand, side by side. Its parts are told apart by their
// glyphs and words below it, not by colour alone.
type bar struct {
	Text  string // for those who do not see it
	Parts []barPart
}

// A barPart is a part of a bar, with the pill of its legend. X and Width are in
// thousandths.
type barPart struct {
	pill

	X, Width int
	State    string // that the parts's devices are listed by; "" if there are several
	N        int
}

// barOrder is the order of parts, and which states belong to each.
var barOrder = []struct {
	word   string
	level  web.Level
	states []string
}{
	{"done", web.LevelGood, []string{"done"}},
	{"under way", web.LevelActive, []string{
		"queued", "waiting", "delivering", "downloading", "downloaded", "installing",
	}},
	{"set aside", web.LevelWarning, []string{"away", "deferred", "blocked"}},
	{"refused", web.LevelWarning, []string{"incompatible"}},
	{"failed", web.LevelBad, []string{"failed"}},
	{"aborted", web.LevelBad, []string{"aborted"}},
	{"planned", web.LevelNeutral, []string{"planned"}},
}

const barWidth = 1000

func newBar(counts web.Counts, total int) bar {
	var b bar
	var words []string
	sum := 0
	for _, part := range barOrder {
		n := 0
		for _, s := range part.states {
			n += counts[s]
		}
		if n == 0 || total <= 0 {
			continue
		}
		p := barPart{
			pill: newPill(part.level, part.word), X: min(sum*barWidth/total, barWidth), N: n,
		}
		if len(part.states) == 1 {
			p.State = part.states[0]
		}
		sum += n
		p.Width = min(sum*barWidth/total, barWidth) - p.X
		b.Parts = append(b.Parts, p)
		words = append(words, fmt.Sprintf("%d %s", n, part.word))
	}
	b.Text = strings.Join(words, ", ")
	return b
}

// planFacts says in words how a campaign goes about it. A plan that cannot be read
// says nothing.
func planFacts(raw json.RawMessage) (out []fact) {
	var p web.CampaignPlan
	if json.Unmarshal(raw, &p) != nil {
		return nil
	}
	add := func(name, format string, args ...any) { out = append(out, fact{name, fmt.Sprintf(format, args...)}) }
	if !p.Start.IsZero() {
		add("Not before", "%s UTC", p.Start.UTC().Format("2006-01-02 15:04"))
	}
	if p.Rates.Concurrent > 0 {
		add("At once", "%s", plural(p.Rates.Concurrent, "download"))
	}
	if p.Rates.StartsPerMinute > 0 {
		add("Pace", "%g devices a minute", p.Rates.StartsPerMinute)
	}
	if r := p.Rates.Ramp; r != nil {
		add("Ramp", "from %g devices a minute, times %g for every %d done", r.From, r.Factor, r.Every)
	}
	if p.Rates.BytesPerSecond > 0 {
		add("Bandwidth", "%s/s", bytesText(int(p.Rates.BytesPerSecond)))
	}
	windowFacts(add, p.Windows)
	if p.Needs.Battery > 0 {
		add("Battery", "at least %d %%, or external power", p.Needs.Battery)
	}
	if p.Needs.External {
		add("Power", "external only")
	}
	if p.Filter != nil {
		add("Joins later", "every device that fits%s", matchText(*p.Filter))
	}
	if p.RollsBack != "" {
		add("Takes back", "release %s", p.RollsBack)
	}
	for _, code := range slices.Sorted(maps.Keys(p.Retry)) {
		r := p.Retry[code]
		add("After result "+code, "%s, the first after %s", plural(r.Tries, "more time"),
			durationText(time.Duration(r.Backoff)*time.Second))
	}
	return out
}

func windowFacts(add func(name, format string, args ...any), w web.Windows) {
	for _, kind := range []struct {
		name string
		list []web.Window
	}{{"Downloads", w.Download}, {"Installs", w.Install}} {
		for _, one := range kind.list {
			text := one.From + "–" + one.To
			var days []string
			for _, d := range one.Days {
				days = append(days, time.Weekday(d).String())
			}
			if len(days) > 0 {
				text += " on " + strings.Join(days, ", ")
			}
			zone := "the time of each device"
			if w.Zone != "" {
				zone += ", " + w.Zone + " where it tells none"
			}
			add(kind.name, "%s, %s", text, zone)
		}
	}
}

func matchText(m web.DeviceMatch) (text string) {
	for _, part := range []struct{ name, value string }{
		{"manufacturer", m.Manufacturer}, {"model", m.Model}, {"class", m.Class}, {"tag", m.Tag}, {"version", m.Version},
	} {
		if part.value != "" {
			text += ", " + part.name + " " + part.value
		}
	}
	return text
}
