package webtest

import (
	"context"

	"steward/web"
)

// SeriesOf implements web.Series.
func (f *Fake) SeriesOf(_ context.Context, device string) ([]web.SeriesInfo, error) {
	if err := f.known(device); err != nil || f.Empty {
		return nil, err
	}
	return []web.SeriesInfo{{Path: "/3303/0/5700", Name: f.Text, Units: f.Text, Count: 2, First: Noon, Last: Noon}}, nil
}

// Samples implements web.Series.
func (f *Fake) Samples(_ context.Context, device string, q web.SeriesQuery) (web.Samples, error) {
	s := web.Samples{Path: q.Path.String(), Name: f.Text, Units: f.Text}
	if err := f.known(device); err != nil || f.Empty {
		return s, err
	}
	one, two := 1.5, 2.5
	s.Items = []web.Sample{
		{At: Noon.Add(-1800e9), Value: one, Kind: "float", Source: "notify", Text: "1.5", Number: &one},
		{
			At: Noon.Add(-900e9), Value: two, Kind: "float", Source: "send", Text: "2.5", Number: &two,
			Step: &web.SampleSummary{Count: 2, Least: one, Most: two, Mean: 2},
		},
		{At: Noon.Add(-600e9), Value: f.Text, Kind: "string", Source: "read", Text: f.Text},
	}
	return s, nil
}

// SeriesRules implements web.Series.
func (f *Fake) SeriesRules(context.Context) (web.SeriesRules, error) {
	r := web.SeriesRules{DefaultDays: 30}
	if !f.Empty {
		r.Items = []web.SeriesRule{{Object: 3303, Resource: 5700, Name: f.Text, Days: 365}}
	}
	return r, nil
}

// PutSeriesRule implements web.Series.
func (f *Fake) PutSeriesRule(_ context.Context, by web.Actor, r web.SeriesRule) (web.SeriesRule, error) {
	return r, f.note("PutSeriesRule", by, "", r)
}

// RemoveSeriesRule implements web.Series.
func (f *Fake) RemoveSeriesRule(_ context.Context, by web.Actor, object, resource uint16) error {
	return f.note("RemoveSeriesRule", by, "", [2]uint16{object, resource})
}
