package ui

import (
	"cmp"
	"errors"
	"fmt"
	"html/template"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"steward/objects"
	"steward/web"
)

// functions are what templates may call.
func functions() template.FuncMap {
	return template.FuncMap{
		"ago": ago, "date": date, "words": words, "upper": upperFirst, "weekdays": weekdays, "short": short,
		"bytes": bytesText, "plural": plural, "grouped": grouped,
		"pill": newPill, "statePill": statePill, "renewalPill": renewalPill, "proofPill": proofPill,
		"every": every, "percent": percent, "counts": counts,
		"dict": dict, "join": strings.Join, "duration": durationText, "outcome": outcome,
		"seconds": seconds, "add": func(a, b int) int { return a + b },
		"list": func(all ...string) []string { return all },
		"link": link, "rate": rate, "lately": lately,
	}
}

// link is an address with a query as it stands: a template that writes one after "?"
// would escape it as if it were a single value.
func link(path, query string) string {
	if query == "" {
		return path
	}
	return path + "?" + query
}

// rate writes how often something happens, to one place where it is seldom: "0.4", "1200".
func rate(f float64) string {
	const seldom = 10
	if f >= seldom || f == 0 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strconv.FormatFloat(max(f, 0.1), 'f', 1, 64) //nolint:mnd // the least that is shown
}

// lately says over how long failed handshakes were counted.
func lately(seconds int) string {
	if seconds < int(time.Minute/time.Second) {
		return "handshakes failed since the start"
	}
	return "handshakes failed in " + plural(seconds/int(time.Minute/time.Second), "minute")
}

// weekdays are the names of the days, Sunday first.
func weekdays() (names []string) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		names = append(names, d.String())
	}
	return names
}

// seconds returns a measured time: "1.7 s".
func seconds(s float64) string { return strconv.FormatFloat(s, 'f', 1, 64) + " s" }

// outcome says what a result of resource /5/0/5 means.
func outcome(result int) string {
	if result < 0 || result > math.MaxUint8 {
		return ""
	}
	return objects.FirmwareResult(result).String()
}

// A moment is a time for people: how long from now, and exactly.
type moment struct {
	ISO  string // "" for a time that is not known
	Text string
}

// ago returns t as seen at now: "3 min ago", "in 2 d", "never".
func ago(now, t time.Time) moment {
	if t.IsZero() {
		return moment{Text: "never"}
	}
	m := moment{ISO: t.UTC().Format(time.RFC3339)}
	d := now.Sub(t)
	switch {
	case d < -time.Second:
		m.Text = "in " + durationText(-d)
	case d < time.Second:
		m.Text = "now"
	default:
		m.Text = durationText(d) + " ago"
	}
	return m
}

// date returns t as a date first of all.
func date(t time.Time) moment {
	if t.IsZero() {
		return moment{Text: "–"}
	}
	t = t.UTC()
	return moment{ISO: t.Format(time.RFC3339), Text: t.Format("2006-01-02 15:04")}
}

// durationText rounds down to the largest unit that fits.
func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return strconv.Itoa(int(d/time.Second)) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 2*day:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	default:
		return strconv.Itoa(int(d/day)) + " d"
	}
}

// words turns the name of a state into words: "INFO_SENT" into "info sent".
func words(state any) string {
	return strings.ToLower(strings.ReplaceAll(fmt.Sprint(state), "_", " "))
}

func upperFirst(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	if n == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + text[n:]
}

const shortHex = 12 // digits that tell any two of our things apart to the eye

// short returns the beginning of a long hexadecimal id.
func short(id string) string {
	if len(id) <= shortHex+1 {
		return id
	}
	return strings.ToValidUTF8(id[:shortHex], "") + "…"
}

// bytesText returns n bytes in the unit that suits.
func bytesText(n int) string {
	const kib, mib = 1 << 10, 1 << 20
	switch {
	case n < kib:
		return strconv.Itoa(n) + " B"
	case n < mib:
		return strconv.FormatFloat(float64(n)/kib, 'f', 1, 64) + " KiB"
	default:
		return strconv.FormatFloat(float64(n)/mib, 'f', 1, 64) + " MiB"
	}
}

// plural returns "1 device", "2 devices".
func plural(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return strconv.Itoa(n) + " " + noun
}

// A pill is a state shown by shape, word and colour.
type pill struct {
	Level web.Level
	Glyph string
	Text  string
}

func newPill(level web.Level, text any) pill {
	p := pill{Level: level, Text: words(text), Glyph: "○"}
	switch level {
	case web.LevelGood:
		p.Glyph = "●"
	case web.LevelActive:
		p.Glyph = "◐"
	case web.LevelWarning:
		p.Glyph = "▲"
	case web.LevelBad:
		p.Glyph = "✕"
	case web.LevelNeutral:
	default:
		p.Level = web.LevelNeutral
	}
	return p
}

// stateLevels is how the states that have no level of their own are shown.
var stateLevels = map[string]web.Level{
	string(web.DeviceOnline): web.LevelGood, string(web.DeviceOffline): web.LevelWarning,
	string(web.CertificateLive): web.LevelGood, string(web.CertificateExpired): web.LevelWarning,
	string(web.CertificateRevoked): web.LevelBad,
	string(web.PartnerActive):      web.LevelGood, string(web.PartnerSuspended): web.LevelBad,
	string(web.PartnerRotating): web.LevelActive,
	"established":               web.LevelGood, "waiting": web.LevelActive, // observations
	"refused": web.LevelBad, "unwanted": web.LevelWarning,
	"disabled": web.LevelBad, // people
}

func statePill(state any) pill { return newPill(stateLevels[fmt.Sprint(state)], state) }

// percent returns part of total, 0 of nothing.
func percent(part, total int) int {
	if total <= 0 {
		return 0
	}
	return part * 100 / total
}

// A count is how many are in a state.
type count struct {
	State string
	N     int
}

// counts returns m, the largest first.
func counts(m map[string]int) []count {
	var out []count
	for _, state := range slices.Sorted(maps.Keys(m)) {
		if m[state] > 0 {
			out = append(out, count{state, m[state]})
		}
	}
	slices.SortStableFunc(out, func(a, b count) int { return cmp.Compare(b.N, a.N) })
	return out
}

var errDict = errors.New("dict needs pairs of a name and a value")

// dict makes a map for a shared template part of pairs: a name, then its value.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, errDict
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, errDict
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}
