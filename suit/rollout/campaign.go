package rollout

import (
	"errors"
	"fmt"
	"time"

	"steward/lwm2m/fleet"
)

// Errors of campaigns.
var (
	// ErrCampaign reports a campaign that cannot be started as asked.
	ErrCampaign = errors.New("unusable campaign")
	// ErrEnded reports a command to a campaign that its state does not accept.
	ErrEnded = errors.New("campaign does not accept this now")
	// ErrMoved reports a campaign that somebody else changed meanwhile.
	ErrMoved = errors.New("campaign was changed meanwhile")
)

// A Delivery says how the envelope reaches a device.
type Delivery string

// The deliveries of LwM2M Firmware Update.
const (
	Push Delivery = "push" // block-wise write to Package
	Pull Delivery = "pull" // a URI, from which the device fetches
)

// A Campaign brings one release to devices, wave by wave.
type Campaign struct {
	ID       string // ULID
	Name     string
	Release  string
	Delivery Delivery
	Plan     Plan
	Size     int // devices listed when it was drafted; those of a Filter come beside

	State   CampaignState
	Resumes CampaignState // where a paused campaign goes on
	Reason  string        // in words: why it stands where it does, what it waits for
	Since   time.Time     // of State
	Wave    int           // the wave under way; len(Waves) is the tail
	Waves   []Wave        // as Plan divides Size; without the tail

	CreatedAt  time.Time
	CreatedBy  string
	ApprovedBy string    // "" before approval
	StartedAt  time.Time // of the first wave
	TailAt     time.Time // of the tail
	EndedAt    time.Time
	Closing    bool   // the tail takes no more devices
	TailWaived Counts // what people accepted in the tail by resuming; nil: nothing
	Version    int64  // rises by one with each change
}

// A Plan is how a campaign goes about it. The zero Plan is one wave without a
// gate, at once, as fast as the server can.
type Plan struct {
	Waves     []WaveSpec  `json:"waves,omitempty"`      // in order; what they leave over is a last wave
	Start     time.Time   `json:"start,omitzero"`       // not before; zero: when approved
	Rates     Rates       `json:"rates,omitzero"`       //
	Windows   Windows     `json:"windows,omitzero"`     //
	Needs     Conditions  `json:"needs,omitzero"`       // what a device must have to begin
	Retry     RetryMatrix `json:"retry,omitzero"`       // nil: DefaultRetry
	Filter    *Filter     `json:"filter,omitempty"`     // devices that fit later join the tail; nil: none do
	RollsBack string      `json:"rolls_back,omitempty"` // release that this one takes back, by a higher sequence number

	// SilentFor is how long a device may be out of reach before its wave goes on
	// without it; 0: 2 minutes.
	SilentFor Seconds `json:"silent_for,omitempty"`
	// Timeout is how long one try of a reachable device may take, from the first
	// byte to the end; 0: 24 hours.
	Timeout Seconds `json:"timeout,omitempty"`
	// TailGate is asked while the tail is served. Only its limits count: the tail
	// passes nothing on.
	TailGate Gate `json:"tail_gate,omitzero"`
	// TailFor is how long the tail stays open for devices that are out of reach, or
	// join late; 0: until every job is over, and with a Filter until somebody
	// finishes the campaign.
	TailFor Seconds `json:"tail_for,omitempty"`
}

// Seconds is a duration as plans keep it.
type Seconds int64

// Duration returns s as a time.Duration.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }

// A WaveSpec says which devices a wave takes: the next ones in the campaign's
// order, by number or by share of all. With neither it takes all that are left.
type WaveSpec struct {
	Name    string  `json:"name,omitempty"`    // for people; "": "canary" or "wave N"
	Canary  bool    `json:"canary,omitempty"`  // the first only
	Count   int     `json:"count,omitempty"`   // devices
	Percent float64 `json:"percent,omitempty"` // of all devices, rounded up
	Gate    Gate    `json:"gate,omitzero"`     // what must hold before the next one begins
}

// A Wave is how a wave of a campaign stands.
type Wave struct {
	Spec      WaveSpec  `json:"spec"`
	Size      int       `json:"size"` // devices at the start
	State     WaveState `json:"state"`
	Reason    string    `json:"reason,omitempty"` // in words: the last word of the gate
	BeganAt   time.Time `json:"began_at,omitzero"`
	SettledAt time.Time `json:"settled_at,omitzero"` // nothing under way any more: the soak begins
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Moved     int       `json:"moved,omitempty"` // devices that went on to the tail
	// Waived is what people accepted by resuming after the gate had paused the
	// campaign; nil: nothing.
	Waived Counts `json:"waived,omitempty"`
}

// Rates bound how fast a campaign goes. Zero fields bound nothing.
type Rates struct {
	Concurrent      int     `json:"concurrent,omitempty"`        // downloads at once
	StartsPerMinute float64 `json:"starts_per_minute,omitempty"` // devices begun
	Ramp            *Ramp   `json:"ramp,omitempty"`              // nil: StartsPerMinute from the beginning
	BytesPerSecond  int64   `json:"bytes_per_second,omitempty"`  // of all downloads together
}

// A Ramp lets the starts per minute grow with success: exponentially.
type Ramp struct {
	From   float64 `json:"from"`   // starts per minute at first
	Factor float64 `json:"factor"` // by which it grows, above 1
	Every  int     `json:"every"`  // devices done for one step
}

// Conditions are what a device must have before it downloads and before it
// installs. A device that does not report a value is not held to it.
type Conditions struct {
	Battery  int  `json:"battery,omitempty"`  // percent, /3/0/9; 0: any. External power stands for it
	External bool `json:"external,omitempty"` // powered from outside, /3/0/6
}

// A Filter selects devices by what is known of them. Empty fields select all.
type Filter struct {
	Manufacturer string `json:"manufacturer,omitempty"` // /3/0/0
	Model        string `json:"model,omitempty"`        // /3/0/1
	Class        string `json:"class,omitempty"`        // UUID, of the release that it last got here
	Tag          string `json:"tag,omitempty"`
	Version      string `json:"version,omitempty"` // /3/0/3
}

// A Draft is what an operator asks for.
type Draft struct {
	ID       string // ULID
	Name     string
	Release  string
	Delivery Delivery
	Plan     Plan
	Devices  []fleet.ID // in the order in which they are to be updated
	Snapshot *Filter    // takes those that fit now besides, after Devices; nil: none
	By       string
}

// MaxWaves bounds the waves of a campaign: a person must oversee them.
const MaxWaves = 20

// IsTail reports whether wave number n is the tail of c.
func (c *Campaign) IsTail(n int) bool { return n >= len(c.Waves) }

// WaveName returns how people call wave number n.
func (c *Campaign) WaveName(n int) string {
	if c.IsTail(n) {
		return "tail"
	}
	return waveName(c.Waves[n].Spec, n, len(c.Waves) > 0 && c.Waves[0].Spec.Canary)
}

func waveName(s WaveSpec, n int, canary bool) string {
	switch {
	case s.Name != "":
		return s.Name
	case s.Canary:
		return "canary"
	case canary:
		return fmt.Sprintf("wave %d", n)
	}
	return fmt.Sprintf("wave %d", n+1)
}

// Defaults of a Plan.
const (
	defaultSilent  = 2 * time.Minute
	defaultTimeout = 24 * time.Hour
)

func (p *Plan) silentFor() time.Duration {
	if p.SilentFor > 0 {
		return p.SilentFor.Duration()
	}
	return defaultSilent
}

func (p *Plan) timeout() time.Duration {
	if p.Timeout > 0 {
		return p.Timeout.Duration()
	}
	return defaultTimeout
}
