package services

import (
	"context"
	"errors"
	"slices"
	"strings"

	"steward/lwm2m"
	"steward/lwm2m/server"
	"steward/web"
)

// attributed reports whether an operation may have attributes.
func attributed(k web.OperationKind) bool {
	return k == web.OpWriteAttributes || k == web.OpObserve || k == web.OpObserveComposite
}

// nodes names the nodes of an operation, for its audit row.
func nodes(op web.Operation) string {
	paths := op.Paths
	if op.Kind == web.OpWriteComposite {
		for _, e := range op.Entries {
			paths = append(paths, e.Path)
		}
	}
	if len(paths) == 0 {
		paths = []lwm2m.Path{op.Path}
	}
	const most = 16
	texts := make([]string, 0, most)
	for _, p := range paths[:min(len(paths), most)] {
		texts = append(texts, p.String())
	}
	if len(paths) > most {
		texts = append(texts, "…")
	}
	return strings.Join(texts, " ")
}

func (s *operations) observe(ctx context.Context, c call) (web.Outcome, error) {
	return s.observeTarget(ctx, c, server.Node(c.Path))
}

func (s *operations) observeComposite(ctx context.Context, c call) (web.Outcome, error) {
	t, err := server.Nodes(c.Paths)
	if err != nil {
		return web.Outcome{}, err
	}
	return s.observeTarget(ctx, c, t)
}

// observeTarget leaves nothing behind if the device cannot be observed, unless it was
// to be observed before.
func (s *operations) observeTarget(ctx context.Context, c call, t server.Target) (web.Outcome, error) {
	wanted, err := s.DB.Server().Wanted(ctx, c.device)
	if err != nil {
		return web.Outcome{}, err
	}
	i := slices.IndexFunc(wanted, func(w server.Wish) bool { return w.Names() == t.Names() })
	if len(c.Attributes) > 0 {
		if t, err = t.With(c.Attributes); err != nil {
			return web.Outcome{}, err
		}
	} else if i >= 0 {
		t = wanted[i].Target
	}
	if err := s.Server.ObserveTarget(ctx, c.device, t, c.actor); err != nil {
		if i < 0 {
			err = errors.Join(err, s.Server.CancelTarget(context.WithoutCancel(ctx), c.device, t, c.actor))
		}
		return web.Outcome{}, err
	}
	var out web.Outcome
	for _, p := range t.Paths() {
		values, err := s.values(ctx, c.device, p)
		if err != nil {
			return web.Outcome{}, err
		}
		out.Values = append(out.Values, values...)
	}
	return out, nil
}

func (s *operations) cancelObserve(ctx context.Context, c call) (web.Outcome, error) {
	return s.cancelTarget(ctx, c, server.Node(c.Path))
}

func (s *operations) cancelComposite(ctx context.Context, c call) (web.Outcome, error) {
	t, err := server.Nodes(c.Paths)
	if err != nil {
		return web.Outcome{}, err
	}
	return s.cancelTarget(ctx, c, t)
}

// cancelTarget refuses to end what goes on by a template.
func (s *operations) cancelTarget(ctx context.Context, c call, t server.Target) (web.Outcome, error) {
	wanted, err := s.DB.Server().Wanted(ctx, c.device)
	if err != nil {
		return web.Outcome{}, err
	}
	for _, w := range wanted {
		if w.Names() == t.Names() && w.Template != "" {
			return web.Outcome{}, &web.Error{Is: web.ErrConflict, Detail: "the template " + w.Template + " wants it"}
		}
	}
	return web.Outcome{}, s.Server.CancelTarget(ctx, c.device, t, c.actor)
}

func (s *operations) writeAttributes(ctx context.Context, c call) (web.Outcome, error) {
	return web.Outcome{}, s.Server.WriteAttributes(ctx, c.device, c.Path, c.Attributes)
}

func (s *operations) readComposite(ctx context.Context, c call) (web.Outcome, error) {
	entries, err := s.Server.ReadComposite(ctx, c.device, c.Paths)
	if err != nil {
		return web.Outcome{}, err
	}
	show, err := s.shower(ctx, c.device)
	if err != nil {
		return web.Outcome{}, err
	}
	return web.Outcome{Values: s.shown(entries, show)}, nil
}

func (s *operations) writeComposite(ctx context.Context, c call) (web.Outcome, error) {
	return web.Outcome{}, s.Server.WriteComposite(ctx, c.device, c.Entries)
}
