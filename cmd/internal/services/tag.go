package services

import (
	"context"
	"errors"

	"steward/cmd/internal/sqlite"
	"steward/web"
)

// ChangeTags implements web.Devices.
func (s *devices) ChangeTags(ctx context.Context, by web.Actor, id string, c web.TagChange) (web.Device, error) {
	if len(c.Add)+len(c.Remove) == 0 {
		return web.Device{}, web.Invalid("add", "no tag to add or remove")
	}
	add, err := checkTags(c.Add)
	if err != nil {
		return web.Device{}, err
	}
	remove, err := checkTags(c.Remove)
	if err != nil {
		return web.Device{}, err
	}
	if err := checkText("reason", c.Reason, maxReason); err != nil {
		return web.Device{}, err
	}
	l, err := s.find(ctx, id)
	if err != nil {
		return web.Device{}, err
	}
	err = s.DB.Devices().ChangeTags(ctx, l.ID, add, remove, maxTags, by.String(), c.Reason)
	if errors.Is(err, sqlite.ErrTags) {
		return web.Device{}, web.Invalid("tags", "too many")
	}
	if err != nil {
		return web.Device{}, translate(err)
	}
	s.Server.Reconsider(l.ID) // templates go by tags
	s.considerRound(l)
	l, err = s.find(ctx, string(l.ID))
	return showDevice(l, s.Now()), err
}
