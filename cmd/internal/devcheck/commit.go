package devcheck

import (
	"context"
	"fmt"
	"time"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/codec"
	"steward/objects"
	"steward/transfer"
)

// unhurried is the grace of what does not try it, in times of Options.Patience.
const unhurried = 20

// commit leads the device out of the hands of the outgoing provider.
func (c *Check) commit(ctx context.Context, grace time.Duration) (*readiness, error) {
	r, err := c.ready(ctx, func(o *order) { *o.destination.Grace = uint64(max(grace, 0) / time.Second) })
	if err != nil {
		return nil, err
	}
	t := try{"commit", "§4 step 8", "Commit is obeyed, and the device de-registers", "Execute Commit"}
	l, left, registered := c.at(c.sp1), c.sp1.have().left, c.sp1.have().registered
	c.sp1.set(func() { c.sp1.mood, c.sp1.visitor = moodLater, nil }) // nobody enrols there before a receipt
	code, err := l.execute(ctx, c.transferResource(objects.TransferCommit), orderIn(r.at))
	if err != nil || !code.IsSuccess() {
		return nil, c.stopped(t, fmt.Sprintf("answers %s, %v", code, err))
	}
	gone := c.sp1.until(ctx, c.o.Patience, func() bool { return c.sp1.seen.left > left })
	c.found(t, "answers "+code.String(), unless(gone, "no De-register"))
	return r, c.silent(ctx, l, registered)
}

// early tries Commit before the window begins.
func (c *Check) early(ctx context.Context) error {
	t := try{"window", "§5 E6", "Commit before the window is refused", "Execute Commit an hour early"}
	if c.o.NoClock {
		c.skipped(t, "the device has no clock")
		return nil
	}
	r, err := c.ready(ctx, func(o *order) {
		later := transfer.NewWindow(time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
		o.message.NotBefore, o.message.Expires = later.Earliest, later.Latest
		o.mandate.Window, o.mandate.Expires = later, later.Latest
	})
	if err != nil {
		return err
	}
	if err := c.refused(ctx, c.sp1, t, 0, c.executes(ctx, objects.TransferCommit, orderIn(r.at))); err != nil {
		return err
	}
	_, err = c.at(c.sp1).execute(ctx, c.transferResource(objects.TransferAbort), orderIn(r.at))
	return err
}

// silence is how long a device is asked that must not answer.
func (c *Check) silence() time.Duration { return min(c.o.Grace/2, maxSilence) }

const maxSilence = 2 * time.Second

// silent asks over the association that there was.
func (c *Check) silent(ctx context.Context, l *link, registered int) error {
	t := try{"silence", "§3", "after Commit the former server gets no answer", "Read of State over its association"}
	l.limit = c.silence()
	for _, path := range []lwm2m.Path{c.transferResource(objects.TransferState), lwm2m.NewPath(3, 0, 0)} {
		_, code, err := l.read(ctx, path, lwm2m.KindNone)
		c.found(t, fmt.Sprintf("%s: %s %v", path, code, err), unless(err != nil || code.Class() == 4, "it answers"))
	}
	if now := c.sp1.have().registered; now != registered {
		return c.stopped(t, "the device has registered again")
	}
	return nil
}

// leave leads the device to READY, commits it, and has the incoming CA answer in a mood
// for good.
func (c *Check) leave(ctx context.Context, m mood, grace time.Duration) (*readiness, error) {
	c.sp2.set(func() { c.sp2.mood = m })
	before := c.sp2.have().asked
	r, err := c.commit(ctx, grace)
	if err != nil {
		return nil, err
	}
	t := try{"enrol", "§4 step 10", "the device asks the incoming CA, for the key of its READY receipt", "–"}
	if !c.sp2.until(ctx, c.o.Patience, func() bool { return c.sp2.seen.asked > before }) {
		return nil, c.stopped(t, "no request at the incoming CA")
	}
	c.found(t, "POST /est/sen", c.requestProblem(r.receipt.Body.SPKI))
	return r, nil
}

// requestProblem looks at the newest request at the incoming CA, which is for key.
func (c *Check) requestProblem(key transfer.Hash) string {
	requests := c.sp2.have().requests
	if len(requests) == 0 {
		return "there was no request"
	}
	spki, err := spkiOf(requests[len(requests)-1])
	if err != nil {
		return err.Error()
	}
	return unless(spki == key, "the request is for another key")
}

func spkiOf(csr []byte) (transfer.Hash, error) {
	parsed, err := est.ParseCSR(csr)
	if err != nil {
		return transfer.Hash{}, err
	}
	return transfer.Hash(parsed.SPKI), nil
}

// goesBack follows a device on its way back to the outgoing provider. failed says
// whether something went wrong that label 31 must tell.
func (c *Check) goesBack(ctx context.Context, r *readiness, why string, failed bool) error {
	t := try{"fallback", "§5", "the device returns: " + why, "–"}
	if !c.sp1.until(ctx, c.o.Patience, func() bool { return c.sp1.visitor != nil }) {
		return c.stopped(t, "it does not ask the former CA")
	}
	fallen, err := c.fallbackReceipt(ctx)
	if err != nil {
		return c.stopped(t, err.Error())
	}
	c.found(t, fmt.Sprintf("receipt %s, error %d", fallen.Body.State, fallen.Body.Error),
		unless(fallen.Body.State == transfer.InFall, "the receipt is of %s", fallen.Body.State),
		unless(fallen.Body.Message == r.receipt.Body.Message, "the receipt is of another message"),
		unless(!fallen.Body.Previous.IsZero(), "label 32 is missing"),
		unless(fallen.Body.Error != 0 || !failed, "label 31 is missing"))
	registered := c.sp1.have().registered
	c.sp1.set(func() { c.sp1.mood = moodOpen })
	if !c.sp1.until(ctx, c.o.Patience, func() bool { return c.sp1.seen.registered > registered && c.sp1.device != nil }) {
		return c.stopped(t, "it does not register at the former server")
	}
	return c.back(ctx, r)
}

// fallbackReceipt reads the receipt over the association by the factory certificate.
func (c *Check) fallbackReceipt(ctx context.Context) (*transfer.Signed[transfer.Receipt], error) {
	path := c.transferResource(objects.TransferReceipt)
	last := errStopped // of a run that is ending
	for until := time.Now().Add(c.o.Patience); time.Now().Before(until) && ctx.Err() == nil; {
		c.sp1.mu.Lock()
		l := &link{engine: c.sp1.engine, schema: c.schema, limit: maxSilence, session: session{
			peer: c.sp1.visitor, version: lwm2m.Version12, formats: []uint16{codec.Opaque},
		}}
		c.sp1.mu.Unlock()
		entries, code, err := l.read(ctx, path, lwm2m.KindOpaque)
		if err == nil && code.IsSuccess() && len(entries) == 1 {
			return transfer.VerifyReceipt(entries[0].Value.Bytes(), c.factory, nil)
		}
		last = fmt.Errorf("receipt over the factory association: %s, %w", code, err)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	return nil, last
}

const pause = 100 * time.Millisecond

// back looks at a device that has fallen back.
func (c *Check) back(ctx context.Context, r *readiness) error {
	t := try{"FELL_BACK", "§5", "a device that returned has a new key and its former provider", "Read of the objects"}
	s, err := c.await(ctx, c.sp1, transfer.FellBack)
	if err != nil {
		return c.stopped(t, err.Error())
	}
	receipt, err := transfer.VerifyReceipt(s.transfer.Receipt, c.factory, c.sp1.operational())
	if err != nil {
		return c.stopped(t, err.Error())
	}
	left, current := 0, 0
	for _, a := range s.truststore {
		if c.incoming(a.Certificate) {
			left++
		}
		if a.Domain == transfer.Current {
			current++
		}
	}
	problem := ""
	if err := transfer.CompareFellBack(r.receipt, receipt); err != nil {
		problem = err.Error()
	}
	c.found(t, fmt.Sprintf("State %s, %d anchors of the provider", s.state, current), problem,
		unless(left == 0, "%d anchors of the incoming provider are left", left),
		unless(current >= len(c.sp1.anchors()), "anchors of the provider are missing"),
		unless(s.transfer.Epoch == r.at.transfer.Epoch, "Epoch is %d", s.transfer.Epoch))
	return nil
}

// await waits until a registered device is in a state.
func (c *Check) await(ctx context.Context, p *provider, want transfer.DeviceState) (s snapshot, err error) {
	for until := time.Now().Add(c.o.Patience); ; {
		if s, err = c.at(p).look(ctx, c.o.IDs); err == nil && s.state == want {
			return s, nil
		}
		if err == nil {
			err = fmt.Errorf("its State is %s, not %s", s.state, want)
		}
		if !time.Now().Before(until) || ctx.Err() != nil {
			return s, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
