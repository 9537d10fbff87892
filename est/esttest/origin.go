package esttest

import (
	"slices"

	"steward/est"
)

// factories counts the valid factory certificates that a name has after ch.
func (s *Store) factories(ch est.Change) (n int) {
	for _, r := range slices.Concat(s.records, ch.Insert) {
		gone := slices.ContainsFunc(ch.Update, func(u est.Record) bool {
			return u.Hash == r.Hash && u.Status == est.StatusRevoked
		})
		if r.Kind == est.KindFactory && r.Name == ch.SoleFactory && r.Status == est.StatusValid && !gone {
			n++
		}
	}
	return n
}
