package web

import (
	"context"
	"time"
)

// Mandates are the orders of service users, who own devices, to hand them over. A service
// user signs with a key of its own, which no server holds.
type Mandates interface {
	// MandateRequest returns the file that says what a draft needs a mandate for, as
	// transfer.MandateRequest writes it. It returns ErrConflict for what is no draft.
	MandateRequest(ctx context.Context, id string) ([]byte, error)
	// Mandate returns what the mandate of a transfer says. It returns ErrNotFound where
	// there is none yet.
	Mandate(ctx context.Context, id string) (MandateDetail, error)
	// GiveMandate gives a draft the mandate that a service user has signed. It returns
	// ErrInvalid for one that is not for this draft.
	GiveMandate(ctx context.Context, by Actor, id string, mandate []byte) (Transfer, error)
}

// A MandateDetail is a mandate, in words and as signed.
type MandateDetail struct {
	MandateView

	Words       Array[string] `json:"words"` // who may do what till when, a sentence each
	Devices     int           `json:"devices"`
	Group       string        `json:"group,omitempty"` // in place of listed devices
	Earliest    time.Time     `json:"earliest"`
	Latest      time.Time     `json:"latest"`
	IssuedAt    time.Time     `json:"issued_at"`
	Attest      bool          `json:"attest"`
	Keep        bool          `json:"keep_application"`
	MaxSequence *uint64       `json:"max_sequence,omitempty"`
	COSE        []byte        `json:"cose"` // as signed
}

func (missing) MandateRequest(context.Context, string) ([]byte, error) { return nil, ErrNotBuilt }

func (missing) Mandate(context.Context, string) (MandateDetail, error) {
	return MandateDetail{}, ErrNotBuilt
}

func (missing) GiveMandate(context.Context, Actor, string, []byte) (Transfer, error) {
	return Transfer{}, ErrNotBuilt
}
