package app

import (
	"context"
	"log/slog"
	"time"

	"steward/est"
	"steward/est/enrol"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
)

// FactoryPeers is factoryPeers, for tests.
type FactoryPeers struct{ f *factoryPeers }

// NewFactoryPeers returns an empty one.
func NewFactoryPeers() FactoryPeers { return FactoryPeers{newFactoryPeers()} }

// Note, Closed and Next are its methods.
func (f FactoryPeers) Note(p coap.Peer) { f.f.note(p) }

// Closed is told of the end of an association.
func (f FactoryPeers) Closed(p coap.Peer) { f.f.closed(p) }

// Next returns whom to ask.
func (f FactoryPeers) Next(certificate [32]byte) (coap.Peer, bool) { return f.f.next(certificate) }

// Len returns how many devices are remembered.
func (f FactoryPeers) Len() int { return len(f.f.peers) }

// The bounds.
const (
	MaxFactoryPeers = maxFactoryPeers
	MaxCallers      = maxCallers
)

// Revocations is revocations, for tests.
type Revocations struct{ r *revocations }

// NewRevocations returns an empty one.
func NewRevocations() Revocations { return Revocations{newRevocations()} }

// Add notes a certificate.
func (r Revocations) Add(h est.Hash) { r.r.add(h) }

// Take waits until something was added and returns what was.
func (r Revocations) Take() map[est.Hash]struct{} {
	<-r.r.wake
	return r.r.take()
}

// Dismissed is dismissed, for tests.
func Dismissed(d fleet.Device, forGood bool, who coap.Identity) bool {
	return dismissed(d, forGood)(who)
}

// Classes returns the surfaces of a class of associations.
func Classes(role coap.Role, path ...string) bool {
	for _, s := range classes[role] {
		if s == surfaceOf(path) {
			return true
		}
	}
	return false
}

// Auditor is auditor, for tests.
type Auditor struct{ a *auditor }

// NewAuditor returns one that writes to db.
func NewAuditor(db audit.Log) Auditor { return Auditor{newAuditor(db, slog.New(slog.DiscardHandler))} }

// Audit and Run are its methods.
func (a Auditor) Audit(ctx context.Context, r audit.Row) error { return a.a.Audit(ctx, r) }

// Run writes what is queued.
func (a Auditor) Run(ctx context.Context) error { return a.a.Run(ctx) }

// MaxRefusals and RefusalRate are the bounds.
const (
	MaxRefusals = maxRefusals
	RefusalRate = refusalRate
)

// FaultWriter returns what writes one fault of a device.
func FaultWriter(devices fleet.Store, log audit.Log, l *slog.Logger, now func() time.Time) func(
	context.Context, server.Event,
) error {
	return newFaults(devices, log, l, now).write
}

// Enrolment returns the runner.
func (a *App) Enrolment() *enrol.Runner { return a.enrolment }

// CA returns the authority of a permanent CA.
func (p *Permanent) CA() *est.CA { return p.ca }
