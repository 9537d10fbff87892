package web

import (
	"context"
	"time"
)

// Traces shows the CoAP messages of a device that is traced. Secrets are not in
// them.
type Traces interface {
	// Trace returns what was recorded of a device; nothing is no error.
	Trace(ctx context.Context, device string) (DeviceTrace, error)
	// StartTrace records the messages of a device for a time, in place of what was
	// recorded before. It returns ErrConflict if too many devices are traced.
	StartTrace(ctx context.Context, by Actor, device string, d time.Duration) (DeviceTrace, error)
	// StopTrace ends it; what was recorded is kept for an hour.
	StopTrace(ctx context.Context, by Actor, device string) (DeviceTrace, error)
	// TraceFile returns what was recorded as a file: "text" or "pcap".
	TraceFile(ctx context.Context, device, format string) ([]byte, error)
}

// A DeviceTrace is what was recorded of a device.
type DeviceTrace struct {
	Running bool                `json:"running"`
	Since   time.Time           `json:"since,omitzero"`
	Until   time.Time           `json:"until,omitzero"`
	Missed  int                 `json:"missed"` // older messages that had to go
	Items   Array[TraceMessage] `json:"items"`  // the oldest first
}

// A TraceMessage is one CoAP message.
type TraceMessage struct {
	Number    int       `json:"number"`
	At        time.Time `json:"at"`
	Sent      bool      `json:"sent"` // to the device
	Address   string    `json:"address"`
	Unproved  bool      `json:"unproved"` // the peer only says that it is the device
	Type      string    `json:"type"`
	ID        int       `json:"message_id"`
	Token     string    `json:"token"`
	What      string    `json:"what"` // method or code, and path
	Options   string    `json:"options,omitempty"`
	Payload   string    `json:"payload,omitempty"`
	Hidden    bool      `json:"hidden"` // the payload is not shown
	Malformed string    `json:"malformed,omitempty"`
	Bytes     int       `json:"bytes"`
}

// EventTrace tells of a message of a device that is traced. Data: TraceMessage.
const EventTrace = "device.trace"

func (missing) Trace(context.Context, string) (DeviceTrace, error) { return DeviceTrace{}, ErrNotBuilt }

func (missing) StartTrace(context.Context, Actor, string, time.Duration) (DeviceTrace, error) {
	return DeviceTrace{}, ErrNotBuilt
}

func (missing) StopTrace(context.Context, Actor, string) (DeviceTrace, error) {
	return DeviceTrace{}, ErrNotBuilt
}

func (missing) TraceFile(context.Context, string, string) ([]byte, error) { return nil, ErrNotBuilt }
