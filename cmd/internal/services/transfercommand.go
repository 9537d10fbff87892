package services

import (
	"context"
	"errors"
	"slices"

	"steward/suit/rollout"
	"steward/transfer"
	"steward/transfer/coordinator"
	"steward/web"
)

// Command implements web.Transfers.
func (s *transfers) Command(
	ctx context.Context, by web.Actor, id string, c web.TransferCommand,
) (web.Transfer, error) {
	if !slices.Contains(web.TransferActions(), c.Action) {
		return web.Transfer{}, web.Invalid("action", "submit, approve, reject, cancel, resume, extend, revise or again")
	}
	if err := checkText("reason", c.Reason, maxReason); err != nil {
		return web.Transfer{}, err
	}
	t, err := s.get(ctx, id)
	if err != nil {
		return web.Transfer{}, err
	}
	if !slices.Contains(actions(t), c.Action) {
		return web.Transfer{}, conflict(string(t.State) + " does not allow to " + string(c.Action) + ". " + nextOf(t))
	}
	switch c.Action {
	case web.TransferSubmit:
		t, err = s.Coordinator.Submit(ctx, id, by.String())
	case web.TransferApprove:
		if t, err = s.gates(ctx, by, t, c); err != nil {
			break
		}
		t, err = s.Coordinator.Approve(ctx, id, by.String(), c.Reason)
	case web.TransferReject, web.TransferCancel:
		t, err = s.Coordinator.Withdraw(ctx, id, by.String(), c.Reason)
	case web.TransferResume:
		t, err = s.Coordinator.Resume(ctx, id, by.String(), c.Reason)
	case web.TransferExtend:
		t, err = s.extend(ctx, by, t, c)
	case web.TransferRevise:
		t, err = s.Coordinator.Revise(ctx, id, by.String(), c.Reason)
	case web.TransferAgain:
		t, err = s.again(ctx, by, t, c)
	}
	if err != nil {
		return web.Transfer{}, translate(err)
	}
	return s.show(ctx, t)
}

// gates says what an offer that is approved will ask for, where that differs.
func (s *transfers) gates(ctx context.Context, by web.Actor, t coordinator.Transfer, c web.TransferCommand) (
	coordinator.Transfer, error,
) {
	g := t.Gates
	if c.Attest != nil {
		g.Attest = *c.Attest
	}
	if c.UpdateFirst != nil {
		g.UpdateFirst = *c.UpdateFirst
	}
	if c.UpdateRelease != nil {
		g.Release = *c.UpdateRelease
		if err := s.givable(ctx, g.Release); err != nil {
			return t, err
		}
	}
	if g == t.Gates {
		return t, nil
	}
	return s.Coordinator.SetGates(ctx, t.ID, by.String(), g)
}

// givable returns an error for a release that devices cannot be given before they enrol;
// "" is none.
func (s *transfers) givable(ctx context.Context, id string) error {
	if id == "" {
		return nil
	}
	r, err := s.DB.Rollout().Release(ctx, id)
	switch {
	case errors.Is(err, rollout.ErrUnknown):
		return web.Invalid("update_release", "there is no such release")
	case err != nil:
		return err
	case r.State != rollout.ReleaseApproved:
		return web.Invalid("update_release", "the release is not approved")
	case r.Apart:
		return nil
	}
	_, err = s.DB.Rollout().Length(ctx, id, rollout.PartPush)
	if errors.Is(err, rollout.ErrUnknown) {
		return web.Invalid("update_release", "its payload is fetched from elsewhere, which devices cannot before they enrol")
	}
	return err
}

// actions returns what a person may tell the transfer now. To withdraw what the
// other side asks for and nobody here has approved is to reject it.
func actions(t coordinator.Transfer) []web.TransferAction {
	var out []web.TransferAction
	for _, c := range t.Commands() {
		switch c {
		case coordinator.CommandSubmit:
			out = append(out, web.TransferSubmit)
		case coordinator.CommandApprove:
			out = append(out, web.TransferApprove)
		case coordinator.CommandWithdraw:
			if t.Incoming && (t.State == transfer.BatchInfoSent || t.State == transfer.BatchInfoAccepted) {
				out = append(out, web.TransferReject)
			} else {
				out = append(out, web.TransferCancel)
			}
		case coordinator.CommandResume:
			out = append(out, web.TransferResume)
		case coordinator.CommandExtend:
			out = append(out, web.TransferExtend)
		case coordinator.CommandRevise:
			out = append(out, web.TransferRevise)
		}
	}
	if !t.Incoming && (t.Over() || t.State == transfer.BatchPartial) && t.State != transfer.BatchComplete {
		out = append(out, web.TransferAgain)
	}
	return out
}
