package services

import (
	"context"
	"fmt"
	"slices"
	"time"

	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// extend asks the partner for a later end of the window, or agrees to one.
func (s *transfers) extend(ctx context.Context, by web.Actor, t coordinator.Transfer, c web.TransferCommand) (
	coordinator.Transfer, error,
) {
	switch {
	case !t.Incoming && c.Latest.IsZero():
		return t, web.Invalid("latest", "until when?")
	case len(c.Mandate) > maxMandate:
		return t, web.Invalid("mandate", "too long")
	}
	return s.Coordinator.Extend(ctx, coordinator.Extension{
		Transfer: t.ID, Latest: c.Latest, Mandate: c.Mandate, Actor: by.String(), Reason: c.Reason,
	})
}

// asked says what waits for an answer of somebody.
func asked(t coordinator.Transfer) (out []web.Notice) {
	until := t.Asked.Latest.Time()
	switch {
	case until.IsZero() || t.Over():
	case t.Incoming:
		out = append(out, web.Notice{Level: web.LevelWarning, Text: t.PartnerName + " asks for a window until " +
			until.Format(time.RFC3339) + ": agree to it, or let it pass."})
	default:
		out = append(out, web.Notice{Level: web.LevelNeutral, Text: "A window until " + until.Format(time.RFC3339) +
			" is asked of " + t.PartnerName + "."})
	}
	return out
}

// revised says that the partner was told anew what devices run, or tells us so, and who
// must accept it.
func revised(t coordinator.Transfer) []web.Notice {
	if !t.Revised || t.Over() {
		return nil
	}
	said := t.PartnerName + " was told anew what the devices run"
	if t.Incoming {
		said = t.PartnerName + " has told anew what the devices run"
	}
	waits := slices.Contains(t.Pending, transfer.BatchPostInfo)
	switch before := t.State == transfer.BatchInfoSent || t.State == transfer.BatchInfoAccepted; {
	case waits && !t.Incoming:
		said += ", and has not answered yet."
	case before && t.Incoming:
		said += ": an offer from before is void, and an administrator here approves anew."
	case before:
		said += ": an offer from before is void, and its administrator approves anew."
	case t.Incoming:
		said += ". It was accepted by itself: each device was judged again."
	default:
		said += ", and accepts it."
	}
	return []web.Notice{{Level: web.LevelNeutral, Text: said}}
}

// sleepers warns of devices that are expected to speak only when the window has passed
// (transfer protocol §7).
func (s *transfers) sleepers(ctx context.Context, t coordinator.Transfer) ([]web.Notice, error) {
	if t.Incoming || !accepts(t, coordinator.CommandExtend) {
		return nil, nil
	}
	var late int
	var last time.Time
	err := s.eachRow(ctx, t.ID, func(r coordinator.Row) error {
		if wake, is := s.sleepsOver(r, t.Window.Latest.Time()); is {
			late++
			last = later(last, wake)
		}
		return nil
	})
	if err != nil || late == 0 {
		return nil, translate(err)
	}
	return []web.Notice{{Level: web.LevelWarning, Text: fmt.Sprintf("Asleep until after the window: devices: %d, the "+
		"last until %s. They stay here unless the window is extended.", late, last.UTC().Format(time.RFC3339))}}, nil
}

// sleepsOver reports whether a device that has not left sleeps until after end, and until
// when.
func (s *transfers) sleepsOver(r coordinator.Row, end time.Time) (time.Time, bool) {
	if r.Ended() || r.Committed() {
		return time.Time{}, false
	}
	p := s.Server.Presence(r.Device)
	return p.Wake, p.Asleep && !p.Wake.Before(end)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// accepts reports whether the transfer takes a command now.
func accepts(t coordinator.Transfer, c coordinator.Command) bool {
	return slices.Contains(t.Commands(), c)
}
