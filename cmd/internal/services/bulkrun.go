package services

import (
	"context"
	"sync"

	"steward/cmd/internal/sqlite"
	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/web"
)

const (
	bulkWorkers = 8   // devices at once: each waits for a commit, which they share
	bulkChunk   = 100 // devices whose results are stored together
)

// Run does what StartBulk took, one after the other, until ctx ends. What it had not
// ended then is interrupted: a device may have been reached, so nothing is repeated.
func (b *Bulk) Run(ctx context.Context) error {
	last := context.WithoutCancel(ctx)
	for {
		select {
		case <-ctx.Done():
			return b.o.DB.Bulks().Interrupt(last, b.o.Now())
		case job := <-b.jobs:
			if err := b.work(ctx, job); err != nil {
				return err
			}
		}
	}
}

// work does one, as long as who asked for it may.
func (b *Bulk) work(ctx context.Context, job bulkJob) error {
	left, may := job.devices, true
	for len(left) > 0 && ctx.Err() == nil {
		var err error
		if may, err = b.may(context.WithoutCancel(ctx), job.by); err != nil {
			return err
		}
		if !may {
			break
		}
		chunk := left[:min(bulkChunk, len(left))]
		left = left[len(chunk):]
		if err := b.o.DB.Bulks().Note(context.WithoutCancel(ctx), job.id, b.chunk(ctx, job, chunk)); err != nil {
			return err
		}
		b.o.Events.publish(web.EventBulk, job.id, nil)
	}
	state := sqlite.BulkEnded
	if ctx.Err() != nil || !may {
		state = sqlite.BulkInterrupted
	}
	err := b.o.DB.Bulks().End(context.WithoutCancel(ctx), job.id, state, b.o.Now())
	b.o.Events.publish(web.EventBulk, job.id, nil)
	return err
}

// chunk does it to some devices, several at once.
func (b *Bulk) chunk(ctx context.Context, job bulkJob, devices []fleet.ID) []sqlite.BulkDevice {
	out := make([]sqlite.BulkDevice, len(devices))
	next := make(chan int)
	var all sync.WaitGroup
	for range bulkWorkers {
		all.Go(func() {
			for i := range next {
				out[i] = b.one(ctx, job, devices[i])
			}
		})
	}
	for i := range devices {
		next <- i
	}
	close(next)
	all.Wait()
	return out
}

func (b *Bulk) one(ctx context.Context, job bulkJob, device fleet.ID) sqlite.BulkDevice {
	out := sqlite.BulkDevice{Device: device, State: sqlite.BulkOpen}
	if ctx.Err() != nil {
		return out
	}
	detail, operation, err := bulkTable[job.what.Action].do(b, web.WithActor(ctx, job.by), job, string(device))
	out.State, out.Detail, out.Operation = sqlite.BulkDone, detail, operation
	if err != nil {
		out.State, out.Detail = sqlite.BulkFailed, printable(translate(err).Error())
	}
	return out
}

// A bulkAction is how an action is checked, and done to one device.
type bulkAction struct {
	check func(*Bulk, context.Context, *bulkJob) error
	do    func(*Bulk, context.Context, bulkJob, string) (detail, operation string, err error)
}

// bulkTable has every action.
var bulkTable = map[web.BulkAction]bulkAction{
	web.BulkTag:     {(*Bulk).checkTag, (*Bulk).tag},
	web.BulkUntag:   {(*Bulk).checkTag, (*Bulk).tag},
	web.BulkGroup:   {(*Bulk).checkGroup, (*Bulk).group},
	web.BulkUngroup: {(*Bulk).checkGroup, (*Bulk).group},
	web.BulkRead:    {(*Bulk).checkNode, (*Bulk).operate},
	web.BulkWrite:   {(*Bulk).checkNode, (*Bulk).operate},
	web.BulkExecute: {(*Bulk).checkNode, (*Bulk).operate},
	web.BulkRevoke:  {(*Bulk).checkRevoke, (*Bulk).revoke},

	web.BulkReconcile: {(*Bulk).checkNothing, (*Bulk).reconcile},
	web.BulkAttest:    {(*Bulk).checkNothing, (*Bulk).attest},
}

// words says what is done, for people and for the audit: never a key.
func (j bulkJob) words() string {
	switch a := j.what.Action; a {
	case web.BulkTag:
		return "give the tag " + j.what.Tag
	case web.BulkUntag:
		return "take the tag " + j.what.Tag + " off"
	case web.BulkGroup:
		return "put into the group " + j.what.Group
	case web.BulkUngroup:
		return "take out of the group " + j.what.Group
	case web.BulkWrite:
		if j.path.HoldsKeys() {
			return "write " + j.path.String() + ", which holds keys"
		}
		return "write " + j.path.String() + " = " + printable(j.value.String())
	case web.BulkReconcile:
		return "reconcile observations"
	case web.BulkAttest:
		return "have them prove what they run"
	case web.BulkRevoke:
		return "revoke the live certificates"
	default:
		return string(a) + " " + j.path.String()
	}
}

func (b *Bulk) checkTag(_ context.Context, j *bulkJob) error {
	_, err := checkTags([]string{j.what.Tag})
	return err
}

func (b *Bulk) tag(ctx context.Context, j bulkJob, device string) (detail, operation string, err error) {
	c := web.TagChange{Add: []string{j.what.Tag}, Reason: j.what.Reason}
	if j.what.Action == web.BulkUntag {
		c.Add, c.Remove = nil, c.Add
	}
	_, err = b.o.Services.Devices.ChangeTags(ctx, j.by, device, c)
	return "", "", err
}

func (b *Bulk) checkGroup(ctx context.Context, j *bulkJob) error {
	g, err := b.o.Services.Groups.Group(ctx, j.what.Group)
	if err != nil {
		return about("group", err)
	}
	if g.Kind != web.GroupStatic {
		return web.Invalid("group", "who is in it follows from its filter")
	}
	return nil
}

func (b *Bulk) group(ctx context.Context, j bulkJob, device string) (detail, operation string, err error) {
	c := web.MemberChange{Add: []string{device}, Reason: j.what.Reason}
	if j.what.Action == web.BulkUngroup {
		c.Add, c.Remove = nil, c.Add
	}
	_, err = b.o.Services.Groups.ChangeMembers(ctx, j.by, j.what.Group, c)
	return "", "", err
}

func (b *Bulk) checkNode(_ context.Context, j *bulkJob) error {
	var err error
	if j.path, err = lwm2m.ParsePath(j.what.Path); err != nil {
		return web.Invalid("path", err.Error())
	}
	if j.what.Action == web.BulkWrite {
		if j.path.Len() != 3 { //nolint:mnd // object, instance, resource
			return web.Invalid("path", "one resource, such as /1/0/1")
		}
		if j.value, err = web.ParseInput(lwm2m.KindOf(b.o.Schema, j.path), j.what.Value); err != nil {
			return err
		}
	}
	_, err = check(j.operation())
	return err
}

// operation is what each device is asked.
func (j bulkJob) operation() web.Operation {
	op := web.Operation{Kind: web.OperationKind(j.what.Action), Path: j.path, Async: true}
	switch j.what.Action {
	case web.BulkExecute:
		op.Arguments = j.what.Arguments
	case web.BulkWrite:
		op.Entries = []lwm2m.Entry{{Path: j.path, Value: j.value}}
	default:
	}
	return op
}

// operate hands the operation to the device's queue, and does not wait for the answer.
func (b *Bulk) operate(ctx context.Context, j bulkJob, device string) (detail, operation string, err error) {
	handed, cancel := context.WithCancel(ctx)
	cancel()
	out, err := b.o.Services.Operations.Do(handed, j.by, device, j.operation())
	if err != nil {
		return "", "", err
	}
	if out.Pending != nil {
		return "", out.Pending.ID, nil
	}
	return "answered at once", "", nil
}

func (b *Bulk) checkNothing(context.Context, *bulkJob) error { return nil }

func (b *Bulk) reconcile(ctx context.Context, j bulkJob, device string) (detail, operation string, err error) {
	return "", "", b.o.Services.Observations.ReconcileObservations(ctx, j.by, device)
}

// attest has a device prove what it runs. A verdict that speaks against it is no
// failure of the question.
func (b *Bulk) attest(ctx context.Context, j bulkJob, device string) (detail, operation string, err error) {
	a, err := b.o.Services.Attestations.Attest(ctx, j.by, device)
	if err != nil || len(a.Verdicts) == 0 {
		return "", "", err
	}
	return printable(a.Verdicts[0].Tier + ": " + a.Verdicts[0].Reason), "", nil
}

func (b *Bulk) checkRevoke(_ context.Context, j *bulkJob) error {
	if j.what.Reason == "" {
		return web.Invalid("reason", "say why")
	}
	return nil
}

// revoke revokes what is live; a device without a live certificate is no failure.
func (b *Bulk) revoke(ctx context.Context, j bulkJob, device string) (detail, operation string, err error) {
	live := web.CertificateFilter{State: web.CertificateLive, Device: device}
	list, err := b.o.Services.Certificates.ListCertificates(ctx, live, web.Page{Size: detailRows})
	if err != nil {
		return "", "", err
	}
	r := web.Revocation{Reason: "unspecified", Why: j.what.Reason}
	for _, c := range list.Items {
		if _, err := b.o.Services.Certificates.Revoke(ctx, j.by, c.ID, r); err != nil {
			return "", "", err
		}
	}
	return count(len(list.Items), "certificate", "certificates"), "", nil
}
