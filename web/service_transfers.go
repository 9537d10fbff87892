package web

import (
	"context"
	"encoding/json"
	"time"
)

// Transfers hands devices over to other providers and takes them from others.
type Transfers interface {
	// ListTransfers returns the transfers that match, the newest first.
	ListTransfers(ctx context.Context, f TransferFilter, p Page) (List[Transfer], error)
	// Transfer returns one.
	Transfer(ctx context.Context, id string) (TransferDetail, error)
	// Rows returns the devices of a transfer and how far each is.
	Rows(ctx context.Context, id string, p Page) (List[TransferRow], error)
	// Draft makes an outgoing transfer, which does nothing before it is submitted.
	Draft(ctx context.Context, by Actor, t NewTransfer) (Transfer, error)
	// Command gives a transfer an event of its table. It returns ErrConflict when
	// the transfer's state has no such way, ErrForbidden when another person than
	// the drafter must approve.
	Command(ctx context.Context, by Actor, id string, c TransferCommand) (Transfer, error)
	// Receipts returns a device's receipts in one transfer, the oldest first.
	Receipts(ctx context.Context, id, device string) ([]Receipt, error)
}

// TransferRecords gives an auditor what happened, to be checked offline.
type TransferRecords interface {
	// TransferRecord returns all that is known of a transfer, signed by the provider:
	// as transfer.Record.Sign writes it. It returns ErrConflict for a draft.
	TransferRecord(ctx context.Context, id string) ([]byte, error)
	// TransferReport sums up a transfer, at any time.
	TransferReport(ctx context.Context, id string) (TransferReport, error)
}

// A Direction says which way a transfer goes.
type Direction string

// The directions.
const (
	Outgoing Direction = "outgoing" // we are SP1
	Incoming Direction = "incoming" // we are SP2
)

// A TransferFilter selects transfers. Its zero value selects all.
type TransferFilter struct {
	Direction Direction // "" for both
	Partner   string    // id; "" for all
	Open      bool      // only those not ended
}

// A NewTransfer says what leaves, to whom and when.
type NewTransfer struct {
	Partner  string        `json:"partner"` // id
	Devices  Array[string] `json:"devices"` // ids; at least one
	Earliest time.Time     `json:"earliest,omitzero"`
	Latest   time.Time     `json:"latest,omitzero"`
	Mandate  []byte        `json:"mandate,omitempty"` // COSE_Sign1 of the service user; none: self
	Note     string        `json:"note,omitempty"`
	// Attest has a mandate that we sign ourselves demand attestation. That of a service
	// user says so itself.
	Attest bool `json:"attest,omitempty"`
	// Verifier is the name of the provider whose verdict on each device is demanded, and
	// with it attestation: our own, the partner, or another partner; "": the new
	// provider's, if it or the mandate wants one.
	Verifier string `json:"verifier,omitempty"`
	// LastUpdate is the id of an approved release that devices get before they leave, or
	// "newest", the newest for their class; "": none.
	LastUpdate string `json:"last_update,omitempty"`
	// Rehearse leads the devices to READY, after both approvals, and back: none is told to
	// move.
	Rehearse bool `json:"rehearse,omitempty"`
}

// A TransferAction is what a person may tell a transfer.
type TransferAction string

// The actions. Approve is the one decision that each side takes.
const (
	TransferSubmit  TransferAction = "submit"  // outgoing: send the devices' information
	TransferApprove TransferAction = "approve" // incoming: sign the offer; outgoing: accept it
	TransferReject  TransferAction = "reject"  // incoming: refuse
	TransferCancel  TransferAction = "cancel"  // before any device was told to commit
	TransferResume  TransferAction = "resume"  // one that paused because too many devices failed
	TransferExtend  TransferAction = "extend"  // outgoing: ask for a later end; incoming: agree to it
	TransferRevise  TransferAction = "revise"  // outgoing: tell anew what the devices run
	TransferAgain   TransferAction = "again"   // outgoing, over: draft another of those that stayed
)

// TransferActions lists them.
func TransferActions() []TransferAction {
	return []TransferAction{
		TransferSubmit, TransferApprove, TransferReject, TransferCancel, TransferResume, TransferExtend,
		TransferRevise, TransferAgain,
	}
}

// A TransferCommand is an action with its reason.
type TransferCommand struct {
	Action TransferAction `json:"action"`
	Reason string         `json:"reason,omitempty"`
	// Attest and UpdateFirst are for the approval of an incoming transfer: what the
	// offer asks of devices before they enrol. Nil leaves it as the mandate has it.
	Attest      *bool `json:"attest,omitempty"`
	UpdateFirst *bool `json:"update_first,omitempty"`
	// UpdateRelease is the id of the release that devices of its class are then given in
	// place of the newest approved one; "" is that. Nil leaves it as it is.
	UpdateRelease *string `json:"update_release,omitempty"`
	// Latest is the later end of the window that is asked for; at the incoming provider
	// it may be left out, or must be what was asked.
	Latest time.Time `json:"latest,omitzero"`
	// Mandate is COSE_Sign1 of the service user, where the present one ends before Latest.
	Mandate []byte `json:"mandate,omitempty"`
}

// A Transfer is one hand-over of devices.
type Transfer struct {
	ID          string                `json:"id"`
	Direction   Direction             `json:"direction"`
	Partner     string                `json:"partner"`
	PartnerName string                `json:"partner_name"`
	State       string                `json:"state"` // as the batch's table names it
	Level       Level                 `json:"level"`
	Ended       bool                  `json:"ended"`
	Total       int                   `json:"total"`
	Counts      Counts                `json:"counts"` // rows by state
	Done        int                   `json:"done"`   // rows that ended at the new provider
	Failed      int                   `json:"failed"` // rows that ended otherwise
	Earliest    time.Time             `json:"earliest"`
	Latest      time.Time             `json:"latest"`
	Actions     Array[TransferAction] `json:"actions"` // possible now
	CreatedAt   time.Time             `json:"created_at"`
	CreatedBy   string                `json:"created_by"`
	Rehearsal   *Rehearsal            `json:"rehearsal,omitempty"` // nil: it is none, or the partner's
}

// A Rehearsal says how far a transfer is that moves no device.
type Rehearsal struct {
	Over  bool `json:"over"`
	Ready int  `json:"ready"` // when it was over: devices that the partner would have taken
}

// A TransferDetail is what an approver must see.
type TransferDetail struct {
	Transfer

	Mandate MandateView `json:"mandate"`
	Attest  bool        `json:"attest"` // devices must attest before they enrol at the new provider
	// Verifier is the provider whose verdict counts; "": the new one.
	Verifier    string `json:"verifier,omitempty"`
	UpdateFirst bool   `json:"update_first"` // and ask its update server first
	// UpdateRelease is the release that was chosen for them; "": the newest approved.
	UpdateRelease string `json:"update_release,omitempty"`
	// LastUpdate is what devices get before they leave; nil: nothing, or we take over.
	LastUpdate  *LastUpdate     `json:"last_update,omitempty"`
	Destination *Destination    `json:"destination,omitempty"` // nil before the offer
	Approvals   Array[Approval] `json:"approvals"`
	Note        string          `json:"note,omitempty"`
	Grace       int64           `json:"grace_seconds"` // powered seconds from commit to fallback
	Warnings    Array[Notice]   `json:"warnings"`
	Next        string          `json:"next"` // what comes without anybody's doing, or who must act
	// AskedLatest is the later end of the window that waits for the incoming provider's
	// agreement; zero: none does.
	AskedLatest time.Time `json:"asked_latest,omitzero"`
}

// A LastUpdate is the release that devices get before they leave.
type LastUpdate struct {
	Release  string `json:"release"`            // id
	Name     string `json:"name"`               // for people
	Campaign string `json:"campaign,omitempty"` // that brings it; "": not begun, or no device needs it
	Reason   string `json:"reason,omitempty"`   // in words, why it cannot be brought; "" if it can
}

// A MandateView is the service user's order. Self says that the outgoing
// provider signed it itself.
type MandateView struct {
	Issuer string    `json:"issuer"`
	Self   bool      `json:"self"`
	From   string    `json:"from"`
	To     string    `json:"to"`
	Until  time.Time `json:"until,omitzero"`
	Hash   string    `json:"hash"` // hex
}

// A Destination is where devices will belong.
type Destination struct {
	Server    string        `json:"server"` // LwM2M server URI
	Enrolment string        `json:"enrolment"`
	Update    string        `json:"update"`
	Verifier  string        `json:"verifier,omitempty"` // of attestation; "" none
	Anchors   Array[Anchor] `json:"anchors"`
	Reset     string        `json:"reset"` // what is erased, in words
}

// An Anchor is one certificate of the new truststore.
type Anchor struct {
	Thumbprint string        `json:"thumbprint"` // hex x5t
	Subject    string        `json:"subject"`
	Purposes   Array[string] `json:"purposes"`
}

// An Approval is one human decision.
type Approval struct {
	Side   string    `json:"side"` // provider's name
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// A TransferRow is one device in a transfer.
type TransferRow struct {
	Device    string    `json:"device"`
	Endpoint  string    `json:"endpoint"`
	Factory   string    `json:"factory"` // hex of the first 16 bytes
	State     string    `json:"state"`   // as the row's table names it
	Level     Level     `json:"level"`
	Inferred  bool      `json:"inferred"` // not known by a receipt
	Next      string    `json:"next"`     // what comes without anybody's doing, or who must act
	Reason    string    `json:"reason,omitempty"`
	Epoch     uint32    `json:"epoch"`
	Bytes     int       `json:"message_bytes"` // size of the TransferMessage
	UpdatedAt time.Time `json:"updated_at"`
	Verdict   *Verdict  `json:"verdict,omitempty"` // of the verifier; nil: none
	// CommittedAt is when the device was told to move, or that was learnt; ActiveAt
	// when it served again, at either provider; zero: not yet.
	CommittedAt time.Time `json:"committed_at,omitzero"`
	ActiveAt    time.Time `json:"active_at,omitzero"`
	// Disruption is the time between them in seconds: nil while it is not known.
	Disruption *float64 `json:"disruption_seconds,omitempty"`
	// EnrolledBy says by whose signed word it is known that the device has enrolled at the
	// new provider; "": by nobody's yet, or it is the device's own that counts.
	EnrolledBy string `json:"enrolled_by,omitempty"`
	// EnrolledAt is when that was said.
	EnrolledAt time.Time `json:"enrolled_at,omitzero"`
}

// A Receipt is a device's signed word about its state.
type Receipt struct {
	State    string          `json:"state"`
	At       time.Time       `json:"at"`   // when it reached us
	Hash     string          `json:"hash"` // hex
	COSE     []byte          `json:"cose"` // as signed
	Content  json.RawMessage `json:"content,omitempty"`
	Verified bool            `json:"verified"`
}

// RoleFor returns who may give a transfer this command: what gives devices away
// or takes them is an administrator's decision.
func (a TransferAction) RoleFor() Role {
	switch a {
	case TransferApprove, TransferReject, TransferResume, TransferExtend:
		return RoleAdmin
	default:
		return RoleOperator
	}
}
