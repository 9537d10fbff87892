package sqlite

import "sync/atomic"

// An auditNews tells that audit rows were committed, and up to which.
type auditNews struct {
	newest atomic.Int64
	fresh  chan struct{}
}

// reach says that the row id and those before are on the disk; 0 is none.
func (n *auditNews) reach(id int64) {
	if id == 0 || n.newest.Swap(id) == id {
		return
	}
	select {
	case n.fresh <- struct{}{}:
	default: // it is known
	}
}

// AuditNews gets something after audit rows were committed. It has one reader.
func (db *DB) AuditNews() <-chan struct{} { return db.audited.fresh }

// NewestAudit returns the id of the newest audit row that this process wrote, and
// that is on the disk; 0 before the first.
func (db *DB) NewestAudit() int64 { return db.audited.newest.Load() }
