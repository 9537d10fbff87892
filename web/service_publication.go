package web

import (
	"context"
	"time"
)

// Publications tell what the world is told about revocation.
type Publications interface {
	// Publication returns the state of CRLs and of the responder.
	Publication(ctx context.Context) (Publication, error)
}

// A Publication is what is published of the state of certificates.
type Publication struct {
	At  time.Time `json:"at"`
	URL string    `json:"url"` // that certificates name; "" if they name none
	// Lists are the CRLs that were made since the start; a part is made when somebody
	// asks for it.
	Lists     Array[PublishedList] `json:"lists"`
	Responder ResponderState       `json:"responder"`
}

// A PublishedList is a CRL.
type PublishedList struct {
	Issuer     string    `json:"issuer"` // id of the issuing certificate
	Path       string    `json:"path"`   // on the listener for relying parties
	Number     string    `json:"number"` // of the CRL, decimal
	Entries    int       `json:"entries"`
	Bytes      int       `json:"bytes"`
	MadeAt     time.Time `json:"made_at"`
	NextUpdate time.Time `json:"next_update"`
	Pending    bool      `json:"pending"` // something was revoked since
}

// A ResponderState says how OCSP and compact statuses are answered. Counts are since
// the start.
type ResponderState struct {
	Until     time.Time `json:"until,omitzero"` // when its certificate ends; zero: it has none
	Kept      int       `json:"kept"`           // answers signed ahead
	NextEnd   time.Time `json:"next_end,omitzero"`
	Presigned uint64    `json:"presigned"` // answered from those
	Signed    uint64    `json:"signed"`    // signed for who asked
	Refused   uint64    `json:"refused"`
}

// Publication implements Publications.
func (missing) Publication(context.Context) (Publication, error) { return Publication{}, ErrNotBuilt }
