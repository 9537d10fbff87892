package web

import (
	"context"
	"time"
)

// UpstreamRequests are what devices wait for at an external CA that makes their
// certificates.
type UpstreamRequests interface {
	// ListUpstream returns those in a state, "" for all, the newest first.
	ListUpstream(ctx context.Context, state string, p Page) (List[UpstreamRequest], error)
	// UpstreamRequest returns one with what was asked for.
	UpstreamRequest(ctx context.Context, id string) (UpstreamRequestDetail, error)
	// ImportUpstream takes the external CA's answer: certificates in PEM, or a
	// certs-only PKCS#7 message in PEM. It returns ErrInvalid for one that is not what
	// was asked for, and ErrConflict if nobody waits for it.
	ImportUpstream(ctx context.Context, by Actor, id, pem string) (UpstreamRequest, error)
	// DecideUpstream ends a request, or has the external CA asked again.
	DecideUpstream(ctx context.Context, by Actor, id string, d UpstreamDecision) (UpstreamRequest, error)
}

// An UpstreamRequest is one certificate that an external CA is to make.
type UpstreamRequest struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`  // of the certificate to be
	State     string    `json:"state"` // waiting, ready, issued, refused, withdrawn
	SPKI      string    `json:"spki"`  // hex SHA-256 of the public key
	Tries     int       `json:"tries"` // how often the external CA was asked
	NextAt    time.Time `json:"next_at,omitzero"`
	Reason    string    `json:"reason"` // what it said last
	CreatedAt time.Time `json:"created_at"`
	ChangedAt time.Time `json:"changed_at"`
}

// An UpstreamRequestDetail is a request with its content.
type UpstreamRequestDetail struct {
	UpstreamRequest

	Request string `json:"request"`          // PKCS#10 in PEM
	Answer  string `json:"answer,omitempty"` // certificates in PEM
}

// An UpstreamAction is what people decide about a request.
type UpstreamAction string

// The actions on a request.
const (
	UpstreamRefuse   UpstreamAction = "refuse"   // the device gets none
	UpstreamWithdraw UpstreamAction = "withdraw" // the device may ask anew, with any key
	UpstreamRetry    UpstreamAction = "retry"    // the external CA is asked again
)

// An UpstreamDecision is an action and why.
type UpstreamDecision struct {
	Action UpstreamAction `json:"action"`
	Reason string         `json:"reason,omitempty"`
}
