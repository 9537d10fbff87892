package services

import (
	"context"
	"errors"
	"time"

	"steward/cmd/internal/trace"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/web"
)

// traces implements web.Traces.
type traces struct{ *base }

// Trace implements web.Traces.
func (s *traces) Trace(ctx context.Context, device string) (web.DeviceTrace, error) {
	line, err := s.find(ctx, device)
	if err != nil {
		return web.DeviceTrace{}, err
	}
	return showTrace(s.Traces.Snapshot(line.ID)), nil
}

func showTrace(t trace.Snapshot) web.DeviceTrace {
	out := web.DeviceTrace{Running: t.Running, Since: t.Began, Until: t.Ends, Missed: t.Missed}
	for _, i := range t.Items {
		out.Items = append(out.Items, showMessage(i))
	}
	return out
}

func showMessage(i trace.Item) web.TraceMessage {
	l := i.Line()
	return web.TraceMessage{
		Number: i.Number, At: i.At, Sent: i.Sent, Address: i.Addr.String(), Unproved: i.Claimed, Type: l.Type,
		ID: int(l.ID), Token: l.Token, What: l.What, Options: l.Options, Payload: l.Payload, Hidden: i.Blotted,
		Malformed: l.Malformed, Bytes: len(i.Datagram),
	}
}

// Trace publishes a message of a device that is traced; it is what
// trace.Options.Published wants.
func (h *Hub) Trace(device fleet.ID, i trace.Item) {
	if h.stream.Watched(time.Now()) {
		h.publish(web.EventTrace, string(device), showMessage(i))
	}
}

// StartTrace implements web.Traces.
func (s *traces) StartTrace(ctx context.Context, by web.Actor, device string, d time.Duration) (
	web.DeviceTrace, error,
) {
	if d < time.Second || d > trace.MaxDuration {
		return web.DeviceTrace{}, web.Invalid("seconds", "a number from 1 to 3600")
	}
	line, err := s.find(ctx, device)
	if err != nil {
		return web.DeviceTrace{}, err
	}
	row := audit.Row{Actor: by.String(), Action: "trace.start", Subject: string(line.ID), After: d.String(), At: s.Now()}
	if err := s.DB.Audit(ctx, row); err != nil { // before anything is recorded
		return web.DeviceTrace{}, translate(err)
	}
	if err := s.Traces.Start(line.ID, line.Endpoint, d); errors.Is(err, trace.ErrFull) {
		return web.DeviceTrace{}, conflict("too many devices are traced at once; end another trace, or wait an hour")
	} else if err != nil {
		return web.DeviceTrace{}, translate(err)
	}
	return showTrace(s.Traces.Snapshot(line.ID)), nil
}

// StopTrace implements web.Traces.
func (s *traces) StopTrace(ctx context.Context, by web.Actor, device string) (web.DeviceTrace, error) {
	line, err := s.find(ctx, device)
	if err != nil {
		return web.DeviceTrace{}, err
	}
	row := audit.Row{Actor: by.String(), Action: "trace.stop", Subject: string(line.ID), After: "stopped", At: s.Now()}
	if s.Traces.Snapshot(line.ID).Running {
		row.Before = "running"
	}
	s.Traces.Stop(line.ID)
	if err := s.DB.Audit(ctx, row); err != nil {
		return web.DeviceTrace{}, translate(err)
	}
	return showTrace(s.Traces.Snapshot(line.ID)), nil
}

// TraceFile implements web.Traces.
func (s *traces) TraceFile(ctx context.Context, device, format string) ([]byte, error) {
	line, err := s.find(ctx, device)
	if err != nil {
		return nil, err
	}
	items := s.Traces.Snapshot(line.ID).Items
	switch format {
	case "text":
		return trace.Text(items), nil
	case "pcap":
		return trace.PCAP(items), nil
	default:
		return nil, web.Invalid("format", "text or pcap")
	}
}
