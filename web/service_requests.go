package web

import (
	"context"
	"time"
)

// CertificateRequests are requests of devices for their first certificates that wait
// for the approval of a person, where the profile demands that.
type CertificateRequests interface {
	// ListCertificateRequests returns those in a state, "" for all, in order of ids.
	ListCertificateRequests(ctx context.Context, state string, p Page) (List[CertificateRequest], error)
	// DecideCertificateRequest approves or refuses. It returns ErrNotFound if the
	// client has another request by now, and ErrConflict if it was used.
	DecideCertificateRequest(ctx context.Context, by Actor, id string, d RequestDecision) (CertificateRequest, error)
}

// A CertificateRequest is the newest of one client that needs approval.
type CertificateRequest struct {
	ID        string    `json:"id"`      // hex SHA-256 of the certificate that asks
	Request   string    `json:"request"` // hex SHA-256 of the PKCS#10 request
	Name      string    `json:"name"`    // of the certificate to be
	Profile   string    `json:"profile"`
	State     string    `json:"state"`          // waiting, approved, refused, used
	SPKI      string    `json:"spki,omitempty"` // hex SHA-256 of the public key; "" for one to be made here
	AskedAt   time.Time `json:"asked_at"`
	DecidedAt time.Time `json:"decided_at,omitzero"`
	By        string    `json:"by,omitempty"`
	Reason    string    `json:"reason,omitempty"`
}

// A RequestAction is what people decide about a request.
type RequestAction string

// The actions on a request.
const (
	RequestApprove RequestAction = "approve"
	RequestRefuse  RequestAction = "refuse"
)

// A RequestDecision is an action on one request of a client, and why.
type RequestDecision struct {
	Action RequestAction `json:"action"`
	// Request is that which was looked at: another may have taken its place since.
	Request string `json:"request"`
	Reason  string `json:"reason,omitempty"`
}
