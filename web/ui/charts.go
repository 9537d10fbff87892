package ui

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"steward/web"
)

// A chartsPage shows the values of one resource over time, and names the others.
type chartsPage struct {
	Device  web.Device
	Series  []web.SeriesInfo
	Path    string // that is shown; "" without any
	Range   string
	Ranges  []string
	Samples web.Samples
	Chart   *chart // nil: there is nothing to draw
	Recent  []web.Sample
	Rules   web.SeriesRules
	Rule    *web.SeriesRule // of the resource; nil: the default counts
	Export  string          // address of the same values as a file, without the format
}

// chartRanges are what a chart may span.
var chartRanges = []struct {
	name string
	span time.Duration
}{
	{"hour", time.Hour},
	{"day", 24 * time.Hour},
	{"week", 7 * 24 * time.Hour},
	{"month", 30 * 24 * time.Hour},
	{"year", 365 * 24 * time.Hour},
}

// chartSteps is the number of points of a chart.
const chartSteps = 240

func (u *UI) charts(w http.ResponseWriter, r *http.Request) error {
	id := web.Param(r, "id")
	d, err := u.s.Devices.Device(r.Context(), id)
	if err != nil {
		return err
	}
	page := chartsPage{Device: d.Device, Range: "day"}
	if page.Series, err = u.s.Series.SeriesOf(r.Context(), id); err != nil {
		return err
	}
	if page.Rules, err = u.s.Series.SeriesRules(r.Context()); err != nil {
		return err
	}
	page.Path = r.URL.Query().Get("path")
	if page.Path == "" && len(page.Series) > 0 {
		page.Path = page.Series[0].Path
	}
	if page.Path != "" {
		if err := u.chartOf(r, id, &page); err != nil {
			return err
		}
	}
	return u.show(w, r, http.StatusOK, "charts", "devices", d.Endpoint+" charts", page)
}

// chartOf reads and draws the resource that a page is about.
func (u *UI) chartOf(r *http.Request, id string, page *chartsPage) error {
	q, err := web.ParseSeriesQuery(page.Path, url.Values{})
	if err != nil {
		return err
	}
	var span time.Duration
	for _, c := range chartRanges {
		page.Ranges = append(page.Ranges, c.name)
		if c.name == r.URL.Query().Get("range") || span == 0 && c.name == page.Range {
			page.Range, span = c.name, c.span
		}
	}
	now := u.o.Now()
	q.From, q.Step = now.Add(-span), span/chartSteps
	if page.Samples, err = u.s.Series.Samples(r.Context(), id, q); err != nil {
		return err
	}
	page.Chart = newChart(page.Samples, q.From, now)
	for i := len(page.Samples.Items) - 1; i >= 0 && len(page.Recent) < recentRows; i-- {
		page.Recent = append(page.Recent, page.Samples.Items[i])
	}
	for _, rule := range page.Rules.Items {
		if rule.Object == q.Path.ID(0) && rule.Resource == q.Path.ID(2) {
			page.Rule = &rule
		}
	}
	v := url.Values{"from": {q.From.UTC().Format(time.RFC3339)}, "limit": {strconv.Itoa(web.MaxSamples)}}
	page.Export = "/api/v1/devices/" + url.PathEscape(page.Device.ID) + "/series" + page.Path + "?" + v.Encode()
	return nil
}

// A chart is a line over a band from least to most, drawn by the page.
type chart struct {
	Line, Band  string // points of SVG
	Dots        []dot
	Least, Most string
	From, To    time.Time
	Words       string // for those who cannot see it
}

type dot struct {
	X, Y  string
	Title string
}

// The plane of a chart, in SVG's units.
const (
	chartLeft, chartRight  = 70.0, 790.0
	chartTop, chartBottom  = 12.0, 208.0
	fewDots                = 60 // points that are marked one by one
	chartMargin            = 0.5
	significant, precision = 6, 1
)

// newChart draws the numbers of s, nil if there are none.
func newChart(s web.Samples, from, to time.Time) *chart {
	least, most, n := math.Inf(1), math.Inf(-1), 0
	for _, i := range s.Items {
		if low, _, high, ok := spread(i); ok {
			least, most = min(least, low), max(most, high)
			n++
		}
	}
	if n == 0 || !to.After(from) {
		return nil
	}
	c := &chart{Least: shortNumber(least), Most: shortNumber(most), From: from, To: to}
	c.Words = fmt.Sprintf("%s: %d points from %s to %s", s.Name, n, c.Least, c.Most)
	if least == most { // a flat line stands in the middle
		least, most = least-chartMargin, most+chartMargin
	}
	x := func(t time.Time) string {
		part := float64(t.Sub(from)) / float64(to.Sub(from))
		return place(chartLeft + (chartRight-chartLeft)*min(max(part, 0), 1))
	}
	y := func(f float64) string { // halves, so that no difference is infinite
		part := (f/2 - least/2) / (most/2 - least/2)
		return place(chartBottom - (chartBottom-chartTop)*min(max(part, 0), 1))
	}
	var line, upper []string
	var lower []string
	for _, i := range s.Items {
		low, mean, high, ok := spread(i)
		if !ok {
			continue
		}
		at := x(i.At)
		line = append(line, at+","+y(mean))
		upper = append(upper, at+","+y(high))
		lower = append([]string{at + "," + y(low)}, lower...)
		if n <= fewDots {
			c.Dots = append(c.Dots, dot{at, y(mean), i.At.UTC().Format(time.DateTime) + "  " + shortNumber(mean)})
		}
	}
	c.Line, c.Band = strings.Join(line, " "), strings.Join(append(upper, lower...), " ")
	return c
}

// spread returns what a sample is from and to; false if it is no number.
func spread(i web.Sample) (low, mean, high float64, ok bool) {
	switch {
	case i.Step != nil:
		return i.Step.Least, i.Step.Mean, i.Step.Most, true
	case i.Number != nil:
		return *i.Number, *i.Number, *i.Number, true
	}
	return 0, 0, 0, false
}

func place(f float64) string { return strconv.FormatFloat(f, 'f', precision, 64) }

func shortNumber(f float64) string { return strconv.FormatFloat(f, 'g', significant, 64) }

// setRetention stores how long values of a resource are kept.
func (u *UI) setRetention(w http.ResponseWriter, r *http.Request) error {
	path := r.PostFormValue("path")
	back := "/devices/" + web.Param(r, "id") + "/charts?" + url.Values{"path": {path}}.Encode()
	q, err := web.ParseSeriesQuery(path, url.Values{})
	if err != nil {
		return u.done(w, r, err, "", "", "/devices/"+web.Param(r, "id")+"/charts")
	}
	days, err := strconv.Atoi(strings.TrimSpace(r.PostFormValue("days")))
	if err != nil {
		return u.done(w, r, web.Invalid("days", "not a number"), "", "", back)
	}
	_, err = u.s.Series.PutSeriesRule(r.Context(), web.ActorFrom(r.Context()), web.SeriesRule{
		Object: q.Path.ID(0), Resource: q.Path.ID(2), Days: days,
	})
	return u.done(w, r, err, back, "Stored. It counts for this resource of all devices.", back)
}
