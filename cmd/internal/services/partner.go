package services

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"

	"steward/transfer/coordinator"
	"steward/web"
)

// partners implements web.Partners.
type partners struct{ *base }

// maxIdentity is the largest identity file that is looked at, in bytes.
const maxIdentity = 64 << 10

// ListPartners implements web.Partners. Its cursors are ids.
func (s *partners) ListPartners(ctx context.Context, p web.Page) (web.List[web.Partner], error) {
	all, err := s.Coordinator.Partners(ctx)
	if err != nil {
		return web.List[web.Partner]{}, translate(err)
	}
	if p.After != "" {
		i := 0
		for i < len(all) && all[i].ID != p.After {
			i++
		}
		if i == len(all) {
			return web.List[web.Partner]{}, errCursor()
		}
		all = all[i+1:]
	}
	return paged(p, all, func(p coordinator.Partner) string { return p.ID },
		func(p coordinator.Partner) (web.Partner, error) { return showPartner(p), nil })
}

func showPartner(p coordinator.Partner) web.Partner {
	signing, tls := p.SigningKey(), p.TLSKey()
	out := web.Partner{
		ID: p.ID, Name: p.Name, Label: p.Label, Kind: string(p.Kind), State: web.PartnerState(p.State), PeerURI: p.PeerURI,
		Signing: hex.EncodeToString(signing[:]), AddedAt: p.AddedAt, AddedBy: p.AddedBy,
		Judges: len(p.Verifier) > 0, Demands: p.Demands,
	}
	next, nextSigning := p.NextTLSKey(), p.NextSigningKey()
	if p.NextTLS != nil {
		out.NextTLS = hex.EncodeToString(next[:])
	}
	if p.NextSigning != nil {
		out.NextSigning = hex.EncodeToString(nextSigning[:])
	}
	l := p.Limits.InForce()
	out.Limits = web.PartnerLimits{Devices: l.Devices, Daily: l.Daily, Open: l.Open, Calls: l.Calls}
	if tls != ([len(tls)]byte{}) {
		out.TLS = hex.EncodeToString(tls[:])
	}
	return out
}

// Partner implements web.Partners.
func (s *partners) Partner(ctx context.Context, id string) (web.Partner, error) {
	p, err := s.Coordinator.Partner(ctx, id)
	if errors.Is(err, coordinator.ErrUnknown) {
		return web.Partner{}, notFound("partner", id)
	}
	if err != nil {
		return web.Partner{}, translate(err)
	}
	out := showPartner(p)
	out.Use, err = s.use(ctx, id)
	return out, err
}

// maxHolding is how many devices a partner's use names.
const maxHolding = 1000

// use returns how far a partner has used its limits.
func (s *partners) use(ctx context.Context, id string) (*web.PartnerUse, error) {
	used, err := s.Coordinator.Usage(ctx, id)
	if err != nil {
		return nil, translate(err)
	}
	out := &web.PartnerUse{Daily: used.Daily, Open: used.Open}
	err = s.Coordinator.Holding(ctx, id, func(r coordinator.Row) {
		if out.Holding++; out.Holding <= maxHolding {
			row := showRow(r)
			out.Devices = append(out.Devices, web.PartnerDevice{
				Device: row.Device, Endpoint: row.Endpoint, Transfer: r.Transfer, State: row.State,
			})
		}
	})
	return out, translate(err)
}

// SetPartnerLimits implements web.Partners.
func (s *partners) SetPartnerLimits(ctx context.Context, by web.Actor, id string, l web.PartnerLimits) (
	web.Partner, error,
) {
	if err := checkText("reason", l.Reason, maxReason); err != nil {
		return web.Partner{}, err
	}
	p, err := s.Coordinator.SetPartnerLimits(ctx, id, coordinator.Limits{
		Devices: l.Devices, Daily: l.Daily, Open: l.Open, Calls: l.Calls,
	}, by.String(), l.Reason)
	if errors.Is(err, coordinator.ErrUnknown) {
		return web.Partner{}, notFound("partner", id)
	}
	if err != nil {
		return web.Partner{}, translate(err)
	}
	return showPartner(p), nil
}

// AddPartner implements web.Partners.
func (s *partners) AddPartner(ctx context.Context, by web.Actor, n web.NewPartner) (web.Partner, error) {
	if err := checkText("label", n.Label, maxName); err != nil {
		return web.Partner{}, err
	}
	if len(n.Identity) == 0 || len(n.Identity) > maxIdentity {
		return web.Partner{}, web.Invalid("identity", "the identity file of a partner")
	}
	p, err := s.Coordinator.AddPartner(ctx, n.Identity, n.Label, by.String())
	if err != nil {
		return web.Partner{}, about("identity", err)
	}
	return showPartner(p), nil
}

// SetPartnerState implements web.Partners.
func (s *partners) SetPartnerState(
	ctx context.Context, by web.Actor, id string, c web.PartnerChange,
) (web.Partner, error) {
	if c.State != web.PartnerActive && c.State != web.PartnerSuspended && (c.State != "" || c.Verifier == nil) {
		return web.Partner{}, web.Invalid("state", "active or suspended")
	}
	if err := checkText("reason", c.Reason, maxReason); err != nil {
		return web.Partner{}, err
	}
	var p coordinator.Partner
	var err error
	if c.Verifier != nil {
		if err := checkText("verifier", *c.Verifier, maxReason); err != nil {
			return web.Partner{}, err
		}
		p, err = s.Coordinator.SetPartnerVerifier(ctx, id, *c.Verifier, by.String(), c.Reason)
	}
	if err == nil && c.State != "" {
		p, err = s.Coordinator.SetPartnerState(ctx, id, coordinator.PartnerState(c.State), by.String(), c.Reason)
	}
	if errors.Is(err, coordinator.ErrUnknown) {
		return web.Partner{}, notFound("partner", id)
	}
	if err != nil {
		return web.Partner{}, translate(err)
	}
	return showPartner(p), nil
}

// Identity implements web.Partners.
func (s *partners) Identity(context.Context) (json.RawMessage, error) {
	file, err := s.Coordinator.Identity()
	return file, translate(err)
}
