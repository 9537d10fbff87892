package web

import (
	"context"
	"time"
)

// Enrolments says how devices stand with the renewal of their certificates.
type Enrolments interface {
	// DeviceEnrolment returns that of a device. One that never had a certificate is in
	// state "none".
	DeviceEnrolment(ctx context.Context, device string) (DeviceEnrolment, error)
	// OrderEnrolment has a device asked as soon as it listens. It returns ErrConflict
	// where there is nothing to renew.
	OrderEnrolment(ctx context.Context, by Actor, device string, o EnrolmentOrder) (DeviceEnrolment, error)
	// ListEnrolments returns those in a state other than good, in order of the
	// devices' ids.
	ListEnrolments(ctx context.Context, state string, p Page) (List[DeviceEnrolment], error)
}

// An EnrolmentOrder is what a person wants of a device.
type EnrolmentOrder struct {
	Action string `json:"action"` // renew, rekey
	Reason string `json:"reason,omitempty"`
}

// A DeviceEnrolment is how a device stands with its operational certificate.
type DeviceEnrolment struct {
	Device      string    `json:"device"`
	Endpoint    string    `json:"endpoint"`
	State       string    `json:"state"`                 // none, good, due, asked, renewed, failed, expired, revoked, left
	Certificate string    `json:"certificate,omitempty"` // id of the newest
	InUse       bool      `json:"in_use"`                // that one was used
	NotAfter    time.Time `json:"not_after,omitzero"`
	NextAt      time.Time `json:"next_at,omitzero"`  // when something is done next; in state good, the renewal
	Request     string    `json:"request,omitempty"` // renew, rekey: what the device is asked for, or will be
	Tries       int       `json:"tries"`             // that failed in this round
	Reason      string    `json:"reason,omitempty"`  // the last failure, or what is waited for, in words
	FailedAt    time.Time `json:"failed_at,omitzero"`
	ChangedAt   time.Time `json:"changed_at,omitzero"`
}
