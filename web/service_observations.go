package web

import (
	"context"
	"strings"
)

// Observations says what devices are to notify, and whether they do.
type Observations interface {
	// ObservationTemplates returns all templates in order of names.
	ObservationTemplates(ctx context.Context) ([]ObservationTemplate, error)
	// PutObservationTemplate stores t in place of that with the same name. Devices
	// that it concerns are asked at once if they can be reached.
	PutObservationTemplate(ctx context.Context, by Actor, t ObservationTemplate) (ObservationTemplate, error)
	// RemoveObservationTemplate deletes the template called name, and cancels what
	// nobody else wants.
	RemoveObservationTemplate(ctx context.Context, by Actor, name string) error
	// DeviceObservations compares what is to be observed of a device with what is.
	DeviceObservations(ctx context.Context, device string) ([]DeviceObservation, error)
	// ReconcileObservations asks a device anew for what is missing, also what it refused, and cancels
	// what nobody wants: at once, or when it is heard next.
	ReconcileObservations(ctx context.Context, by Actor, device string) error
}

// A WantedObservation is one node, or several that are observed at once.
type WantedObservation struct {
	Paths      Array[string] `json:"paths"`
	Composite  bool          `json:"composite"`  // by one Observe-Composite; so is more than one path
	Attributes Array[string] `json:"attributes"` // such as pmin=10
}

// String returns o for people.
func (o WantedObservation) String() string {
	return strings.Join(append([]string{strings.Join(o.Paths, ", ")}, o.Attributes...), " ")
}

// An ObservationTemplate says what is to be observed of all devices with a tag.
type ObservationTemplate struct {
	Name         string                   `json:"name"`
	Tag          string                   `json:"tag"` // "": all devices
	Observations Array[WantedObservation] `json:"observations"`
}

// A DeviceObservation is how one observation stands at a device.
type DeviceObservation struct {
	WantedObservation

	Template string `json:"template"` // that wants it; "": it is wanted of this device
	State    string `json:"state"`    // established, waiting, refused, absent, unwanted
	Reason   string `json:"reason,omitempty"`
	Drift    bool   `json:"drift"` // the device is not as it is wanted to be
}

func (missing) ObservationTemplates(context.Context) ([]ObservationTemplate, error) {
	return nil, ErrNotBuilt
}

func (missing) PutObservationTemplate(context.Context, Actor, ObservationTemplate) (ObservationTemplate, error) {
	return ObservationTemplate{}, ErrNotBuilt
}

func (missing) RemoveObservationTemplate(context.Context, Actor, string) error { return ErrNotBuilt }

func (missing) ReconcileObservations(context.Context, Actor, string) error { return ErrNotBuilt }

func (missing) DeviceObservations(context.Context, string) ([]DeviceObservation, error) {
	return nil, ErrNotBuilt
}
