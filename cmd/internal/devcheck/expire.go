package devcheck

import (
	"context"
	"fmt"
	"time"

	"steward/lwm2m"
	"steward/objects"
	"steward/transfer"
)

// expires has the window end while the device is in READY: by its clock that is over
// ClockSkew after exp, so the message comes with most of that behind it.
func (c *Check) expires(ctx context.Context) error {
	t := try{"expired", "§5", "READY ends with the window", "Write of a Message whose window ends soon"}
	if c.o.NoClock {
		c.skipped(t, "the device has no clock")
		return nil
	}
	if err := c.stage(ctx, c.sp2.anchors()); err != nil {
		return err
	}
	l := c.at(c.sp1)
	before, err := l.look(ctx, c.o.IDs)
	if err != nil {
		return c.stopped(t, err.Error())
	}
	o := c.order(before.transfer.Epoch)
	end := time.Now().Add(c.o.Grace - transfer.ClockSkew)
	window := transfer.NewWindow(end.Add(-time.Hour), end)
	o.message.NotBefore, o.message.Expires, o.mandate.Window = window.Earliest, window.Latest, window
	raw, mandate, err := o.sign()
	if err != nil {
		return err
	}
	if _, err := l.write(ctx, c.transferResource(objects.TransferMandate), lwm2m.Opaque(mandate)); err != nil {
		return err
	}
	code, err := l.write(ctx, c.transferResource(objects.TransferMessage), lwm2m.Opaque(raw))
	if err != nil {
		return c.stopped(t, err.Error())
	}
	if !code.IsSuccess() {
		c.skipped(t, fmt.Sprintf("answers %s: its clock is ahead, or allows for less than %v", code, transfer.ClockSkew))
		return c.unstage(ctx)
	}
	return c.expired(ctx, t, before.transfer.Epoch+1)
}

// expired waits until the window is over, and looks what is left.
func (c *Check) expired(ctx context.Context, t try, epoch uint32) error {
	late, cancel := context.WithTimeout(ctx, c.o.Grace)
	<-late.Done()
	cancel()
	s, err := c.await(ctx, c.sp1, transfer.Expired)
	left := 0
	for _, a := range s.truststore {
		if c.incoming(a.Certificate) {
			left++
		}
	}
	problem := ""
	if err != nil {
		problem = err.Error()
	}
	c.found(t, fmt.Sprintf("State %s", s.state), problem,
		unless(left == 0, "%d anchors of the incoming provider are left", left),
		unless(s.transfer.Epoch == epoch, "Epoch is %d", s.transfer.Epoch))
	if err != nil {
		return errStopped
	}
	return nil
}
