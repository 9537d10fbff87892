// Package backup is the one file that holds a provider: a tar archive that begins
// with a manifest of what follows, each part with its size and its SHA-256, and a
// seal over the manifest that only who has the provider's keys can make.
//
// What must not come back is no part of it: associations of DTLS, whose counters
// would repeat nonces, the key of the machine, and the administrators' token.
package backup

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
)

// Errors of this package.
var (
	// ErrFormat reports a file that is no backup.
	ErrFormat = errors.New("not a backup of steward")
	// ErrVersion reports a backup of a later version of the program.
	ErrVersion = errors.New("backup was made by a later version of this program")
	// ErrDamaged reports a backup that is not what its manifest says: cut short, or altered.
	ErrDamaged = errors.New("backup is damaged")
)

// Format is the newest version of the file that this program writes and reads: with
// files of audit rows. One that has none of them is of formatPlain, which programs
// before them read, too.
const (
	Format      = 2
	formatPlain = 1
)

// SealPurpose is what the seal over the manifest's SHA-256 is made for.
const SealPurpose = "backup manifest"

// Names of parts.
const (
	Database    = "steward.db"
	Revocations = "revocations"
	Keys        = "keys"
	PKI         = "pki"
	Refreshes   = "refreshes"
	Audit       = "audit"
	ReportKey   = "report-key.pem"
)

const (
	nameManifest = "manifest.json"
	nameSeal     = "manifest.seal"

	// maxManifest and maxSeal bound what is read before anything is known.
	maxManifest = 16 << 20
	maxSeal     = 1 << 10
	// maxParts bounds the files of a provider: keys and certificates of all generations.
	maxParts = 100_000
	// maxPart bounds a part but the database and audit rows, which may be as large as
	// the disk allows.
	maxPart = 1 << 30
)

// A Manifest says what a backup is, and of what.
type Manifest struct {
	Format   int       `json:"format"`
	Provider string    `json:"provider"`
	Program  string    `json:"program"` // version
	Schema   int       `json:"schema"`  // of the database
	TakenAt  time.Time `json:"taken_at"`
	// AuditRows and AuditHash are the end of the audit chain: rows that are missing
	// there leave no other trace.
	AuditRows int64  `json:"audit_rows"`
	AuditHash string `json:"audit_hash"` // hex
	Parts     []Part `json:"parts"`
	LeftOut   []Left `json:"left_out"`
}

// A Part is a file of the backup.
type Part struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // hex
}

// audit reports whether a part is a file of audit rows.
func (p Part) audit() bool { return strings.HasPrefix(p.Name, Audit+"/") }

// A Left is what is no part of the backup, and why.
type Left struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// LeftOut is what backups leave out.
func LeftOut() []Left {
	return []Left{
		{"associations", "a copy would repeat nonces; devices make new ones"},
		{"machine", "it opens the keys; keep a copy of machine/key apart"},
		{"admin.token", "a secret in the clear; another is made"},
	}
}

// partName is what parts may be called: nothing leads out of the directory.
var partName = regexp.MustCompile(
	`^(steward\.db|revocations|report-key\.pem|(audit|keys|pki|refreshes)/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127})$`)

// check returns ErrVersion for a manifest of a later format, else ErrDamaged for one
// that cannot be.
func (m Manifest) check() error {
	switch {
	case m.Format > Format:
		return fmt.Errorf("%w: format %d, the newest known here is %d", ErrVersion, m.Format, Format)
	case m.Format < 1:
		return fmt.Errorf("%w: format %d", ErrFormat, m.Format)
	case len(m.Parts) > maxParts:
		return fmt.Errorf("%w: %d parts", ErrDamaged, len(m.Parts))
	}
	seen := map[string]bool{}
	for _, p := range m.Parts {
		hash, err := hex.DecodeString(p.SHA256)
		switch {
		case !partName.MatchString(p.Name), p.Name != path.Clean(p.Name), seen[p.Name]:
			return fmt.Errorf("%w: part %.80q", ErrDamaged, p.Name)
		case err != nil, len(hash) != 32, p.Size < 0, p.Size > maxPart && p.Name != Database && !p.audit():
			return fmt.Errorf("%w: size or hash of %s", ErrDamaged, p.Name)
		}
		seen[p.Name] = true
	}
	if !seen[Database] {
		return fmt.Errorf("%w: it has no database", ErrDamaged)
	}
	return nil
}
