package est

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// A step is what an event brings along.
type step struct {
	spki    Hash       // of note, open, reopen
	factory []byte     // of follow: the new factory certificate
	proof   []byte     // of follow: by the key before; nil: none was shown
	reason  Reason     // of delete
	issued  *Record    // of enrol and renew
	asked   *Record    // of renew: the certificate that asked
	key     *SealedKey // of enrol and renew: made here; nil: it is the device's own
	grant   *Approval  // of enrol: by which it was approved; nil: none was needed
	errands []Errand   // of enrol and renew: that end with it
	first   bool       // of enrol: the device had no certificate before
	set     func(*Right)
	done    func(Right) bool // the event had its effect before; nil: never
	actor   string           // zero: the CA's
	why     string
	before  string // the right as it was, in words
}

// changeRight applies the event to the stored right, starting again when somebody
// else changes it meanwhile.
func (ca *CA) changeRight(ctx context.Context, factory Hash, on RightEvent, s step) (Right, error) {
	return again(func() (Right, error) { return ca.stepRight(ctx, factory, on, s) })
}

// stepRight applies the event once: new state, effects and audit rows are one
// transaction. It returns the right as stored, or ErrConflict.
func (ca *CA) stepRight(ctx context.Context, factory Hash, on RightEvent, s step) (Right, error) {
	r, err := ca.o.Store.Right(ctx, factory)
	if err != nil {
		return Right{}, err
	}
	return ca.advance(ctx, r, on, s)
}

// advance applies the event to r, which was just read.
func (ca *CA) advance(ctx context.Context, r Right, on RightEvent, s step) (Right, error) {
	if s.done != nil && s.done(r) {
		return r, nil
	}
	row, err := RightTable.Step(r.State, on)
	if err != nil {
		return Right{}, fmt.Errorf("right of %s: %w", r.Endpoint, err)
	}
	before := r
	s.before = describe(before)
	r.State, r.ChangedAt = row.To, ca.now()
	if before.State == RightDeleted && !r.ChangedAt.After(before.ChangedAt) { // the clock went back
		r.ChangedAt = before.ChangedAt.Add(time.Microsecond) // the journal knows deletions by their time
	}
	if s.set != nil {
		s.set(&r)
	}
	var ch Change
	for _, do := range row.Do {
		if err := ca.perform(ctx, do, s, &r, &ch); err != nil {
			return Right{}, err
		}
	}
	ch.Right = &r
	if s.issued == nil { // else one row tells of both
		ch.Audit = append(ch.Audit, ca.row("right."+string(on), r.Factory, s.says(r, on), s.before, describe(r)))
	}
	if s.actor != "" {
		for i := range ch.Audit {
			ch.Audit[i].Actor = s.actor
		}
	}
	if err := ca.commit(ctx, ch); err != nil {
		return Right{}, err
	}
	r.Version++
	return r, nil
}

// says is the reason of the right's row in the audit.
func (s *step) says(r Right, on RightEvent) string {
	if (on == EventDelete || on == EventFollow) && s.why != "" {
		return r.Endpoint + ": " + s.why
	}
	return r.Endpoint
}

// describe shows a right's state in an audit row: its key is part of it.
func describe(r Right) string {
	if r.SPKI == (Hash{}) {
		return string(r.State)
	}
	return string(r.State) + "(" + hex.EncodeToString(r.SPKI[:8]) + ")"
}

// perform adds one effect to r and ch.
func (ca *CA) perform(ctx context.Context, do RightEffect, s step, r *Right, ch *Change) error {
	switch do {
	case EffectForget:
		r.SPKI = Hash{}
	case EffectBind:
		if s.spki == (Hash{}) {
			return nil
		}
		if r.SPKI != (Hash{}) && r.SPKI != s.spki {
			return fmt.Errorf("%w: %s", ErrWrongKey, r.Endpoint)
		}
		r.SPKI = s.spki
	case EffectRaise:
		r.Epoch++
		r.Issued = Hash{}
	case EffectIssue:
		r.SPKI, r.Issued = s.issued.SPKI, s.issued.Hash
		ch.Insert, ch.Key, ch.Approval = append(ch.Insert, *s.issued), s.key, s.grant
		ch.Errands = append(ch.Errands, s.errands...)
		ch.Audit = append(ch.Audit, ca.row("certificate.issue", s.issued.Hash,
			s.why+"; right of "+hex.EncodeToString(r.Factory[:]), "right "+s.before,
			string(StatusValid)+"; right "+describe(*r)))
	case EffectSupersede:
		if s.first { // there is nothing to revoke, or the transaction fails
			ch.First = r.Endpoint
			return nil
		}
		return ca.revokeAll(ctx, *r, Superseded, "enrolled again", ch)
	case EffectReplace:
		return ca.replace(ctx, s, ch)
	case EffectRename:
		ch.Renamed, ch.Origin = r.Factory, origin(sha256.Sum256(s.factory), OriginDevice)
		ch.Succession = &Succession{Old: r.FactoryDER, New: s.factory, Proof: s.proof, At: ca.now()}
		r.Factory, r.FactoryDER = sha256.Sum256(s.factory), s.factory
	case EffectRevoke:
		return ca.revokeAll(ctx, *r, s.reason, cmp.Or(s.why, "right deleted"), ch)
	}
	return nil
}

// revokeAll adds to ch the revocation of every valid operational certificate of
// the device, those included that it got without the right: by a password, or with a
// key made here for its bootstrap. A device has a handful, far below MaxPage.
func (ca *CA) revokeAll(ctx context.Context, right Right, reason Reason, why string, ch *Change) error {
	records, err := ca.o.Store.Certificates(ctx, Query{
		Kind: KindOperational, Status: StatusValid, Name: right.Endpoint, // all by the right have that name
	})
	if err != nil {
		return err
	}
	for _, r := range records {
		ca.revoke(r, reason, why, ch)
	}
	return nil
}

// replace adds to ch that the certificate asked for is renewed by the new one. An
// earlier renewal of the same certificate that was never used is revoked.
func (ca *CA) replace(ctx context.Context, s step, ch *Change) error {
	if s.asked.ReplacedBy != (Hash{}) {
		previous, err := ca.o.Store.Certificate(ctx, s.asked.ReplacedBy)
		if err != nil {
			return err
		}
		if previous.Status == StatusValid {
			ca.revoke(previous, Superseded, "renewed again before its first use", ch)
		}
	}
	old := *s.asked
	old.ReplacedBy, old.ReplacedAt = s.issued.Hash, ca.now()
	ch.Update = append(ch.Update, old)
	return nil
}

// revoke adds to ch the revocation of r.
func (ca *CA) revoke(r Record, reason Reason, why string, ch *Change) {
	before := r.Status
	r.Status, r.Reason, r.Why, r.RevokedAt = StatusRevoked, reason, why, ca.now()
	ch.Update = append(ch.Update, r)
	ch.Audit = append(ch.Audit,
		ca.row("certificate.revoke", r.Hash, fmt.Sprintf("%s %s: %s: %s", r.Kind, r.Name, reason, why),
			string(before), string(StatusRevoked)))
}

// commit stores ch and makes known what it revoked.
func (ca *CA) commit(ctx context.Context, ch Change) error {
	ca.ledger.count(1)
	defer ca.ledger.count(-1)
	if err := ca.o.Store.Commit(ctx, ch); err != nil {
		return err
	}
	return ca.committed(ch)
}
