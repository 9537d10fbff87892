package services

import (
	"context"
	"errors"
	"time"

	"steward/lwm2m"
	"steward/lwm2m/audit"
	"steward/lwm2m/fleet"
	"steward/lwm2m/linkformat"
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
	row, ok := operationTable[op.Kind]
	if !ok {
		return web.Outcome{}, web.Invalid("op", "no such operation")
	}
	if n := op.Path.Len(); n < row.least || n > row.most {
		return web.Outcome{}, web.Invalid("path", "not a node for "+string(op.Kind))
	}
	if _, err := lwm2m.ParseArguments(op.Arguments); err != nil {
		return web.Outcome{}, web.Invalid("arguments", "digits with values, such as 0='4'")
	}
	if len(op.Paths) > 0 && row.most > 0 || len(op.Attributes) > 0 && !attributed(op.Kind) {
		return web.Outcome{}, web.Invalid("op", "not with paths or attributes")
	}
	for _, e := range op.Entries {
		if !op.Path.Contains(e.Path) || e.Path.Len() < 3 {
			return web.Outcome{}, web.Invalid("path", e.Path.String()+" is no resource at or below "+op.Path.String())
		}
	}
	l, err := s.find(ctx, id)
	if err != nil {
		return web.Outcome{}, err
	}
	out, err := row.run(s, ctx, call{op, l.ID, by.String()})
	err = translate(err)
	if row.action == "" {
		return out, err
	}
	// The device may have done it even if nobody waits any more.
	written := s.DB.Audit(context.WithoutCancel(ctx), audit.Row{
		Actor: by.String(), Action: row.action, Subject: string(l.ID), Reason: nodes(op), After: outcome(err),
		At: s.Now(),
	})
	if err == nil && written != nil {
		err = translate(written)
	}
	return out, err
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
	made, err := s.Server.Create(ctx, c.device, c.Path.Object(), instance, c.Entries)
	if err != nil {
		return web.Outcome{}, err
	}
	return web.Outcome{Path: made.String()}, nil
}

func (s *operations) remove(ctx context.Context, c call) (web.Outcome, error) {
	return web.Outcome{}, s.Server.Delete(ctx, c.device, c.Path)
}
