package est

import (
	"context"
	"time"

	"steward/lwm2m/machine"
)

// An ErrandState is the state of a certificate that an external CA is to make.
type ErrandState string

// The states of an errand.
const (
	ErrandWaiting   ErrandState = "waiting"   // for the external CA
	ErrandReady     ErrandState = "ready"     // its answer is checked and waits for the client
	ErrandIssued    ErrandState = "issued"    // the client has it; it is in the inventory
	ErrandRefused   ErrandState = "refused"   // by the external CA, or its answer was no good
	ErrandWithdrawn ErrandState = "withdrawn" // another request took its place, or an operator's word
)

// An ErrandEvent is what can happen to an errand.
type ErrandEvent string

// The events of an errand.
const (
	ErrandAgain    ErrandEvent = "again"    // the external CA has not decided, or is out of reach
	ErrandAnswer   ErrandEvent = "answer"   // a certificate came and is what was asked for
	ErrandRefuse   ErrandEvent = "refuse"   // the external CA, or an operator, says no
	ErrandIssue    ErrandEvent = "issue"    // the client fetched it by its right
	ErrandWithdraw ErrandEvent = "withdraw" // nobody wants it any more
	ErrandRetry    ErrandEvent = "retry"    // an operator has the external CA asked again
)

// ErrandTable is the machine of an errand. It starts in ErrandWaiting.
var ErrandTable = machine.Table[ErrandState, ErrandEvent, string]{
	{From: ErrandWaiting, On: ErrandAgain, To: ErrandWaiting},
	{From: ErrandWaiting, On: ErrandAnswer, To: ErrandReady},
	{From: ErrandWaiting, On: ErrandRefuse, To: ErrandRefused},
	{From: ErrandWaiting, On: ErrandWithdraw, To: ErrandWithdrawn},
	{From: ErrandReady, On: ErrandIssue, To: ErrandIssued},
	{From: ErrandReady, On: ErrandRefuse, To: ErrandRefused},
	{From: ErrandReady, On: ErrandWithdraw, To: ErrandWithdrawn},
	{From: ErrandRefused, On: ErrandRetry, To: ErrandWaiting},
	{From: ErrandRefused, On: ErrandWithdraw, To: ErrandWithdrawn},
}

// An Errand is one request that an external CA is to answer. A client has one at a
// time that is waiting or ready.
type Errand struct {
	ID        string
	State     ErrandState
	Client    Hash   // who asked: a certificate, or a password
	Name      string // of the certificate to be
	Request   []byte // PKCS#10 in DER, as the client signed it
	CSR, SPKI Hash   // of Request, and of its key
	// Answer is the certificate in DER with those that lead from it to the external
	// CA's anchor, one after the other; empty until ErrandReady.
	Answer    []byte
	Tries     int       // how often the external CA was asked
	NextAt    time.Time // when to ask it again
	Reason    string    // in words: what it said last
	CreatedAt time.Time
	ChangedAt time.Time
	Version   int64 // 1 when inserted
}

// An ErrandQuery selects errands. Zero fields select all; those given must all match.
type ErrandQuery struct {
	State  ErrandState
	Client Hash
	CSR    Hash
	Due    time.Time // NextAt not after it
	Before string    // id of the last one of the page before; "": first page
	Limit  int       // of the page; zero or more than MaxPage: MaxPage
}

// Errands are kept by a Store that has them. Change.Errands writes them; a second
// errand of a client that is waiting or ready is ErrConflict.
type Errands interface {
	// Errand returns one errand, or ErrUnknown.
	Errand(ctx context.Context, id string) (Errand, error)
	// Errands returns the errands that q selects, the newest first.
	Errands(ctx context.Context, q ErrandQuery) ([]Errand, error)
}
