package rollout

import "time"

// A Report tells what became of a campaign. Its numbers add up with the jobs:
// each device stands in one field of the Funnel's Counts and in one wave.
type Report struct {
	Campaign  string        `json:"campaign"`
	Name      string        `json:"name"`
	Release   string        `json:"release"`
	Version   string        `json:"version"`
	Sequence  uint64        `json:"sequence"`
	RollsBack string        `json:"rolls_back,omitempty"` // release that was taken back
	State     CampaignState `json:"state"`
	Reason    string        `json:"reason,omitempty"`
	MadeAt    time.Time     `json:"made_at"`
	StartedAt time.Time     `json:"started_at,omitzero"`
	EndedAt   time.Time     `json:"ended_at,omitzero"`

	Funnel Funnel `json:"funnel"`
	// Half and Most are how long it took until 50 % and 95 % of all devices were
	// updated, seconds from the start; nil: not reached.
	Half     *Seconds     `json:"seconds_to_50_percent,omitempty"`
	Most     *Seconds     `json:"seconds_to_95_percent,omitempty"`
	Failures []Failure    `json:"failures"` // by code and model, the most frequent first
	Waves    []WaveReport `json:"waves"`    // the tail last
}

// A Funnel tells how far devices came; each number contains the ones below it.
type Funnel struct {
	Devices   int    `json:"devices"`
	Begun     int    `json:"begun"`     // asked at least once
	Delivered int    `json:"delivered"` // have the whole update
	Done      int    `json:"done"`
	Counts    Counts `json:"counts"` // by tally, of all devices
}

// A Failure is how many devices of a model failed for one cause.
type Failure struct {
	Code  int    `json:"code"` // update result, or one of the codes of a RetryMatrix
	Text  string `json:"text"`
	Model string `json:"model"` // manufacturer and model; "" unknown
	Count int    `json:"count"`
}

// A WaveReport is how one wave went.
type WaveReport struct {
	Number int       `json:"number"`
	Name   string    `json:"name"`
	State  WaveState `json:"state,omitempty"` // none for the tail
	Size   int       `json:"size"`            // devices now: those moved to the tail stand there
	Moved  int       `json:"moved,omitempty"` // devices that went on to the tail
	Counts Counts    `json:"counts"`
	Reason string    `json:"reason,omitempty"`

	BeganAt   time.Time `json:"began_at,omitzero"`
	SettledAt time.Time `json:"settled_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
}
