package devcheck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/objects"
	"steward/transfer"
)

// errStopped reports a device that did not go on, which is a finding itself.
var errStopped = errors.New("the device does not go on")

// A try names a check: its rule, and what is sent for it.
type try struct{ rule, section, what, sent string }

// found tells of a try; problems make it a breach.
func (c *Check) found(t try, seen string, problems ...string) {
	if c.o.First && c.report.Breaches > 0 { // the run is ending
		return
	}
	f := Finding{Rule: t.rule, Section: t.section, What: t.what, Sent: t.sent, Seen: seen, Verdict: Pass}
	problems = slices.DeleteFunc(problems, func(p string) bool { return p == "" })
	if len(problems) > 0 {
		f.Verdict = Breach
		f.Seen = strings.Join(append(problems, seen), "; ")
	}
	c.report.add(f)
	c.o.Told(f)
	if f.Verdict == Breach && c.o.First {
		c.end()
	}
}

func (c *Check) skipped(t try, why string) {
	f := Finding{Rule: t.rule, Section: t.section, What: t.what, Sent: t.sent, Seen: why, Verdict: Skipped}
	c.report.add(f)
	c.o.Told(f)
}

// stopped is found for what everything after it needs.
func (c *Check) stopped(t try, problem string) error {
	c.found(t, "", problem)
	return fmt.Errorf("%w: %s: %s", errStopped, t.rule, problem)
}

// unless returns the problem unless ok.
func unless(ok bool, format string, args ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

// differs says what a server sees otherwise than before; Error and Attempts may.
func (s snapshot) differs(before snapshot) string {
	a, b := s.transfer, before.transfer
	switch {
	case s.state != before.state:
		return fmt.Sprintf("State went from %s to %s", before.state, s.state)
	case a.Epoch != b.Epoch:
		return fmt.Sprintf("Epoch went from %d to %d", b.Epoch, a.Epoch)
	case !slices.Equal(a.MessageHash, b.MessageHash) || !a.Earliest.Equal(b.Earliest) || !a.Latest.Equal(b.Latest):
		return "Message Hash, Earliest or Latest changed"
	case !slices.Equal(a.Receipt, b.Receipt):
		return "Receipt changed"
	case !slices.EqualFunc(s.truststore, before.truststore, sameAnchor):
		return "Truststore changed"
	}
	return ""
}

func sameAnchor(a, b transfer.Anchor) bool {
	return a.Instance == b.Instance && slices.Equal(a.Certificate, b.Certificate) && a.Purposes == b.Purposes &&
		a.Domain == b.Domain
}

// at returns the way to the device over its registration at a provider.
func (c *Check) at(p *provider) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &link{engine: p.engine, schema: c.schema, limit: c.o.Patience}
	if p.device != nil {
		l.session = *p.device
	}
	return l
}

// transferResource is one of the only instance of Transfer.
func (c *Check) transferResource(id uint16) lwm2m.Path { return lwm2m.NewPath(c.o.IDs.Transfer, 0, id) }

// refused expects that do is answered by an error and changes nothing that a server
// can see. number is that of the acceptance check, for resource Error; 0: any.
func (c *Check) refused(
	ctx context.Context, p *provider, t try, number int64, do func(*link) (coap.Code, error),
) error {
	l := c.at(p)
	before, err := l.look(ctx, c.o.IDs)
	if err != nil {
		return c.stopped(t, err.Error())
	}
	code, err := do(l)
	if err != nil {
		return c.stopped(t, err.Error())
	}
	after, err := l.look(ctx, c.o.IDs)
	if err != nil {
		return c.stopped(t, err.Error())
	}
	told := number == 0 || after.transfer.Error == number || number == 1 && code == coap.RequestEntityTooLarge
	c.found(t, fmt.Sprintf("answers %s, State %s, Error %d", code, after.state, after.transfer.Error),
		unless(code.Class() == 4, "it is not refused"), after.differs(before),
		unless(code.Class() != 4 || told, "Error is not %d", number))
	if before.state.AtRest() && after.state == transfer.Ready { // so that the others can be tried
		_, err = l.execute(ctx, c.transferResource(objects.TransferAbort), orderIn(after))
	}
	return err
}

// orderIn names the message that the device holds.
func orderIn(s snapshot) string {
	var hash transfer.Hash
	copy(hash[:], s.transfer.MessageHash)
	return transfer.OrderOf(s.transfer.Epoch, hash).String()
}

// stage creates anchors that the truststore lacks, as a session may.
func (c *Check) stage(ctx context.Context, anchors []transfer.OfferCertificate) error {
	l := c.at(c.sp1)
	for _, a := range anchors {
		if code, err := c.create(ctx, l, a.Certificate, a.Purposes&^transfer.SignerPurposes); err != nil {
			return err
		} else if !code.IsSuccess() {
			t := try{"truststore", "§4 step 6", "an anchor is created", "Create of an anchor of the incoming provider"}
			return c.stopped(t, "answers "+code.String())
		}
	}
	return nil
}

func (c *Check) create(ctx context.Context, l *link, certificate []byte, p transfer.Purposes) (coap.Code, error) {
	object := lwm2m.NewPath(c.o.IDs.Truststore)
	anchor := objects.Anchor{Certificate: certificate, Purposes: uint64(p)}
	s, err := l.look(ctx, c.o.IDs)
	if err != nil {
		return 0, err
	}
	free := uint16(0)
	for slices.ContainsFunc(s.truststore, func(a transfer.Anchor) bool { return a.Instance == free }) {
		free++
	}
	return l.put(ctx, coap.POST, object, anchor.Entries(object.Child(free))...)
}

// unstage deletes what the last stage left: anchors of the incoming provider.
func (c *Check) unstage(ctx context.Context) error {
	l := c.at(c.sp1)
	s, err := l.look(ctx, c.o.IDs)
	if err != nil {
		return err
	}
	for _, a := range s.truststore {
		if !c.incoming(a.Certificate) {
			continue
		}
		if _, err := l.remove(ctx, lwm2m.NewPath(c.o.IDs.Truststore, a.Instance)); err != nil {
			return err
		}
	}
	return nil
}

// incoming reports whether a certificate is an anchor of the incoming provider.
func (c *Check) incoming(certificate []byte) bool {
	return slices.ContainsFunc(c.sp2.anchors(), func(a transfer.OfferCertificate) bool {
		return slices.Equal(a.Certificate, certificate)
	})
}
