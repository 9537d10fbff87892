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
	Since      time.Time             `json:"since"`            // of State
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
	StartedAt  time.Time             `json:"started_at,omitzero"`
	EndedAt    time.Time             `json:"ended_at,omitzero"`
	ETA        time.Time             `json:"eta,omitzero"` // when the rest is over at the pace so far; zero: unknown
}

// A CampaignWave is how one wave stands; the tail is the last.
type CampaignWave struct {
	Name    string `json:"name"`
	State   string `json:"state,omitempty"` // as the wave's table names it; none for the tail
	Level   Level  `json:"level"`
	Current bool   `json:"current"`          // under way
	Reason  string `json:"reason,omitempty"` // the last word of its gate
	Total   int    `json:"total"`
	Moved   int    `json:"moved"` // devices that went on to the tail
	Counts  Counts `json:"counts"`
	Gate    string `json:"gate,omitempty"` // what must hold before the next one begins, in words

	BeganAt time.Time `json:"began_at,omitzero"`
	EndedAt time.Time `json:"ended_at,omitzero"`
}

// A JobFilter selects devices of a campaign. Its zero value selects all.
type JobFilter struct {
	State string // as in Campaign.Counts; "" for all
}

// A Job is one device in a campaign.
type Job struct {
	Device    string    `json:"device"`
	Endpoint  string    `json:"endpoint"`
	Wave      string    `json:"wave"`
	State     string    `json:"state"`           // as the job's table names it
	Aside     string    `json:"aside,omitempty"` // why its wave goes on without it: away, deferred, blocked
	Level     Level     `json:"level"`
	Reason    string    `json:"reason,omitempty"` // why it waits or failed
	Result    int       `json:"result"`           // update result; 0 is none yet
	Report    string    `json:"report,omitempty"` // what the device itself reported, in words
	Tries     int       `json:"tries"`            // tries over again
	Sent      int       `json:"sent"`             // bytes
	Size      int       `json:"size"`
	UpdatedAt time.Time `json:"updated_at"`
}

// A CampaignPreview says who a campaign would take, and why.
type CampaignPreview struct {
	Items Array[PreviewLine] `json:"items"`
	Next  string             `json:"next_page_token,omitempty"` // "" on the last part
	In    int                `json:"in"`                        // of this part
	Out   int                `json:"out"`
	Waves Array[PreviewWave] `json:"waves"` // as the plan divides those that are in
}

// A PreviewLine is one device of a preview.
type PreviewLine struct {
	Device   string `json:"device"`
	Endpoint string `json:"endpoint"`
	Version  string `json:"version,omitempty"` // of its firmware, as last heard
	In       bool   `json:"in"`
	Reason   string `json:"reason"`
}

// A PreviewWave is a wave as the plan divides the devices.
type PreviewWave struct {
	Name string `json:"name"`
	Size int    `json:"size"`
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
