package services

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/web"
)

// A Bulk does one thing to many devices, each by the services for single devices. It
// implements web.Bulks; Run works off what StartBulk took.
type Bulk struct {
	o    BulkOptions
	jobs chan bulkJob

	mu      sync.Mutex // guards waiting
	waiting map[string]bulkJob
}

// BulkOptions are the parts of a Bulk. All but Approvers are required.
type BulkOptions struct {
	Services web.Services // by which it works, with whatever bounds the rights of people
	DB       *sqlite.DB
	Schema   lwm2m.Schema // types of resources that are written
	NewID    func() string
	Now      func() time.Time
	Events   *Hub
	// Approvers says how many people could approve the revocation of many at this
	// moment: with more than one, another than who asks must. Nil: nobody else could.
	Approvers func(ctx context.Context) (int, error)
}

// maxBulkJobs is how many wait for those before them.
const maxBulkJobs = 16

// NewBulk returns a Bulk that does nothing before Run, and ends what a process before
// this one did not end. It returns ErrOptions.
func NewBulk(ctx context.Context, o BulkOptions) (*Bulk, error) {
	if o.DB == nil || o.NewID == nil || o.Now == nil || o.Events == nil || o.Schema == nil {
		return nil, fmt.Errorf("%w: DB, Schema, NewID, Now and Events", ErrOptions)
	}
	if err := o.DB.Bulks().Interrupt(ctx, o.Now()); err != nil {
		return nil, err
	}
	o.Services = o.Services.Complete()
	return &Bulk{o: o, jobs: make(chan bulkJob, maxBulkJobs)}, nil
}

// A bulkJob is one that was asked for.
type bulkJob struct {
	id      string
	by      web.Actor
	what    web.NewBulk
	value   lwm2m.Value // of a write
	path    lwm2m.Path
	devices []fleet.ID
}

// PreviewBulk implements web.Bulks.
func (b *Bulk) PreviewBulk(ctx context.Context, by web.Actor, n web.NewBulk) (web.BulkPreview, error) {
	var out web.BulkPreview
	var all []web.Device
	var err error
	if n.Action == "" {
		all, err = b.devices(web.WithActor(ctx, by), n)
	} else {
		var job bulkJob
		if job, all, err = b.plan(ctx, by, n); err == nil {
			out.What = job.words()
		}
	}
	if err != nil {
		return web.BulkPreview{}, err
	}
	const most = 20
	out.Total, out.States, out.First = len(all), web.Counts{}, all[:min(most, len(all))]
	for _, d := range all {
		out.States[string(d.State)]++
	}
	return out, nil
}

// StartBulk implements web.Bulks.
func (b *Bulk) StartBulk(ctx context.Context, by web.Actor, n web.NewBulk) (web.Bulk, error) {
	job, _, err := b.plan(ctx, by, n)
	if err != nil {
		return web.Bulk{}, err
	}
	if len(b.jobs) == cap(b.jobs) {
		return web.Bulk{}, &web.Error{Is: web.ErrUnavailable, Detail: "too many bulk actions wait already"}
	}
	job.id = b.o.NewID()
	review, err := b.needsReview(ctx, job)
	if err != nil {
		return web.Bulk{}, err
	}
	state := sqlite.BulkRunning
	if review {
		state = sqlite.BulkReview
	}
	err = b.o.DB.Bulks().Begin(context.WithoutCancel(ctx), sqlite.Bulk{
		ID: job.id, Action: string(n.Action), What: job.words(), Reason: n.Reason, Actor: by.String(), CreatedAt: b.o.Now(),
		State: state,
	}, job.devices)
	if err != nil {
		return web.Bulk{}, translate(err)
	}
	if review {
		if err := b.keep(job); err != nil {
			return web.Bulk{}, errors.Join(err,
				b.o.DB.Bulks().End(context.WithoutCancel(ctx), job.id, sqlite.BulkInterrupted, b.o.Now()))
		}
		return b.Bulk(ctx, job.id)
	}
	select {
	case b.jobs <- job:
	default: // others were faster
		err := b.o.DB.Bulks().End(context.WithoutCancel(ctx), job.id, sqlite.BulkInterrupted, b.o.Now())
		return web.Bulk{}, errors.Join(&web.Error{Is: web.ErrUnavailable, Detail: "too many bulk actions wait"}, err)
	}
	return b.Bulk(ctx, job.id)
}

// plan checks n and finds its devices.
func (b *Bulk) plan(ctx context.Context, by web.Actor, n web.NewBulk) (job bulkJob, all []web.Device, err error) {
	row, ok := bulkTable[n.Action]
	if !ok {
		return job, nil, web.Invalid("action", "there is no such action")
	}
	if need := n.Action.RoleFor(); !by.Role.Includes(need) {
		return job, nil, forbidden("this needs the role " + string(need))
	}
	if err := checkText("reason", n.Reason, maxReason); err != nil {
		return job, nil, err
	}
	job = bulkJob{by: by, what: n}
	if err := row.check(b, ctx, &job); err != nil {
		return job, nil, err
	}
	if all, err = b.devices(web.WithActor(ctx, by), n); err != nil {
		return job, nil, err
	}
	for _, d := range all {
		job.devices = append(job.devices, fleet.ID(d.ID))
	}
	return job, all, nil
}

// devices returns whom n means, each once.
func (b *Bulk) devices(ctx context.Context, n web.NewBulk) ([]web.Device, error) {
	if len(n.Devices) > 0 {
		return b.named(ctx, n.Devices)
	}
	f, err := web.ParseStoredFilter(n.Filter)
	if err != nil {
		return nil, err
	}
	if !f.Narrow() && !n.All {
		return nil, web.Invalid("devices", "no device was chosen")
	}
	return web.SelectDevices(ctx, b.o.Services.Devices, f)
}

func (b *Bulk) named(ctx context.Context, ids []string) (all []web.Device, err error) {
	if len(ids) > web.MaxBulk {
		return nil, web.Invalid("devices", fmt.Sprintf("more than %d devices", web.MaxBulk))
	}
	seen := map[string]bool{}
	for _, id := range ids {
		d, err := b.o.Services.Devices.Device(ctx, id)
		if errors.Is(err, web.ErrNotFound) {
			return nil, web.Invalid("devices", "there is no device "+printable(id))
		}
		if err != nil {
			return nil, err
		}
		if !seen[d.ID] {
			seen[d.ID] = true
			all = append(all, d.Device)
		}
	}
	return all, nil
}

// Bulk implements web.Bulks.
func (b *Bulk) Bulk(ctx context.Context, id string) (web.Bulk, error) {
	found, err := b.o.DB.Bulks().Bulk(ctx, id)
	if errors.Is(err, sqlite.ErrNoBulk) {
		return web.Bulk{}, notFound("bulk action", id)
	}
	return showBulk(found), translate(err)
}

func showBulk(b sqlite.Bulk) web.Bulk {
	out := web.Bulk{
		ID: b.ID, Action: web.BulkAction(b.Action), What: b.What, Reason: b.Reason, By: b.Actor, State: b.State,
		Level: web.LevelActive, Total: b.Total, Done: b.Done, Failed: b.Failed, CreatedAt: b.CreatedAt, EndedAt: b.EndedAt,
	}
	switch {
	case b.State == sqlite.BulkReview, b.State == sqlite.BulkRejected:
		out.Level = web.LevelWarning
	case b.State == sqlite.BulkInterrupted:
		out.Level = web.LevelBad
	case b.State == sqlite.BulkEnded && b.Failed > 0:
		out.Level = web.LevelWarning
	case b.State == sqlite.BulkEnded:
		out.Level = web.LevelGood
	}
	return out
}

// ListBulks implements web.Bulks.
func (b *Bulk) ListBulks(ctx context.Context, p web.Page) (web.List[web.Bulk], error) {
	if p.After != "" {
		if _, err := b.Bulk(ctx, p.After); err != nil {
			return web.List[web.Bulk]{}, errCursor()
		}
	}
	rows, err := b.o.DB.Bulks().List(ctx, p.After, limit(p))
	if err != nil {
		return web.List[web.Bulk]{}, translate(err)
	}
	return paged(p, rows, func(b sqlite.Bulk) string { return b.ID },
		func(b sqlite.Bulk) (web.Bulk, error) { return showBulk(b), nil })
}

// BulkResults implements web.Bulks.
func (b *Bulk) BulkResults(
	ctx context.Context, id string, f web.BulkFilter, p web.Page,
) (web.List[web.BulkResult], error) {
	switch f.State {
	case "", sqlite.BulkDone, sqlite.BulkFailed, sqlite.BulkOpen:
	default:
		return web.List[web.BulkResult]{}, web.Invalid("state", "done, failed or open")
	}
	if _, err := b.Bulk(ctx, id); err != nil {
		return web.List[web.BulkResult]{}, err
	}
	rows, err := b.o.DB.Bulks().Results(ctx, id, f.State, fleet.ID(p.After), limit(p))
	if err != nil {
		return web.List[web.BulkResult]{}, translate(err)
	}
	return paged(p, rows, func(r sqlite.BulkDevice) string { return string(r.Device) },
		func(r sqlite.BulkDevice) (web.BulkResult, error) {
			return web.BulkResult{
				Device: string(r.Device), Endpoint: r.Endpoint, State: r.State, Detail: r.Detail, Operation: r.Operation,
				Progress: r.Progress,
			}, nil
		})
}
