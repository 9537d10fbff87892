package web

import (
	"encoding/json"
	"slices"
	"time"
)

// A NewCampaign names a release and who gets it.
type NewCampaign struct {
	Name     string        `json:"name"`
	Release  string        `json:"release"`
	Delivery Delivery      `json:"delivery"`
	Devices  Array[string] `json:"devices"` // ids, in the order in which they are updated
	// Plan is how it goes about it: waves, gates, rates, windows, retries (schema
	// CampaignPlan). Nil: one wave without a gate, at once.
	Plan  json.RawMessage `json:"plan,omitempty"`
	Match *DeviceMatch    `json:"match,omitempty"` // devices that fit now come besides
	Draft bool            `json:"draft,omitempty"` // do not submit it yet
}

// A DeviceMatch selects devices by what is known of them. Empty members select
// all.
type DeviceMatch struct {
	Manufacturer string `json:"manufacturer,omitempty"`
	Model        string `json:"model,omitempty"`
	Class        string `json:"class,omitempty"` // of the release that the device last got here
	Tag          string `json:"tag,omitempty"`
	Version      string `json:"version,omitempty"` // of its firmware
}

// A Campaign is one roll-out.
type Campaign struct {
	ID         string                `json:"id"`
	Name       string                `json:"name"`
	Release    Release               `json:"release"`
	Delivery   Delivery              `json:"delivery"`
	State      string                `json:"state"` // as the campaign's table names it
	Level      Level                 `json:"level"`
	Reason     string                `json:"reason,omitempty"` // why it stands where it does
	Total      int                   `json:"total"`
	Done       int                   `json:"done"`
	Failed     int                   `json:"failed"`
	Counts     Counts                `json:"counts"` // jobs by state, or by why no wave waits for them
	Ended      bool                  `json:"ended"`
	Plan       json.RawMessage       `json:"plan,omitempty"`
	Waves      Array[CampaignWave]   `json:"waves"`
	Actions    Array[CampaignAction] `json:"actions"` // what the state allows
	CreatedAt  time.Time             `json:"created_at"`
	CreatedBy  string                `json:"created_by"`
	ApprovedBy string                `json:"approved_by,omitempty"`
}

// A CampaignWave is how one wave stands; the tail is the last.
type CampaignWave struct {
	Name    string `json:"name"`
	State   string `json:"state,omitempty"`  // as the wave's table names it; none for the tail
	Current bool   `json:"current"`          // under way
	Reason  string `json:"reason,omitempty"` // the last word of its gate
	Total   int    `json:"total"`
	Moved   int    `json:"moved"` // devices that went on to the tail
	Counts  Counts `json:"counts"`
}

// A CampaignAction names what a person may do to a campaign.
type CampaignAction string

// The actions.
const (
	CampaignSubmit  CampaignAction = "submit"
	CampaignApprove CampaignAction = "approve"
	CampaignReject  CampaignAction = "reject" // back to the draft
	CampaignPause   CampaignAction = "pause"
	CampaignResume  CampaignAction = "resume"
	CampaignFinish  CampaignAction = "finish" // close the tail
	CampaignAbort   CampaignAction = "abort"
)

// May reports whether the state allows an action.
func (c Campaign) May(a CampaignAction) bool { return slices.Contains(c.Actions, a) }

// A CampaignCommand is what a person does to a campaign.
type CampaignCommand struct {
	Action CampaignAction `json:"action"`
	Reason string         `json:"reason,omitempty"`
}

// A ReportFormat is that of a campaign's report.
type ReportFormat string

// The formats.
const (
	ReportJSON   ReportFormat = "json"
	ReportCSV    ReportFormat = "csv"    // one line a device
	ReportSigned ReportFormat = "signed" // the JSON in a COSE_Sign1
)

// A File is an answer that is no JSON of ours.
type File struct {
	Name string // to save it under
	Type string // media type
	Body []byte
}
