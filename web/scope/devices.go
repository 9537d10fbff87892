package scope

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"steward/lwm2m"
	"steward/web"
)

type devices struct{ *bounds }

// ListDevices implements web.Devices: those of all groups of the actor, in one order.
func (s devices) ListDevices(ctx context.Context, f web.DeviceFilter, p web.Page) (web.List[web.Device], error) {
	names, all, err := groupsOf(ctx)
	switch {
	case err != nil:
		return web.List[web.Device]{}, err
	case all:
		return s.Devices.ListDevices(ctx, f, p)
	case f.Group != "" && !slices.Contains(names, f.Group):
		return web.List[web.Device]{}, web.Invalid("group", "there is no group "+f.Group)
	case f.Group != "":
		names = []string{f.Group}
	}
	var found []web.Device
	more := false
	for _, name := range names {
		of := f
		of.Group = name
		list, err := s.Devices.ListDevices(ctx, of, p)
		if err != nil {
			if s.gone(ctx, name) {
				continue
			}
			return web.List[web.Device]{}, err
		}
		found = append(found, list.Items...)
		more = more || list.Next != ""
	}
	return merge(found, more, f.Sort, p), nil
}

// gone reports whether there is no such group any more.
func (s devices) gone(ctx context.Context, group string) bool {
	_, err := s.Groups.Group(ctx, group)
	return errors.Is(err, web.ErrNotFound)
}

// merge makes a page of the first parts of several lists. The cursor of devices is
// the id of the last.
func merge(found []web.Device, more bool, order web.DeviceSort, p web.Page) web.List[web.Device] {
	slices.SortFunc(found, func(a, b web.Device) int {
		if order == web.SortNewest {
			return strings.Compare(b.ID, a.ID)
		}
		return cmp.Or(strings.Compare(a.Endpoint, b.Endpoint), strings.Compare(a.ID, b.ID))
	})
	found = slices.CompactFunc(found, func(a, b web.Device) bool { return a.ID == b.ID })
	size := p.Size
	if size <= 0 {
		size = web.DefaultPageSize
	}
	size = min(size, web.MaxPageSize)
	if len(found) > size {
		found, more = found[:size], true
	}
	out := web.List[web.Device]{Items: found}
	if more && len(found) > 0 {
		out.Next = found[len(found)-1].ID
	}
	return out
}

// Device implements web.Devices. Hand-overs of it with other devices are left out.
func (s devices) Device(ctx context.Context, id string) (web.DeviceDetail, error) {
	if err := s.device(ctx, id); err != nil {
		return web.DeviceDetail{}, err
	}
	return s.Devices.Device(ctx, id)
}

// Values implements web.Devices.
func (s devices) Values(ctx context.Context, id string, path lwm2m.Path) ([]web.Value, error) {
	if err := s.device(ctx, id); err != nil {
		return nil, err
	}
	return s.Devices.Values(ctx, id, path)
}

type operations struct{ *bounds }

// Do implements web.Operations.
func (s operations) Do(ctx context.Context, by web.Actor, id string, op web.Operation) (web.Outcome, error) {
	if err := s.device(ctx, id); err != nil {
		return web.Outcome{}, err
	}
	return s.Operations.Do(ctx, by, id, op)
}

// ListOperations implements web.Operations.
func (s operations) ListOperations(ctx context.Context, id string, p web.Page) (web.List[web.DeviceOperation], error) {
	if err := s.device(ctx, id); err != nil {
		return web.List[web.DeviceOperation]{}, err
	}
	return s.Operations.ListOperations(ctx, id, p)
}

// DeviceOperation implements web.Operations.
func (s operations) DeviceOperation(ctx context.Context, id, operation string) (web.DeviceOperation, error) {
	if err := s.device(ctx, id); err != nil {
		return web.DeviceOperation{}, err
	}
	return s.Operations.DeviceOperation(ctx, id, operation)
}

// CancelOperation implements web.Operations.
func (s operations) CancelOperation(
	ctx context.Context, by web.Actor, id, operation string,
) (web.DeviceOperation, error) {
	if err := s.device(ctx, id); err != nil {
		return web.DeviceOperation{}, err
	}
	return s.Operations.CancelOperation(ctx, by, id, operation)
}

type series struct{ *bounds }

// SeriesOf implements web.Series.
func (s series) SeriesOf(ctx context.Context, device string) ([]web.SeriesInfo, error) {
	if err := s.device(ctx, device); err != nil {
		return nil, err
	}
	return s.Series.SeriesOf(ctx, device)
}

// Samples implements web.Series.
func (s series) Samples(ctx context.Context, device string, q web.SeriesQuery) (web.Samples, error) {
	if err := s.device(ctx, device); err != nil {
		return web.Samples{}, err
	}
	return s.Series.Samples(ctx, device, q)
}

// SeriesRules implements web.Series.
func (s series) SeriesRules(ctx context.Context) (web.SeriesRules, error) {
	if err := signedIn(ctx); err != nil {
		return web.SeriesRules{}, err
	}
	return s.Series.SeriesRules(ctx)
}

// PutSeriesRule implements web.Series.
func (s series) PutSeriesRule(ctx context.Context, by web.Actor, r web.SeriesRule) (web.SeriesRule, error) {
	if err := all(ctx); err != nil {
		return web.SeriesRule{}, err
	}
	return s.Series.PutSeriesRule(ctx, by, r)
}

// RemoveSeriesRule implements web.Series.
func (s series) RemoveSeriesRule(ctx context.Context, by web.Actor, object, resource uint16) error {
	if err := all(ctx); err != nil {
		return err
	}
	return s.Series.RemoveSeriesRule(ctx, by, object, resource)
}

type traces struct{ *bounds }

// Trace implements web.Traces.
func (s traces) Trace(ctx context.Context, device string) (web.DeviceTrace, error) {
	if err := s.device(ctx, device); err != nil {
		return web.DeviceTrace{}, err
	}
	return s.Traces.Trace(ctx, device)
}

// StartTrace implements web.Traces.
func (s traces) StartTrace(ctx context.Context, by web.Actor, device string, d time.Duration) (web.DeviceTrace, error) {
	if err := s.device(ctx, device); err != nil {
		return web.DeviceTrace{}, err
	}
	return s.Traces.StartTrace(ctx, by, device, d)
}

// StopTrace implements web.Traces.
func (s traces) StopTrace(ctx context.Context, by web.Actor, device string) (web.DeviceTrace, error) {
	if err := s.device(ctx, device); err != nil {
		return web.DeviceTrace{}, err
	}
	return s.Traces.StopTrace(ctx, by, device)
}

// TraceFile implements web.Traces.
func (s traces) TraceFile(ctx context.Context, device, format string) ([]byte, error) {
	if err := s.device(ctx, device); err != nil {
		return nil, err
	}
	return s.Traces.TraceFile(ctx, device, format)
}

type observations struct{ *bounds }

// ObservationTemplates implements web.Observations.
func (s observations) ObservationTemplates(ctx context.Context) ([]web.ObservationTemplate, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.Observations.ObservationTemplates(ctx)
}

// PutObservationTemplate implements web.Observations.
func (s observations) PutObservationTemplate(
	ctx context.Context, by web.Actor, t web.ObservationTemplate,
) (web.ObservationTemplate, error) {
	if err := all(ctx); err != nil {
		return web.ObservationTemplate{}, err
	}
	return s.Observations.PutObservationTemplate(ctx, by, t)
}

// RemoveObservationTemplate implements web.Observations.
func (s observations) RemoveObservationTemplate(ctx context.Context, by web.Actor, name string) error {
	if err := all(ctx); err != nil {
		return err
	}
	return s.Observations.RemoveObservationTemplate(ctx, by, name)
}

// DeviceObservations implements web.Observations.
func (s observations) DeviceObservations(ctx context.Context, device string) ([]web.DeviceObservation, error) {
	if err := s.device(ctx, device); err != nil {
		return nil, err
	}
	return s.Observations.DeviceObservations(ctx, device)
}

type bootstraps struct{ *bounds }

// BootstrapProfiles implements web.Bootstraps.
func (s bootstraps) BootstrapProfiles(ctx context.Context) ([]web.BootstrapProfile, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	return s.Bootstraps.BootstrapProfiles(ctx)
}

// PutBootstrapProfile implements web.Bootstraps.
func (s bootstraps) PutBootstrapProfile(
	ctx context.Context, by web.Actor, p web.BootstrapProfile,
) (web.BootstrapProfile, error) {
	if err := all(ctx); err != nil {
		return web.BootstrapProfile{}, err
	}
	return s.Bootstraps.PutBootstrapProfile(ctx, by, p)
}

// RemoveBootstrapProfile implements web.Bootstraps.
func (s bootstraps) RemoveBootstrapProfile(ctx context.Context, by web.Actor, name string) error {
	if err := all(ctx); err != nil {
		return err
	}
	return s.Bootstraps.RemoveBootstrapProfile(ctx, by, name)
}

// DeviceKeys implements web.Bootstraps.
func (s bootstraps) DeviceKeys(ctx context.Context, device string) (web.DeviceKeys, error) {
	if err := s.device(ctx, device); err != nil {
		return web.DeviceKeys{}, err
	}
	return s.Bootstraps.DeviceKeys(ctx, device)
}

// PutDeviceKey implements web.Bootstraps.
func (s bootstraps) PutDeviceKey(
	ctx context.Context, by web.Actor, device string, k web.NewDeviceKey,
) (web.DeviceKeys, error) {
	if err := s.device(ctx, device); err != nil {
		return web.DeviceKeys{}, err
	}
	return s.Bootstraps.PutDeviceKey(ctx, by, device, k)
}

// RemoveDeviceKey implements web.Bootstraps.
func (s bootstraps) RemoveDeviceKey(
	ctx context.Context, by web.Actor, device string, use web.KeyUse,
) (web.DeviceKeys, error) {
	if err := s.device(ctx, device); err != nil {
		return web.DeviceKeys{}, err
	}
	return s.Bootstraps.RemoveDeviceKey(ctx, by, device, use)
}

// ChangeTags implements web.Devices. Groups that go by tags follow: whoever may do so
// can let others see a device of theirs, not see one of others.
func (s devices) ChangeTags(ctx context.Context, by web.Actor, id string, c web.TagChange) (web.Device, error) {
	if err := s.device(ctx, id); err != nil {
		return web.Device{}, err
	}
	return s.Devices.ChangeTags(ctx, by, id, c)
}

// EraseDevice implements web.Devices.
func (s devices) EraseDevice(ctx context.Context, by web.Actor, id, endpoint, why string) error {
	if err := s.device(ctx, id); err != nil {
		return err
	}
	return s.Devices.EraseDevice(ctx, by, id, endpoint, why)
}

// RetireDevice implements web.Devices.
func (s devices) RetireDevice(ctx context.Context, by web.Actor, id string, r web.Retirement) (web.Device, error) {
	if err := s.device(ctx, id); err != nil {
		return web.Device{}, err
	}
	if r.Replacement != "" {
		if err := s.device(ctx, r.Replacement); err != nil {
			return web.Device{}, err
		}
	}
	return s.Devices.RetireDevice(ctx, by, id, r)
}

// ReconcileObservations implements web.Observations.
func (s observations) ReconcileObservations(ctx context.Context, by web.Actor, device string) error {
	if err := s.device(ctx, device); err != nil {
		return err
	}
	return s.Observations.ReconcileObservations(ctx, by, device)
}

type attestations struct{ *bounds }

// Attestation implements web.Attestations.
func (s attestations) Attestation(ctx context.Context, device string) (web.Attestation, error) {
	if err := s.device(ctx, device); err != nil {
		return web.Attestation{}, err
	}
	return s.Attestations.Attestation(ctx, device)
}

// Attest implements web.Attestations.
func (s attestations) Attest(ctx context.Context, by web.Actor, device string) (web.Attestation, error) {
	if err := s.device(ctx, device); err != nil {
		return web.Attestation{}, err
	}
	return s.Attestations.Attest(ctx, by, device)
}

// SetAttestation implements web.Attestations.
func (s attestations) SetAttestation(
	ctx context.Context, by web.Actor, device string, n web.NewAttestation,
) (web.Attestation, error) {
	if err := s.device(ctx, device); err != nil {
		return web.Attestation{}, err
	}
	return s.Attestations.SetAttestation(ctx, by, device, n)
}
