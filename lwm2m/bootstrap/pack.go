package bootstrap

import (
	"context"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
	"steward/lwm2m/linkformat"
)

// pack answers a Bootstrap-Pack-Request (§6.1.7.2): the whole configuration in
// one body. Which accounts the device uses for bootstrap stands in "acc" (1.2.1);
// without it instance 0 of object 0 is left to it.
func (s *Server) pack(ctx context.Context, r *coap.Request) *coap.Response {
	h, err := s.read(ctx, r)
	if err != nil {
		return s.refuse(ctx, r, err)
	}
	format := codec.SenMLCBOR
	if asked, ok := r.Accept.ID(); ok {
		format = asked
	}
	if !slices.Contains(packFormats, format) {
		return &coap.Response{Code: coap.NotAcceptable}
	}
	c, err := s.configuration(ctx, h.device)
	if err != nil {
		return s.refuse(ctx, r, err)
	}
	own, err := accounts(r.Query)
	if err != nil {
		return s.refuse(ctx, r, err)
	}
	var entries []lwm2m.Entry
	for _, w := range c.plan(own, nil) {
		if w.method == coap.PUT {
			entries = append(entries, w.entries...)
		}
	}
	body, err := codec.Encode(format, lwm2m.NewPath(), entries, s.o.Schema)
	if err != nil {
		return s.refuse(ctx, r, err)
	}
	now := time.Now()
	report := Report{
		Device: h.device, Endpoint: h.endpoint, Address: r.Peer.Addr().String(), Version: lwm2m.Version12,
		State: Done, Pack: true, StartedAt: now, EndedAt: now,
	}
	report.add(now, "Bootstrap-Pack-Request", coap.Content.String(), "")
	if err := s.o.Store.Keep(ctx, report); err != nil {
		return s.refuse(ctx, r, err)
	}
	s.o.Finishing(ctx, r.Peer, h.device)
	return &coap.Response{
		Code: coap.Content, ContentFormat: coap.FormatID(format), Payload: body, Sent: func() { s.o.Ended(report) },
	}
}

// accounts reads "acc": a list of links to the device's bootstrap accounts.
func accounts(query []string) (held, error) {
	h := held{version: lwm2m.Version12, bootstraps: []uint16{0}}
	list, err := lwm2m.ParseQuery(query)
	if err != nil {
		return h, err
	}
	for _, q := range list {
		if q.Name != "acc" {
			continue
		}
		links, err := linkformat.Parse(q.Value)
		if err != nil {
			return h, ErrRequest
		}
		h.bootstraps = nil
		for _, l := range links {
			p, err := l.Path("")
			if err != nil {
				return h, ErrRequest
			}
			if p.Len() == 2 && p.Object() == securityObject {
				h.bootstraps = append(h.bootstraps, p.ID(1))
			}
		}
	}
	return h, nil
}
