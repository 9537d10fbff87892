package web

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/sheet"
)

// ParseSeriesQuery reads from, to (RFC 3339), limit and step (seconds) from a
// query, for the resource at path. It returns ErrInvalid for what is not one.
func ParseSeriesQuery(path string, v url.Values) (SeriesQuery, error) {
	q := SeriesQuery{Limit: DefaultSamples}
	var err error
	if q.Path, err = lwm2m.ParseNode(path); err != nil || q.Path.Len() < 3 {
		return q, Invalid("path", "not a resource, such as 3303/0/5700")
	}
	for name, to := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		text := v.Get(name)
		if text == "" {
			continue
		}
		if *to, err = time.Parse(time.RFC3339Nano, text); err != nil || to.Year() < 1 || to.Year() > 9999 {
			return q, Invalid(name, "not a time, such as 2026-03-01T12:00:00Z")
		}
	}
	if text := v.Get("limit"); text != "" {
		if q.Limit, err = strconv.Atoi(text); err != nil || q.Limit < 1 || q.Limit > MaxSamples {
			return q, Invalid("limit", "a number from 1 to "+strconv.Itoa(MaxSamples))
		}
	}
	q.Step, err = parseStep(v.Get("step"))
	return q, err
}

// parseStep reads a number of seconds; "" is 0.
func parseStep(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	const year = 366 * 24 * 60 * 60
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > year {
		return 0, Invalid("step", "a number of seconds, at most a year")
	}
	return time.Duration(n) * time.Second, nil
}

// WriteCSV writes samples as RFC 4180 with a line of headings. A text that a
// spreadsheet could take for a formula gets an apostrophe in front.
func (s Samples) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	rows := [][]string{{"at", "path", "value", "kind", "source", "count", "min", "max", "mean"}}
	for _, i := range s.Items {
		row := []string{i.At.UTC().Format(time.RFC3339Nano), s.Path, i.Text, i.Kind, i.Source, "", "", "", ""}
		if i.Number == nil {
			row[2] = sheet.Harmless(i.Text)
		}
		if i.Step != nil {
			row[5], row[6] = strconv.Itoa(i.Step.Count), number(i.Step.Least)
			row[7], row[8] = number(i.Step.Most), number(i.Step.Mean)
		}
		rows = append(rows, row)
	}
	return out.WriteAll(rows)
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// WriteNDJSON writes each sample as a JSON value on a line of its own.
func (s Samples) WriteNDJSON(w io.Writer) error {
	out := json.NewEncoder(w)
	for _, i := range s.Items {
		if err := out.Encode(struct {
			Path string `json:"path"`
			Sample
		}{s.Path, i}); err != nil {
			return err
		}
	}
	return nil
}
