package api

import (
	"steward/lwm2m"
	"steward/web"
)

// isComposite reports whether an operation is of several nodes.
func isComposite(k web.OperationKind) bool {
	return k == web.OpReadComposite || k == web.OpWriteComposite || k == web.OpObserveComposite ||
		k == web.OpCancelComposite
}

// moreOf adds what only some operations have.
func moreOf(op web.Operation, in operationIn) (web.Operation, error) {
	byPaths := isComposite(in.Op) && in.Op != web.OpWriteComposite
	switch {
	case (len(in.Paths) > 0) != byPaths:
		return op, web.Invalid("paths", "with read_composite, observe_composite and cancel_composite, and only there")
	case len(in.Attributes) == 0 && in.Op == web.OpWriteAttributes:
		return op, web.Invalid("attributes", "missing")
	case in.Depth != nil && in.Op != web.OpDiscover:
		return op, web.Invalid("depth", "only with discover")
	}
	may := in.Op == web.OpWriteAttributes || in.Op == web.OpObserve || in.Op == web.OpObserveComposite
	if len(in.Attributes) > 0 && !may {
		return op, web.Invalid("attributes", "not with "+string(in.Op))
	}
	for _, text := range in.Paths {
		p, err := lwm2m.ParseNode(text)
		if err != nil {
			return op, web.Invalid("paths", err.Error())
		}
		op.Paths = append(op.Paths, p)
	}
	op.Attributes, op.Depth = in.Attributes, in.Depth
	return op, nil
}
