package web

import (
	"context"
	"time"
)

// Operations commands devices. Besides the errors of all services, its calls
// return ErrUnreachable for a device that is not registered, ErrTimeout, and
// an *Error{Is: ErrDevice} with the device's own code when it refused.
type Operations interface {
	// Do runs op on a device and waits for its answer, no longer than ctx allows. What
	// is asked of a device that sleeps, or has other things to do first, waits: then
	// Outcome.Pending says so.
	Do(ctx context.Context, by Actor, id string, op Operation) (Outcome, error)
	// ListOperations returns what was asked of a device, the newest first.
	ListOperations(ctx context.Context, id string, p Page) (List[DeviceOperation], error)
	// DeviceOperation returns one of them.
	DeviceOperation(ctx context.Context, id, operation string) (DeviceOperation, error)
	// CancelOperation takes one back that is not over, else it returns ErrConflict.
	CancelOperation(ctx context.Context, by Actor, id, operation string) (DeviceOperation, error)
}

// A DeviceOperation is what was asked of a device, and what became of it.
type DeviceOperation struct {
	ID        string              `json:"id"`
	Device    string              `json:"device"`
	Kind      OperationKind       `json:"op"`
	Path      string              `json:"path"`
	State     string              `json:"state"` // queued, sent, acked, done, failed, expired, cancelled
	Level     Level               `json:"level"`
	Reason    string              `json:"reason,omitempty"`
	By        string              `json:"by"`
	Tries     int                 `json:"tries"`
	CreatedAt time.Time           `json:"created_at"`
	SentAt    time.Time           `json:"sent_at,omitzero"`
	EndedAt   time.Time           `json:"ended_at,omitzero"`
	ExpiresAt time.Time           `json:"expires_at"`
	WakesAt   time.Time           `json:"wakes_at,omitzero"` // while it waits: when the device is expected to speak
	Over      bool                `json:"over"`
	Exchanges Array[CoAPExchange] `json:"exchanges"` // of the last try
	Failure   *OperationFailure   `json:"failure,omitempty"`
	Outcome   Outcome             `json:"-"` // once it is done
}

// An OperationFailure is why a device did not do what was asked.
type OperationFailure struct {
	Code   string `json:"code"` // as in problem documents
	CoAP   string `json:"coap_code,omitempty"`
	Detail string `json:"detail,omitempty"`
}

// A CoAPExchange is a request to a device and its answer, with the beginning of both
// bodies.
type CoAPExchange struct {
	At           time.Time `json:"at"`
	Seconds      float64   `json:"seconds"`
	Method       string    `json:"method"` // "0.01"
	Path         string    `json:"path"`
	Query        string    `json:"query,omitempty"`
	Format       int       `json:"format"` // content format; -1: none
	Request      []byte    `json:"request,omitempty"`
	RequestBytes int       `json:"request_bytes"`
	Code         string    `json:"code"` // "2.05"; "" for no answer
	AnswerFormat int       `json:"answer_format"`
	Answer       []byte    `json:"answer,omitempty"`
	AnswerBytes  int       `json:"answer_bytes"`
	Error        string    `json:"error,omitempty"`
}
