package senml

import (
	"fmt"
	"math"
	"time"

	"steward/lwm2m"
)

// resolver turns records into entries: it keeps the base fields, which hold
// until they are replaced (RFC 8428 §4.1).
type resolver struct {
	options   Options
	baseName  []byte
	baseTime  float64
	baseValue float64
	buffer    [maxName]byte
	pack      lwm2m.Pack
}

// base takes over the base fields of r.
func (s *resolver) base(r *record) error {
	if r.has&hasVersion != 0 && (r.ver > maxVersion || r.ver < 1) {
		return fmt.Errorf("%w: %v", ErrVersion, r.ver)
	}
	if r.has&hasBaseName != 0 {
		s.baseName = r.baseName
	}
	if r.has&hasBaseTime != 0 {
		s.baseTime = r.baseTime
	}
	if r.has&hasBaseValue != 0 {
		s.baseValue = r.baseValue
	}
	return nil
}

// name returns the prefix and path of r.
func (s *resolver) name(r *record) (string, lwm2m.Path, error) {
	if len(s.baseName)+len(r.name) > maxName {
		return "", lwm2m.Path{}, fmt.Errorf("%w: %d bytes", ErrName, len(s.baseName)+len(r.name))
	}
	full := append(append(s.buffer[:0], s.baseName...), r.name...)
	return parseName(full)
}

// add appends the entry that r describes.
func (s *resolver) add(r *record) error {
	if err := s.base(r); err != nil {
		return err
	}
	if r.has&hasValue == 0 {
		return ErrRecord
	}
	prefix, path, err := s.name(r)
	if err != nil {
		return err
	}
	if path.Len() < 3 {
		return fmt.Errorf("%w: %s has no value of its own", ErrName, path)
	}
	if len(s.pack.Entries) == lwm2m.MaxEntries {
		return ErrLimit
	}
	e := lwm2m.Entry{Path: path}
	if e.Value, err = s.value(r, path); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if e.Time, err = s.time(r); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	s.pack.Add(prefix, e)
	return nil
}

func (s *resolver) value(r *record, path lwm2m.Path) (lwm2m.Value, error) {
	if r.isNull {
		if !s.options.Etch {
			return lwm2m.Value{}, ErrRecord
		}
		return lwm2m.Value{}, nil
	}
	v := r.value
	if f, ok := v.Float64(); ok && r.isNumber && s.baseValue != 0 { // RFC 8428 §4.5.2
		v = lwm2m.Float(f + s.baseValue)
	}
	return v.Convert(lwm2m.KindOf(s.options.Schema, path))
}

// time returns when r was measured: zero if the body says nothing, or only in
// relation to an unknown now. With a base time all times are absolute even if
// small, as OMA prints them (Table 7.5.6.-3), unless the sum is negative.
func (s *resolver) time(r *record) (time.Time, error) {
	if s.baseTime == 0 && r.has&hasTime == 0 {
		return time.Time{}, nil
	}
	sum := s.baseTime + r.time
	if math.Abs(sum) >= maxTime {
		return time.Time{}, fmt.Errorf("%w: %v", ErrTime, sum)
	}
	since := time.UnixMicro(int64(math.Round(sum * 1e6))).UTC()
	if sum >= relative || (s.baseTime > 0 && sum > 0) {
		return since, nil
	}
	if s.options.Now.IsZero() {
		return time.Time{}, nil
	}
	return s.options.Now.Add(since.Sub(time.Unix(0, 0))), nil
}

// finish checks the whole and returns it.
func (s *resolver) finish() (lwm2m.Pack, error) {
	if err := s.pack.Distinct(); err != nil {
		return lwm2m.Pack{}, err
	}
	return s.pack, nil
}

// parseName splits a name such as "/3/0/1" or "/lwm2m/3/0/1" into what precedes
// the first segment that begins with a digit, without slashes around it, and
// the path. Unlike lwm2m.ParsePath it allocates nothing without a prefix.
func parseName(b []byte) (string, lwm2m.Path, error) {
	if len(b) == 0 || b[0] != '/' {
		return "", lwm2m.Path{}, fmt.Errorf("%w: %q", ErrName, b)
	}
	start := 1
	for start < len(b) && !isDigit(b[start]) {
		n := start
		for n < len(b) && b[n] != '/' {
			n++
		}
		if n == start { // an empty segment
			return "", lwm2m.Path{}, fmt.Errorf("%w: %q", ErrName, b)
		}
		start = min(n+1, len(b)+1)
		if n == len(b) {
			break
		}
	}
	prefix := b[1:max(start-1, 1)]
	if len(prefix) > maxPrefix {
		return "", lwm2m.Path{}, fmt.Errorf("%w: prefix of %d bytes", ErrName, len(prefix))
	}
	var p lwm2m.Path
	if start < len(b) {
		var ok bool
		if p, ok = parseIDs(b[start:]); !ok {
			return "", lwm2m.Path{}, fmt.Errorf("%w: %q", ErrName, b)
		}
	}
	return string(prefix), p, nil
}

// parseIDs reads identifiers between slashes, at least one. lwm2m.NoID may only
// be an instance that a Create does not name.
func parseIDs(b []byte) (lwm2m.Path, bool) {
	var p lwm2m.Path
	for {
		id, n := parseID(b)
		if n == 0 || p.Len() == lwm2m.MaxDepth || (id == lwm2m.NoID && p.Len() != 1) {
			return p, false
		}
		p = p.Child(id)
		if n == len(b) {
			return p, true
		}
		if b[n] != '/' {
			return p, false
		}
		b = b[n+1:]
	}
}

// parseID reads one identifier without leading zeros and returns its length, 0
// if there is none.
func parseID(b []byte) (uint16, int) {
	id, n := 0, 0
	for ; n < len(b) && isDigit(b[n]); n++ {
		if id = id*10 + int(b[n]-'0'); id > lwm2m.NoID || (n > 0 && b[0] == '0') {
			return 0, 0
		}
	}
	return uint16(id), n
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
