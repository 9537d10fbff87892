package web

import (
	"context"
	"encoding/json"
	"time"
)

// Partners keeps those whom we hand devices to and take them from, and the
// service users who order it.
type Partners interface {
	// ListPartners returns the partners in order of their names.
	ListPartners(ctx context.Context, p Page) (List[Partner], error)
	// Partner returns one.
	Partner(ctx context.Context, id string) (Partner, error)
	// AddPartner pins what an identity file says. It returns ErrInvalid for a file
	// that does not verify, ErrConflict when that name is pinned to other keys.
	AddPartner(ctx context.Context, by Actor, n NewPartner) (Partner, error)
	// SetPartnerState suspends or readmits a partner.
	SetPartnerState(ctx context.Context, by Actor, id string, c PartnerChange) (Partner, error)
	// SetPartnerLimits bounds what a partner may ask of us.
	SetPartnerLimits(ctx context.Context, by Actor, id string, l PartnerLimits) (Partner, error)
	// Identity returns our own identity file, for the partner to pin.
	Identity(ctx context.Context) (json.RawMessage, error)
}

// A NewPartner is an identity file and how we call its owner.
type NewPartner struct {
	Identity json.RawMessage `json:"identity"`
	Label    string          `json:"label,omitempty"` // "" takes the name in the file
}

// A PartnerState says whether a partner may do anything.
type PartnerState string

// The states of a partner.
const (
	PartnerActive    PartnerState = "active"
	PartnerSuspended PartnerState = "suspended"
	PartnerRotating  PartnerState = "rotating" // next keys announced
)

// A PartnerChange sets the state.
type PartnerChange struct {
	State  PartnerState `json:"state,omitempty"` // "": as before
	Reason string       `json:"reason"`
	// Verifier is the name of the provider whose verdict on devices is demanded in
	// transfers to the partner, unless their draft says otherwise; "": the partner's, if
	// any. Nil: as before.
	Verifier *string `json:"verifier,omitempty"`
}

// PartnerLimits bound what a partner may ask of us. Zero is the default.
type PartnerLimits struct {
	Devices int    `json:"devices"` // of one transfer
	Daily   int    `json:"daily"`   // devices of all its transfers in 24 h
	Open    int    `json:"open"`    // transfers of its that have not ended
	Calls   int    `json:"calls"`   // a minute
	Reason  string `json:"reason,omitempty"`
}

// A PartnerUse is how far a partner has used its limits, and what it could do harm to.
type PartnerUse struct {
	Daily int `json:"daily"`
	Open  int `json:"open"`
	// Holding counts the devices that may trust the partner's anchors and are not the
	// partner's; Devices names the first of them.
	Holding int                  `json:"holding"`
	Devices Array[PartnerDevice] `json:"devices"`
}

// A PartnerDevice is one of them.
type PartnerDevice struct {
	Device   string `json:"device"`
	Endpoint string `json:"endpoint"`
	Transfer string `json:"transfer"`
	State    string `json:"state"` // in that transfer
}

// A Partner is a pinned provider or service user.
type Partner struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Label   string       `json:"label,omitempty"`
	Kind    string       `json:"kind"` // provider, service_user
	State   PartnerState `json:"state"`
	PeerURI string       `json:"peer_uri,omitempty"` // of the provider-to-provider API
	TLS     string       `json:"tls_spki,omitempty"` // hex SHA-256 of the pinned TLS key
	Signing string       `json:"signing_spki"`       // hex SHA-256 of the pinned signing key
	// NextTLS and NextSigning are those of the keys that it has announced; "": none.
	NextTLS     string    `json:"next_tls_spki,omitempty"`
	NextSigning string    `json:"next_signing_spki,omitempty"`
	Judges      bool      `json:"judges"`            // it has a verifier of devices
	Demands     string    `json:"demands,omitempty"` // whose verdict is demanded of devices that go there; "": its own
	AddedAt     time.Time `json:"added_at"`
	AddedBy     string    `json:"added_by"`
	// Limits are those in force; Use is told of one partner only, nil in lists.
	Limits PartnerLimits `json:"limits"`
	Use    *PartnerUse   `json:"use,omitempty"`
}
