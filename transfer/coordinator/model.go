package coordinator

import (
	"encoding/hex"
	"slices"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/transfer"
)

// A Transfer is one hand-over of devices, as one of its two providers keeps it.
type Transfer struct {
	ID          string // hex of the id in DeviceUpdateInfo; the same at both providers
	Incoming    bool   // we take over; otherwise we let go
	Partner     string // id of the other provider's record
	PartnerName string
	State       transfer.BatchState
	Paused      bool // no further commits until somebody resumes
	Wave        int  // of commits: 0 the first, with the fewest devices
	Tolerated   int  // devices that had failed when somebody resumed, and have not arrived since
	// ToleratedLost are those of Tolerated that had left.
	ToleratedLost int
	Pending       []transfer.BatchEffect // still to be performed, in order
	Window        transfer.Window        // in which devices may be told to commit
	Grace         time.Duration          // powered, from commit to fallback; zero before the offer
	Note          string                 // of the drafter
	Extended                             // a later end of Window
	Rehearsal                            // outgoing
	// Verifier is the name of the provider whose verdict on devices counts; "" is the
	// incoming one.
	Verifier string
	Gates               // between commit and enrolment, as the offer says or will say
	Last     LastUpdate // outgoing: software that devices get before they leave
	Reason   string     // in words, why it waits or ended

	MandateIssuer string
	Mandate       transfer.Hash // zero before the transfer is submitted, if it is to be a self mandate
	Self          bool          // the outgoing provider signed the mandate itself
	MandateUntil  time.Time
	Info          transfer.Hash
	Offer         transfer.Hash // zero before the offer, and when it does not stand any more
	OfferUntil    time.Time     // when it ends unless it was approved; zero: no offer
	Revised       bool          // Info is not the first

	Approvals []Approval
	CreatedAt time.Time
	CreatedBy string
	ArmBy     time.Time // when commits begin although devices are missing; zero before STAGING
	UpdatedAt time.Time

	Tries   int       // of the first of Pending
	Due     time.Time // when to look at it again; zero: when something happens
	Version int64     // rises by one with each change; 0: not stored
}

// An Approval is one human decision. Each side takes one.
type Approval struct {
	Side   string // the provider's name
	By     string
	At     time.Time
	Reason string
}

// Key returns the id as the messages carry it, nil if it is none.
func (t Transfer) Key() []byte {
	id, err := hex.DecodeString(t.ID)
	if err != nil {
		return nil
	}
	return id
}

// Over reports whether the transfer as a whole has ended. PARTIAL has not: it
// keeps admitting its open rows.
func (t Transfer) Over() bool { return slices.Contains(transfer.BatchFinal(), t.State) }

// A Command is what a person may tell a transfer.
type Command string

// The commands.
const (
	CommandSubmit   Command = "submit"   // outgoing: post the information
	CommandApprove  Command = "approve"  // incoming: sign the offer; outgoing: accept it
	CommandWithdraw Command = "withdraw" // before SWITCHING, by either side
	CommandResume   Command = "resume"   // a paused one
	CommandExtend   Command = "extend"   // outgoing: ask for a later end; incoming: agree to it
	CommandRevise   Command = "revise"   // outgoing: tell anew what the devices run
)

// Commands returns the commands that the transfer accepts now.
func (t Transfer) Commands() []Command {
	var out []Command
	switch {
	case t.State == transfer.BatchDraft:
		out = append(out, CommandSubmit)
	case t.Incoming && t.State == transfer.BatchInfoAccepted, !t.Incoming && t.State == transfer.BatchOffered:
		out = append(out, CommandApprove)
	case t.Paused && t.State == transfer.BatchSwitching:
		out = append(out, CommandResume)
	}
	if _, err := batchTable.Step(t.State, transfer.BatchAsk); err == nil && (!t.Incoming || t.Asked.Latest > 0) {
		out = append(out, CommandExtend)
	}
	if _, err := batchTable.Step(t.State, transfer.BatchRevise); err == nil && !t.Incoming &&
		t.State != transfer.BatchApproved { // the partner is being told so: it may go on already
		out = append(out, CommandRevise)
	}
	if _, err := batchTable.Step(t.State, transfer.BatchCancel); err == nil {
		out = append(out, CommandWithdraw)
	}
	return out
}

// Documents are what the two providers have signed. Nil ones do not exist yet.
type Documents struct {
	Mandate []byte // COSE_Sign1 of the service user, or of the outgoing provider
	Info    []byte // JWS
	Answer  []byte // CBOR
	Offer   []byte // COSE_Sign1
}

// A Row is one device of a transfer.
type Row struct {
	Transfer string
	Short    string   // fleet.Factory.Short: names the device between providers
	Device   fleet.ID // "" for one that was never known here, because it was rejected
	Factory  fleet.Factory
	Endpoint lwm2m.Endpoint
	Incoming bool // as the transfer
	State    transfer.RowState
	Inferred bool                 // State is the partner's word, not evidence of the device
	Pending  []transfer.RowEffect // still to be performed, in order
	Reason   string               // in words, why it waits or failed

	Pair    []byte // EncodeDevices of this device alone
	Message []byte // TransferMessage as written; nil before, and at the incoming provider
	Hash    transfer.Hash
	Epoch   uint32
	SPKI    transfer.Hash // of the key in the READY receipt
	Back    transfer.Hash // of the key in the FALLBACK receipt; zero: none
	Verdict []byte        // of the verifier at the incoming provider, verified; nil: none
	Right   []byte        // RightStatus of the partner's CA, verified: it has enrolled the device; nil: none
	// UpToDate says, at the incoming provider, that there was no update for the device
	// when it asked before its enrolment.
	UpToDate bool

	ReadyAt     time.Time
	CommittedAt time.Time // when commit was told, or learnt; begin of the disruption
	ActiveAt    time.Time // when it served again, at either provider; end of the disruption
	UpdatedAt   time.Time

	Tries   int       // of the present state or of the first of Pending
	Due     time.Time // when to look at it again; zero: when something happens
	Version int64     // rises by one with each change; 0: not stored
}

// Ended reports whether the row is in a state that it does not leave.
func (r Row) Ended() bool {
	return slices.Contains(transfer.RowFinalStates(), r.State) || r.NotUpdated()
}

// NotUpdated reports whether the device stays because its last update failed.
func (r Row) NotUpdated() bool { return r.State == transfer.RowFailedUpd && r.CommittedAt.IsZero() }

// Next says in words what happens to the device without anybody's doing, or who must act.
func (r Row) Next() string {
	if r.NotUpdated() {
		return "Nothing: it stays where it is. When the cause is mended, another transfer can take it."
	}
	return r.State.Next(r.Incoming)
}

// Committed reports whether the device has left its former provider: only
// evidence tells where it is.
func (r Row) Committed() bool {
	return r.Reached() || r.State == transfer.RowUnknown
}

// Reached reports whether the row is known to be past COMMITTED.
func (r Row) Reached() bool {
	if r.NotUpdated() {
		return false
	}
	switch r.State {
	case transfer.RowCommitted, transfer.RowAttested, transfer.RowUpdated, transfer.RowEnrolled, transfer.RowActive,
		transfer.RowOrphanRisk, transfer.RowFailedUpd, transfer.RowRAFailed, transfer.RowEnrolFailed,
		transfer.RowReturned, transfer.RowFinalised, transfer.RowRevokedOld, transfer.RowFellBack:
		return true
	default:
		return false
	}
}

// Failed reports whether the device did not, or will not, arrive.
func (r Row) Failed() bool {
	switch r.State {
	case transfer.RowFailedUpd, transfer.RowRAFailed, transfer.RowEnrolFailed, transfer.RowReturned,
		transfer.RowFellBack, transfer.RowOrphanRisk, transfer.RowRejected, transfer.RowAborted, transfer.RowExpired:
		return true
	default:
		return false
	}
}

// Disruption returns for how long the device had no service, and whether that is
// known.
func (r Row) Disruption() (time.Duration, bool) {
	if r.CommittedAt.IsZero() || r.ActiveAt.IsZero() {
		return 0, false
	}
	return r.ActiveAt.Sub(r.CommittedAt), true
}

// A Receipt is a device's signed word about its state, verified before it is
// stored.
type Receipt struct {
	Transfer string
	Short    string // of the device
	State    transfer.DeviceState
	Hash     transfer.Hash
	Raw      []byte // COSE_Sign, tagged
	At       time.Time
}
