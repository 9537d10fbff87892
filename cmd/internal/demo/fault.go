package demo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"steward/cmd/internal/sim"
	"steward/web"
)

// A home is where devices are in the end.
type home int

const (
	moved    home = iota // at Beta, and nowhere else
	fellBack             // at Alpha again, with a new key
	stayed               // at Alpha, as before
)

// A fault is something that goes wrong during the hand-over.
type fault struct {
	name  string
	about string
	home  home
	// do makes it happen while the hand-over runs, after both approvals; nil: it is
	// there from the start.
	do func(*demo, context.Context) error
}

// The faults that others refer to.
const (
	faultCA2Down  = "ca2-down"
	faultRAReject = "ra-reject"
	faultLoss     = "loss"
)

// faults lists what can go wrong.
func faults() []fault {
	return []fault{
		{name: faultCA2Down, about: "CA2 cannot be reached after the commit: all fall back", home: fellBack},
		{
			name: faultRAReject, home: fellBack,
			about: "devices attest, and run altered images: the verifier speaks against all, which fall back",
		},
		{
			name: "deadline", about: "all devices are READY, and out of reach until the window is over: all stay",
			home: stayed, do: (*demo).missDeadline,
		},
		{
			name: "sp2-withdraws", about: "Beta cancels when all devices are READY: all stay",
			home: stayed, do: (*demo).withdraw,
		},
		{name: "crash-sp1", about: "Alpha is killed and started again, three times: all move", do: (*demo).crashAlpha},
		{name: "crash-sp2", about: "Beta is killed and started again, three times: all move", do: (*demo).crashBeta},
		{
			name: "device-power-cut", about: "all devices lose power at once, three times: all move",
			do: (*demo).cutPower,
		},
		{name: faultLoss + "=30%", about: "this share of datagrams is lost, each way, as long as it lasts: all move"},
	}
}

// Faults names the faults that can be shown; of loss the share may be another.
func Faults() []string {
	list := faults()
	names := make([]string, 0, len(list))
	for _, f := range list {
		names = append(names, f.name)
	}
	return names
}

// DescribeFaults says what each is, a line each.
func DescribeFaults() string {
	var out strings.Builder
	for _, f := range faults() {
		fmt.Fprintf(&out, "  %-18s %s\n", f.name, f.about)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// maxLoss is the greatest share of datagrams that may be lost: with more, a
// handshake takes too long to be shown.
const maxLoss = 50

// parseFault finds a fault by its name; "" is none. It returns ErrOptions.
func parseFault(name string) (fault, error) {
	if name == "" {
		return fault{}, nil
	}
	if share, ok := strings.CutPrefix(name, faultLoss+"="); ok {
		if n, err := strconv.Atoi(strings.TrimSuffix(share, "%")); err != nil || n < 1 || n > maxLoss {
			return fault{}, fmt.Errorf("%w: fault %.40q: want %s=1%% to %d%%", ErrOptions, name, faultLoss, maxLoss)
		}
		return fault{name: name}, nil
	}
	list := faults()
	if i := slices.IndexFunc(list, func(f fault) bool { return f.name == name }); i >= 0 {
		return list[i], nil
	}
	return fault{}, fmt.Errorf("%w: fault %.40q is not one of %s", ErrOptions, name, strings.Join(Faults(), ", "))
}

// loss returns the share of datagrams that the fault loses, "" for none.
func (f fault) loss() string {
	share, _ := strings.CutPrefix(f.name, faultLoss+"=")
	if share == f.name {
		return ""
	}
	return share
}

// timers gives devices the time that they need under the fault, before they give the
// new provider up or a handshake.
func (f fault) timers(t Timers) Timers {
	const handshake, crash, loss = 30 * time.Second, time.Minute, 5 * time.Minute
	switch {
	case f.loss() != "":
		t.Grace, t.Handshake = max(t.Grace, loss), max(t.Handshake, handshake)
	case f.home == moved && f.do != nil: // who was asked when it was killed is waited for
		t.Grace = max(t.Grace, crash)
	}
	return t
}

// weather has the devices lose that share of datagrams from now on; "": none again.
func (d *demo) weather(ctx context.Context, share string) error {
	if d.fault.loss() == "" {
		return nil
	}
	var more []string
	if share != "" {
		more = []string{"--loss", share}
	}
	return d.fleet.restart(ctx, more...)
}

// begins is when devices may be told to commit: late, where the fault wants all of
// them READY before.
func (d *demo) begins() time.Time {
	if d.fault.home != stayed {
		return time.Time{}
	}
	const least, each = 15 * time.Second, 150 * time.Millisecond
	return time.Now().Add(least + time.Duration(d.o.Devices)*each).Truncate(time.Second)
}

// untilReady waits until every device has accepted its order.
func (d *demo) untilReady(ctx context.Context) error {
	return waitFor(ctx, d.limit(), func(context.Context) (bool, error) {
		ready := d.fleet.count(sim.Ready)
		d.show.progress(ready)
		return ready == d.o.Devices, nil
	})
}

// missDeadline leaves the devices without power from before the window until after
// it. Held up on the way instead, an order could still count with them: they allow
// for clocks that differ (transfer protocol §7).
func (d *demo) missDeadline(ctx context.Context) error {
	if err := d.untilReady(ctx); err != nil {
		return err
	}
	d.fleet.process.kill()
	if !time.Now().Before(d.window.From) {
		return fmt.Errorf("%w: the window began before all devices were READY", ErrFailed)
	}
	d.show.note("the devices are switched off")
	err := waitFor(ctx, d.limit(), func(context.Context) (bool, error) { return time.Now().After(d.window.Until), nil })
	if err != nil {
		return err
	}
	d.show.note("the window is over, the devices are switched on")
	return d.fleet.start(ctx)
}

// withdraw has Beta change its mind.
func (d *demo) withdraw(ctx context.Context) error {
	if err := d.untilReady(ctx); err != nil {
		return err
	}
	var list web.List[web.Transfer]
	if err := d.beta.api.Get(ctx, "/transfers?direction="+string(web.Incoming), &list); err != nil {
		return err
	}
	if len(list.Items) != 1 {
		return fmt.Errorf("%w: Beta has %d transfers", ErrFailed, len(list.Items))
	}
	d.show.note("Beta withdraws")
	return d.command(ctx, d.beta, list.Items[0].ID, web.TransferCancel)
}

// strikes are the steps of the first device at which a party is struck.
func strikes() []sim.Kind { return []sim.Kind{sim.Ready, sim.Committed, sim.Done} }

// strike does something to a party at each of the strikes.
func (d *demo) strike(ctx context.Context, what string, do func(context.Context) error) error {
	for _, kind := range strikes() {
		err := waitFor(ctx, d.limit(), func(context.Context) (bool, error) { return d.fleet.count(kind) > 0, nil })
		if err != nil {
			return err
		}
		d.show.note(what + ": the first device is " + string(kind))
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) crashAlpha(ctx context.Context) error {
	return d.strike(ctx, "kill -9 of Alpha", d.alpha.crash)
}

func (d *demo) crashBeta(ctx context.Context) error {
	return d.strike(ctx, "kill -9 of Beta", d.beta.crash)
}

func (d *demo) cutPower(ctx context.Context) error {
	return d.strike(ctx, "power cut of all devices", func(ctx context.Context) error { return d.fleet.crash(ctx) })
}
