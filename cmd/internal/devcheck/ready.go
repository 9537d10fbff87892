package devcheck

import (
	"bytes"
	"context"
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/objects"
	"steward/transfer"
)

// guards tries what the device's objects must refuse to the present server at rest.
func (c *Check) guards(ctx context.Context) error {
	if err := c.stage(ctx, c.sp2.anchors()); err != nil {
		return err
	}
	l := c.at(c.sp1)
	s, err := l.look(ctx, c.o.IDs)
	if err != nil {
		return err
	}
	var permanent, staged lwm2m.Path
	for _, a := range s.truststore {
		switch {
		case a.Domain == transfer.Permanent:
			permanent = lwm2m.NewPath(c.o.IDs.Truststore, a.Instance)
		case c.incoming(a.Certificate):
			staged = lwm2m.NewPath(c.o.IDs.Truststore, a.Instance)
		}
	}
	purposes := func(at lwm2m.Path, p transfer.Purposes) func(*link) (coap.Code, error) {
		return func(l *link) (coap.Code, error) {
			return l.write(ctx, at.Child(objects.TruststorePurposes), lwm2m.Unsigned(uint64(p)))
		}
	}
	for _, g := range []struct {
		rule, what string
		do         func(*link) (coap.Code, error)
	}{
		{"signer bits", "a session cannot set the purpose transfer-signer", purposes(staged, transfer.TransferSigner)},
		{"signer bits", "a session cannot set the purpose fallback", purposes(staged, transfer.Fallback)},
		{"permanent", "a permanent anchor cannot be changed", purposes(permanent, transfer.DM)},
		{"permanent", "a permanent anchor cannot be deleted", func(l *link) (coap.Code, error) {
			return l.remove(ctx, permanent)
		}},
		{"domain", "Domain cannot be written", func(l *link) (coap.Code, error) {
			return l.write(ctx, staged.Child(objects.TruststoreDomain), lwm2m.Integer(int64(transfer.Permanent)))
		}},
		{"duplicate", "a certificate stands in the truststore once", func(l *link) (coap.Code, error) {
			return c.create(ctx, l, c.sp2.ca.certificate.Raw, transfer.DM)
		}},
		{"epoch", "Epoch cannot be written", func(l *link) (coap.Code, error) {
			return l.write(ctx, c.transferResource(objects.TransferEpoch), lwm2m.Unsigned(0))
		}},
		{"order", "Commit without a message is refused", c.executes(ctx, objects.TransferCommit, orderIn(s))},
		{"order", "Finalise is not for the present server", c.executes(ctx, objects.TransferFinalise, orderIn(s))},
		{"order", "Return is not for the present server", c.executes(ctx, objects.TransferReturn, orderIn(s))},
	} {
		if err := c.refused(ctx, c.sp1, try{g.rule, "§3", g.what, g.what}, 0, g.do); err != nil {
			return err
		}
	}
	return c.unstage(ctx)
}

func (c *Check) executes(ctx context.Context, resource uint16, arguments string) func(*link) (coap.Code, error) {
	return func(l *link) (coap.Code, error) { return l.execute(ctx, c.transferResource(resource), arguments) }
}

// A readiness is a device in READY, and how it came there.
type readiness struct {
	order   *order
	raw     []byte // the message
	receipt *transfer.Signed[transfer.Receipt]
	stored  []byte // the receipt as read
	at      snapshot
}

// ready leads the device to READY by an order without defect, but for what change
// does, and checks the receipt.
func (c *Check) ready(ctx context.Context, change func(*order)) (*readiness, error) {
	t := try{"READY", "§4 step 7", "an order without defect is accepted", "Write of Mandate and Message"}
	if err := c.stage(ctx, c.sp2.anchors()); err != nil {
		return nil, err
	}
	l := c.at(c.sp1)
	before, err := l.look(ctx, c.o.IDs)
	if err != nil {
		return nil, c.stopped(t, err.Error())
	}
	r := &readiness{order: c.order(before.transfer.Epoch)}
	if change != nil {
		change(r.order)
	}
	raw, mandate, err := r.order.sign()
	if err != nil {
		return nil, err
	}
	if _, err := l.write(ctx, c.transferResource(objects.TransferMandate), lwm2m.Opaque(mandate)); err != nil {
		return nil, err
	}
	code, err := l.write(ctx, c.transferResource(objects.TransferMessage), lwm2m.Opaque(raw))
	if err != nil {
		return nil, c.stopped(t, err.Error())
	}
	if r.at, err = l.look(ctx, c.o.IDs); err != nil {
		return nil, c.stopped(t, err.Error())
	}
	if !code.IsSuccess() || r.at.state != transfer.Ready {
		return nil, c.stopped(t, fmt.Sprintf("answers %s, State %s, Error %d", code, r.at.state, r.at.transfer.Error))
	}
	c.found(t, "answers "+code.String()+", State READY",
		unless(r.at.transfer.Epoch == before.transfer.Epoch+1, "Epoch is %d after %d", r.at.transfer.Epoch,
			before.transfer.Epoch))
	r.raw, r.stored = raw, r.at.transfer.Receipt
	return r, c.checkReady(r)
}

// checkReady compares the READY receipt with what was written, as the incoming
// provider does.
func (c *Check) checkReady(r *readiness) (err error) {
	t := try{"receipt", "§4 step 7b", "the READY receipt says what was written, signed by both keys", "Read of Receipt"}
	if r.receipt, err = transfer.VerifyReceipt(r.stored, c.factory, c.sp1.operational()); err != nil {
		return c.stopped(t, err.Error())
	}
	message, err := transfer.ParseMessage(r.raw)
	if err != nil {
		return err
	}
	body := &r.receipt.Body
	old := transfer.HashOf(c.sp1.operational().RawSubjectPublicKeyInfo)
	truststore := transfer.ExpectedTruststore(c.permanent(), &r.order.destination, c.sp2.anchors(), transfer.Ready)
	c.found(t, "State "+string(body.State),
		unless(body.State == transfer.Ready, "its state is %s", body.State),
		unless(body.Message == message.Hash, "label 22 is not the message"),
		unless(body.Destination == transfer.HashOf(message.Body.Destination), "label 23 is not the Destination"),
		unless(body.Epoch == message.Body.Epoch, "label 6 is %d", body.Epoch),
		unless(body.Subject == c.o.Endpoint, "sub is %q", body.Subject),
		unless(bytes.Equal(body.ID, message.Body.ID), "cti is not the message's"),
		unless(body.SPKI != old, "label 26 is the present key, not a new one"),
		unless(body.Truststore == truststore, "label 27 is not what the offer gives"),
		unless(body.Previous.IsZero(), "label 32 is there"),
		unless(bytes.Equal(r.at.transfer.MessageHash, message.Hash[:]), "Message Hash is not that of the message"))
	return nil
}

func (c *Check) permanent() []transfer.Anchor {
	return []transfer.Anchor{{Certificate: c.root.Raw, Purposes: transfer.Enrol | transfer.Fallback}}
}

// inReady tries what holds in READY, and ends it by Abort.
func (c *Check) inReady(ctx context.Context) error {
	r, err := c.ready(ctx, nil)
	if err != nil {
		return err
	}
	if err := c.frozen(ctx, r); err != nil {
		return err
	}
	if err := c.restarted(ctx, r); err != nil {
		return err
	}
	return c.aborted(ctx, r)
}

// frozen tries to change what READY has frozen.
func (c *Check) frozen(ctx context.Context, r *readiness) error {
	message := c.transferResource(objects.TransferMessage)
	t := try{"identical", "§3", "the identical message changes nothing", "Write of the same Message again"}
	code, err := c.at(c.sp1).write(ctx, message, lwm2m.Opaque(r.raw))
	if err != nil {
		return c.stopped(t, err.Error())
	}
	after, err := c.at(c.sp1).look(ctx, c.o.IDs)
	if err != nil {
		return c.stopped(t, err.Error())
	}
	c.found(t, "answers "+code.String(), unless(code == coap.Changed, "it is refused"), after.differs(r.at))

	o := c.order(r.at.transfer.Epoch)
	other, _, err := o.sign()
	if err != nil {
		return err
	}
	wrong := transfer.OrderOf(r.at.transfer.Epoch+1, transfer.Hash(r.at.transfer.MessageHash)).String()
	hash := transfer.Hash(r.at.transfer.MessageHash)
	hash[0] ^= 1
	another := transfer.OrderOf(r.at.transfer.Epoch, hash).String()
	anchor := lwm2m.NewPath(c.o.IDs.Truststore, r.at.truststore[len(r.at.truststore)-1].Instance)
	for _, g := range []struct {
		rule, what string
		number     int64
		do         func(*link) (coap.Code, error)
	}{
		{"E10", "another message in READY is refused", 10, func(l *link) (coap.Code, error) {
			return l.write(ctx, message, lwm2m.Opaque(other))
		}},
		{"freeze", "READY freezes the truststore: Purposes", 0, func(l *link) (coap.Code, error) {
			return l.write(ctx, anchor.Child(objects.TruststorePurposes), lwm2m.Unsigned(uint64(transfer.DM)))
		}},
		{"freeze", "READY freezes the truststore: Delete", 0, func(l *link) (coap.Code, error) {
			return l.remove(ctx, anchor)
		}},
		{"freeze", "READY freezes the truststore: Create", 0, func(l *link) (coap.Code, error) {
			return c.create(ctx, l, c.user.Certificate, transfer.DM)
		}},
		{"freeze", "READY freezes the mandate", 0, func(l *link) (coap.Code, error) {
			return l.write(ctx, c.transferResource(objects.TransferMandate), lwm2m.Opaque([]byte{1}))
		}},
		{"order", "Commit of another epoch is refused", 0, c.executes(ctx, objects.TransferCommit, wrong)},
		{"order", "Commit of another message is refused", 0, c.executes(ctx, objects.TransferCommit, another)},
		{"order", "Commit that names nothing is refused", 0, c.executes(ctx, objects.TransferCommit, "")},
		{"order", "Abort of another message is refused", 0, c.executes(ctx, objects.TransferAbort, another)},
		{"order", "Finalise in READY is refused", 0, c.executes(ctx, objects.TransferFinalise, orderIn(r.at))},
	} {
		if err := c.refused(ctx, c.sp1, try{g.rule, "§3", g.what, g.what}, g.number, g.do); err != nil {
			return err
		}
	}
	return nil
}

// restarted reboots the device in READY.
func (c *Check) restarted(ctx context.Context, r *readiness) error {
	t := try{"reboot", "§5", "READY, receipt and epoch survive a restart", "Execute /3/0/4"}
	before := c.sp1.have().registered
	code, err := c.at(c.sp1).execute(ctx, lwm2m.NewPath(3, 0, 4), "")
	if err != nil || !code.IsSuccess() {
		c.skipped(t, fmt.Sprintf("the device does not restart: %s %v", code, err))
		return nil
	}
	if !c.sp1.until(ctx, c.o.Patience, func() bool { return c.sp1.seen.registered > before && c.sp1.device != nil }) {
		return c.stopped(t, "it does not register again")
	}
	after, err := c.at(c.sp1).look(ctx, c.o.IDs)
	if err != nil {
		return c.stopped(t, err.Error())
	}
	c.found(t, "State "+string(after.state), after.differs(r.at))
	return nil
}

// aborted ends READY and looks what is left of it.
func (c *Check) aborted(ctx context.Context, r *readiness) error {
	for i, what := range []string{"Abort ends READY", "Abort again changes nothing"} {
		t := try{"abort", "§5", what, "Execute Abort"}
		code, err := c.at(c.sp1).execute(ctx, c.transferResource(objects.TransferAbort), orderIn(r.at))
		if err != nil {
			return c.stopped(t, err.Error())
		}
		after, err := c.at(c.sp1).look(ctx, c.o.IDs)
		if err != nil {
			return c.stopped(t, err.Error())
		}
		left := 0
		for _, a := range after.truststore {
			if c.incoming(a.Certificate) {
				left++
			}
		}
		c.found(t, fmt.Sprintf("answers %s, State %s", code, after.state),
			unless(code.IsSuccess(), "it is refused"), unless(after.state == transfer.Expired, "State is not EXPIRED"),
			unless(left == 0, "%d anchors of the incoming provider are left", left),
			unless(after.transfer.Epoch == r.at.transfer.Epoch, "Epoch is %d", after.transfer.Epoch))
		if i == 0 && !after.state.AtRest() {
			return fmt.Errorf("%w: Abort", errStopped)
		}
	}
	if err := c.stage(ctx, c.sp2.anchors()); err != nil {
		return err
	}
	t := try{"replay", "§5 E5", "the message that was aborted is not accepted again", "Write of the same Message"}
	err := c.refused(ctx, c.sp1, t, 5, func(l *link) (coap.Code, error) {
		return l.write(ctx, c.transferResource(objects.TransferMessage), lwm2m.Opaque(r.raw))
	})
	if err != nil {
		return err
	}
	return c.unstage(ctx)
}
