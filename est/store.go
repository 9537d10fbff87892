package est

import (
	"context"
	"time"

	"steward/lwm2m/audit"
)

// ErrStorage reports that a Store can store nothing now.
var ErrStorage = audit.ErrStorage

// A Store keeps the inventory and the rights. Implementations are safe for
// concurrent use; esttest.TestStore says what they must do.
type Store interface {
	// Certificate returns the record with that hash, or ErrUnknown.
	Certificate(ctx context.Context, hash Hash) (Record, error)
	// Certificates returns the records that q selects, the last issued first.
	Certificates(ctx context.Context, q Query) ([]Record, error)
	// Right returns the right of a factory certificate, or ErrUnknown.
	Right(ctx context.Context, factory Hash) (Right, error)
	// Rights returns up to limit rights in order of their factory hashes, after
	// the given one; zero starts at the beginning. An endpoint other than ""
	// selects those with that name.
	Rights(ctx context.Context, endpoint string, after Hash, limit int) ([]Right, error)
	// Revoked calls fn for each revoked certificate of an issuer (zero: of all) that
	// ends at notAfter or later, in any order, and ends with the first error of fn.
	Revoked(ctx context.Context, issuer Hash, notAfter time.Time, fn func(Revocation) error) error
	// Commit applies ch in one transaction, or nothing of it. It returns
	// ErrConflict if a row's version is no longer the one in ch, or a
	// certificate to insert exists, ErrEndpoint if ch.Right is not deleted and
	// another right that is not deleted has its endpoint, and ErrRevoked if ch
	// would make a revoked certificate valid again. With ch.Sole it returns
	// ErrConflict if more than one valid operational certificate had that name then,
	// and ErrEndpoint if a right that is not deleted has it; with ch.SoleFactory
	// ErrConflict if more than one valid factory certificate had it; with ch.First
	// ErrConflict if an operational certificate had it before. With ch.Renamed it
	// returns ErrMoving if the device is being handed over.
	Commit(ctx context.Context, ch Change) error
}

// MaxPage is the most records that Certificates returns for a Query.
const MaxPage = 1000

// A Query selects records. Zero fields select all; those given must all match.
type Query struct {
	Kind     Kind
	Status   Status
	Reason   Reason // of the revocation
	Name     string // commonName
	Serial   string // lower-case hex
	Issuer   Hash
	Factory  Hash // which has a right, or a device, of the certificates' name
	SPKI     Hash
	Client   Hash
	CSR      Hash
	Expires  time.Time // notAfter before it
	Replaced time.Time // renewed by another before it
	// Before is the hash of the last record of the page before; zero: first page.
	Before Hash
	Limit  int // of the page; zero or more than MaxPage: MaxPage
}

// A Change is what one transaction writes.
type Change struct {
	// Right is stored with Version one higher, if Version is still the stored
	// one; 0 inserts. Nil: no right changes.
	Right *Right
	// Renamed is the factory certificate that Right is still named by in the Store; in
	// the same transaction the certificates and the device that are named by it get the
	// new name, too. Zero: Right keeps its name.
	Renamed Hash
	// Succession is kept with it, in place of an earlier one of the same new certificate.
	Succession *Succession
	Insert     []Record
	// Update stores the fields below Version of each record with Version one
	// higher, if Version is still the stored one.
	Update []Record
	// Key is inserted, in place of an earlier one for the same client and request.
	// Nil: none.
	Key *SealedKey
	// Approval is stored with Version one higher, if Version is still the stored one;
	// 0 inserts. Nil: none changes.
	Approval *Approval
	// Password is stored with Version one higher, if Version is still the stored
	// one; 0 inserts. Nil: none changes.
	Password *Password
	// Errands are stored likewise.
	Errands []Errand
	// Origin is kept in place of what was kept of its certificate. Nil: nothing.
	Origin *FactoryOrigin
	// SoleFactory is a name for which there may be one valid factory certificate
	// after the change; "": none.
	SoleFactory string
	// Sole is a name that no other may hold after the change; "": none.
	Sole string
	// First is a name that no operational certificate, valid or not, may have beside
	// those inserted; "": none.
	First string
	Audit []audit.Row
}

// A RequestStore reads what a Change keeps of requests: keys made for them, and what
// people think of them. Implementations are safe for concurrent use.
type RequestStore interface {
	// SealedKey returns the key made for a client's request, or ErrUnknown.
	SealedKey(ctx context.Context, client, csr Hash) (SealedKey, error)
	// ForgetKeys removes the keys that are kept until now or earlier.
	ForgetKeys(ctx context.Context, now time.Time) error
	// Approval returns the newest request of a client that needed approval, or
	// ErrUnknown.
	Approval(ctx context.Context, client Hash) (Approval, error)
	// Approvals returns up to limit of them in order of their clients, after the
	// given one; zero starts at the beginning. A state other than "" selects.
	Approvals(ctx context.Context, state ApprovalState, after Hash, limit int) ([]Approval, error)
}
