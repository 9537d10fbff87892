package rollout

import (
	"context"
	"errors"
	"time"

	"steward/suit/sbom"
)

// ErrNoBill reports a release without bill of materials.
var ErrNoBill = errors.New("release has no bill of materials")

// MaxLists bounds the vulnerability lists kept at once: all are compared with each
// bill.
const MaxLists = 32

// A Bill is the bill of materials of a release, as it was uploaded.
type Bill struct {
	sbom.Bill

	Release string
	Digest  string // hex SHA-256 of the document
	AddedAt time.Time
	AddedBy string
}

// A VulnerabilityList is a list of advisories that was imported.
type VulnerabilityList struct {
	sbom.List

	ID      string // ULID
	Name    string // unique; another one of the name takes its place
	Digest  string // hex SHA-256 of the document
	AddedAt time.Time
	AddedBy string
}

// Findings are what lists say of releases: all of each release that is named.
type Findings map[string][]sbom.Finding

// Bills keeps bills of materials, vulnerability lists, and what follows from both.
// Implementations are safe for concurrent use; each change and its audit row are
// one transaction.
type Bills interface {
	// SetBill stores a bill with its document in the place of an earlier one, and
	// what lists say of it. It returns ErrUnknown without the release.
	SetBill(ctx context.Context, b Bill, document []byte, found []sbom.Finding) error
	// Bill returns ErrNoBill if there is none.
	Bill(ctx context.Context, release string) (Bill, error)
	// Document returns the bill as it was uploaded, or ErrNoBill.
	Document(ctx context.Context, release string) ([]byte, error)
	// Bills returns all bills.
	Bills(ctx context.Context) ([]Bill, error)
	// SetLists stores add, unless it is nil, takes away the list with the id remove,
	// unless that is empty, and stores what now follows. It returns ErrUnknown
	// without the list to remove.
	SetLists(ctx context.Context, add *VulnerabilityList, remove string, by, reason string, now Findings) error
	// Lists returns the lists, the oldest first.
	Lists(ctx context.Context) ([]VulnerabilityList, error)
}

// Compare returns what lists, the oldest first, say of bills.
func Compare(bills []Bill, lists []VulnerabilityList) Findings {
	plain := make([]sbom.List, 0, len(lists))
	for i := range lists {
		plain = append(plain, lists[i].List)
	}
	out := make(Findings, len(bills))
	for i := range bills {
		out[bills[i].Release] = bills[i].Match(plain...)
	}
	return out
}
