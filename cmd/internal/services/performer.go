package services

import (
	"context"
	"encoding/json"
	"errors"

	"steward/lwm2m/queue"
	"steward/web"
)

// A Performer does what a queue.Queue has waiting.
type Performer struct{ s *operations }

// NewPerformer returns a Performer over DB, Server, Registry and Now of o.
func NewPerformer(o Options) *Performer {
	return &Performer{&operations{&base{Options: o, view: o.DB.View()}}}
}

// A kept is the result of an operation as its row keeps it.
type kept struct {
	Outcome web.Outcome           `json:"outcome,omitzero"`
	Failure *web.OperationFailure `json:"failure,omitempty"`
}

// Perform implements queue.Options.Perform.
func (p *Performer) Perform(ctx context.Context, o queue.Operation) (queue.Result, error) {
	var op web.Operation
	if err := json.Unmarshal(o.Body, &op); err != nil {
		return queue.Result{Outcome: "invalid", Reason: "the operation as it was stored cannot be read"}, err
	}
	row, ok := operationTable[op.Kind]
	if !ok {
		return queue.Result{Outcome: "invalid", Reason: "no such operation"}, web.ErrInvalid
	}
	out, err := row.run(p.s, ctx, call{op, o.Device, o.Actor})
	res := queue.Result{Outcome: outcome(translate(err))}
	k := kept{Outcome: out}
	if err != nil {
		k = kept{Failure: failure(translate(err))}
		res.Reason = k.Failure.Detail
		if k.Failure.CoAP != "" {
			res.Reason = "the device answered " + k.Failure.CoAP
		}
	}
	body, broken := json.Marshal(k)
	if err == nil {
		err = broken
	}
	res.Body = body
	return res, err
}

// failure returns an error of web as it is kept.
func failure(err error) *web.OperationFailure {
	_, code := web.Status(err)
	f := &web.OperationFailure{Code: code}
	if known := (*web.Error)(nil); errors.As(err, &known) {
		f.CoAP, f.Detail = known.CoAP, known.Detail
	}
	if f.Detail == "" && f.CoAP == "" {
		f.Detail, _ = web.Meaning(code)
	}
	return f
}

// revived returns the error that was kept as f.
func revived(f *web.OperationFailure) error {
	for _, is := range []error{
		web.ErrDevice, web.ErrUnreachable, web.ErrTimeout, web.ErrInvalid, web.ErrNotFound, web.ErrConflict, web.ErrTooLarge,
		web.ErrForbidden, web.ErrNotBuilt,
	} {
		if _, code := web.Status(is); code == f.Code {
			return &web.Error{Is: is, Detail: f.Detail, CoAP: f.CoAP}
		}
	}
	return &web.Error{Is: web.ErrUnavailable, Detail: f.Detail}
}
