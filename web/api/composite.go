package api

import (
	"steward/lwm2m"
	"steward/web"
)

// isComposite reports whether an operation is of several nodes.
func isComposite(k web.OperationKind) bool {
	switch k {
	case web.OpReadComposite, web.OpWriteComposite, web.OpObserveComposite, web.OpCancelComposite:
		return true
	}
	return false
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
	switch in.Op {
	case web.OpWriteAttributes, web.OpObserve, web.OpObserveComposite:
	default:
		if len(in.Attributes) > 0 {
			return op, web.Invalid("attributes", "not with "+string(in.Op))
		}
	}
	for _, text := range in.Paths {
		p, err := lwm2m.ParsePath(text)
		if err != nil {
			return op, web.Invalid("paths", err.Error())
		}
		op.Paths = append(op.Paths, p)
	}
	op.Attributes, op.Depth = in.Attributes, in.Depth
	return op, nil
}
