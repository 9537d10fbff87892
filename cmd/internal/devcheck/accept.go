package devcheck

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/objects"
	"steward/transfer"
)

// acceptance tries E1 to E11, but for E10, one defect at a time.
func (c *Check) acceptance(ctx context.Context) error {
	if err := c.stage(ctx, c.sp2.anchors()); err != nil {
		return err
	}
	all := []defect{{check: 11, what: "comes without a mandate", bare: true}}
	for _, part := range [][]defect{formDefects(), signatureDefects(), termDefects(), mandateDefects()} {
		all = append(all, part...)
	}
	for _, d := range all {
		if err := c.defective(ctx, d); err != nil {
			return err
		}
	}
	if err := c.unsupported(ctx); err != nil {
		return err
	}
	return c.unstage(ctx)
}

// unsupported tries E9 while no anchor of the present provider may enrol.
func (c *Check) unsupported(ctx context.Context) error {
	d := defect{check: 9, what: "would lead back to a CA that no anchor stands for"}
	l := c.at(c.sp1)
	s, err := l.look(ctx, c.o.IDs)
	if err != nil {
		return err
	}
	ca := c.sp1.anchors()[0]
	i := slices.IndexFunc(s.truststore, func(a transfer.Anchor) bool { return bytes.Equal(a.Certificate, ca.Certificate) })
	if i < 0 || s.truststore[i].Purposes.Has(transfer.Fallback) {
		return nil
	}
	at := lwm2m.NewPath(c.o.IDs.Truststore, s.truststore[i].Instance, objects.TruststorePurposes)
	write := func(p transfer.Purposes) (coap.Code, error) { return l.write(ctx, at, lwm2m.Unsigned(uint64(p))) }
	before := s.truststore[i].Purposes
	if code, err := write(before &^ transfer.Enrol); err != nil || !code.IsSuccess() {
		c.skipped(d.try(), fmt.Sprintf("the device does not let its provider take that purpose away: %s %v", code, err))
		return nil
	}
	tried := c.defective(ctx, d)
	_, err = write(before)
	return errors.Join(tried, err)
}

// try is how a report calls d.
func (d defect) try() try {
	what := "a message that " + d.what + " is refused"
	return try{fmt.Sprintf("E%d", d.check), "§5", what, "Write of Message that " + d.what}
}

func (c *Check) defective(ctx context.Context, d defect) error {
	t := d.try()
	l := c.at(c.sp1)
	before, err := l.look(ctx, c.o.IDs)
	switch {
	case err != nil:
		return c.stopped(t, err.Error())
	case d.clock && c.o.NoClock:
		c.skipped(t, "the device has no clock")
		return nil
	case d.old && before.transfer.Epoch == 0:
		c.skipped(t, "the device has accepted no message yet")
		return nil
	}
	o := c.order(before.transfer.Epoch)
	if d.order != nil {
		d.order(c, o)
	}
	raw, mandate, err := o.sign()
	if err == nil && d.bytes != nil {
		raw, err = d.bytes(c, raw)
	}
	if err != nil {
		return err
	}
	if !d.bare {
		code, err := l.write(ctx, c.transferResource(objects.TransferMandate), lwm2m.Opaque(mandate))
		if err != nil {
			return err
		}
		if !code.IsSuccess() {
			return c.stopped(t, "Write of Mandate answers "+code.String())
		}
	}
	return c.refused(ctx, c.sp1, t, d.check, func(l *link) (coap.Code, error) {
		return l.write(ctx, c.transferResource(objects.TransferMessage), lwm2m.Opaque(raw))
	})
}
