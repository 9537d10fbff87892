package web

import (
	"context"
	"encoding/json"
)

// Settings tells what devices must know of this provider.
type Settings interface {
	// DeviceSettings returns what a factory puts into devices that are delivered
	// to this provider: URIs, anchors with their purposes, object ids.
	DeviceSettings(ctx context.Context) (json.RawMessage, error)
}
