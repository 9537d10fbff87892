package demo

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"time"

	"steward/cmd/internal/sim"
	"steward/transfer"
	"steward/web"
)

// transfer runs the hand-over, and keeps an account of what it costs the servers.
func (d *demo) transfer(ctx context.Context) error {
	before, err := d.account(ctx)
	if err != nil {
		return err
	}
	if err := d.handOver(ctx); err != nil {
		return err
	}
	after, err := d.account(ctx)
	if err != nil {
		return err
	}
	d.cost, err = after.since(before, d.o.Devices)
	return err
}

// handOver runs the hand-over: drafted and approved at Alpha, approved at Beta.
func (d *demo) handOver(ctx context.Context) error {
	if err := d.weather(ctx, d.fault.loss()); err != nil {
		return err
	}
	d.transferBegan = time.Now()
	defer func() { d.transferEnded = time.Now() }()
	devices, err := d.alpha.online(ctx)
	if err != nil {
		return err
	}
	beta, err := d.partner(ctx, d.alpha, d.beta.name)
	if err != nil {
		return err
	}
	d.window.From, d.window.Until = d.begins(), time.Now().Add(time.Hour).Truncate(time.Second)
	if !d.window.From.IsZero() {
		d.window.Until = d.window.From.Add(window)
	}
	mandate, err := d.mandate()
	if err != nil {
		return err
	}
	in := web.NewTransfer{
		Partner: beta, Earliest: d.window.From, Latest: d.window.Until, Mandate: mandate, Note: "demonstration",
	}
	for _, name := range d.names {
		in.Devices = append(in.Devices, devices[name].ID)
	}
	var t web.Transfer
	if err := d.alpha.api.Post(ctx, "/transfers", in, &t); err != nil {
		return err
	}
	d.session = t.ID
	if d.o.UpdateFirst {
		if _, err := d.release(ctx, d.beta, versionFirst); err != nil {
			return err
		}
	}
	if err := d.command(ctx, d.alpha, t.ID, web.TransferSubmit); err != nil {
		return err
	}
	if err := d.approve(ctx, d.beta, web.Incoming); err != nil {
		return err
	}
	if err := d.approve(ctx, d.alpha, web.Outgoing); err != nil {
		return err
	}
	if err := d.untilHandedOver(ctx); err != nil {
		return err
	}
	return d.weather(ctx, "")
}

// mandate returns what the service user signs for all devices.
func (d *demo) mandate() ([]byte, error) {
	factories, err := d.factories()
	if err != nil {
		return nil, err
	}
	order := transfer.MandateRequest{
		From: d.alpha.name, To: d.beta.name, Earliest: time.Now().Add(-time.Minute), Latest: d.window.Until,
		Attestation: d.o.Attest,
	}
	for _, f := range factories {
		order.Devices = append(order.Devices, transfer.MandateRequestDevice{Factory: f.String()})
	}
	return d.user.Sign(&order, time.Now())
}

func (d *demo) command(ctx context.Context, p *provider, id string, a web.TransferAction) error {
	return p.api.Post(ctx, "/transfers/"+url.PathEscape(id)+"/commands", web.TransferCommand{Action: a}, nil)
}

// partner finds the id of a partner by its name.
func (d *demo) partner(ctx context.Context, p *provider, name string) (string, error) {
	var list web.List[web.Partner]
	if err := p.api.Get(ctx, "/partners", &list); err != nil {
		return "", err
	}
	for _, x := range list.Items {
		if x.Name == name {
			return x.ID, nil
		}
	}
	return "", fmt.Errorf("%w: %s does not know %s", ErrFailed, p.name, name)
}

// approve waits until the only transfer at p wants an approval, and gives it:
// the one human decision of that side.
func (d *demo) approve(ctx context.Context, p *provider, way web.Direction) error {
	var id string
	err := waitFor(ctx, d.limit(), func(ctx context.Context) (bool, error) {
		var list web.List[web.Transfer]
		if err := p.api.Get(ctx, "/transfers?direction="+string(way), &list); err != nil {
			return false, err
		}
		for _, t := range list.Items {
			if slices.Contains(t.Actions, web.TransferApprove) {
				id = t.ID
				return true, nil
			}
			if t.Ended {
				return false, fmt.Errorf("%w: the transfer ended as %s", ErrFailed, t.State)
			}
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("approval at %s: %w", p.name, err)
	}
	c := web.TransferCommand{Action: web.TransferApprove}
	if way == web.Incoming && d.o.UpdateFirst {
		c.UpdateFirst = &d.o.UpdateFirst
	}
	return p.api.Post(ctx, "/transfers/"+url.PathEscape(id)+"/commands", c, nil)
}

// untilHandedOver waits for the end of the transfer at Alpha, and for every
// device to be where it belongs.
func (d *demo) untilHandedOver(ctx context.Context) error {
	if d.fault.do != nil {
		if err := d.fault.do(d, ctx); err != nil {
			return fmt.Errorf("%s: %w", d.fault.name, err)
		}
	}
	at, kind := d.alpha, sim.FellBack
	switch d.fault.home {
	case moved:
		at, kind = d.beta, sim.Finalised
	case stayed:
		kind = sim.Expired
	case fellBack:
	}
	err := waitFor(ctx, d.limit()+4*d.o.Timers.Grace, func(ctx context.Context) (bool, error) {
		t, err := d.progress(ctx)
		if err != nil {
			return false, err
		}
		there := d.fleet.count(kind)
		d.show.progress(there)
		// The first devices to fail pause the others; whoever shows how all come back
		// says once that they shall go all the same.
		if d.fault.home == fellBack && slices.Contains(t.Actions, web.TransferResume) {
			d.show.note("Alpha paused, for the first devices came back; it is told to go on")
			return false, d.command(ctx, d.alpha, t.ID, web.TransferResume)
		}
		if d.fault.home == stayed && there < d.o.Devices { // the transfer may be over before they know
			return false, nil
		}
		return t.Ended || t.Done+t.Failed == t.Total, nil // PARTIAL keeps its doors open
	})
	if err != nil {
		return err
	}
	return d.untilOnline(ctx, at)
}

// progress returns the transfer as Alpha's list shows it: that costs less than its page,
// which looks at each device.
func (d *demo) progress(ctx context.Context) (web.Transfer, error) {
	var list web.List[web.Transfer]
	if err := d.alpha.api.Get(ctx, "/transfers?direction="+string(web.Outgoing), &list); err != nil {
		return web.Transfer{}, err
	}
	for _, t := range list.Items {
		if t.ID == d.session {
			return t, nil
		}
	}
	return web.Transfer{}, fmt.Errorf("%w: %s knows no transfer %s", ErrFailed, d.alpha.name, d.session)
}
