package contract

import (
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxFaults of one value are told: more say nothing more.
const maxFaults = 10

// Check returns what of v, as encoding/json decodes it, the schema does not allow.
func (d *Document) Check(s *Schema, v any) []string {
	c := checker{doc: d}
	c.value("", s, v)
	return c.faults
}

// Answer returns how the answer with a status is described: by itself, or as every
// other.
func (o Operation) Answer(status int) (Answer, bool) {
	for _, a := range o.Answers {
		if a.Status == status || a.Status == 0 {
			return a, true
		}
	}
	return Answer{}, false
}

type checker struct {
	doc    *Document
	faults []string
}

func (c *checker) fault(where, format string, args ...any) {
	if len(c.faults) < maxFaults {
		c.faults = append(c.faults, strings.TrimPrefix(where, ".")+" "+fmt.Sprintf(format, args...))
	}
}

func (c *checker) value(where string, s *Schema, v any) {
	s = c.doc.Resolve(s)
	if s.Type == "" { // anything
		return
	}
	is := typeOf(v)
	if is != s.Type && (s.Type != "number" || is != "integer") {
		c.fault(where, "is %s, not %s", is, s.Type)
		return
	}
	switch v := v.(type) {
	case string:
		c.text(where, s, v)
	case float64:
		c.number(where, s, v)
	case []any:
		c.array(where, s, v)
	case map[string]any:
		c.object(where, s, v)
	}
}

func (c *checker) number(where string, s *Schema, v float64) {
	if s.Minimum != nil && v < *s.Minimum || s.Maximum != nil && v > *s.Maximum {
		c.fault(where, "is %v, out of bounds", v)
	}
}

func (c *checker) array(where string, s *Schema, v []any) {
	if s.Items == nil {
		return
	}
	for i, item := range v {
		c.value(fmt.Sprintf("%s[%d]", where, i), s.Items, item)
	}
}

func (c *checker) text(where string, s *Schema, v string) {
	switch n := utf8.RuneCountInString(v); {
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, v):
		c.fault(where, "is %q, none of %s", v, strings.Join(s.Enum, ", "))
	case s.MinLength != nil && n < *s.MinLength, s.MaxLength != nil && n > *s.MaxLength:
		c.fault(where, "has %d characters", n)
	case s.Format == "date-time":
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			c.fault(where, "is %q, no time", v)
		}
	case s.Encoding == "base64":
		if _, err := base64.StdEncoding.DecodeString(v); err != nil {
			c.fault(where, "is no base64")
		}
	}
}

func (c *checker) object(where string, s *Schema, v map[string]any) {
	for _, name := range s.Required {
		if _, ok := v[name]; !ok {
			c.fault(where, "lacks %s", name)
		}
	}
	for name, member := range v {
		below := s.Properties[name]
		if below == nil {
			below = s.Others
		}
		if below == nil && len(s.Properties) == 0 {
			continue // any object
		}
		if below == nil {
			c.fault(where, "has an undeclared %s", name)
			continue
		}
		c.value(where+"."+name, below, member)
	}
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if v == math.Trunc(v) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	default:
		return "object"
	}
}
