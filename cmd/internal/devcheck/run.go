package devcheck

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/objects"
	"steward/transfer"
)

// all leads the device through everything, once.
func (c *Check) all(ctx context.Context) error {
	t := try{"register", "§5", "the device enrols and registers at its provider", "–"}
	if !c.sp1.until(ctx, c.o.Patience, func() bool { return c.sp1.device != nil }) {
		return c.stopped(t, fmt.Sprintf("%d handshakes, %d requests for a certificate, no registration",
			c.sp1.have().handshakes, c.sp1.have().asked))
	}
	s, err := c.at(c.sp1).look(ctx, c.o.IDs)
	if err != nil {
		return c.stopped(t, err.Error())
	}
	c.found(t, "State "+string(s.state), unless(s.state.AtRest(), "State is not one of rest"))
	for _, part := range []func(context.Context) error{
		c.acceptance, c.guards, c.inReady, c.expires, c.early, c.refusedThere, c.graceOver, c.sentBack, c.acceptanceLater,
		c.completes,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// acceptanceLater tries E5 again, now that there is an epoch behind.
func (c *Check) acceptanceLater(ctx context.Context) error {
	if err := c.stage(ctx, c.sp2.anchors()); err != nil {
		return err
	}
	for _, d := range termDefects() {
		if !d.old {
			continue
		}
		if err := c.defective(ctx, d); err != nil {
			return err
		}
	}
	return c.unstage(ctx)
}

// refusedThere has the incoming CA refuse for good.
func (c *Check) refusedThere(ctx context.Context) error {
	r, err := c.leave(ctx, moodRefuse, unhurried*c.o.Patience)
	if err != nil {
		return err
	}
	return c.goesBack(ctx, r, "the incoming CA refuses for good (4.03)", true)
}

// graceOver has the incoming CA put the device off until its grace is over.
func (c *Check) graceOver(ctx context.Context) error {
	began := time.Now()
	r, err := c.leave(ctx, moodLater, c.o.Grace)
	if err != nil {
		return err
	}
	t := try{"grace", "§5", "the device asks again until its grace is over, and not longer", "5.03 to each request"}
	back := c.sp1.until(ctx, c.o.Grace+c.o.Patience, func() bool { return c.sp1.visitor != nil })
	took := time.Since(began)
	c.found(t, fmt.Sprintf("%d requests, back after %v of %v", c.sp2.have().asked, took.Round(time.Second), c.o.Grace),
		unless(back, "it does not return"), unless(took >= c.o.Grace*9/10, "it gives up early"))
	return c.goesBack(ctx, r, "its grace is over", true)
}

// sentBack has the incoming provider take the device in, and Return it.
func (c *Check) sentBack(ctx context.Context) error {
	r, err := c.leave(ctx, moodOpen, unhurried*c.o.Patience)
	if err != nil {
		return err
	}
	if _, err := c.done(ctx, r); err != nil {
		return err
	}
	t := try{"return", "§5", "Return is obeyed", "Execute Return"}
	code, err := c.at(c.sp2).execute(ctx, c.transferResource(objects.TransferReturn), orderIn(r.at))
	c.found(t, fmt.Sprintf("answers %s, %v", code, err), unless(err == nil && code.IsSuccess(), "it is refused"))
	return c.goesBack(ctx, r, "Return", false)
}

// done waits for DONE and checks its receipt.
func (c *Check) done(ctx context.Context, r *readiness) (*transfer.Signed[transfer.Receipt], error) {
	t := try{"DONE", "§4 step 11", "the device registers, and its receipt proves key, wipe and chain", "–"}
	if !c.sp2.until(ctx, c.o.Patience, func() bool { return c.sp2.device != nil }) {
		return nil, c.stopped(t, "it does not register at the incoming server")
	}
	s, err := c.await(ctx, c.sp2, transfer.Done)
	if err != nil {
		return nil, c.stopped(t, err.Error())
	}
	done, err := transfer.VerifyReceipt(s.transfer.Receipt, c.factory, c.sp2.operational())
	if err != nil {
		return nil, c.stopped(t, err.Error())
	}
	problem := ""
	if err := transfer.CompareDone(r.receipt, done); err != nil {
		problem = err.Error()
	}
	c.found(t, "receipt "+string(done.Body.State), problem)
	return done, nil
}

// completes takes the device over, with everything that an incoming provider, or who
// poses as one, can do wrong before.
func (c *Check) completes(ctx context.Context) error {
	impostor, err := c.sp1.ca.server(c.o.Host, true)
	if err != nil {
		return err
	}
	before := c.sp2.have()
	c.sp2.set(func() { c.sp2.posing, c.sp2.mood = c.sp2.rogue, moodOtherKey })
	r, err := c.commit(ctx, unhurried*c.o.Patience)
	if err != nil {
		return err
	}
	c.poses(ctx, "an EST server without id-kp-cmcRA is asked for nothing", c.sp2.rogue)
	c.poses(ctx, "an EST server under the former provider's CA is asked for nothing", impostor)
	c.sp2.set(func() { c.sp2.posing = nil })

	t := try{"certificate", "§5", "a certificate for another key is of no use", "a certificate for another key at /sen"}
	asked := c.sp2.until(ctx, c.o.Patience, func() bool { return c.sp2.seen.asked > before.asked })
	c.sp2.set(func() { c.sp2.mood = moodLost })
	c.found(t, "it asks again", unless(asked, "it does not ask"))

	t = try{"repeat", "§7", "a request whose answer was lost is repeated byte for byte", "no answer to /sen"}
	lost := c.sp2.until(ctx, c.o.Patience, func() bool { return c.sp2.mood == moodOpen })
	n := c.sp2.have().asked
	again := lost && c.sp2.until(ctx, c.o.Patience, func() bool { return c.sp2.seen.asked > n })
	requests := c.sp2.have().requests
	c.found(t, fmt.Sprintf("%d requests", len(requests)), unless(again, "it does not ask again"),
		unless(len(requests) > 1 && bytes.Equal(requests[len(requests)-1], requests[len(requests)-2]),
			"the request is another"))
	done, err := c.done(ctx, r)
	if err != nil {
		return err
	}
	return c.finalised(ctx, r, done)
}

// poses has the incoming server show a certificate that it must not have.
func (c *Check) poses(ctx context.Context, what string, as *tls.Certificate) {
	t := try{"server", "§4 step 10", what, "such a certificate"}
	before := c.sp2.have()
	c.sp2.set(func() { c.sp2.posing = as })
	came := c.sp2.until(ctx, c.o.Patience, func() bool { return c.sp2.seen.handshakes > before.handshakes }) &&
		!c.sp2.until(ctx, c.silence(), func() bool { return c.sp2.seen.posed > before.posed })
	now := c.sp2.have()
	c.found(t, fmt.Sprintf("%d handshakes", now.handshakes-before.handshakes),
		unless(came || now.posed > before.posed, "the device does not come"),
		unless(now.posed == before.posed, "it asks for a certificate"))
}

// finalised tries what DONE forbids, executes Finalise, and looks at what is left of
// the outgoing provider.
func (c *Check) finalised(ctx context.Context, r *readiness, done *transfer.Signed[transfer.Receipt]) error {
	hash := transfer.Hash(r.at.transfer.MessageHash)
	hash[0] ^= 1
	message := c.transferResource(objects.TransferMessage)
	for _, g := range []struct {
		rule, what string
		do         func(*link) (coap.Code, error)
	}{
		{"order", "Finalise of another message is refused", c.executes(ctx, objects.TransferFinalise,
			transfer.OrderOf(r.at.transfer.Epoch, hash).String())},
		{"order", "Commit in DONE is refused", c.executes(ctx, objects.TransferCommit, orderIn(r.at))},
		{"guard", "in DONE no message is taken", func(l *link) (coap.Code, error) {
			return l.write(ctx, message, lwm2m.Opaque(r.raw))
		}},
		{"guard", "in DONE the truststore cannot be changed", func(l *link) (coap.Code, error) {
			return c.create(ctx, l, c.user.Certificate, transfer.DM)
		}},
	} {
		if err := c.refused(ctx, c.sp2, try{g.rule, "§3", g.what, g.what}, 0, g.do); err != nil {
			return err
		}
	}
	var first snapshot
	for i, what := range []string{"Finalise ends the hand-over", "Finalise again changes nothing"} {
		t := try{"finalise", "§4 step 11", what, "Execute Finalise"}
		code, err := c.at(c.sp2).execute(ctx, c.transferResource(objects.TransferFinalise), orderIn(r.at))
		if err != nil {
			return c.stopped(t, err.Error())
		}
		s, err := c.await(ctx, c.sp2, transfer.Finalised)
		if err != nil {
			return c.stopped(t, err.Error())
		}
		problem := ""
		if i == 0 {
			first, problem = s, c.finalProblem(r, done, s)
		}
		c.found(t, fmt.Sprintf("answers %s, State %s", code, s.state), unless(code.IsSuccess(), "it is refused"), problem,
			s.differs(first))
	}
	return c.forgotten(ctx, r)
}

// finalProblem checks the FINALISED receipt, and the truststore as an exact set.
func (c *Check) finalProblem(r *readiness, done *transfer.Signed[transfer.Receipt], s snapshot) string {
	final, err := transfer.VerifyReceipt(s.transfer.Receipt, c.factory, c.sp2.operational())
	if err != nil {
		return err.Error()
	}
	offer := transfer.Offer{OfferTerms: transfer.OfferTerms{
		Destination: r.order.message.Destination, Anchors: c.sp2.anchors(),
	}}
	if err := transfer.CompareFinalised(done, final, &offer, c.permanent()); err != nil {
		return err.Error()
	}
	if transfer.TruststoreDigest(s.truststore) != final.Body.Truststore {
		return "the truststore as read is not that of the receipt"
	}
	return unless(len(s.truststore) == len(c.permanent())+len(c.sp2.anchors()), "the truststore has %d anchors",
		len(s.truststore))
}

// forgotten looks for what must be gone.
func (c *Check) forgotten(ctx context.Context, r *readiness) error {
	message := c.transferResource(objects.TransferMessage)
	t := try{"replay", "§7", "after Finalise the former message is refused", "Write of the same Message"}
	err := c.refused(ctx, c.sp2, t, 0, func(l *link) (coap.Code, error) {
		return l.write(ctx, message, lwm2m.Opaque(r.raw))
	})
	if err != nil {
		return err
	}
	o := c.order(r.at.transfer.Epoch)
	raw, _, err := o.sign()
	if err != nil {
		return err
	}
	t = try{"E2", "§5", "after Finalise the former provider's signer is nobody", "Write of a new Message signed by it"}
	err = c.refused(ctx, c.sp2, t, 2, func(l *link) (coap.Code, error) { return l.write(ctx, message, lwm2m.Opaque(raw)) })
	if err != nil {
		return err
	}
	c.traces(ctx)
	t = try{"silence", "§4 step 11", "after Finalise the device leaves the former provider alone", "–"}
	before := c.sp1.have().handshakes
	came := c.sp1.until(ctx, c.silence(), func() bool { return c.sp1.seen.handshakes > before })
	c.found(t, fmt.Sprintf("%v of silence", c.silence()), unless(!came, "it calls"))
	return nil
}

// traces reads all that the device offers, for what is the outgoing provider's.
func (c *Check) traces(ctx context.Context) {
	t := try{"wipe", "§5", "nothing of the former provider can be read", "Read of every object"}
	l := c.at(c.sp2)
	canaries := [][]byte{
		[]byte(c.sp1.uri(c.o.Host)), c.sp1.ca.certificate.Raw, c.sp1.messages.Certificate, c.user.Certificate,
	}
	objects, seen := 0, map[uint16]bool{}
	var problems []string
	for _, at := range l.session.links {
		if seen[at.Object()] {
			continue
		}
		seen[at.Object()] = true
		entries, _, err := l.read(ctx, lwm2m.NewPath(at.Object()), lwm2m.KindNone)
		if err != nil {
			continue
		}
		objects++
		for _, e := range entries {
			for _, canary := range canaries {
				if bytes.Contains(valueOf(e.Value), canary) {
					problems = append(problems, fmt.Sprintf("%s has it", e.Path))
				}
			}
		}
	}
	c.found(t, fmt.Sprintf("%d objects read", objects), problems...)
}

func valueOf(v lwm2m.Value) []byte {
	if v.Kind() == lwm2m.KindOpaque {
		return v.Bytes()
	}
	return []byte(v.String())
}
