package services

import (
	"context"
	"encoding/json"

	"steward/lwm2m/queue"
	"steward/web"
)

// ListOperations implements web.Operations.
func (s *operations) ListOperations(ctx context.Context, id string, p web.Page) (web.List[web.DeviceOperation], error) {
	l, err := s.find(ctx, id)
	if err != nil {
		return web.List[web.DeviceOperation]{}, err
	}
	if p.After != "" {
		if _, err := s.DeviceOperation(ctx, id, p.After); err != nil {
			return web.List[web.DeviceOperation]{}, errCursor()
		}
	}
	rows, err := s.DB.Operations().Operations(ctx, queue.Filter{Device: l.ID, After: p.After, Limit: limit(p)})
	if err != nil {
		return web.List[web.DeviceOperation]{}, translate(err)
	}
	return paged(p, rows, func(o queue.Operation) string { return o.ID },
		func(o queue.Operation) (web.DeviceOperation, error) { return s.showOperation(o), nil })
}

// DeviceOperation implements web.Operations.
func (s *operations) DeviceOperation(ctx context.Context, id, operation string) (web.DeviceOperation, error) {
	l, err := s.find(ctx, id)
	if err != nil {
		return web.DeviceOperation{}, err
	}
	o, err := s.DB.Operations().Operation(ctx, operation)
	if err == nil && o.Device != l.ID {
		err = queue.ErrUnknown
	}
	if err != nil {
		return web.DeviceOperation{}, translate(err)
	}
	return s.showOperation(o), nil
}

// CancelOperation implements web.Operations.
func (s *operations) CancelOperation(ctx context.Context, by web.Actor, id, operation string) (
	web.DeviceOperation, error,
) {
	if _, err := s.DeviceOperation(ctx, id, operation); err != nil {
		return web.DeviceOperation{}, err
	}
	o, err := s.Queue.Cancel(ctx, operation, by.String())
	if err != nil {
		return web.DeviceOperation{}, translate(err)
	}
	return s.showOperation(o), nil
}

var operationLevels = map[queue.State]web.Level{
	queue.Queued: web.LevelNeutral, queue.Sent: web.LevelActive, queue.Acked: web.LevelActive, queue.Done: web.LevelGood,
	queue.Failed: web.LevelBad, queue.Expired: web.LevelWarning, queue.Cancelled: web.LevelNeutral,
}

// showOperation returns an operation as people see it.
func (s *operations) showOperation(o queue.Operation) web.DeviceOperation {
	out := web.DeviceOperation{
		ID: o.ID, Device: string(o.Device), Kind: web.OperationKind(o.Kind), Path: o.Path, State: string(o.State),
		Level: operationLevels[o.State], Reason: printable(o.Reason), By: o.Actor, Tries: o.Tries, CreatedAt: o.CreatedAt,
		SentAt: o.SentAt, EndedAt: o.EndedAt, ExpiresAt: o.ExpiresAt, Over: o.State.Over(),
	}
	if o.State == queue.Queued {
		out.WakesAt = s.Server.Presence(o.Device).Wake
	}
	for _, e := range o.Exchanges {
		out.Exchanges = append(out.Exchanges, web.CoAPExchange{
			At: e.At, Seconds: e.Took, Method: e.Method, Path: e.Path, Query: e.Query, Format: e.Format, Request: e.Request,
			RequestBytes: e.Sent, Code: e.Code, AnswerFormat: e.As, Answer: e.Answer, AnswerBytes: e.Got,
			Error: printable(e.Error),
		})
	}
	var k kept
	if len(o.Result) == 0 || json.Unmarshal(o.Result, &k) != nil {
		if o.State == queue.Failed {
			out.Failure = &web.OperationFailure{Code: "unavailable", Detail: out.Reason}
		}
		return out
	}
	out.Outcome, out.Failure = k.Outcome, k.Failure
	return out
}
