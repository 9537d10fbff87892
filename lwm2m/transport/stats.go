package transport

import "sync/atomic"

// A DropReason says why a datagram, or a record in it, was not used.
type DropReason string

// The reasons, in the order of the checks.
const (
	DropTooLong        DropReason = "too_long"        // longer than MaxDatagram
	DropMalformed      DropReason = "malformed"       // not a DTLS record
	DropUnknownCID     DropReason = "unknown_cid"     // of no association
	DropUnknownAddress DropReason = "unknown_address" // of no association or handshake
	DropPlaintext      DropReason = "plaintext"       // unprotected where it counts for nothing
	DropForged         DropReason = "forged"          // not authentic
	DropReplay         DropReason = "replay"          // seen before, or too old
	DropMismatch       DropReason = "mismatch"        // of another epoch or connection identifier
	DropBusy           DropReason = "busy"            // another handshake of the same address is under way
	DropHandshakeCap   DropReason = "handshake_cap"   // too many handshakes
	DropPrefixRate     DropReason = "prefix_rate"     // too many handshakes from one network
	DropAssociationCap DropReason = "association_cap" // too many associations
	DropQueue          DropReason = "queue"           // handshake has not kept up
	DropSendFailed     DropReason = "send_failed"     // the kernel refused a datagram of ours
	DropKernelQueue    DropReason = "kernel_queue"    // no room in the socket's buffer; we never saw it
)

// Stats are counters since the start, and the present sizes.
type Stats struct {
	Associations      int    // established now
	HandshakesPending int    // under way now
	Restored          uint64 // associations of an earlier run of the program, revoked ones included
	Handshakes        uint64 // completed
	Refused           uint64 // failed
	Expired           uint64 // associations ended for idleness
	Rebound           uint64 // changes of a peer's address followed
	DatagramsIn       uint64
	DatagramsOut      uint64
	BytesIn           uint64
	BytesOut          uint64
	Sockets           int
	ReceiveBuffer     int                   // bytes that all sockets together may hold; 0: unknown
	SendBuffer        int                   // the same for what is sent
	Latency           *Latency              // of requests; nil without ListenOptions.Stamps
	Drops             map[DropReason]uint64 // only reasons that occurred
}

// reasons fixes the places of the drop counters.
var reasons = [...]DropReason{
	DropTooLong, DropMalformed, DropUnknownCID, DropUnknownAddress, DropPlaintext, DropForged, DropReplay,
	DropMismatch, DropBusy, DropHandshakeCap, DropPrefixRate, DropAssociationCap, DropQueue, DropSendFailed,
}

// counters are updated without a lock.
type counters struct {
	restored, handshakes      atomic.Uint64
	refused, expired, rebound atomic.Uint64
	drops                     [len(reasons)]atomic.Uint64
}

func (c *counters) drop(r DropReason) {
	for i := range reasons {
		if reasons[i] == r {
			c.drops[i].Add(1)
			return
		}
	}
}

func (c *counters) snapshot() Stats {
	s := Stats{
		Restored: c.restored.Load(), Handshakes: c.handshakes.Load(), Refused: c.refused.Load(),
		Expired: c.expired.Load(), Rebound: c.rebound.Load(),
		Drops: make(map[DropReason]uint64),
	}
	for i := range c.drops {
		if n := c.drops[i].Load(); n > 0 {
			s.Drops[reasons[i]] = n
		}
	}
	return s
}

// Stats returns the counters since Listen.
func (l *Listener) Stats() Stats {
	s := l.stats.snapshot()
	s.Associations = l.table.size()
	s.HandshakesPending = l.pending.size()
	s.Sockets = len(l.shards)
	overflow := uint64(0)
	for _, x := range l.shards {
		receive, send, full := account(x.conn)
		s.ReceiveBuffer, s.SendBuffer = s.ReceiveBuffer+receive, s.SendBuffer+send
		overflow += full
		s.DatagramsIn += x.traffic.datagramsIn.Load()
		s.DatagramsOut += x.traffic.datagramsOut.Load()
		s.BytesIn += x.traffic.bytesIn.Load()
		s.BytesOut += x.traffic.bytesOut.Load()
	}
	if overflow > 0 {
		s.Drops[DropKernelQueue] = overflow
	}
	if l.options.Stamps {
		s.Latency = l.latency.snapshot()
	}
	return s
}
