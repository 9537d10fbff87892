package app_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"steward/web/contract"
)

// A request is one to be sent. fault says what of it the contract forbids; "" nothing.
type request struct {
	target, body string
	header       http.Header
	fault        string
}

// request makes a request for an operation: most as the contract has them, some with
// one fault.
func (d *driver) request(o contract.Operation) request {
	q := request{target: o.Path, header: http.Header{}}
	faulty := d.chance(3)
	query := url.Values{}
	for _, p := range o.Parameters {
		switch p.In {
		case "path":
			q.target = strings.Replace(q.target, "{"+p.Name+"}", d.segment(o.Path, p.Name), 1)
		case "query":
			if d.chance(3) {
				text, fault := d.parameter(p, faulty)
				query.Set(p.Name, text)
				q.fault += fault
			}
		case "header":
			if value := d.header(p.Name); value != "" {
				q.header.Set(p.Name, value)
			}
		}
	}
	if len(query) > 0 {
		q.target += "?" + query.Encode()
	}
	if o.Body == nil {
		return q
	}
	switch {
	case faulty && d.chance(4):
		if q.body = d.malformed(); q.body != "" || o.Body.Required {
			q.fault = "a body that is no JSON"
		}
	case faulty && d.chance(4) && len(d.doc.Resolve(o.Body.Schema).Properties) > 0:
		q.body, q.fault = d.pick(`[]`, `"x"`, `1`, `true`), "a body that is no object"
	case faulty && d.chance(3):
		q.body, q.fault = "{}", "another content type"
		q.header.Set("Content-Type", d.pick("text/plain", "application/xml", "x", "application/json-seq"))
	case faulty:
		v := d.value("", o.Body.Schema, 0)
		if fault := d.spoil(o.Body.Schema, &v); fault != "" {
			q.fault = fault
		}
		q.body = encode(v)
	case examples[o.ID] != "" && !d.chance(3):
		q.body = d.example(o)
	default:
		q.body = encode(d.value("", o.Body.Schema, 0))
	}
	return q
}

// examples are bodies that services take: DEVICE, RELEASE and PARTNER stand for ids.
var examples = map[string]string{
	"createSignInLink":       `{"name":"bob","role":"viewer"}`,
	"addPerson":              `{"name":"bob","role":"operator","reason":"x"}`,
	"addWebhook":             `{"name":"w","url":"https://192.0.2.1/x","types":["nothing"]}`,
	"editWebhook":            `{"name":"w","url":"https://192.0.2.1/y","mode":"binary"}`,
	"commandWebhook":         `{"action":"pause"}`,
	"importDevice":           `{"endpoint":"e","tags":["a"]}`,
	"operate":                `{"op":"read","path":"/3/0/0","ttl":60}`,
	"writeNode":              `{"values":[{"path":"/3/0/15","value":"UTC"}]}`,
	"postNode":               `{"values":[{"path":"/3/0/15","value":"UTC"}]}`,
	"putSeriesRule":          `{"days":7}`,
	"putGroup":               `{"kind":"dynamic","filter":"tag=a"}`,
	"changeGroupMembers":     `{"add":["DEVICE"]}`,
	"putObservationTemplate": `{"observations":[{"paths":["/3/0/9"],"attributes":["pmin=1"]}]}`,
	"putBootstrapProfile":    `{"mode":"psk","short_id":1,"lifetime":300,"tag":"t"}`,
	"putDeviceKey":           `{"identity":"x","key":"AAAAAAAAAAAAAAAAAAAAAA=="}`,
	"startTrace":             `{"seconds":60}`,
	"makePassword":           `{"name":"x"}`,
	"addRelease":             `{"name":"r","version":"1","vendor":"acme","class":"lamp","image":"AAECAw=="}`,
	"decideRelease":          `{"action":"approve"}`,
	"createCampaign":         `{"name":"c","release":"RELEASE","delivery":"pull","devices":["DEVICE"]}`,
	"previewCampaign":        `{"name":"c","release":"RELEASE","delivery":"push","devices":["DEVICE"]}`,
	"commandCampaign":        `{"action":"pause","reason":"x"}`,
	"abortCampaign":          `{"reason":"x"}`,
	"setPartnerState":        `{"state":"suspended","reason":"x"}`,
	"draftTransfer":          `{"partner":"PARTNER","devices":["DEVICE"],"latest":"2036-03-02T10:00:00Z"}`,
	"commandTransfer":        `{"action":"cancel","reason":"x"}`,
	"addObjectDefinitions": `{"document":"<?xml version=\"1.0\"?><LWM2M><Object ObjectType=\"MODefinition\">` +
		`<Name>N</Name><ObjectID>32001</ObjectID><ObjectURN>urn:oma:lwm2m:x:32001</ObjectURN>` +
		`<MultipleInstances>Multiple</MultipleInstances>` +
		`<Mandatory>Optional</Mandatory><Resources><Item ID=\"0\"><Name>V</Name><Operations>R</Operations>` +
		`<MultipleInstances>Single</MultipleInstances><Mandatory>Optional</Mandatory><Type>Integer</Type>` +
		`</Item></Resources>` +
		`</Object></LWM2M>"}`,
}

// example returns one of examples, at times with another member or a changed one.
func (d *driver) example(o contract.Operation) string {
	text := examples[o.ID]
	for name, of := range map[string]string{"DEVICE": "devices", "RELEASE": "releases", "PARTNER": "partners"} {
		if known := d.known(of); len(known) > 0 {
			text = strings.ReplaceAll(text, name, d.pick(known...))
		}
	}
	s := d.doc.Resolve(o.Body.Schema)
	if d.chance(2) || len(s.Properties) == 0 {
		return text
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		panic(err)
	}
	name := d.pick(slices.Sorted(maps.Keys(s.Properties))...)
	v[name] = d.value(name, s.Properties[name], 0)
	return encode(v)
}

func encode(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

func (d *driver) chance(oneIn int) bool            { return d.rng.IntN(oneIn) == 0 }
func (d *driver) pick(from ...string) string       { return from[d.rng.IntN(len(from))] }
func (d *driver) known(name string) (all []string) { return d.pool[name] }

// hostile are texts that have hurt somebody.
var hostile = []string{
	"", " ", "a", "0", "-1", "null", "../../etc/passwd", "..%2f..%2f", "%00", "\x00", "'; DROP TABLE device; --",
	`"><script>alert(1)</script>`, "{{.}}", "%s%n", "ä€\U0001F600", "\u202e", "a\r\nX-Injected: 1", "\xff\xfe",
	strings.Repeat("x", 300), strings.Repeat("ü", 5000), "18446744073709551616", "1e999", "NaN", "*", "ep:", "ep:one",
	"/3/0/0",
}

// segment is a part of a path: mostly one that names something.
func (d *driver) segment(path, name string) string {
	of := strings.Split(strings.TrimPrefix(path, "/api/v1"), "/")[1]
	text := d.pick(hostile...)
	switch known := d.known(of); {
	case name == "path":
		text = d.pick("3/0/0", "3/0/15", "3/0", "3", "1/0/1", "5/0/1", "3303/0/5700", "65535/65535/65535/1", "0",
			"3/0/0/0/0", "x", "d01/3/0/0")
		return text
	case name == "object":
		text = d.pick("3303", "32001", "3303", "65536", "-1")
	case name == "resource":
		text = d.pick("5700", "5700", "65536", "x")
	case name == "version":
		text = d.pick("1.0", "1.0", "x")
	case name == "code":
		text = d.pick("not_found", "invalid", "x")
	case name == "use":
		text = d.pick("server", "bootstrap", "other")
	case d.chance(4):
	case (name == "id" || name == "name") && len(known) > 0:
		text = d.pick(known...)
	case len(d.known(name)) > 0:
		text = d.pick(d.known(name)...)
	}
	if text == "" {
		text = "x" // another route
	}
	return url.PathEscape(text)
}

// parameter is the text of one in the query.
func (d *driver) parameter(p contract.Parameter, faulty bool) (text, fault string) {
	s := d.doc.Resolve(p.Schema)
	switch s.Type {
	case "integer":
		if faulty {
			return d.pick("x", "1.5", "99999999999999999999"), "a number that is none in " + p.Name
		}
		return strconv.Itoa(d.integer(s)), ""
	case "boolean":
		if faulty {
			return d.pick("maybe", "2"), "a truth value that is none in " + p.Name
		}
		return d.pick("true", "false"), ""
	}
	if len(s.Enum) > 0 {
		if faulty {
			return "none of these", "a word that is not listed in " + p.Name
		}
		return d.pick(s.Enum...), ""
	}
	if s.MaxLength != nil && faulty {
		return strings.Repeat("x", *s.MaxLength+1), "a text that is too long in " + p.Name
	}
	if p.Name == "fields" {
		return d.pick("id", "name", "id,name", "", "endpoint", "x"), ""
	}
	if s.Format == "date-time" {
		if faulty {
			return "yesterday", "a time that is none in " + p.Name
		}
		return d.moment(), ""
	}
	return d.text(p.Name, s), ""
}

func (d *driver) header(name string) string {
	switch name {
	case "If-Match":
		return d.pick("*", "*", "*", "*", "*", "*", "", `"x"`, "W/\"x\"", "x,,\"", strings.Repeat("\"a\",", 1000))
	case "If-None-Match":
		return d.pick("", "", "", "", "", "*", `"x"`)
	case "Idempotency-Key":
		return d.pick("", "", "", d.pick(hostile...), strconv.Itoa(d.rng.IntN(1000)))
	case "Prefer":
		return d.pick("respond-async", "wait=0", "wait=0, wait=x", "respond-async, wait=-1", "wait=-1;x, respond-async")
	case "Last-Event-ID":
		return d.pick("", "0", "1", "x", "18446744073709551615")
	default:
		return d.pick(hostile...)
	}
}

func (d *driver) malformed() string {
	return d.pick("", "{", "[", `{"a":}`, "nul", `{"a":1}{"b":2}`, "\xff", strings.Repeat("[", 20000), `{"a":1e99999}`)
}

func (d *driver) moment() string {
	return time.Unix(1_700_000_000+int64(d.rng.IntN(100_000_000)), 0).UTC().Format(time.RFC3339)
}

func (d *driver) integer(s *contract.Schema) int {
	low, high := 0, 1_000_000
	if s.Minimum != nil {
		low = int(*s.Minimum)
	}
	if s.Maximum != nil {
		high = int(*s.Maximum)
	}
	switch d.rng.IntN(4) {
	case 0:
		return low
	case 1:
		return high
	default:
		return low + d.rng.IntN(min(high-low, 100)+1)
	}
}

func (d *driver) text(name string, s *contract.Schema) string {
	switch {
	case len(s.Enum) > 0:
		return d.pick(s.Enum...)
	case s.Format == "date-time":
		return d.moment()
	case s.Encoding == "base64":
		b := make([]byte, d.rng.IntN(64))
		for i := range b {
			b[i] = byte(d.rng.Uint32())
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	known := append(slices.Clone(d.known(name)), d.known(name+"s")...)
	text := d.pick(hostile...)
	if len(known) > 0 && !d.chance(3) {
		text = d.pick(known...)
	}
	if s.MaxLength != nil {
		text = string([]rune(text)[:min(len([]rune(text)), *s.MaxLength)])
	}
	if s.MinLength != nil && len(text) < *s.MinLength {
		text = strings.Repeat("x", *s.MinLength)
	}
	return text
}

// maxDepth of the values that are made.
const maxDepth = 6

// value makes one that the schema allows.
func (d *driver) value(name string, s *contract.Schema, depth int) any {
	s = d.doc.Resolve(s)
	switch s.Type {
	case "string":
		return d.text(name, s)
	case "integer":
		return d.integer(s)
	case "number":
		return float64(d.integer(s)) + 0.5*float64(d.rng.IntN(2))
	case "boolean":
		return d.chance(2)
	case "array":
		all := []any{}
		for range d.rng.IntN(4) {
			if s.Items != nil && depth < maxDepth {
				all = append(all, d.value(name, s.Items, depth+1))
			}
		}
		return all
	case "object":
		out := map[string]any{}
		for _, member := range slices.Sorted(maps.Keys(s.Properties)) {
			if slices.Contains(s.Required, member) || depth < maxDepth && d.chance(2) {
				out[member] = d.value(member, s.Properties[member], depth+1)
			}
		}
		return out
	default: // anything
		return []any{nil, true, 7, -1.5, "x", "AAEC", []any{}, map[string]any{"a": 1}}[d.rng.IntN(8)]
	}
}

// spoil makes one member of an object such that the schema does not allow it, and
// returns what is wrong, "" if nothing could be.
func (d *driver) spoil(s *contract.Schema, v *any) string {
	object, ok := (*v).(map[string]any)
	s = d.doc.Resolve(s)
	if !ok || len(s.Properties) == 0 {
		return ""
	}
	name := d.pick(slices.Sorted(maps.Keys(s.Properties))...)
	p := d.doc.Resolve(s.Properties[name])
	switch d.rng.IntN(3) {
	case 0:
		object["undeclared"] = 1
		return "an undeclared member"
	case 1:
		if len(s.Required) > 0 {
			name = d.pick(s.Required...)
			delete(object, name)
			return "no " + name
		}
		return ""
	}
	switch {
	case len(p.Enum) > 0:
		object[name] = "none of these"
		return "a word that is not listed in " + name
	case p.Type == "string":
		object[name] = 7
	case p.Type == "integer":
		object[name] = d.pick("x", "7")
	case p.Type == "array", p.Type == "boolean", p.Type == "number":
		object[name] = "x"
	case p.Type == "object":
		object[name] = []any{1}
	default:
		return ""
	}
	return "a value of another type in " + name
}
