package web

import "time"

// A CampaignPlan is how a campaign goes about it. Its zero value is one wave
// without a gate, at once. Times are in seconds.
type CampaignPlan struct {
	Waves     []WaveSpec       `json:"waves,omitempty"` // what they leave over is a last wave
	Start     time.Time        `json:"start,omitzero"`  // not before
	Rates     Rates            `json:"rates,omitzero"`
	Windows   Windows          `json:"windows,omitzero"`
	Needs     Needs            `json:"needs,omitzero"`
	Retry     map[string]Retry `json:"retry,omitzero"`       // by update result; missing: the default, {}: none
	Filter    *DeviceMatch     `json:"filter,omitempty"`     // devices that fit later join the tail
	RollsBack string           `json:"rolls_back,omitempty"` // release that this one takes back
	SilentFor int64            `json:"silent_for,omitempty"` // until a wave goes on without a device; 0: 120
	Timeout   int64            `json:"timeout,omitempty"`    // of one try; 0: 86400
	TailGate  Gate             `json:"tail_gate,omitzero"`   // only its limits count
	TailFor   int64            `json:"tail_for,omitempty"`   // how long the tail stays open; 0: to the end
}

// A WaveSpec says which devices a wave takes: by number or share of all; with
// neither, all that are left.
type WaveSpec struct {
	Name    string  `json:"name,omitempty"`
	Canary  bool    `json:"canary,omitempty"` // the first only
	Count   int     `json:"count,omitempty"`
	Percent float64 `json:"percent,omitempty"`
	Gate    Gate    `json:"gate,omitzero"`
}

// A Gate is what must hold of a wave before the next one begins.
type Gate struct {
	Success          float64  `json:"success,omitempty"`            // least share of the finished, percent
	Soak             int64    `json:"soak,omitempty"`               // seconds after the last has finished
	MaxFailures      *int     `json:"max_failures,omitempty"`       // more stop the wave at once
	MaxFailedPercent *float64 `json:"max_failed_percent,omitempty"` // a greater share stops it
	MaxUnreachable   *int     `json:"max_unreachable,omitempty"`    // devices
	MaxRefused       *int     `json:"max_refused,omitempty"`        // devices that the manifest does not suit
	MinSample        int      `json:"min_sample,omitempty"`         // finished devices that a judgement needs
	Action           string   `json:"action,omitempty"`             // pause (the default) or abort
}

// Rates bound how fast a campaign goes. Zero fields bound nothing.
type Rates struct {
	Concurrent      int     `json:"concurrent,omitempty"` // downloads at once
	StartsPerMinute float64 `json:"starts_per_minute,omitempty"`
	Ramp            *Ramp   `json:"ramp,omitempty"`
	BytesPerSecond  int64   `json:"bytes_per_second,omitempty"` // of all downloads together
}

// A Ramp lets the starts per minute grow with success.
type Ramp struct {
	From   float64 `json:"from"`   // starts per minute at first
	Factor float64 `json:"factor"` // by which it grows, above 1
	Every  int     `json:"every"`  // devices done for one step
}

// Windows are when devices may download and install, by their own clocks.
type Windows struct {
	Download []Window `json:"download,omitempty"`
	Install  []Window `json:"install,omitempty"`
	Zone     string   `json:"zone,omitempty"` // of devices that do not tell theirs: "+02:00", "Europe/Stockholm"
}

// A Window is a part of some days.
type Window struct {
	Days []int  `json:"days,omitempty"` // on which it begins, Sunday is 0; none: all
	From string `json:"from"`           // "22:30"
	To   string `json:"to"`
}

// Needs are what a device must have before it begins.
type Needs struct {
	Battery  int  `json:"battery,omitempty"`  // percent
	External bool `json:"external,omitempty"` // powered from outside
}

// A Retry says how often a device tries again after a result.
type Retry struct {
	Tries   int   `json:"tries"`
	Backoff int64 `json:"backoff,omitempty"` // seconds before the first, then doubling
}
