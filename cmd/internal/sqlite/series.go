package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

// ErrNoRule reports a resource, or a tag, that has no rule of its own.
var ErrNoRule = errors.New("no rule of its own")

const (
	// DefaultRetention is how many days values are kept unless a rule says otherwise.
	DefaultRetention = 30
	// MaxRetention is the longest that a rule may say, in days.
	MaxRetention = 3650
	// maxSampleText bounds a text in a series, in bytes: longer ones are documents,
	// of which the last is enough.
	maxSampleText = 1024
	// maxAhead is how far the clock of a device may be ahead of ours.
	maxAhead = time.Minute

	dayMicros = 24 * 60 * 60 * 1_000_000
)

// A SeriesRule says how long the values of one resource are kept.
type SeriesRule struct {
	Object, Resource uint16
	Days             int // 0: not at all
}

// retentions are the days by object and resource.
type retentions map[[2]uint16]int

// of returns the retention of a path in days.
func (r retentions) of(p lwm2m.Path) int {
	if p.Len() < 3 { //nolint:mnd // object, instance, resource
		return 0
	}
	if days, ok := r[[2]uint16{p.ID(0), p.ID(2)}]; ok {
		return days
	}
	return DefaultRetention
}

// Series keeps values over time.
type Series struct{ db *DB }

// Series returns the values over time of db.
func (db *DB) Series() Series { return Series{db} }

// retentionRules returns the rules, which change seldom.
func (db *DB) retentionRules(ctx context.Context) (retentions, error) {
	if known := db.retention.Load(); known != nil {
		return *known, nil
	}
	rules, err := db.Series().Rules(ctx)
	if err != nil {
		return nil, err
	}
	r := retentions{}
	for _, rule := range rules {
		r[[2]uint16{rule.Object, rule.Resource}] = rule.Days
	}
	db.retention.CompareAndSwap(nil, &r)
	return r, nil
}

// putSample adds one report to its series. It comes before the value itself is
// stored: what is no number is kept when it changes.
func putSample(tx *Tx, rules retentions, r *server.Report) error {
	plain := r.Entry.Value.Plain()
	days := rules.of(r.Entry.Path)
	if days == 0 || len(plain) > maxSampleText {
		return nil
	}
	at := r.At
	if measured := r.Entry.Time; !measured.IsZero() && measured.Before(at.Add(maxAhead)) {
		at = measured
	}
	us := at.UnixMicro()
	if us < r.At.UnixMicro()-int64(days)*dayMicros || us < 0 {
		return nil // it would go at once
	}
	name := "series.put"
	if !numeric(r.Entry.Value.Kind()) && !r.Past {
		name = "series.put_changed"
	}
	_, err := tx.Exec(name, us/dayMicros, string(r.Device), r.Entry.Path.String(), us, r.Entry.Value.Kind().String(),
		plain, string(r.From))
	return err
}

// A SeriesInfo is one series of a device.
type SeriesInfo struct {
	Path        lwm2m.Path
	Count       int
	First, Last time.Time
}

// days returns the days that have values, oldest first.
func (s Series) days(ctx context.Context) ([]int64, error) {
	rows, err := s.db.Query(ctx, "series.days")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (day int64, err error) { return day, r.Scan(&day) })
}

// Of returns the series of a device in order of their paths.
func (s Series) Of(ctx context.Context, device fleet.ID) ([]SeriesInfo, error) {
	if err := s.Flush(ctx); err != nil {
		return nil, err
	}
	days, err := s.days(ctx)
	if err != nil {
		return nil, err
	}
	var out []SeriesInfo
	at := map[lwm2m.Path]int{}
	for _, day := range days {
		rows, err := s.db.Query(ctx, "series.paths", day, string(device))
		if err != nil {
			return nil, err
		}
		part, err := collect(rows, scanSeries)
		if err != nil {
			return nil, err
		}
		for _, i := range part {
			known, ok := at[i.Path]
			if !ok {
				at[i.Path] = len(out)
				out = append(out, i)
				continue
			}
			out[known].Count += i.Count
			out[known].Last = i.Last
		}
	}
	slices.SortFunc(out, func(a, b SeriesInfo) int { return a.Path.Compare(b.Path) })
	return out, nil
}

func scanSeries(r *sql.Rows) (i SeriesInfo, err error) {
	var path string
	var first, last int64
	if err := r.Scan(&path, &i.Count, &first, &last); err != nil {
		return i, err
	}
	i.First, i.Last = fromMicro(first), fromMicro(last)
	i.Path, err = lwm2m.ParseNode(path)
	return i, err
}

// Each calls fn with the values at path from one time until before another, the
// oldest first, limit at most, until fn returns false.
func (s Series) Each(ctx context.Context, device fleet.ID, path lwm2m.Path, from, to time.Time, limit int,
	fn func(LastValue) bool,
) error {
	if err := s.Flush(ctx); err != nil {
		return err
	}
	days, err := s.days(ctx)
	if err != nil {
		return err
	}
	first, last := from.UnixMicro(), to.UnixMicro()
	days = slices.DeleteFunc(days, func(day int64) bool { return (day+1)*dayMicros <= first || day*dayMicros >= last })
	for _, day := range days {
		if limit <= 0 {
			return nil
		}
		rows, err := s.db.Query(ctx, "series.read", day, string(device), path.String(), first, last, limit)
		if err != nil {
			return err
		}
		values, err := collect(rows, scanValue)
		if err != nil {
			return err
		}
		limit -= len(values)
		if slices.ContainsFunc(values, func(v LastValue) bool { return !fn(v) }) {
			return nil
		}
	}
	return nil
}

// Rules returns the rules in order of objects and resources.
func (s Series) Rules(ctx context.Context) ([]SeriesRule, error) {
	rows, err := s.db.Query(ctx, "series.rules")
	if err != nil {
		return nil, err
	}
	return collect(rows, func(r *sql.Rows) (rule SeriesRule, err error) {
		return rule, r.Scan(&rule.Object, &rule.Resource, &rule.Days)
	})
}

// SetRule stores a rule in place of any other for the resource, with its audit row.
func (s Series) SetRule(ctx context.Context, rule SeriesRule, actor string) error {
	err := s.db.Update(ctx, func(tx *Tx) error {
		before, err := daysBefore(tx, rule.Object, rule.Resource)
		if err != nil {
			return err
		}
		if _, err := tx.Exec("series.set_rule", rule.Object, rule.Resource, rule.Days); err != nil {
			return err
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "series.retain", Subject: resourceName(rule.Object, rule.Resource),
			Before: before, After: days(rule.Days),
		})
	})
	s.db.retention.Store(nil)
	return err
}

// DropRule has the default count again. It returns ErrNoRule if it does already.
func (s Series) DropRule(ctx context.Context, object, resource uint16, actor string) error {
	err := s.db.Update(ctx, func(tx *Tx) error {
		before, err := daysBefore(tx, object, resource)
		if err != nil {
			return err
		}
		res, err := tx.Exec("series.drop_rule", object, resource)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, ErrNoRule)
		}
		return tx.Audit(audit.Row{
			Actor: actor, Action: "series.retain_default", Subject: resourceName(object, resource),
			Before: before,
		})
	})
	s.db.retention.Store(nil)
	return err
}

// days shows how long something is kept, in audit rows.
func days(n int) string { return (time.Duration(n) * 24 * time.Hour).String() }

// daysBefore returns how long a resource is kept by a rule, "" if there is none.
func daysBefore(tx *Tx, object, resource uint16) (string, error) {
	var n int
	err := tx.QueryRow("series.rule", object, resource).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return days(n), err
}

func resourceName(object, resource uint16) string {
	return lwm2m.NewPath(object, resource).String()
}
