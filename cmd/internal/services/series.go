package services

import (
	"context"
	"errors"
	"math"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m"
	"steward/web"
)

// series implements web.Series.
type series struct{ *base }

// SeriesOf implements web.Series.
func (s *series) SeriesOf(ctx context.Context, device string) ([]web.SeriesInfo, error) {
	line, err := s.find(ctx, device)
	if err != nil {
		return nil, err
	}
	all, err := s.DB.Series().Of(ctx, line.ID)
	if err != nil {
		return nil, translate(err)
	}
	out := make([]web.SeriesInfo, 0, len(all))
	for _, i := range all {
		info, _ := s.Registry.Resource(i.Path.ID(0), i.Path.ID(2))
		out = append(out, web.SeriesInfo{
			Path: i.Path.String(), Name: info.Name, Units: info.Units, Count: i.Count, First: i.First, Last: i.Last,
		})
	}
	return out, nil
}

// never is after every time that is stored.
var never = time.Unix(1<<40, 0)

// Samples implements web.Series.
func (s *series) Samples(ctx context.Context, device string, q web.SeriesQuery) (web.Samples, error) {
	line, err := s.find(ctx, device)
	if err != nil {
		return web.Samples{}, err
	}
	info, _ := s.Registry.Resource(q.Path.ID(0), q.Path.ID(2))
	c := collector{q: q, out: web.Samples{Path: q.Path.String(), Name: info.Name, Units: info.Units}}
	from, to, read := q.From, q.To, q.Limit+1
	if from.IsZero() {
		from = time.Unix(0, 0)
	}
	if to.IsZero() || to.After(never) {
		to = never
	}
	if q.Step > 0 {
		read = maxSummed
	}
	if err := s.DB.Series().Each(ctx, line.ID, q.Path, from, to, read, c.add); err != nil {
		return web.Samples{}, translate(err)
	}
	c.end()
	return c.out, nil
}

// maxSummed bounds the values that one question sums up: it takes a second.
const maxSummed = 1_000_000

// A collector makes samples of values.
type collector struct {
	q    web.SeriesQuery
	out  web.Samples
	sums web.SampleSummary // of the last sample, while it is not over
	sum  float64
}

// add takes one value; false wants no more.
func (c *collector) add(v sqlite.LastValue) bool {
	at := v.At
	if c.q.Step > 0 {
		at = time.Unix(0, at.UnixNano()-mod(at.UnixNano(), int64(c.q.Step))).UTC()
	}
	last := len(c.out.Items) - 1
	same := c.q.Step > 0 && last >= 0 && c.out.Items[last].At.Equal(at)
	if !same {
		c.end()
		if len(c.out.Items) == c.q.Limit {
			c.out.More = true
			return false
		}
		c.out.Items = append(c.out.Items, web.Sample{})
		last++
	}
	item := web.Sample{
		At: at, Value: web.EncodeValue(v.Value), Kind: v.Value.Kind().String(), Source: string(v.From),
		Text: v.Value.String(),
	}
	if f, ok := v.Value.Float64(); ok && v.Value.Kind() != lwm2m.KindTime && !math.IsNaN(f) && !math.IsInf(f, 0) {
		item.Number = &f
		c.count(f)
	} else if b, ok := v.Value.Bool(); ok {
		f := 0.0
		if b {
			f = 1
		}
		item.Number = &f
		c.count(f)
	}
	c.out.Items[last] = item
	return true
}

func mod(a, b int64) int64 { return (a%b + b) % b }

func (c *collector) count(f float64) {
	if c.sums.Count == 0 {
		c.sums.Least, c.sums.Most = f, f
	}
	c.sums.Count++
	c.sum += f
	c.sums.Least, c.sums.Most = min(c.sums.Least, f), max(c.sums.Most, f)
}

// end sums up the last sample.
func (c *collector) end() {
	if n := len(c.out.Items); c.q.Step > 0 && n > 0 && c.sums.Count > 0 {
		sums := c.sums
		sums.Mean = c.sum / float64(sums.Count)
		if math.IsInf(sums.Mean, 0) { // the sum of very large ones
			sums.Mean = sums.Least/2 + sums.Most/2
		}
		c.out.Items[n-1].Step = &sums
	}
	c.sums, c.sum = web.SampleSummary{}, 0
}

// SeriesRules implements web.Series.
func (s *series) SeriesRules(ctx context.Context) (web.SeriesRules, error) {
	rules, err := s.DB.Series().Rules(ctx)
	out := web.SeriesRules{DefaultDays: sqlite.DefaultRetention}
	for _, r := range rules {
		out.Items = append(out.Items, s.showRule(r))
	}
	return out, translate(err)
}

func (s *series) showRule(r sqlite.SeriesRule) web.SeriesRule {
	info, _ := s.Registry.Resource(r.Object, r.Resource)
	return web.SeriesRule{Object: r.Object, Resource: r.Resource, Name: info.Name, Days: r.Days}
}

// PutSeriesRule implements web.Series.
func (s *series) PutSeriesRule(ctx context.Context, by web.Actor, r web.SeriesRule) (web.SeriesRule, error) {
	if r.Days < 0 || r.Days > sqlite.MaxRetention {
		return web.SeriesRule{}, web.Invalid("days", "a number from 0 to 3650")
	}
	if r.Object == lwm2m.NoID || r.Resource == lwm2m.NoID {
		return web.SeriesRule{}, web.Invalid("object", "65535 is reserved")
	}
	rule := sqlite.SeriesRule{Object: r.Object, Resource: r.Resource, Days: r.Days}
	if err := s.DB.Series().SetRule(ctx, rule, by.String()); err != nil {
		return web.SeriesRule{}, translate(err)
	}
	return s.showRule(rule), nil
}

// RemoveSeriesRule implements web.Series.
func (s *series) RemoveSeriesRule(ctx context.Context, by web.Actor, object, resource uint16) error {
	if object == lwm2m.NoID || resource == lwm2m.NoID {
		return web.NotFound("retention", "of 65535")
	}
	err := s.DB.Series().DropRule(ctx, object, resource, by.String())
	if errors.Is(err, sqlite.ErrNoRule) {
		return web.NotFound("retention", lwm2m.NewPath(object, resource).String())
	}
	return translate(err)
}
