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
	// Retention returns for how long this provider keeps what has happened.
	Retention(ctx context.Context) (Retention, error)
}

// Retention says for how many days what has happened is kept; 0 is without an end.
type Retention struct {
	Events       int     `json:"events_days"`
	Operations   int     `json:"operations_days"`
	Values       int     `json:"values_days"` // at most; 0: as the rules of resources say
	Trace        float64 `json:"trace_hours"`
	Audit        int     `json:"audit_days"`        // in the database
	AuditArchive string  `json:"audit_archive"`     // where older rows go; "" if they stay, and for most people
	AuditFrom    int64   `json:"audit_archived_to"` // the last row that is not in the database any more
}
