package sqlite

import (
	"fmt"
	"time"

	"steward/est"
)

// hashColumn scans a hash; NULL is the zero hash.
type hashColumn struct{ to *est.Hash }

func hash(to *est.Hash) hashColumn { return hashColumn{to} }

// Scan implements sql.Scanner.
func (h hashColumn) Scan(src any) error {
	b, ok := src.([]byte)
	if src != nil && (!ok || len(b) != len(h.to)) {
		return fmt.Errorf("hash column holds %T of %d bytes", src, len(b))
	}
	*h.to = est.Hash{}
	copy(h.to[:], b)
	return nil
}

// blob is a hash as a column or parameter: NULL if it is zero.
func blob(h est.Hash) any {
	if h == (est.Hash{}) {
		return nil
	}
	return h[:]
}

// text is a parameter that selects nothing if it is empty.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// limit is a time that bounds a selection; NULL does not.
func limit(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// micros is a time as a column; 0 is the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is the inverse of micros.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
