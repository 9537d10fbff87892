package objects

import (
	"time"

	"steward/lwm2m"
	"steward/objects/registry"
)

// Resources of Trust Transfer, whose object id is IDs.Transfer (transfer
// protocol §3). The executables name what they execute by arguments.
const (
	TransferMessage     = 0
	TransferCommit      = 1
	TransferAbort       = 2
	TransferState       = 3
	TransferError       = 4
	TransferEpoch       = 5
	TransferEarliest    = 6
	TransferLatest      = 7
	TransferMessageHash = 8
	TransferReceipt     = 9
	TransferAttempts    = 10
	TransferFinalise    = 11
	TransferReturn      = 12
	TransferMandate     = 13
	TransferRetire      = 14
	TransferRetired     = 15
)

// Transfer is what a server can read of Trust Transfer.
type Transfer struct {
	State       uint8 // numbered by the transfer protocol
	Error       int64
	Epoch       uint32    // of the last message accepted; survives every reset
	Earliest    time.Time // window of the message; zero without one
	Latest      time.Time // likewise
	MessageHash []byte    // SHA-256 of the message as written; nil without one
	Receipt     []byte    // the newest; nil: none yet
	Attempts    *uint64   // enrolments tried in this transfer
	Retired     []byte    // the newest Retirement; nil: it was never told to retire
}

func (t *Transfer) fields() []field {
	return []field{
		single(TransferState, &t.State, integer[uint8]()),
		single(TransferError, &t.Error, integer[int64]()),
		single(TransferEpoch, &t.Epoch, unsigned[uint32]()),
		nonzero(TransferEarliest, &t.Earliest, moment()),
		nonzero(TransferLatest, &t.Latest, moment()),
		opaque(TransferMessageHash, &t.MessageHash),
		opaque(TransferReceipt, &t.Receipt),
		optional(TransferAttempts, &t.Attempts, unsigned[uint64]()),
		opaque(TransferRetired, &t.Retired),
	}
}

// DecodeTransfer reads the instance at base.
func DecodeTransfer(base lwm2m.Path, entries []lwm2m.Entry) (Transfer, error) {
	return decode(base, entries, (*Transfer).fields)
}

// Entries returns t as the instance at base.
func (t Transfer) Entries(base lwm2m.Path) []lwm2m.Entry { return encode(base, t.fields()) }

func transferResources() []registry.Resource {
	return []registry.Resource{
		resource(TransferMessage, "Message", opW, lwm2m.KindOpaque, true),
		resource(TransferCommit, "Commit", opE, lwm2m.KindNone, true),
		resource(TransferAbort, "Abort", opE, lwm2m.KindNone, true),
		resource(TransferState, "State", opR, lwm2m.KindInteger, true),
		resource(TransferError, "Error", opR, lwm2m.KindInteger, true),
		resource(TransferEpoch, "Epoch", opR, lwm2m.KindUnsigned, true),
		resource(TransferEarliest, "Earliest", opR, lwm2m.KindTime, false),
		resource(TransferLatest, "Latest", opR, lwm2m.KindTime, false),
		resource(TransferMessageHash, "Message Hash", opR, lwm2m.KindOpaque, false),
		resource(TransferReceipt, "Receipt", opR, lwm2m.KindOpaque, false),
		resource(TransferAttempts, "Attempts", opR, lwm2m.KindUnsigned, false),
		resource(TransferFinalise, "Finalise", opE, lwm2m.KindNone, true),
		resource(TransferReturn, "Return", opE, lwm2m.KindNone, true),
		resource(TransferMandate, "Mandate", opW, lwm2m.KindOpaque, false),
		resource(TransferRetire, "Retire", opE, lwm2m.KindNone, false),
		resource(TransferRetired, "Retirement", opR, lwm2m.KindOpaque, false),
	}
}
