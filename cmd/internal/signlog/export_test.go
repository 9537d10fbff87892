package signlog

import "steward/lwm2m/server"

// Break makes the present file unwritable.
func (l *Log) Break() error { return l.file.Close() }

// ReplayFile reads a file's bytes.
func ReplayFile(raw []byte, fn func(server.Sign)) error { return replay(raw, fn) }

// Record writes one record.
func Record(s server.Sign) []byte { return appendRecord(nil, s) }

// IsRecord reports whether b is the record of s.
func IsRecord(b []byte, s server.Sign) bool {
	got, ok := parseRecord(b)
	return ok && got == s
}
