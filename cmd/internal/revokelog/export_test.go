package revokelog

import "steward/est"

// Break makes the file unwritable.
func (l *Log) Break() error { return l.file.Close() }

// RecordSize is the size of a record, HeaderSize that of what begins a file.
const (
	RecordSize = recordSize
	HeaderSize = len(header)
	MinRewrite = minRewrite
)

// Parse reads the bytes of a file, and Encode writes one of these entries.
func Parse(raw []byte) ([]est.Entry, error) {
	entries, _, err := parse(raw)
	return entries, err
}

// Encode returns the bytes of a file with these entries.
func Encode(entries []est.Entry) (out []byte, err error) {
	out = []byte(header)
	for _, e := range entries {
		if out, err = appendRecord(out, e); err != nil {
			return nil, err
		}
	}
	return out, nil
}
