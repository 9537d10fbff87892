package services

import (
	"context"
	"errors"
	"strings"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m/fleet"
	"steward/web"
)

// EraseDevice implements web.Devices.
func (s *devices) EraseDevice(ctx context.Context, by web.Actor, id, endpoint, why string) error {
	if why == "" {
		return web.Invalid("reason", "say why")
	}
	if err := checkText("reason", why, maxReason); err != nil {
		return err
	}
	l, err := s.find(ctx, id)
	if err != nil {
		return err
	}
	if strings.TrimSpace(endpoint) != strings.TrimSpace(string(l.Endpoint)) {
		return web.Invalid("endpoint", "it is not the name of the device")
	}
	err = s.DB.Devices().Erase(ctx, l.ID, by.String(), why)
	if errors.Is(err, sqlite.ErrHeld) { // nothing is under way with it any more
		if err = s.revokeNamed(ctx, by, l, why); err == nil {
			err = s.DB.Devices().Erase(ctx, l.ID, by.String(), why)
		}
	}
	switch {
	case errors.Is(err, fleet.ErrConflict):
		return conflict("the device is ours: retire it first")
	case errors.Is(err, sqlite.ErrBusy):
		return conflict("an update or a hand-over of the device is not over")
	default:
		return translate(err)
	}
}
