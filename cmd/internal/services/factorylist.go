package services

import (
	"context"
	"errors"
	"fmt"

	"steward/web"
)

// ImportDevices implements web.Factories. One that is refused does not keep the
// others out; what failed for want of the database ends the list.
func (s *factories) ImportDevices(
	ctx context.Context, by web.Actor, list []web.NewDevice,
) ([]web.ImportedDevice, error) {
	if len(list) == 0 || len(list) > web.MaxImport {
		return nil, web.Invalid("items", fmt.Sprintf("1 to %d devices at a time", web.MaxImport))
	}
	out := make([]web.ImportedDevice, len(list))
	for i, n := range list {
		d, err := s.ImportDevice(ctx, by, n)
		switch {
		case err == nil:
			out[i] = web.ImportedDevice{Endpoint: d.Endpoint, ID: d.ID}
			if d.Factory != "" {
				out[i].EnrollURI = s.EnrollURI
			}
		case errors.Is(err, web.ErrInvalid), errors.Is(err, web.ErrConflict), errors.Is(err, web.ErrNotFound):
			out[i] = web.ImportedDevice{Endpoint: printable(n.Endpoint), Error: err.Error()}
		default:
			return nil, err
		}
	}
	return out, nil
}
