package rollout

import (
	"fmt"
	"slices"
	"time"
)

// Windows are when devices may download and install, by their own clocks. No
// window means any time.
type Windows struct {
	Download []Window `json:"download,omitempty"`
	Install  []Window `json:"install,omitempty"`
	// Zone stands for the UTC offset of a device that does not tell its own:
	// "+02:00", or a name such as "Europe/Stockholm"; "" is UTC.
	Zone string `json:"zone,omitempty"`
}

// A Window is a part of some days. One that ends before it begins ends on the
// next day.
type Window struct {
	Days []time.Weekday `json:"days,omitempty"` // on which it begins; none: all
	From Clock          `json:"from"`
	To   Clock          `json:"to"` // not included
}

// A Clock is a time of day, "22:30".
type Clock string

const clockLayout = "15:04"

func (c Clock) parse() (time.Duration, error) {
	t, err := time.Parse(clockLayout, string(c))
	if err != nil {
		return 0, fmt.Errorf("%w: time of day %.20q, want one like 22:30", ErrCampaign, c)
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, nil
}

// String returns w for people.
func (w Window) String() string {
	s := string(w.From) + "-" + string(w.To)
	for i, d := range w.Days {
		sep := ", "
		if i == 0 {
			sep = " on "
		}
		s += sep + d.String()
	}
	return s
}

// zone returns where a device is: what it told, else what the plan says.
func (w *Windows) zone(told string) *time.Location {
	for _, name := range []string{told, w.Zone} {
		if l, err := location(name); name != "" && err == nil {
			return l
		}
	}
	return time.UTC
}

// location reads an offset or the name of a zone.
func location(name string) (*time.Location, error) {
	for _, layout := range []string{"Z07:00", "Z0700", "Z07"} {
		if t, err := time.Parse(layout, name); err == nil {
			return t.Location(), nil
		}
	}
	return time.LoadLocation(name)
}

// opens returns now if one of the windows is open in a zone, else when the next
// one opens. No windows are always open.
func opens(windows []Window, zone *time.Location, now time.Time) time.Time {
	if len(windows) == 0 {
		return now
	}
	var next time.Time
	local := now.In(zone)
	for _, w := range windows {
		from, errFrom := w.From.parse()
		to, errTo := w.To.parse()
		if errFrom != nil || errTo != nil {
			continue // not stored: the plan was checked
		}
		if to <= from {
			to += day
		}
		for ahead := -1; ahead <= daysAhead; ahead++ {
			midnight := time.Date(local.Year(), local.Month(), local.Day()+ahead, 0, 0, 0, 0, zone)
			if len(w.Days) > 0 && !slices.Contains(w.Days, midnight.Weekday()) {
				continue
			}
			begin, end := at(midnight, from), at(midnight, to)
			if !now.Before(begin) && now.Before(end) {
				return now
			}
			if begin.After(now) && (next.IsZero() || begin.Before(next)) {
				next = begin
			}
		}
	}
	return next
}

const (
	day       = 24 * time.Hour
	daysAhead = 8 // the same weekday comes again
)

// at returns a time of day as the clocks on the wall show it: on the days on
// which they are changed, midnight plus a duration is another time.
func at(midnight time.Time, d time.Duration) time.Time {
	return time.Date(midnight.Year(), midnight.Month(), midnight.Day(), 0, int(d/time.Minute), 0, 0, midnight.Location())
}

func (w *Windows) check() error {
	for _, x := range slices.Concat(w.Download, w.Install) {
		from, err := x.From.parse()
		if err != nil {
			return err
		}
		to, err := x.To.parse()
		if err != nil {
			return err
		}
		if from == to {
			return fmt.Errorf("%w: window %s is no time", ErrCampaign, x)
		}
		for _, d := range x.Days {
			if d < time.Sunday || d > time.Saturday {
				return fmt.Errorf("%w: weekday %d", ErrCampaign, d)
			}
		}
	}
	if w.Zone != "" {
		if _, err := location(w.Zone); err != nil {
			return fmt.Errorf("%w: time zone %.60q", ErrCampaign, w.Zone)
		}
	}
	return nil
}
