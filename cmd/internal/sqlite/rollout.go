package sqlite

// Rollout implements rollout.Store.
type Rollout struct{ db *DB }

// Rollout returns the rollout.Store of db.
func (db *DB) Rollout() Rollout { return Rollout{db} }
