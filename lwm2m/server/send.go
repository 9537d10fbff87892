package server

import (
	"context"
	"fmt"

	"steward/lwm2m"
	"steward/lwm2m/coap"
	"steward/lwm2m/codec"
)

// send serves Send (§6.4.6): values of a registered device, unasked.
func (s *Server) send(ctx context.Context, r *coap.Request) (*coap.Response, error) {
	from, err := s.sender(ctx, r.Peer)
	if err != nil {
		return nil, err
	}
	reg := from.registration
	entries, err := s.decodeSend(reg, r)
	if err != nil {
		return nil, err
	}
	if err := s.record(ctx, reg.Device, FromSend, entries); err != nil {
		return nil, err
	}
	return &coap.Response{
		Code: coap.Changed,
		Sent: s.answered(from.entry, from.session, from.returned || s.isUnsettled(from.entry),
			Event{Kind: Sent, Device: reg.Device, Entries: entries, Certified: r.Peer.Identity().Role == coap.RoleOperational}),
	}, nil
}

// decodeSend reads the body of a Send: SenML, or LwM2M CBOR. That came with 1.2,
// but who sends it earlier is understood.
func (s *Server) decodeSend(reg Registration, r *coap.Request) ([]lwm2m.Entry, error) {
	format, _ := r.ContentFormat.ID()
	switch format {
	case codec.SenMLJSON, codec.SenMLCBOR, codec.LwM2MCBOR:
	default:
		return nil, fmt.Errorf("%w: %d for Send", codec.ErrFormat, format)
	}
	pack, err := s.options(reg).DecodePack(format, lwm2m.Path{}, r.Payload, s.o.Schema)
	if err != nil {
		return nil, err
	}
	if err := inside(pack.Entries, lwm2m.Path{}); err != nil {
		return nil, err
	}
	entries, err := placed(reg, pack)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Path.Gateway() == "" && !reg.Has(e.Path.Prefix(1)) {
			return nil, fmt.Errorf("%w: object %d", ErrNotRegistered, e.Path.Object())
		}
	}
	return entries, nil
}
