package explore_test

import (
	"errors"

	"steward/est"
	"steward/transfer"
)

// status is what Beta's CA states about the device's right, as it signs it.
func (e *expansion) status(c *cell) transfer.RightStatus {
	out := transfer.RightStatus{Issuer: names[sp2], IssuedAt: transfer.SecondsOf(e.now(e.phase()))}
	out.Factory = transfer.HashOf(e.p.factory.cert.Raw)
	r := c.right[sp2]
	switch r.state {
	case est.RightOpen:
		out.State = transfer.RightOpen
	case est.RightConsumed:
		out.State = transfer.RightConsumed
	case est.RightSuspended:
		out.State = transfer.RightSuspended
	default: // closed, deleted, or never granted
		return out
	}
	out.SPKI = e.x.keys[r.spki]
	if r.issued != 0 {
		out.Issued = transfer.HashOf(e.x.certs[r.issued])
	}
	return out
}

// context is what Alpha holds a status against.
func (e *expansion) context(c *cell) transfer.RightContext {
	return transfer.RightContext{
		Factory: transfer.HashOf(e.p.factory.cert.Raw), SPKI: e.x.keys[c.out.spki], Renewed: e.p.renews,
		Now: e.now(e.phase()),
	}
}

// prove asks Beta's CA for what Beta says: that it has enrolled the device.
func (e *expansion) prove() {
	var status transfer.RightStatus
	e.rpc(sp1, "Alpha asks for the status of Beta's right", true, func(c *cell) error {
		status = e.status(c)
		return nil
	}, func(c *cell, err error) {
		if err != nil {
			return
		}
		if err = transfer.CompareEnrolled(&status, e.context(c)); err == nil {
			c.out.proved = e.x.certID(status.Issued)
			e.fire(c, sp1, transfer.RowEnrol)
		}
		if errors.Is(err, transfer.ErrRightKey) {
			e.fault("Alpha is alarmed about a key of the device's own")
		}
	}, nil)
}

// provedWrong reports whether Alpha takes it for known that Beta's CA has enrolled a key
// that is not the device's.
func (m *model) provedWrong(c *cell) bool {
	if c.out.proved == 0 {
		return false
	}
	k := m.x.keyIn(c.out.proved)
	return k != c.out.spki && (!m.p.renews || k != m.x.fresh())
}
