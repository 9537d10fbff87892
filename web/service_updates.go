package web

import (
	"context"
	"slices"
	"time"
)

// Releases keeps what can be installed.
type Releases interface {
	// ListReleases returns the releases, the newest first.
	ListReleases(ctx context.Context, p Page) (List[Release], error)
	// Release returns one.
	Release(ctx context.Context, id string) (ReleaseDetail, error)
	// AddRelease checks and stores a signed envelope, or authors and signs one for
	// an image. It returns ErrInvalid for an envelope that does not verify.
	AddRelease(ctx context.Context, by Actor, r NewRelease) (Release, error)
	// DecideRelease approves or withdraws a release. It returns ErrForbidden to the
	// person who added it, where somebody else could approve.
	DecideRelease(ctx context.Context, by Actor, id string, c ReleaseCommand) (Release, error)
}

// A ReleaseCommand is a decision about a release.
type ReleaseCommand struct {
	Action ReleaseAction `json:"action"`
	Reason string        `json:"reason,omitempty"` // required to withdraw
}

// A ReleaseAction names a decision.
type ReleaseAction string

// The decisions.
const (
	ReleaseApprove  ReleaseAction = "approve"
	ReleaseWithdraw ReleaseAction = "withdraw"
)

// A NewRelease is either a signed SUIT envelope or an image to author one for.
type NewRelease struct {
	Name     string `json:"name"`
	Envelope []byte `json:"envelope,omitempty"` // signed, payload integrated or beside in Image
	Image    []byte `json:"image,omitempty"`
	Version  string `json:"version,omitempty"`  // as the device will report it
	Vendor   string `json:"vendor,omitempty"`   // UUID, or a domain name to derive it from
	Class    string `json:"class,omitempty"`    // UUID, or a name to derive it from
	Sequence uint64 `json:"sequence,omitempty"` // 0: one more than the newest of the class
	Approve  bool   `json:"approve,omitempty"`  // at once, where nobody else could; else it is not added
	// Secret says that the image holds secrets: a device that comes from another provider
	// is given it before it enrols only encrypted to its own key. Staging is then the
	// component into which it fetches the ciphertext: segments in hexadecimal, joined by "/".
	Secret  bool   `json:"secret,omitempty"`
	Staging string `json:"staging,omitempty"`
}

// A Release is what the manifest of an envelope says.
type Release struct {
	ID         string        `json:"id"`
	Name       string        `json:"name"`
	Version    string        `json:"version"`
	Sequence   uint64        `json:"sequence"`
	Vendor     string        `json:"vendor"` // UUID
	Class      string        `json:"class"`  // UUID
	Components Array[string] `json:"components"`
	Digest     string        `json:"digest"` // hex SHA-256 of the image
	Size       int           `json:"size"`   // of the image, bytes
	Signer     string        `json:"signer"` // key id
	Secret     bool          `json:"secret,omitempty"`
	CreatedAt  time.Time     `json:"created_at"`
	CreatedBy  string        `json:"created_by"`

	State     string                 `json:"state"` // draft, approved, withdrawn
	Level     Level                  `json:"level"`
	Actions   Array[ReleaseAction]   `json:"actions"` // what the state allows
	Decisions Array[ReleaseDecision] `json:"decisions"`
}

// A ReleaseDecision is who approved or withdrew a release.
type ReleaseDecision struct {
	Action ReleaseAction `json:"action"`
	By     string        `json:"by"`
	Reason string        `json:"reason,omitempty"`
	At     time.Time     `json:"at"`
}

// May reports whether the state allows an action.
func (r Release) May(a ReleaseAction) bool { return slices.Contains(r.Actions, a) }

// Campaigns brings a release to devices.
type Campaigns interface {
	// ListCampaigns returns the campaigns, the newest first.
	ListCampaigns(ctx context.Context, p Page) (List[Campaign], error)
	// Campaign returns one.
	Campaign(ctx context.Context, id string) (Campaign, error)
	// Jobs returns the devices of a campaign and how far each is.
	Jobs(ctx context.Context, id string, f JobFilter, p Page) (List[Job], error)
	// CreateCampaign drafts one and, unless only that is asked, submits and approves
	// it; where another person must approve it stays in review.
	CreateCampaign(ctx context.Context, by Actor, c NewCampaign) (Campaign, error)
	// PreviewCampaign says of a part of the devices whether c would take them.
	PreviewCampaign(ctx context.Context, c NewCampaign, p Page) (CampaignPreview, error)
	// CommandCampaign does one of a campaign's actions. It returns ErrConflict if
	// the state does not allow it, ErrForbidden to a drafter who may not approve.
	CommandCampaign(ctx context.Context, by Actor, id string, c CampaignCommand) (Campaign, error)
	// CampaignReport tells what became of one, as a file.
	CampaignReport(ctx context.Context, id string, format ReportFormat) (File, error)
}

// A Delivery says how an envelope reaches a device.
type Delivery string

// The ways of LwM2M Firmware Update (object 5).
const (
	Push Delivery = "push" // block-wise write of the envelope to /5/0/0
	Pull Delivery = "pull" // a URI in /5/0/1, which the device fetches
)
