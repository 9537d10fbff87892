package web

import (
	"context"
	"time"

	"steward/lwm2m"
)

// Limits of questions about values over time.
const (
	DefaultSamples = 1000
	MaxSamples     = 100_000 // of one answer: about 10 MiB
)

// Series reads the values of devices over time, and says how long they are kept.
type Series interface {
	// SeriesOf returns the series of a device in order of their paths.
	SeriesOf(ctx context.Context, device string) ([]SeriesInfo, error)
	// Samples returns the values that q selects, the oldest first.
	Samples(ctx context.Context, device string, q SeriesQuery) (Samples, error)
	// SeriesRules returns the retentions that are not the default.
	SeriesRules(ctx context.Context) (SeriesRules, error)
	// PutSeriesRule stores the retention of a resource.
	PutSeriesRule(ctx context.Context, by Actor, r SeriesRule) (SeriesRule, error)
	// RemoveSeriesRule has the default count again for a resource.
	RemoveSeriesRule(ctx context.Context, by Actor, object, resource uint16) error
}

// A SeriesInfo is one series of a device.
type SeriesInfo struct {
	Path  string    `json:"path"`
	Name  string    `json:"name,omitempty"` // of the resource
	Units string    `json:"units,omitempty"`
	Count int       `json:"count"`
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

// A SeriesQuery selects values of one resource.
type SeriesQuery struct {
	Path     lwm2m.Path
	From, To time.Time     // To is out; zero: for ever
	Limit    int           // 1..MaxSamples
	Step     time.Duration // 0: each value; else one of each step, numbers summed up
}

// Samples are values of one resource.
type Samples struct {
	Path  string        `json:"path"`
	Name  string        `json:"name,omitempty"`
	Units string        `json:"units,omitempty"`
	Items Array[Sample] `json:"items"`
	More  bool          `json:"more"` // there are later ones than the last
}

// A Sample is one value, or those of one step.
type Sample struct {
	At     time.Time      `json:"at"` // of the value, or the beginning of the step
	Value  any            `json:"value"`
	Kind   string         `json:"kind"`
	Source string         `json:"source"`
	Step   *SampleSummary `json:"step,omitempty"` // Value is the last of these

	Text   string   `json:"-"` // for people
	Number *float64 `json:"-"` // nil: it is none
}

// A SampleSummary sums up the numbers of one step.
type SampleSummary struct {
	Count int     `json:"count"`
	Least float64 `json:"min"`
	Most  float64 `json:"max"`
	Mean  float64 `json:"mean"`
}

// SeriesRules say how long values are kept.
type SeriesRules struct {
	DefaultDays int               `json:"default_days"`
	Items       Array[SeriesRule] `json:"items"`
}

// A SeriesRule is the retention of one resource.
type SeriesRule struct {
	Object   uint16 `json:"object"`
	Resource uint16 `json:"resource"`
	Name     string `json:"name,omitempty"`
	Days     int    `json:"days"` // 0: not at all
}

func (missing) SeriesOf(context.Context, string) ([]SeriesInfo, error) { return nil, ErrNotBuilt }

func (missing) Samples(context.Context, string, SeriesQuery) (Samples, error) {
	return Samples{}, ErrNotBuilt
}

func (missing) SeriesRules(context.Context) (SeriesRules, error) { return SeriesRules{}, ErrNotBuilt }

func (missing) PutSeriesRule(context.Context, Actor, SeriesRule) (SeriesRule, error) {
	return SeriesRule{}, ErrNotBuilt
}

func (missing) RemoveSeriesRule(context.Context, Actor, uint16, uint16) error { return ErrNotBuilt }
