package rollout

import (
	"fmt"
	"slices"
	"strings"
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
	if len(w.Days) == 0 {
		return s
	}
	days := make([]string, 0, len(w.Days))
	for _, d := range w.Days {
		days = append(days, d.String())
	}
	return s + " on " + strings.Join(days, ", ")
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
	for _, w := range windows {
		next = earliest(next, w.opens(zone, now))
	}
	return next
}

// opens returns now if w is open, else when it opens next.
func (w Window) opens(zone *time.Location, now time.Time) time.Time {
	from, errFrom := w.From.parse()
	to, errTo := w.To.parse()
	if errFrom != nil || errTo != nil {
		return time.Time{} // not stored: the plan was checked
	}
	if to <= from {
		to += day
	}
	local := now.In(zone)
	for ahead := -1; ahead <= daysAhead; ahead++ {
		midnight := time.Date(local.Year(), local.Month(), local.Day()+ahead, 0, 0, 0, 0, zone)
		begin, end := at(midnight, from), at(midnight, to)
		switch {
		case len(w.Days) > 0 && !slices.Contains(w.Days, midnight.Weekday()), !now.Before(end):
		case now.Before(begin):
			return begin
		default:
			return now
		}
	}
	return time.Time{}
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

func (w Window) check() error {
	from, err := w.From.parse()
	if err != nil {
		return err
	}
	to, err := w.To.parse()
	if err != nil {
		return err
	}
	if from == to {
		return fmt.Errorf("%w: window %s is no time", ErrCampaign, w)
	}
	for _, d := range w.Days {
		if d < time.Sunday || d > time.Saturday {
			return fmt.Errorf("%w: weekday %d", ErrCampaign, d)
		}
	}
	return nil
}

func (w *Windows) check() error {
	for _, x := range slices.Concat(w.Download, w.Install) {
		if err := x.check(); err != nil {
			return err
		}
	}
	if w.Zone != "" {
		if _, err := location(w.Zone); err != nil {
			return fmt.Errorf("%w: time zone %.60q", ErrCampaign, w.Zone)
		}
	}
	return nil
}
