package web

import (
	"context"
	"time"
)

// Bills keeps the bills of materials of releases and what is known against their
// parts.
type Bills interface {
	// SetBill takes a bill in CycloneDX or SPDX, in the place of an earlier one. It
	// returns ErrInvalid for a document that cannot be read.
	SetBill(ctx context.Context, by Actor, release string, document []byte) (BillSummary, error)
	// Bill returns the bill as it was uploaded.
	Bill(ctx context.Context, release string) ([]byte, error)
	// Parts returns the components of a release in the order of its bill.
	Parts(ctx context.Context, release string, p Page) (List[Part], error)
	// Findings returns what vulnerability lists say of a release, those affected
	// first.
	Findings(ctx context.Context, release string, p Page) (List[Finding], error)
}

// Vulnerabilities keeps vulnerability lists.
type Vulnerabilities interface {
	// ListVulnerabilities returns those that concern some release, by name.
	ListVulnerabilities(ctx context.Context, p Page) (List[Vulnerability], error)
	// VulnerabilityLists returns the lists that were imported, the oldest first.
	VulnerabilityLists(ctx context.Context) ([]VulnerabilityList, error)
	// ImportVulnerabilities takes a list in OSV, OpenVEX or CycloneDX, in the place
	// of an earlier one of that name. It returns ErrInvalid for a document that
	// cannot be read.
	ImportVulnerabilities(ctx context.Context, by Actor, name string, document []byte) (VulnerabilityList, error)
	// RemoveVulnerabilities forgets a list.
	RemoveVulnerabilities(ctx context.Context, by Actor, id, reason string) error
}

// A BillSummary says what bill a release has.
type BillSummary struct {
	Format   string    `json:"format"` // "CycloneDX 1.6"
	Parts    int       `json:"parts"`
	Digest   string    `json:"digest"` // hex SHA-256 of the document
	AddedAt  time.Time `json:"added_at"`
	AddedBy  string    `json:"added_by"`
	Findings Counts    `json:"findings"` // by VEX status
}

// A Part is a component of a release.
type Part struct {
	Name     string `json:"name"`
	Version  string `json:"version,omitempty"`
	PURL     string `json:"purl,omitempty"` // package URL
	Supplier string `json:"supplier,omitempty"`
	License  string `json:"license,omitempty"`
}

// A Finding is a part of a release that a vulnerability concerns.
type Finding struct {
	Vulnerability string        `json:"vulnerability"`
	Aliases       Array[string] `json:"aliases"`
	Summary       string        `json:"summary,omitempty"`
	Severity      string        `json:"severity,omitempty"` // in words, or a CVSS vector
	Part          Part          `json:"part"`
	Status        string        `json:"status"` // VEX: affected, under_investigation, fixed, not_affected
	Level         Level         `json:"level"`
	Detail        string        `json:"detail,omitempty"`
	FixedIn       string        `json:"fixed_in,omitempty"` // version of the part
	Exposed       int           `json:"exposed"`            // devices that run any release which it affects
}

// A Vulnerability is what is known of one in all releases.
type Vulnerability struct {
	ID           string `json:"id"`
	Summary      string `json:"summary,omitempty"`
	Severity     string `json:"severity,omitempty"`
	Affected     int    `json:"affected"`     // parts of releases
	Investigated int    `json:"investigated"` // parts of releases
	Releases     int    `json:"releases"`     // that have an affected part
	Exposed      int    `json:"exposed"`      // devices that run one of those
	Level        Level  `json:"level"`
}

// A VulnerabilityList is a list that was imported.
type VulnerabilityList struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Format  string    `json:"format"`
	Count   int       `json:"count"`
	Digest  string    `json:"digest"` // hex SHA-256 of the document
	AddedAt time.Time `json:"added_at"`
	AddedBy string    `json:"added_by"`
}

// A ReleaseDetail is all that is known of a release.
type ReleaseDetail struct {
	Release

	Manifests Array[Manifest] `json:"manifests"`
	Bill      *BillSummary    `json:"bill,omitempty"`
	Running   int             `json:"running"` // devices that run it, as their updates told
	Exposed   int             `json:"exposed"` // of those, the ones with an affected part
}

// A Manifest is what devices get by one delivery.
type Manifest struct {
	Delivery     Delivery      `json:"delivery"`
	Sequence     uint64        `json:"sequence"`
	Digest       string        `json:"digest"`     // as SUIT names the manifest
	Signatures   Array[string] `json:"signatures"` // in words
	Components   Array[string] `json:"components"`
	Dependencies Array[string] `json:"dependencies"`
	Steps        Array[string] `json:"steps"` // what changes the device, in order
	Texts        Array[string] `json:"texts"` // for people, by the author
	Diagnostic   string        `json:"diagnostic"`
}
