package demo

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"steward/cmd/internal/bundle"
	"steward/cmd/internal/sim"
	"steward/cmd/internal/sqlite"
	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/coap"
	"steward/lwm2m/dtls"
	"steward/lwm2m/fleet"
	"steward/lwm2m/server"
	"steward/lwm2m/transport"
	"steward/transfer"
	"steward/transfer/coordinator"
)

// An examiner looks at everything after the run.
type examiner struct {
	d           *demo
	alpha, beta *sqlite.DB
	report      *Report
	phases      map[string][]figures // of Phases, by name
	messages    []int                // sizes of TransferMessages
	disruption  []time.Duration
}

// figures are bytes and datagrams.
type figures struct{ bytes, datagrams int }

func loadBundles(dir string) ([]*bundle.Bundle, error) {
	return bundle.Load(filepath.Join(dir, "devices"))
}

// report examines what is left of the run.
func (d *demo) report(ctx context.Context) (r *Report, err error) {
	x := &examiner{
		d: d, phases: map[string][]figures{},
		report: &Report{
			Devices: d.o.Devices, Fault: d.o.Fault, Hierarchy: d.o.Hierarchy, Attest: d.o.Attest, Rekey: d.o.Rekey,
			UpdateFirst: d.o.UpdateFirst, Server: d.cost, Encoding: d.o.Encoding,
		},
	}
	if x.alpha, err = sqlite.Open(ctx, filepath.Join(d.alpha.data, "steward.db")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.alpha.Close()) }()
	if x.beta, err = sqlite.Open(ctx, filepath.Join(d.beta.data, "steward.db")); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.beta.Close()) }()
	bundles, err := loadBundles(d.dir)
	if err != nil {
		return nil, err
	}
	for _, b := range bundles {
		if err := x.device(ctx, b); err != nil {
			return nil, fmt.Errorf("%s: %w", b.Endpoint, err)
		}
	}
	if err := x.people(ctx); err != nil {
		return nil, err
	}
	if err := x.records(ctx); err != nil {
		return nil, err
	}
	x.summarise()
	x.report.Seconds = time.Since(d.began).Seconds()
	x.report.expect(d.fault.home)
	return x.report, nil
}

// device examines one device from all sides.
func (x *examiner) device(ctx context.Context, b *bundle.Bundle) error {
	s, err := sim.Inspect(x.d.fleet.state, b)
	if err != nil {
		return err
	}
	atAlpha, err := x.alpha.Devices().ByEndpoint(ctx, lwm2m.Endpoint(b.Endpoint))
	if err != nil {
		return fmt.Errorf("at Alpha: %w", err)
	}
	old, err := x.alpha.Inventory().Certificates(ctx, est.Query{
		Kind: est.KindOperational, Factory: est.Hash(atAlpha.Factory), Limit: est.MaxPage,
	})
	if err != nil {
		return err
	}
	count(&x.report.Enrolled, len(old) > 0)
	registered, err := x.wasRegistered(ctx, atAlpha.ID)
	if err != nil {
		return err
	}
	count(&x.report.Registered, registered)
	updated, err := installed(ctx, x.alpha, atAlpha.ID, sequenceOf["2.0.0"])
	if err != nil {
		return err
	}
	count(&x.report.Updated, updated && s.Sequence >= sequenceOf["2.0.0"])
	x.measure(s)
	if err := x.row(ctx, atAlpha); err != nil {
		return err
	}
	if err := x.verdicts(ctx, atAlpha); err != nil {
		return err
	}
	if err := x.rekeyed(ctx, b, s); err != nil {
		return err
	}
	switch x.d.fault.home {
	case fellBack:
		return x.fallback(ctx, s, old)
	case stayed:
		return x.stay(ctx, s, old)
	case moved:
	}
	if err := x.updatedFirst(ctx, atAlpha.Factory); err != nil {
		return err
	}
	return x.arrival(ctx, b, s, old)
}

func count(n *int, is bool) {
	if is {
		*n++
	}
}

// wasRegistered reports whether Alpha's audit has a Register of the device.
func (x *examiner) wasRegistered(ctx context.Context, id fleet.ID) (bool, error) {
	rows, err := x.alpha.AuditBefore(ctx, string(id), 0, 10000)
	for _, r := range rows {
		if r.Action == "registration.register" {
			return true, err
		}
	}
	return false, err
}

// installed reports whether a provider knows that the device runs a manifest.
func installed(ctx context.Context, db *sqlite.DB, id fleet.ID, sequence uint64) (bool, error) {
	list, err := db.Rollout().Installed(ctx, id)
	for _, i := range list {
		if i.Sequence >= sequence {
			return true, err
		}
	}
	return false, err
}

// liveAt reports whether the device is registered at the provider, with a live
// certificate of its CA for a key that none of the old certificates had.
func liveAt(ctx context.Context, db *sqlite.DB, s *sim.Snapshot, old []est.Record) (bool, error) {
	d, err := db.Devices().ByEndpoint(ctx, lwm2m.Endpoint(s.Endpoint))
	if errors.Is(err, fleet.ErrUnknown) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	reg, err := db.Server().OfDevice(ctx, d.ID)
	if err != nil || !reg.ExpiresAt.After(time.Now()) || s.Operational == nil {
		return false, ignoreUnregistered(err)
	}
	record, err := db.Inventory().Certificate(ctx, sha256.Sum256(s.Operational))
	if err != nil || record.Live(time.Now()) != nil {
		return false, ignoreUnknown(err)
	}
	seen := slices.ContainsFunc(old, func(o est.Record) bool { return o.SPKI == record.SPKI && o.Hash != record.Hash })
	return !seen && d.Ownership == fleet.Owned, nil
}

// arrival checks a device that must be at Beta.
func (x *examiner) arrival(ctx context.Context, b *bundle.Bundle, s *sim.Snapshot, old []est.Record) error {
	count(&x.report.Transferred, s.State == transfer.Finalised && strings.Contains(s.Home.ServerURI, hostBeta))
	active, err := liveAt(ctx, x.beta, s, old)
	if err != nil {
		return err
	}
	count(&x.report.ActiveAtSP2, active)
	refused, err := x.refused(ctx, b, s)
	if err != nil {
		return err
	}
	count(&x.report.RefusedAtSP1, refused)
	d, err := x.beta.Devices().ByEndpoint(ctx, lwm2m.Endpoint(b.Endpoint))
	if err != nil {
		return ignoreUnknownDevice(err)
	}
	second, err := installed(ctx, x.beta, d.ID, sequenceOf["3.0.0"])
	count(&x.report.SecondManifest, second && s.Sequence == sequenceOf["3.0.0"])
	return err
}

// fallback checks a device that must be back at Alpha with a new key, its old
// certificate revoked.
func (x *examiner) fallback(ctx context.Context, s *sim.Snapshot, old []est.Record) error {
	live, err := liveAt(ctx, x.alpha, s, old)
	if err != nil {
		return err
	}
	count(&x.report.FellBack, live && alive(old) == 1 && len(old) > 1 && s.State == transfer.FellBack)
	return x.absent(ctx, s)
}

// stay checks a device that must be at Alpha as before the hand-over.
func (x *examiner) stay(ctx context.Context, s *sim.Snapshot, old []est.Record) error {
	live, err := liveAt(ctx, x.alpha, s, old)
	if err != nil {
		return err
	}
	count(&x.report.StayedAtSP1, live && len(old) == 1 && alive(old) == 1 && s.State.AtRest() &&
		!slices.ContainsFunc(s.Anchors, func(a transfer.Anchor) bool { return a.Staged || a.Domain == transfer.Pending }))
	return x.absent(ctx, s)
}

func alive(list []est.Record) (n int) {
	for _, c := range list {
		count(&n, c.Live(time.Now()) == nil)
	}
	return n
}

// absent checks that a device is not at Beta.
func (x *examiner) absent(ctx context.Context, s *sim.Snapshot) error {
	there, err := liveAt(ctx, x.beta, s, nil)
	count(&x.report.ActiveAtSP2, there)
	return err
}

// refused tries the old operational key and the factory key at Alpha.
func (x *examiner) refused(ctx context.Context, b *bundle.Bundle, s *sim.Snapshot) (bool, error) {
	if s.OldKey == nil {
		return false, nil
	}
	key, chain, err := b.FactoryIdentity()
	if err != nil {
		return false, err
	}
	for _, c := range []*tls.Certificate{s.OldKey, {Certificate: chain, PrivateKey: key}} {
		no, err := x.handshakeRefused(ctx, hostAlpha, c)
		if err != nil || !no {
			return false, err
		}
	}
	return true, nil
}

// handshakeTimeout is for a handshake on one machine that is answered at once.
const handshakeTimeout = 10 * time.Second

// handshakeRefused reports whether a provider refuses a certificate. Silence is no
// refusal but an error: a dead server refuses nothing.
func (x *examiner) handshakeRefused(ctx context.Context, host string, c *tls.Certificate) (bool, error) {
	engine := coap.New(coap.Options{})
	conn, err := transport.Dial(ctx, transport.DialOptions{
		URI: "coaps://" + host + ":" + portCoAPS, Engine: engine, HandshakeTimeout: handshakeTimeout,
		Client: dtls.ClientOptions{Certificate: c, Verify: func([][]byte) error { return nil }},
	})
	if err == nil {
		return false, conn.Close()
	}
	if errors.Is(err, dtls.ErrTimeout) || ctx.Err() != nil {
		return false, fmt.Errorf("trying an old key: %w", err)
	}
	return true, nil
}

// row takes the figures of Alpha's row of the device.
func (x *examiner) row(ctx context.Context, d fleet.Device) error {
	row, err := x.alpha.Transfers().Row(ctx, x.d.session, d.Factory.Short())
	if errors.Is(err, coordinator.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	x.messages = append(x.messages, len(row.Message))
	if x.d.fault.home == moved { // the new provider knows when service came back
		if row, err = x.rowAtBeta(ctx, d); err != nil {
			return err
		}
	}
	if gap, known := row.Disruption(); known {
		x.disruption = append(x.disruption, gap)
	}
	return nil
}

func (x *examiner) rowAtBeta(ctx context.Context, d fleet.Device) (coordinator.Row, error) {
	list, err := x.beta.Transfers().ListTransfers(ctx, "", 1)
	if err != nil || len(list) == 0 {
		return coordinator.Row{}, err
	}
	row, err := x.beta.Transfers().Row(ctx, list[0].ID, d.Factory.Short())
	if errors.Is(err, coordinator.ErrUnknown) {
		return row, nil
	}
	return row, err
}

// auditPage is how many audit rows are read at a time.
const auditPage = 1000

// people counts the decisions of persons in both audits, and what they did to
// single devices while the transfer ran.
func (x *examiner) people(ctx context.Context) error {
	for _, db := range []*sqlite.DB{x.alpha, x.beta} {
		var before int64
		for more := true; more; {
			rows, err := db.AuditBefore(ctx, "", before, auditPage)
			if err != nil {
				return err
			}
			for _, r := range rows {
				before = r.ID
				count(&x.report.Approvals, r.Action == "transfer.approve")
				count(&x.report.PerDeviceActions, x.onDevice(ctx, db, r))
			}
			more = len(rows) == auditPage
		}
	}
	return nil
}

// onDevice reports whether a person did something to a single device during the
// transfer.
func (x *examiner) onDevice(ctx context.Context, db *sqlite.DB, r audit.Record) bool {
	during := !r.At.Before(x.d.transferBegan) && r.At.Before(x.d.transferEnded)
	return during && strings.HasPrefix(r.Actor, "operator:") && x.isDevice(ctx, db, r.Subject)
}

func (x *examiner) isDevice(ctx context.Context, db *sqlite.DB, subject string) bool {
	_, err := db.Devices().Device(ctx, fleet.ID(subject))
	return err == nil
}

// What is not there is a finding, which the report counts, and no failure to
// look.
func ignoreUnregistered(err error) error  { return unless(err, server.ErrNotRegistered) }
func ignoreUnknown(err error) error       { return unless(err, est.ErrUnknown) }
func ignoreUnknownDevice(err error) error { return unless(err, fleet.ErrUnknown) }

func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
