package coordinator

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"steward/est"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
)

// Errors that Devices, Sessions and Peers return so that a Coordinator can tell
// silence from a refusal.
var (
	// ErrUnreachable reports a device that cannot be asked now, or did not answer.
	ErrUnreachable = errors.New("device cannot be reached now")
	// ErrAsleep is an ErrUnreachable of a device in queue mode, to which nothing was
	// sent. It listens again after its next message.
	ErrAsleep = fmt.Errorf("%w: in queue mode", ErrUnreachable)
	// ErrRefused reports a device that answered with an error of its own.
	ErrRefused = errors.New("device refused")
	// ErrPartnerAway reports a partner that cannot be asked now, did not answer, or
	// said that it cannot answer now.
	ErrPartnerAway = errors.New("partner cannot be reached now")
	// ErrDeclined reports a partner that refused for good.
	ErrDeclined = errors.New("partner refused")
)

// Devices is management of devices. All its methods return ErrUnreachable or
// ErrRefused.
type Devices interface {
	// Read reads an object, instance or resource.
	Read(ctx context.Context, id fleet.ID, p lwm2m.Path) ([]lwm2m.Entry, error)
	// Write writes one resource.
	Write(ctx context.Context, id fleet.ID, p lwm2m.Path, v lwm2m.Value) error
	// Create creates an instance, whose id the device chooses; only the last ids of
	// the entries' paths count.
	Create(ctx context.Context, id fleet.ID, object uint16, entries []lwm2m.Entry) error
	// Execute executes a resource.
	Execute(ctx context.Context, id fleet.ID, p lwm2m.Path, args string) error
	// Observe asks for notifications of p, which come to the Coordinator by Wake.
	Observe(ctx context.Context, id fleet.ID, p lwm2m.Path) error
	// Delete deletes an instance.
	Delete(ctx context.Context, id fleet.ID, p lwm2m.Path) error
}

// Sessions is what a provider does with the associations of devices.
type Sessions interface {
	// ReadFactory reads over an association that the device opened with its factory
	// certificate. It returns ErrUnreachable or ErrRefused.
	ReadFactory(ctx context.Context, factory fleet.Factory, p lwm2m.Path) ([]lwm2m.Entry, error)
	// Dismiss ends the registration of a device and its associations. A device
	// without any is no error.
	Dismiss(ctx context.Context, id fleet.ID, reason string) error
}

// Fleet is the part of fleet.Store that a Coordinator needs.
type Fleet interface {
	// Device returns fleet.ErrUnknown if there is none with that id.
	Device(ctx context.Context, id fleet.ID) (fleet.Device, error)
	// ByFactory returns fleet.ErrUnknown if no device has that certificate.
	ByFactory(ctx context.Context, f fleet.Factory) (fleet.Device, error)
	// ByEndpoint returns fleet.ErrUnknown if no device has that name.
	ByEndpoint(ctx context.Context, e lwm2m.Endpoint) (fleet.Device, error)
	// Put stores a device. It returns fleet.ErrConflict.
	Put(ctx context.Context, d fleet.Device, actor, reason string) error
}

// CA is our certificate authority; *est.CA is one, and its documentation says
// what errors these return.
type CA interface {
	Rights
	Inventory
}

// Rights are what changes rights: the first four at the incoming provider, the
// others at the outgoing one.
type Rights interface {
	GrantRight(ctx context.Context, g est.Grant) (est.Right, error)
	NoteSPKI(ctx context.Context, factory, spki est.Hash) (est.Right, error)
	OpenRight(ctx context.Context, factory, spki est.Hash) (est.Right, error)
	CloseRight(ctx context.Context, factory est.Hash) (est.Right, error)
	RightsBack
}

// RightsBack changes the rights of devices that leave or return.
type RightsBack interface {
	SuspendRight(ctx context.Context, factory est.Hash) (est.Right, error)
	ReopenRight(ctx context.Context, factory, spki est.Hash) (est.Right, error)
	DeleteRight(ctx context.Context, factory est.Hash, reason est.Reason) (est.Right, error)
}

// Inventory is what a CA knows.
type Inventory interface {
	Right(ctx context.Context, factory est.Hash) (est.Right, error)
	RightStatus(ctx context.Context, factory est.Hash) (est.RightStatus, error)
	Lookup(ctx context.Context, hash est.Hash) (est.Record, error)
	List(ctx context.Context, q est.Query) ([]est.Record, error)
	Factories
}

// Factories is what a CA knows of factory certificates.
type Factories interface {
	FactoryCAs(ctx context.Context) ([]*x509.Certificate, error)
	VerifyFactory(ctx context.Context, leaf *x509.Certificate, intermediates [][]byte) error
	Succession(ctx context.Context, factory est.Hash) (est.Succession, error)
}

var _ CA = (*est.CA)(nil)

// Peers carries calls to partners: HTTPS with the partner's pinned key. It does
// not repeat anything; the Coordinator does.
type Peers interface {
	// Post sends a call and returns the body of the answer. It returns
	// ErrPartnerAway or ErrDeclined.
	Post(ctx context.Context, to Partner, c Call) ([]byte, error)
	// Status asks how far a transfer is. It returns ErrPartnerAway or ErrDeclined.
	Status(ctx context.Context, to Partner, id string) (Status, error)
	// Right asks for the RightStatus of a device. It returns ErrPartnerAway or ErrDeclined.
	Right(ctx context.Context, to Partner, id, device string) ([]byte, error)
}

// An Action is what a call is about. It is the last segment of its path.
type Action string

// The actions: the first six about a whole transfer, the others about one
// device.
const (
	ActionInfo      Action = "transfers" // body: Submission
	ActionOffer     Action = "offer"     // body: TransferOffer
	ActionApprove   Action = "approve"   // body: OfferApproval
	ActionWithdraw  Action = "withdraw"  // body: Withdrawal
	ActionExtend    Action = "extend"    // body: Extension
	ActionExtension Action = "extension" // body: Agreement
	ActionReady     Action = "ready"     // body: Ready
	ActionCommitted Action = "committed" // body: Ready, with the same receipt
	ActionComplete  Action = "complete"  // body: Completion
	ActionChallenge Action = "challenge" // body: Appraisal; answer: a nonce
	ActionEvidence  Action = "evidence"  // body: Appraisal, with evidence; answer: the verdict
	ActionClose     Action = "close"     // body: Completion, with the FALLBACK receipt; answer: RightStatus
)

// AboutDevice reports whether the action is about one device.
func (a Action) AboutDevice() bool {
	return a == ActionChallenge || a == ActionEvidence ||
		a == ActionReady || a == ActionCommitted || a == ActionComplete || a == ActionClose
}

// The media types of bodies.
const (
	TypeSubmission = "application/json"
	TypeCOSE       = "application/cose"
	TypeCBOR       = "application/cbor"
)

// ContentType returns the media type of the action's body.
func (a Action) ContentType() string {
	switch a {
	case ActionInfo:
		return TypeSubmission
	case ActionOffer, ActionExtension:
		return TypeCOSE
	default:
		return TypeCBOR
	}
}

// A Call is one request between providers.
type Call struct {
	Action   Action
	Transfer string // id; "" for ActionInfo, whose body says it
	Device   string // Short; "" unless the action is about a device
	Key      string // idempotency key
	Body     []byte
	// Spool is the body of a large call, which is not in memory; nil: Body is all of it.
	Spool *io.SectionReader
}

// text returns a reader of the body from its begin, and its length.
func (c Call) text() (io.Reader, int64) {
	if c.Spool != nil {
		return io.NewSectionReader(c.Spool, 0, c.Spool.Size()), c.Spool.Size()
	}
	return bytes.NewReader(c.Body), int64(len(c.Body))
}

// A Reply is the answer to a Call. An empty ContentType means no body.
type Reply struct {
	ContentType string
	Body        []byte
}

// A Status is how far a transfer is, as its provider tells the partner.
type Status struct {
	Transfer string         `json:"transfer"`
	State    string         `json:"state"`
	Devices  []DeviceStatus `json:"devices"`
}

// A DeviceStatus is how far a device is.
type DeviceStatus struct {
	Device string `json:"device"` // Short
	State  string `json:"state"`
	// Verdict is that of the provider's verifier on the device; nil: none.
	Verdict []byte `json:"verdict,omitempty"`
}
