package webtest

import (
	"context"
	"time"

	"steward/web"
)

// Trace implements web.Traces.
func (f *Fake) Trace(_ context.Context, device string) (web.DeviceTrace, error) {
	if err := f.known(device); err != nil || f.Empty {
		return web.DeviceTrace{}, err
	}
	return web.DeviceTrace{Running: true, Since: Noon, Until: Noon.Add(time.Hour), Missed: 2, Items: []web.TraceMessage{
		{
			Number: 3, At: Noon, Address: f.Text, Unproved: true, Type: f.Text, ID: 7, Token: f.Text, What: f.Text,
			Options: f.Text, Payload: f.Text, Bytes: 20,
		},
		{Number: 4, At: Noon, Sent: true, Address: f.Text, Payload: f.Text, Hidden: true, Malformed: f.Text, Bytes: 9},
	}}, nil
}

// StartTrace implements web.Traces.
func (f *Fake) StartTrace(ctx context.Context, by web.Actor, device string, d time.Duration) (web.DeviceTrace, error) {
	if err := f.note("StartTrace", by, device, d); err != nil {
		return web.DeviceTrace{}, err
	}
	return f.Trace(ctx, device)
}

// StopTrace implements web.Traces.
func (f *Fake) StopTrace(ctx context.Context, by web.Actor, device string) (web.DeviceTrace, error) {
	if err := f.note("StopTrace", by, device, nil); err != nil {
		return web.DeviceTrace{}, err
	}
	return f.Trace(ctx, device)
}

// TraceFile implements web.Traces.
func (f *Fake) TraceFile(_ context.Context, device, _ string) ([]byte, error) {
	return []byte(f.Text), f.known(device)
}
