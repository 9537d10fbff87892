package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"steward/transfer"
)

// What devices run may change after the partner was told. Then the information is void
// (transfer protocol §4, step 1), and the partner is told anew by itself: once for all
// devices that differ by the time, and more and more rarely, for each revision has the
// partner look at all devices.

// errDiffers says why a device waits.
var errDiffers = errors.New("it runs something else than the partner was told, who is told anew by itself")

// errUnknownSoftware says why a device waits that no update of ours has brought what it
// runs.
var errUnknownSoftware = errors.New("by its receipt it runs something else than is known here")

const (
	tooLate      = "it runs something else than the partner was told, and the others move already: it stays"
	notYetAgreed = "it waits until the partner has accepted what it was told anew"
	maxRevise    = 4 * time.Hour // between two revisions by themselves
	maxDoublings = 8             // of ReviseWait, so that it does not overflow
)

// asTold reports whether a device that is to leave runs what the partner was told, and
// has accepted. If not, it waits, and the partner is told.
func (c *Coordinator) asTold(ctx context.Context, s *step) (bool, error) {
	if s.t.Info.IsZero() {
		return true, nil // nobody was told anything
	}
	differs, err := c.differs(ctx, s.row)
	switch {
	case err != nil:
		return false, err
	case differs && s.t.revisable():
		s.row.Reason = errDiffers.Error()
		c.notice(s.t.ID, s.t.Last.Campaign != "")
	case differs:
		s.row.Reason = tooLate
	case s.t.State == transfer.BatchStaging && slices.Contains(s.t.Pending, transfer.BatchPostInfo):
		s.row.Reason = notYetAgreed
	default:
		if s.row.Reason == errDiffers.Error() || s.row.Reason == notYetAgreed {
			s.row.Reason = ""
		}
		return true, nil
	}
	s.due = time.Now().Add(c.o.MaxPoll) // the transfer wakes it before
	return false, nil
}

// waiting is why a step has an effect wait, nil if it does not.
func (s *step) waiting(ok bool) error {
	if ok {
		return nil
	}
	return errors.New(s.row.Reason)
}

// differs reports whether a device is known to run something else than its row tells the
// partner.
func (c *Coordinator) differs(ctx context.Context, r Row) (bool, error) {
	runs, err := c.o.Manifests(ctx, r.Device)
	if err != nil {
		return false, err
	}
	installed := make([]transfer.Installed, 0, len(runs))
	for _, m := range runs {
		installed = append(installed, transfer.Installed{Digest: m.Digest, Sequence: m.Sequence})
	}
	return r.outdated(installed), nil
}

// revisable reports whether the partner may be told anew what devices run.
func (t Transfer) revisable() bool { return slices.Contains(t.Commands(), CommandRevise) }

// notice notes that a device of a transfer differs. It is in memory only: after a restart
// its row, which waits, finds that again. last says that it was its last update, which may
// have been the last to be waited for.
func (c *Coordinator) notice(id string, last bool) {
	c.mu.Lock()
	known := !c.differ[id].IsZero()
	if !known {
		c.differ[id] = time.Now()
	}
	c.mu.Unlock()
	if !known || last {
		c.poked(keyTransfer + id)
	}
}

// anewAt returns when the partner is to be told anew; zero if no device differs.
func (c *Coordinator) anewAt(ctx context.Context, t Transfer) (time.Time, error) {
	c.mu.Lock()
	since := c.differ[t.ID]
	c.mu.Unlock()
	if since.IsZero() {
		return since, nil
	}
	papers, err := c.o.Store.Papers(ctx, t.ID)
	if err != nil {
		return time.Time{}, err
	}
	n := 0
	for _, p := range papers {
		if p.Kind == PaperInfo {
			n++
		}
	}
	under, err := c.updatesUnderWay(ctx, t)
	if err != nil {
		return time.Time{}, err
	}
	if t.Last.Campaign != "" && !under {
		return since, nil // there are no more to wait for
	}
	at := since.Add(min(c.o.ReviseWait<<min(n, maxDoublings), max(c.o.ReviseWait, maxRevise)))
	if t.State == transfer.BatchStaging && t.ArmBy.Before(at) {
		at = t.ArmBy // it is too late once commits begin
	}
	return at, nil
}

// tellAnew revises the information by itself if it is time to, and returns true if it
// did: what was noticed is forgotten when that is stored.
func (c *Coordinator) tellAnew(ctx context.Context, t *Transfer, ch *Change, now time.Time) (bool, error) {
	at, err := c.anewAt(ctx, *t)
	if err != nil || at.IsZero() || now.Before(at) {
		return false, err
	}
	revision, changed := *t, Change{Transfer: t}
	err = errNothing
	if t.revisable() {
		err = c.revise(ctx, &revision, &changed, "system", "an update: devices run something else than was told")
	}
	switch {
	case err == nil && len(changed.Rows) > 0:
		*t, *ch = revision, changed
		return true, nil
	case err == nil, errors.Is(err, errNothing): // nothing that we know of, or no more
		c.forget(t.ID)
		return false, nil
	case errors.Is(err, ErrState): // too many before, or the mandate does not allow it any more
		c.forget(t.ID)
		t.Reason = "devices run something else than the partner was told: " + err.Error()
		return false, nil
	}
	return false, err
}

// forget ends what notice noted.
func (c *Coordinator) forget(id string) {
	c.mu.Lock()
	delete(c.differ, id)
	c.mu.Unlock()
}

// awaitAnew has the transfer looked at again when the partner is to be told.
func (c *Coordinator) awaitAnew(ctx context.Context, t *Transfer, now time.Time) error {
	at, err := c.anewAt(ctx, *t)
	if err != nil || !now.Before(at) || !t.revisable() {
		return err
	}
	if t.Due.IsZero() || at.Before(t.Due) {
		t.Due = at
	}
	t.Reason = fmt.Sprintf("devices run something else than %s was told: it is told anew at %s", t.PartnerName,
		at.UTC().Format(time.RFC3339))
	return nil
}
