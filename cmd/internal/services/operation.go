package services

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/fleet"
	"steward/lwm2m/linkformat"
	"steward/lwm2m/queue"
	"steward/lwm2m/server"
	"steward/web"
)

// operations implements web.Operations.
type operations struct{ *base }

// An operation is how one kind is checked and done.
type operation struct {
	least, most int    // length of the path
	action      string // in the audit row; "" for what changes nothing, or is audited below
	run         func(*operations, context.Context, call) (web.Outcome, error)
}

// A call is one operation on one device.
type call struct {
	web.Operation

	device fleet.ID
	actor  string
}

// operationTable says which node each operation is for (Core 1.2.2 §6.3, §6.4).
var operationTable = map[web.OperationKind]operation{
	web.OpRead:          {1, 4, "", (*operations).read},
	web.OpDiscover:      {1, 3, "", (*operations).discover},
	web.OpObserve:       {1, 4, "", (*operations).observe},
	web.OpCancelObserve: {1, 4, "", (*operations).cancelObserve},
	web.OpWrite:         {2, 4, "device.write", (*operations).write},
	web.OpUpdate:        {2, 3, "device.write", (*operations).write},
	web.OpExecute:       {3, 3, "device.execute", (*operations).execute},
	web.OpCreate:        {1, 2, "device.create", (*operations).create},
	web.OpDelete:        {2, 4, "device.delete", (*operations).remove},

	web.OpWriteAttributes:  {1, 4, "device.write_attributes", (*operations).writeAttributes},
	web.OpReadComposite:    {0, 0, "", (*operations).readComposite},
	web.OpWriteComposite:   {0, 0, "device.write", (*operations).writeComposite},
	web.OpObserveComposite: {0, 0, "", (*operations).observeComposite},
	web.OpCancelComposite:  {0, 0, "", (*operations).cancelComposite},
}

// Do implements web.Operations.
func (s *operations) Do(ctx context.Context, by web.Actor, id string, op web.Operation) (web.Outcome, error) {
	row, err := check(op)
	if err != nil {
		return web.Outcome{}, err
	}
	lasting := ctx
	if op.Async {
		lasting = context.WithoutCancel(ctx) // only the wait ends with ctx
	}
	l, err := s.find(lasting, id)
	if err != nil {
		return web.Outcome{}, err
	}
	body, err := json.Marshal(op)
	if err != nil {
		return web.Outcome{}, translate(err)
	}
	o := queue.Operation{
		Device: l.ID, Kind: string(op.Kind), Path: nodes(op), Body: body, Action: row.action, Actor: by.String(),
		Repeats: op.Kind != web.OpExecute && op.Kind != web.OpCreate, Writes: op.Kind == web.OpWrite,
		Local: op.Kind == web.OpCancelObserve || op.Kind == web.OpCancelComposite, TTL: op.TTL,
	}
	if op.Async && !o.Local {
		o, err = s.Queue.Submit(lasting, o)
	} else {
		o, err = s.Queue.Do(ctx, o)
	}
	if err == nil && !o.State.Over() && (op.Async || !s.Server.Presence(l.ID).Asleep) {
		o, err = s.Queue.Await(ctx, o.ID)
	}
	if err != nil {
		return web.Outcome{}, translate(err)
	}
	shown := s.showOperation(o)
	switch {
	case o.State == queue.Done:
		return shown.Outcome, nil
	case shown.Failure != nil:
		return web.Outcome{}, revived(shown.Failure)
	}
	return web.Outcome{Pending: &shown}, nil
}

// check checks an operation, and returns how its kind is done.
func check(op web.Operation) (operation, error) {
	row, ok := operationTable[op.Kind]
	if !ok {
		return row, web.Invalid("op", "no such operation")
	}
	if n := op.Path.Len(); n < row.least || n > row.most {
		return row, web.Invalid("path", "not a node for "+string(op.Kind))
	}
	if op.TTL < 0 || op.TTL > web.MaxTTL {
		return row, web.Invalid("ttl", "1 to "+strconv.Itoa(int(web.MaxTTL/time.Second))+" seconds")
	}
	if _, err := lwm2m.ParseArguments(op.Arguments); err != nil {
		return row, web.Invalid("arguments", "digits with values, such as 0='4'")
	}
	if len(op.Paths) > 0 && row.most > 0 || len(op.Attributes) > 0 && !attributed(op.Kind) {
		return row, web.Invalid("op", "not with paths or attributes")
	}
	for _, e := range op.Entries {
		if !op.Path.Contains(e.Path) || e.Path.Len() < 3 {
			return row, web.Invalid("path", e.Path.String()+" is no resource at or below "+op.Path.String())
		}
	}
	return row, nil
}

// outcome is how an operation ended, for its audit row.
func outcome(err error) string {
	if err == nil {
		return "done"
	}
	if known := (*web.Error)(nil); errors.As(err, &known) && known.CoAP != "" {
		return "refused with " + known.CoAP
	}
	_, code := web.Status(err)
	return code
}

func (s *operations) read(ctx context.Context, c call) (web.Outcome, error) {
	entries, err := s.Server.Read(ctx, c.device, c.Path)
	if err != nil {
		return web.Outcome{}, err
	}
	show, err := s.shower(ctx, c.device)
	if err != nil {
		return web.Outcome{}, err
	}
	return web.Outcome{Values: s.shown(entries, show)}, nil
}

// shown returns values that came now.
func (s *operations) shown(entries []lwm2m.Entry, show func(lwm2m.Entry, time.Time) web.Value) []web.Value {
	now := s.Now()
	out := make([]web.Value, 0, len(entries))
	for _, e := range entries {
		out = append(out, show(e, now))
	}
	return out
}

func (s *operations) discover(ctx context.Context, c call) (web.Outcome, error) {
	depth := -1
	if c.Depth != nil {
		depth = *c.Depth
	}
	links, err := s.Server.DiscoverTo(ctx, c.device, c.Path, depth)
	if err != nil {
		return web.Outcome{}, err
	}
	return web.Outcome{Links: linkformat.Format(links)}, nil
}

func (s *operations) write(ctx context.Context, c call) (web.Outcome, error) {
	mode := server.Replace
	if c.Kind == web.OpUpdate {
		mode = server.Update
	}
	return web.Outcome{}, s.Server.Write(ctx, c.device, c.Path, c.Entries, mode)
}

func (s *operations) execute(ctx context.Context, c call) (web.Outcome, error) {
	return web.Outcome{}, s.Server.Execute(ctx, c.device, c.Path, c.Arguments)
}

func (s *operations) create(ctx context.Context, c call) (web.Outcome, error) {
	instance := -1 // the device chooses
	if c.Path.Len() > 1 {
		instance = int(c.Path.ID(1))
	}
	made, err := s.Server.Create(ctx, c.device, c.Path.Prefix(1), instance, c.Entries)
	if err != nil {
		return web.Outcome{}, err
	}
	return web.Outcome{Path: made.String()}, nil
}

func (s *operations) remove(ctx context.Context, c call) (web.Outcome, error) {
	return web.Outcome{}, s.Server.Delete(ctx, c.device, c.Path)
}
