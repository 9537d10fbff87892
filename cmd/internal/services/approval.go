package services

import (
	"context"
	"strings"

	"steward/suit/rollout"
	"steward/web"
)

// DecideRelease implements web.Releases.
func (s *releases) DecideRelease(
	ctx context.Context, by web.Actor, id string, c web.ReleaseCommand,
) (web.Release, error) {
	if err := checkText("reason", c.Reason, maxReason); err != nil {
		return web.Release{}, err
	}
	switch c.Action {
	case web.ReleaseApprove:
	case web.ReleaseWithdraw:
		if strings.TrimSpace(c.Reason) == "" {
			return web.Release{}, web.Invalid("reason", "say why")
		}
	default:
		return web.Release{}, web.Invalid("action", "approve or withdraw")
	}
	r, err := s.release(ctx, id)
	if err != nil {
		return web.Release{}, err
	}
	d, err := s.decide(ctx, by, r, rollout.ReleaseEvent(c.Action), c.Reason)
	if err != nil {
		return web.Release{}, err
	}
	if err := s.DB.Rollout().DecideRelease(ctx, id, r.State, d); err != nil {
		return web.Release{}, translate(err)
	}
	if d.To == rollout.ReleaseWithdrawn {
		s.Rollout.Wake("") // its jobs end
	}
	r, err = s.release(ctx, id)
	return showRelease(r), err
}

// decide returns what a person's decision does to r. Who approves is another than
// who added it, where somebody else is signed in who could: the rule of
// hand-overs.
func (s *releases) decide(
	ctx context.Context, by web.Actor, r rollout.Release, on rollout.ReleaseEvent, reason string,
) (rollout.Decision, error) {
	people, err := s.approvers(ctx)
	if err != nil {
		return rollout.Decision{}, translate(err)
	}
	d, err := r.Decide(on, by.String(), reason, people, s.Now())
	return d, translate(err)
}

func (s *releases) approvers(ctx context.Context) (int, error) {
	if s.Approvers != nil {
		return s.Approvers(ctx)
	}
	return s.DB.Accounts().Approvers(ctx, web.RoleRelease, s.Now())
}
