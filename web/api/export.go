package api

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"steward/lwm2m/sheet"
	"steward/web"
	"steward/web/contract"
)

// The formats of lists.
const (
	formatJSON   = "json"
	formatNDJSON = "ndjson" // one item a line
	formatCSV    = "csv"    // RFC 4180, with a header
)

// described is the contract, read once.
var described = sync.OnceValues(func() (*contract.Document, error) { return contract.Parse(openapi) })

// Contract returns the contract of the API.
func Contract() (*contract.Document, error) { return described() }

// columnsOf returns the members of the items that a route lists, those that are always
// there first; nil if it lists nothing.
func columnsOf(d *contract.Document, method, pattern string) []string {
	pattern = strings.ReplaceAll(pattern, "/*", "/{path}")
	i := slices.IndexFunc(d.Operations, func(o contract.Operation) bool {
		return o.Method == method && o.Path == pattern
	})
	fields := func(p contract.Parameter) bool { return p.Name == "fields" }
	if i < 0 || !slices.ContainsFunc(d.Operations[i].Parameters, fields) {
		return nil
	}
	a, _ := d.Operations[i].Answer(http.StatusOK)
	schema := a.Types["application/json"]
	if schema == nil {
		return nil
	}
	items := d.Resolve(schema).Properties["items"]
	if items == nil || items.Items == nil {
		return nil
	}
	item := d.Resolve(items.Items)
	columns := slices.Clone(item.Required)
	for _, name := range slices.Sorted(maps.Keys(item.Properties)) {
		if !slices.Contains(columns, name) {
			columns = append(columns, name)
		}
	}
	return columns
}

// listing lets a list be had in other formats, all of it, and with some members only.
func listing(columns []string, h web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		format, err := formatOf(r)
		if err != nil {
			return err
		}
		fields, err := fieldsOf(r, columns)
		if err != nil {
			return err
		}
		w.Header().Add("Vary", "Accept")
		switch {
		case format != formatJSON:
			e := exporter{h: h, w: w, format: format, columns: columns}
			if fields != nil {
				e.columns = fields
			}
			return e.run(r)
		case fields != nil:
			return selected(w, r, h, fields)
		default:
			return h(w, r)
		}
	}
}

// formatOf returns the format that a request wants: ?format=, else Accept.
func formatOf(r *http.Request) (string, error) {
	switch format := r.URL.Query().Get("format"); format {
	case formatJSON, formatNDJSON, formatCSV:
		return format, nil
	case "":
	default:
		return "", web.Invalid("format", "json, ndjson or csv")
	}
	for part := range strings.SplitSeq(r.Header.Get("Accept"), ",") {
		kind, _, err := mime.ParseMediaType(part)
		switch {
		case err != nil:
		case kind == "text/csv":
			return formatCSV, nil
		case kind == "application/x-ndjson":
			return formatNDJSON, nil
		case kind == "application/json":
			return formatJSON, nil
		}
	}
	return formatJSON, nil
}

// fieldsOf returns the members of items that a request wants, nil for all.
func fieldsOf(r *http.Request, columns []string) ([]string, error) {
	text := r.URL.Query().Get("fields")
	if text == "" {
		return nil, nil
	}
	fields := strings.Split(text, ",")
	for i, f := range fields {
		if !slices.Contains(columns, f) || slices.Contains(fields[:i], f) {
			return nil, web.Invalid("fields", "each once, of: "+strings.Join(columns, ", "))
		}
	}
	return fields, nil
}

type item = map[string]json.RawMessage

// A part of a list, with what stands beside the items.
type part struct {
	items  []item
	next   string
	beside item
	header http.Header // of the answer
}

// partOf asks h for one part of its list.
func partOf(h web.Handler, r *http.Request) (p part, err error) {
	in := &heldAnswer{ResponseWriter: nowhere{header: http.Header{}}, holds: func(int, http.Header) bool { return true }}
	if err := h(in, r); err != nil {
		return p, err
	}
	p.header = in.Header()
	if err := json.Unmarshal(in.body.Bytes(), &p.beside); err != nil {
		return p, err
	}
	if next, ok := p.beside["next_page_token"]; ok {
		if err := json.Unmarshal(next, &p.next); err != nil {
			return p, err
		}
	}
	return p, json.Unmarshal(p.beside["items"], &p.items)
}

// selected answers a part of a list with some members only.
func selected(w http.ResponseWriter, r *http.Request, h web.Handler, fields []string) error {
	p, err := partOf(h, r)
	if err != nil {
		return err
	}
	out := make(web.Array[json.RawMessage], 0, len(p.items))
	for _, i := range p.items {
		out = append(out, object(i, fields))
	}
	if p.beside["items"], err = json.Marshal(out); err != nil {
		return err
	}
	maps.Copy(w.Header(), p.header)
	return web.WriteJSON(w, http.StatusOK, p.beside)
}

// object is an item with some members only, in their order.
func object(i item, fields []string) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, f := range fields {
		value, ok := i[f]
		if !ok {
			continue
		}
		if b.Len() > 1 {
			b.WriteByte(',')
		}
		_, _ = fmt.Fprintf(&b, "%q:%s", f, value) // our own names, which need no escapes
	}
	b.WriteByte('}')
	return b.Bytes()
}

// An exporter writes a whole list, part after part.
type exporter struct {
	h       web.Handler
	w       http.ResponseWriter
	format  string
	columns []string
}

// run writes from where the request begins to the end of the list. An error after the
// first part cuts the connection: half a list must not look like one.
func (e exporter) run(r *http.Request) error {
	r = r.Clone(r.Context())
	q := r.URL.Query()
	q.Del("format")
	q.Del("fields")
	q.Set("page_size", strconv.Itoa(web.MaxPageSize))
	for begun := false; ; begun = true {
		r.URL.RawQuery = q.Encode()
		p, err := partOf(e.h, r)
		switch {
		case err != nil && begun:
			panic(http.ErrAbortHandler)
		case err != nil:
			return err
		case !begun:
			e.begin()
		}
		if err := e.write(p.items, !begun); err != nil || p.next == "" {
			return nil //nolint:nilerr // a client that went away
		}
		_ = http.NewResponseController(e.w).Flush() // what cannot be flushed goes out later
		q.Set("page_token", p.next)
	}
}

func (e exporter) begin() {
	h := e.w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/x-ndjson")
	if e.format == formatCSV {
		h.Set("Content-Type", "text/csv; charset=utf-8")
	}
	web.Attach(h, "list."+e.format)
	e.w.WriteHeader(http.StatusOK)
}

func (e exporter) write(items []item, first bool) error {
	if e.format == formatNDJSON {
		for _, i := range items {
			if _, err := e.w.Write(append(object(i, e.columns), '\n')); err != nil {
				return err
			}
		}
		return nil
	}
	out := csv.NewWriter(e.w)
	if first {
		_ = out.Write(e.columns) // kept by out for Error
	}
	row := make([]string, len(e.columns))
	for _, i := range items {
		for n, column := range e.columns {
			row[n] = cell(i[column])
		}
		_ = out.Write(row)
	}
	out.Flush()
	return out.Error()
}

// cell is a member as it stands in CSV: texts bare, all else as JSON. A text that a
// spreadsheet takes for a formula gets an apostrophe before it.
func cell(value json.RawMessage) string {
	var text string
	switch {
	case len(value) == 0 || string(value) == "null":
		return ""
	case json.Unmarshal(value, &text) != nil:
		return string(value)
	default:
		return sheet.Harmless(text)
	}
}
