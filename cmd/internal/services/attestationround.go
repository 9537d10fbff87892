package services

import (
	"context"
	"errors"
	"slices"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/est/attest/rounds"
	"steward/web"
)

// attestationRounds implements web.AttestationRounds.
type attestationRounds struct{ *base }

// ListAttestations implements web.AttestationRounds.
func (s *attestationRounds) ListAttestations(
	ctx context.Context, state string, p web.Page,
) (web.List[web.AttestationRound], error) {
	known := []rounds.State{"", rounds.Unproved, rounds.Good, rounds.Bad, rounds.Mute}
	if !slices.Contains(known, rounds.State(state)) {
		return web.List[web.AttestationRound]{}, web.Invalid("state", "unproved, good, bad or mute")
	}
	rows, err := s.DB.Rounds().List(ctx, rounds.State(state), p.After, limit(p))
	if err != nil {
		return web.List[web.AttestationRound]{}, translate(err)
	}
	return paged(p, rows, func(l sqlite.RoundLine) string { return string(l.Device) },
		func(l sqlite.RoundLine) (web.AttestationRound, error) { return showRound(l.Round, l.Endpoint), nil })
}

func showRound(r rounds.Round, endpoint string) web.AttestationRound {
	out := web.AttestationRound{
		Device: string(r.Device), Endpoint: endpoint, State: string(r.State), Since: r.Since, JudgedAt: r.JudgedAt,
		Seconds: int(r.Interval / time.Second), NextAt: r.Due, Waiting: r.Waiting, Tries: r.Tries, Failure: printable(r.Why),
	}
	if !r.JudgedAt.IsZero() {
		out.Tier, out.Reason = r.Tier.String(), printable(r.Reason)
	}
	return out
}

// round returns how a device stands, nil if it was never asked and is not to be.
func (b *base) round(ctx context.Context, l sqlite.DeviceLine) (*web.AttestationRound, error) {
	r, err := b.DB.Rounds().Round(ctx, l.ID)
	if err != nil || r.Version == 0 {
		return nil, err
	}
	out := showRound(r, string(l.Endpoint))
	return &out, nil
}

// AttestationRules implements web.AttestationRounds.
func (s *attestationRounds) AttestationRules(ctx context.Context) ([]web.AttestationRule, error) {
	all, err := s.DB.Rounds().Rules(ctx)
	out := make([]web.AttestationRule, 0, len(all))
	for _, r := range all {
		tag := r.Tag
		if tag == "" {
			tag = web.OtherTags
		}
		out = append(out, web.AttestationRule{Tag: tag, Seconds: int(r.Every / time.Second)})
	}
	return out, translate(err)
}

// maxAttestationRules bounds what is looked at for each device.
const maxAttestationRules = 64

// PutAttestationRule implements web.AttestationRounds.
func (s *attestationRounds) PutAttestationRule(
	ctx context.Context, by web.Actor, r web.AttestationRule,
) (web.AttestationRule, error) {
	tag, err := ruleTag(r.Tag)
	if err != nil {
		return web.AttestationRule{}, err
	}
	every := time.Duration(r.Seconds) * time.Second
	if least, most := int(rounds.MinInterval/time.Second), int(rounds.MaxInterval/time.Second); r.Seconds != 0 &&
		(r.Seconds < least || r.Seconds > most) {
		return web.AttestationRule{}, web.Invalid("every_seconds", "0 for never, or from 600 to 31622400")
	}
	if s.Rounds == nil {
		return web.AttestationRule{}, conflict("the hand-over, and the object by which devices are asked, are off")
	}
	all, err := s.DB.Rounds().Rules(ctx)
	if err != nil {
		return web.AttestationRule{}, translate(err)
	}
	known := slices.ContainsFunc(all, func(x sqlite.RoundRule) bool { return x.Tag == tag })
	if len(all) >= maxAttestationRules && !known {
		return web.AttestationRule{}, conflict("there are 64 rules already")
	}
	if err := s.DB.Rounds().SetRule(ctx, sqlite.RoundRule{Tag: tag, Every: every}, by.String()); err != nil {
		return web.AttestationRule{}, translate(err)
	}
	s.Rounds.Reconsider()
	return r, nil
}

// ruleTag returns the tag of a rule as it is stored.
func ruleTag(tag string) (string, error) {
	if tag == web.OtherTags {
		return "", nil
	}
	if tag == "" {
		return "", web.Invalid("tag", "a tag, or * for all devices without a rule of their own")
	}
	return tag, checkText("tag", tag, maxTag)
}

// RemoveAttestationRule implements web.AttestationRounds.
func (s *attestationRounds) RemoveAttestationRule(ctx context.Context, by web.Actor, tag string) error {
	stored, err := ruleTag(tag)
	if err != nil {
		return err
	}
	err = s.DB.Rounds().DropRule(ctx, stored, by.String())
	if errors.Is(err, sqlite.ErrNoRule) {
		return web.NotFound("attestation rule", tag)
	}
	if err == nil && s.Rounds != nil {
		s.Rounds.Reconsider()
	}
	return translate(err)
}

// considerRound tells that the tags or the key of a device changed.
func (b *base) considerRound(l sqlite.DeviceLine) {
	if b.Rounds != nil {
		b.Rounds.Consider(l.ID)
	}
}

// attested counts what the overview tells of proofs.
func (s *overviews) attested(ctx context.Context, o *web.Overview) (err error) {
	o.AttestationBad, o.AttestationMute, err = s.DB.Rounds().Trouble(ctx)
	return translate(err)
}

// attestationNotices tells of devices that turned bad.
func attestationNotices(o web.Overview) (out []web.Notice) {
	if o.AttestationBad > 0 {
		out = append(out, web.Notice{
			Level: web.LevelBad, Link: "/attestation?state=bad",
			Text: "The evidence of " + count(o.AttestationBad, "device", "devices") + " speaks against what runs there.",
		})
	}
	if o.AttestationMute > 0 {
		out = append(out, web.Notice{
			Level: web.LevelWarning, Link: "/attestation?state=mute",
			Text: count(o.AttestationMute, "device was", "devices were") + " asked again and again, without evidence of use.",
		})
	}
	return out
}
