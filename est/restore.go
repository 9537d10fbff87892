package est

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxGrace is the longest time for which a certificate that ended may still be of
// use to somebody (IdentifyExpired): for so long it must not be forgotten that it
// was revoked.
const MaxGrace = 90 * 24 * time.Hour

// Restored counts what Restore did.
type Restored struct {
	Revoked int // certificates that the Store held to be valid
	Deleted int // rights that the Store held to be in force
	Unknown int // revoked certificates that the Store does not hold
	Kept    int // revocations that the Journal did not have
	// Withdrawn are one-time passwords that the Store held to have more uses.
	Withdrawn int
}

// Restore makes Store and Journal agree, before anything else is asked of the CA:
// what the Journal knows is revoked and deleted again, audited as restored, and the
// Journal gets what it lacks. A Store older than the Journal, from a backup, so
// makes no certificate valid again, brings back no deleted right, and repeats no
// CRL number.
func (ca *CA) Restore(ctx context.Context) (Restored, error) {
	j, err := ca.replay()
	if err != nil {
		return Restored{}, err
	}
	since := ca.now().Add(-MaxGrace)
	known, missing, err := ca.compare(ctx, j, since)
	if err != nil {
		return Restored{}, err
	}
	out := Restored{Kept: len(missing)}
	var forgotten []Revocation
	for h, r := range j.revoked {
		if !known[h] && !r.NotAfter.Before(since) {
			forgotten = append(forgotten, r)
		}
	}
	for some := range slices.Chunk(forgotten, restoreBatch) {
		if err := ca.revokeAgain(ctx, some, &out); err != nil {
			return out, err
		}
	}
	for factory, at := range j.deleted {
		if err := ca.deleteAgain(ctx, factory, at, &out); err != nil {
			return out, err
		}
	}
	if err := ca.withdrawUsed(ctx, j.left, &out); err != nil {
		return out, err
	}
	return out, ca.ledger.append(missing)
}

// compare returns what is revoked in the Store, and what the Journal lacks of it and
// of the deleted rights. For those, which take longer to read, a Journal that was
// closed in order is believed.
func (ca *CA) compare(ctx context.Context, j journalled, since time.Time) (
	known map[Hash]bool, missing []Entry, err error,
) {
	known = map[Hash]bool{}
	err = ca.o.Store.Revoked(ctx, Hash{}, since, func(r Revocation) error {
		known[r.Hash] = true
		if _, ok := j.revoked[r.Hash]; !ok {
			missing = append(missing, Entry{Kind: EntryRevoked, Revocation: r})
		}
		return nil
	})
	if err == nil {
		err = ca.withKeys(ctx, missing)
	}
	if err != nil || j.clean {
		return known, missing, err
	}
	deleted, err := ca.deletedRights(ctx, j.deleted)
	return known, append(missing, deleted...), err
}

// withKeys puts in the keys that are compromised.
func (ca *CA) withKeys(ctx context.Context, entries []Entry) error {
	for i, e := range entries {
		if e.Revocation.Reason != KeyCompromise {
			continue
		}
		r, err := ca.o.Store.Certificate(ctx, e.Revocation.Hash)
		if err != nil {
			return err
		}
		entries[i].Revocation.SPKI = r.SPKI
	}
	return nil
}

// A journalled is what a Journal says, the last word on each subject.
type journalled struct {
	revoked map[Hash]Revocation
	deleted map[Hash]int64 // when, in Unix microseconds, by factory certificate
	left    map[Hash]int64 // uses of one-time passwords, by the hash of their ids
	clean   bool
}

func (ca *CA) replay() (journalled, error) {
	j := journalled{revoked: map[Hash]Revocation{}, deleted: map[Hash]int64{}, left: map[Hash]int64{}}
	l := ca.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	var err error
	j.clean, err = l.journal.Replay(func(e Entry) error {
		switch e.Kind {
		case EntryRevoked:
			if _, err := e.Revocation.Reason.Code(); err != nil {
				return err
			}
			j.revoked[e.Revocation.Hash] = e.Revocation
		case EntryDeleted:
			j.deleted[e.Subject] = max(j.deleted[e.Subject], e.Number)
		case EntryNumber:
			n := max(l.numbers[e.Subject].reserved, e.Number)
			l.numbers[e.Subject] = numbers{last: n, reserved: n}
		case EntryPassword:
			j.left[e.Subject] = e.Number % passwordUses
		default:
			return fmt.Errorf("%w: journal entry of kind %d", ErrOptions, e.Kind)
		}
		return nil
	})
	return j, err
}

// restoreBatch is how many revocations are restored by one transaction.
const restoreBatch = 256

// revokeAgain applies revocations that the Store does not know, in one transaction.
func (ca *CA) revokeAgain(ctx context.Context, some []Revocation, out *Restored) error {
	n, err := again(func() (int, error) {
		var ch Change
		for _, r := range some {
			rec, err := ca.o.Store.Certificate(ctx, r.Hash)
			if errors.Is(err, ErrUnknown) {
				out.Unknown += ca.ledger.stray(r)
				continue
			}
			if err != nil {
				return 0, err
			}
			if rec.Status == StatusRevoked {
				continue
			}
			why := "restored: revoked at " + r.At.UTC().Format(time.RFC3339) + ", which the database did not know"
			ca.revoke(rec, r.Reason, why, &ch)
			ch.Update[len(ch.Update)-1].RevokedAt = r.At
		}
		if len(ch.Update) == 0 {
			return 0, nil
		}
		return len(ch.Update), ca.commit(ctx, ch)
	})
	out.Revoked += n
	return err
}

// deleteAgain deletes a right that the Store holds as it was before it was deleted.
func (ca *CA) deleteAgain(ctx context.Context, factory Hash, at int64, out *Restored) error {
	r, err := ca.o.Store.Right(ctx, factory)
	switch {
	case errors.Is(err, ErrUnknown), err == nil && (r.State == RightDeleted || r.ChangedAt.UnixMicro() > at):
		return nil
	case err != nil:
		return err
	}
	_, err = ca.changeRight(ctx, factory, EventDelete, step{
		reason: CessationOfOperation, why: "restored: deleted before, which the database did not know",
	})
	if err == nil {
		out.Deleted++
	}
	return err
}

// deletedRights returns the entries of rights deleted in the Store that are not in
// have.
func (ca *CA) deletedRights(ctx context.Context, have map[Hash]int64) (out []Entry, err error) {
	var after Hash
	for {
		page, err := ca.o.Store.Rights(ctx, "", after, MaxPage)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			if r.State == RightDeleted && have[r.Factory] < r.ChangedAt.UnixMicro() {
				out = append(out, Entry{Kind: EntryDeleted, Subject: r.Factory, Number: r.ChangedAt.UnixMicro()})
			}
		}
		if len(page) < MaxPage {
			return out, nil
		}
		after = page[len(page)-1].Factory
	}
}

// withdrawUsed withdraws the one-time passwords that the Store holds as they were
// before they were used.
func (ca *CA) withdrawUsed(ctx context.Context, left map[Hash]int64, out *Restored) error {
	before := ""
	for len(left) > 0 {
		page, err := ca.ListPasswords(ctx, before, MaxPage)
		if err != nil {
			return err
		}
		for _, p := range page {
			n, ok := left[sumText(p.ID)]
			if !ok || p.State != PasswordOpen || int64(p.Left) <= n {
				continue
			}
			if _, err := ca.WithdrawPassword(ctx, p.ID); err != nil {
				return err
			}
			out.Withdrawn++
		}
		if len(page) < MaxPage {
			return nil
		}
		before = page[len(page)-1].ID
	}
	return nil
}
