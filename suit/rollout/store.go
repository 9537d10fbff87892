package rollout

import (
	"context"
	"time"

	"steward/lwm2m/fleet"
)

// A Store keeps releases, campaigns and jobs. Every change is stored with its
// audit row in one transaction. Implementations are safe for concurrent use.
type Store interface {
	Releases
	Campaigns
	Jobs
	Members
}

// Campaigns keeps campaigns.
type Campaigns interface {
	// AddCampaign stores a new campaign with the first of its jobs, all planned.
	AddCampaign(ctx context.Context, c Campaign, jobs []Job) error
	// Campaign returns one, or ErrUnknown.
	Campaign(ctx context.Context, id string) (Campaign, error)
	// Counts returns the tallies of each wave that has jobs, by its number.
	Counts(ctx context.Context, id string) (map[int]Counts, error)
	// ListCampaigns is like ListReleases.
	ListCampaigns(ctx context.Context, before string, limit int) ([]Campaign, error)
	// Unfinished returns the campaigns that are not over, the oldest first.
	Unfinished(ctx context.Context) ([]Campaign, error)
	// SetCampaign stores c, if its version is still c.Version, and the effects of
	// the change. It returns ErrMoved if somebody else was faster, or ErrUnknown.
	SetCampaign(ctx context.Context, c Campaign, ch Change) error
}

// A Change is what is stored beside a campaign that changed.
type Change struct {
	Actor  string
	Reason string        // in words, for the audit; jobs get that of the campaign
	Before CampaignState // equal to the new one if only a wave changed
	Do     []CampaignEffect
	Left   int // the wave that MoveAside leaves
	At     time.Time
}

// Jobs keeps jobs.
type Jobs interface {
	// AddJobs adds planned jobs to a campaign that is not over, and returns how
	// many. Devices that stand in it already are passed over.
	AddJobs(ctx context.Context, campaign string, jobs []Job) (int, error)
	// StartJobs looks at up to limit planned jobs of a wave, in order, and queues
	// them. Those whose device another campaign has in hand are set aside instead,
	// as Blocked; they come back when that campaign is finished with the device. It
	// returns ErrMoved if the campaign is not of version c.Version any more.
	StartJobs(ctx context.Context, c Campaign, wave, limit int, now time.Time) (started []Job, blocked int, err error)
	// OpenJobs returns up to limit jobs that are in hand, of one campaign or of all
	// for "", of devices after the given one, in order.
	OpenJobs(ctx context.Context, campaign string, after fleet.ID, limit int) ([]Job, error)
	// Lines returns up to limit jobs of a campaign in its order, after the given
	// position and device; the zero Job is before all.
	Lines(ctx context.Context, campaign string, after Job, limit int) ([]Line, error)
	// SetJob stores j, if its version is still before.Version, and returns false if
	// somebody else was faster. A job that is over frees its device: jobs that were
	// Blocked by it are planned again. The last one Done makes its manifest the
	// installed one.
	SetJob(ctx context.Context, before, j Job) (bool, error)
	// OfDevice returns the device's job that is in hand, or ErrUnknown.
	OfDevice(ctx context.Context, device fleet.ID) (Job, error)
}

// Members knows which devices there are.
type Members interface {
	// Candidates returns up to limit devices that fit f, after the given one, in
	// order of their ids, without those that stand in a campaign; "" is none.
	Candidates(ctx context.Context, f Filter, without string, after fleet.ID, limit int) ([]Candidate, error)
	// Known returns what is known of devices, in any order, without those that
	// nobody knows.
	Known(ctx context.Context, ids []fleet.ID) ([]Candidate, error)
	// Installed returns the manifests that the device is known to run, by what its
	// jobs reported; none is no error.
	Installed(ctx context.Context, device fleet.ID) ([]Installed, error)
}
